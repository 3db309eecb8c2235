// Package ywebsocket lets JavaScript edit the documents of a soma.DB: any Yjs client that
// speaks the protocol of y-websocket or that of Hocuspocus.
//
//	h, err := ywebsocket.New(db, func(ctx context.Context, r ywebsocket.Request) (ywebsocket.Access, error) {
//		if subtle.ConstantTimeCompare([]byte(r.Token), token) == 0 {
//			return 0, errors.New("wrong token")
//		}
//		return ywebsocket.ReadWrite, nil
//	})
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	http.Handle("/y/", http.StripPrefix("/y", h))       // y-websocket
//	http.Handle("/hocuspocus", h.Hocuspocus())          // Hocuspocus
//
// In the page:
//
//	new WebsocketProvider(`ws://${location.host}/y`, `${space}/${document}`, doc, { params: { token } })
//	new HocuspocusProvider({ url: `ws://${location.host}/hocuspocus`, name: `${space}/${document}`, document: doc, token })
//
// The IDs in a URL are escaped by the page if they have characters that need it
// (encodeURIComponent). Clients of both protocols meet in the same documents.
//
// # Who the author is
//
// What a client sends is written by the DB: the signed author is its member, db.PeerID,
// whoever sits at the socket, and the role of that member bounds what clients can do. An
// Authorizer that lets several people in answers for them. Those who are to be told apart
// get a member, and a DB, of their own. What clients say of themselves, their awareness, is
// theirs: it is passed on, in memory, and nobody vouches for it.
//
// # What is promised
//
// An update is on the disk before Hocuspocus' SyncStatus says so, and before any other
// client sees it, or as near as soma.WithRelaxedDurability leaves it. What is changed in Go,
// or comes from other members, goes to all clients.
// An update that cannot be stored is never acknowledged. One of a client that may only
// read is answered (SyncStatus 0, or y-websocket's permission denied) and not stored; the
// connection stays.
//
// A client that reads more slowly than others write is closed with CloseSlow, holding up
// nobody. It connects again and gets what it lacks.
//
// When a document was rebuilt, because void content was taken out of it, its clients are
// closed with CloseRebuilt, and so is every one that comes back with such content: what it
// shows is not what others see. It starts with a new Y.Doc:
//
//	provider.on('closed', ({ code }) => { if (code === 4409) startAfresh() }) // y-websocket
//	provider.on('close', ({ event }) => { if (event.reason === 'rebuilt') startAfresh() }) // Hocuspocus
//
// # Security
//
// A browser sends the Origin of a page, and only pages of the same host connect, or those
// of WithOrigins. That does not tell programs, nor keep a name that was rebound to this
// address out: only the Authorizer does, by a token that the page got in another way.
package ywebsocket
