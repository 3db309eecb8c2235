// Package soma is the local-first core of a desktop app as one library: a durable
// store of spaces and documents in one directory, with a merge engine for Yjs,
// signed entries that travel between machines, and events that say what changed.
//
//	db, err := soma.Open(dir)
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//
//	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
//	rev, err := db.Documents().Upsert(ctx, space.ID, "page-1", update)
//
// update is what a Yjs document emits, or all of Y.encodeStateAsUpdate. Upsert
// merges it, returns when it is on disk, and takes time in proportion to the
// update, not to the document. Get, Diff, Text, Title and JSON read:
//
//	doc, err := db.Documents().Get(ctx, space.ID, "page-1") // doc.Update for Y.applyUpdate
//
// Edit changes documents in Go, all or nothing, and View reads them at one state:
//
//	rev, err = db.Documents().Edit(ctx, space.ID, "page-1", func(tx *soma.EditTx) error {
//		return tx.Text("content").Insert(0, "Hello", nil)
//	})
//
// Pages give documents titles and places in a tree, which merges without cycles:
//
//	page, err := db.Pages().Create(ctx, space.ID, soma.NewPage{Title: "Today"})
//	tree, err := db.Pages().Tree(ctx, space.ID)
//
// Blobs are files, named by their CID. BlobHandler serves them to browsers, which cannot run
// what other members put:
//
//	info, err := db.Blobs().Put(ctx, space.ID, reader, soma.PutOptions{})
//	http.Handle("/blobs/", http.StripPrefix("/blobs", soma.BlobHandler(db)))
//
// Uploads bring files into a space in the background, through restarts and errors that pass:
//
//	job, err := db.Uploads().Enqueue(ctx, space.ID, soma.UploadSource{Path: path})
//	for job := range db.Uploads().Watch(ctx) {
//		show(job.ID, job.State, job.SentBytes, job.LastError)
//	}
//
// Search finds documents by the words in them, best first, in any script:
//
//	hits, err := db.Documents().Search(ctx, space.ID, `meeting "next week" -draft`)
//
// Events say what to read again. A subscription holds each change once, so a slow
// reader neither blocks a writer nor misses anything:
//
//	for ev := range db.Subscribe(ctx) {
//		if ev.Kind == soma.DocumentChanged {
//			refetch(ev.SpaceID, ev.DocumentID)
//		}
//	}
//
// What an editor holds and has not stored yet is kept as a draft, on this machine alone. The
// write that holds it clears it, and DraftPolicy decides when others change the document:
//
//	err = db.Mailbox().Save(ctx, soma.Draft{SpaceID: space.ID, DocumentID: "page-1", Snippet: typed, UpdatedAtMs: ms})
//	rev, err = db.Documents().Upsert(ctx, space.ID, "page-1", update, soma.WithDraft(ms))
//
// A space is a log of signed entries. Export and Import carry it to another
// directory, where every entry is checked again; what both sides wrote merges.
//
// Others join by a ticket, with a role that holds on every machine, offline too:
//
//	ticket, err := db.Spaces().Invite(ctx, space.ID, soma.RoleEditor, soma.InviteOptions{})
//	space, err = other.Spaces().Join(ctx, ticket)
//
// With a node of package sync, spaces are kept the same as those of their other members, and
// the ticket holds where this one can be reached:
//
//	node, err := somasync.New() // import somasync "github.com/soma-sdk/soma/sync"
//	db, err := soma.Open(dir, soma.WithSync(node))
//	status, err := db.Sync().Status(ctx) // per space: who is connected, what is on this device only
//
// Editors in JavaScript connect by package sync/ywebsocket, which speaks what y-websocket and
// Hocuspocus speak:
//
//	h, err := ywebsocket.New(db, authorize)
//	http.Handle("/y/", http.StripPrefix("/y", h))
//
// What the user interface keeps on this machine alone is in collections, of which the newer
// record wins (see Collection):
//
//	tabs := soma.Tabs(db) // or NewCollection[T](db, name, options...)
//	err = tabs.Put(ctx, "t1", soma.Tab{ID: "t1", Title: "Today"}, updatedAtMs)
//
// # Guarantees
//
// A call that returned without error is on the disk: it survives a kill of the
// process and a power failure (WithRelaxedDurability trades the latter for speed).
// A call that returned an error stored nothing; Import alone, which may be long,
// keeps what it had taken in, whole entries with their past. Bad input of any kind is
// an error, never a panic. Documents merge as yjs merges them, and a document's state depends
// only on the set of updates, not on their order.
//
// # Compatibility
//
// Names and signatures may gain options until version 1. The formats of the
// directory and of exports are versioned and refused, not guessed, when they are
// newer.
package soma
