package soma

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/upload"
	"github.com/soma-sdk/soma/store"
)

// Collections keep what belongs to the user interface on this machine: records, raw JSON
// under a key, of which the newer wins. They are the untyped form of Collection, and what
// is said there holds here. Nothing of them ever leaves the machine, or causes a
// DomainEvent.
//
// A collection is made by the first write to it. Its name is printable UTF-8 of 1 to
// MaxIDBytes bytes. The names of canonical data (spaces, members, memberships, roles,
// capabilities, invites, documents, pages, blobs) are ErrReservedCollection, because the newer
// must not win there.
//
// CollectionDraftMailbox is another way to the Mailbox: the key of a draft is DraftKey, its
// value the JSON of a Draft with the same updatedAtMs, and the rules are those of the Mailbox.
// A draft that is deleted is discarded and can be restored, and comes back with a later Put;
// options of NewCollection do not count.
//
// CollectionUploadJobs is another way to the Uploads: the key of a job is its ID, its value the
// JSON of the UploadJob. The field renderer, one object, belongs to whoever writes, and its
// newer value wins: a value without it erases what was there, and null is ErrInvalidRecord, as
// anything but an object; the state of a job is the library's, and what a value says of it is ignored,
// since a window writes back rows that it read earlier. Uploads.Enqueue makes jobs: a Put of any
// other key is ErrInvalidRecord, and so is a field that no UploadJob has. A job that is deleted
// is cancelled if it has not finished, and removed, but not one that was enqueued, or whose
// renderer was written, later than the time of the deletion.
type Collections struct{ db *DB }

// Collections returns the service for collections.
func (db *DB) Collections() Collections { return Collections{db} }

// Put stores a value under a key and returns when that is durable, if it is newer than
// what is there; else it returns nil all the same, and nothing changes. The value is one
// JSON text in UTF-8, and is kept byte for byte. The slice is not kept.
//
// Errors: ErrInvalidID, ErrInvalidJSON, ErrInvalidTime, ErrClockSkew, ErrTooLarge,
// ErrCollectionFull, ErrInvalidRecord, ErrReservedCollection, ErrSchemaTooNew.
func (c Collections) Put(ctx context.Context, collection, key string, value json.RawMessage, updatedAtMs int64) error {
	return c.use("put into", collection, func(r rawCollection) error { return r.put(ctx, key, value, updatedAtMs) })
}

// Get returns the record under a key. Errors: ErrNotFound, ErrInvalidID,
// ErrReservedCollection, ErrSchemaTooNew; a *RecordError, which is ErrCorrupt, for a record
// that is quarantined.
func (c Collections) Get(ctx context.Context, collection, key string) (record RawRecord, err error) {
	err = c.use("get from", collection, func(r rawCollection) error {
		rec, err := r.get(ctx, key)
		record = rawRecord(rec)
		return err
	})
	if err != nil {
		return RawRecord{}, err
	}
	return record, nil
}

// Delete removes what is under a key, unless it is newer than updatedAtMs; then it returns
// nil all the same. Deleting what is not there counts for an older value that comes later.
// Errors: those of Put; ErrClockSkew only where nothing as new is stored.
func (c Collections) Delete(ctx context.Context, collection, key string, updatedAtMs int64) error {
	return c.use("delete from", collection, func(r rawCollection) error { return r.delete(ctx, key, updatedAtMs) })
}

// Clear deletes all records that were updated at updatedAtMs or before, those too that
// come later. It is one transaction, whose cost is that of the records. Errors: those of
// Delete.
func (c Collections) Clear(ctx context.Context, collection string, updatedAtMs int64) error {
	return c.use("clear", collection, func(r rawCollection) error { return r.clear(ctx, updatedAtMs) })
}

// List iterates over the records of a collection in order of insertion, without those that
// are quarantined: see Collection.List.
func (c Collections) List(ctx context.Context, collection string) iter.Seq2[RawRecord, error] {
	return func(yield func(RawRecord, error) bool) {
		for rec, err := range c.list(ctx, collection) {
			if err != nil {
				yield(RawRecord{}, err)
				return
			}
			if !yield(rawRecord(rec), nil) {
				return
			}
		}
	}
}

// Watch returns a channel of the changes of a collection: see Collection.Watch. For a name
// that no collection can have it is closed from the start.
func (c Collections) Watch(ctx context.Context, collection string) <-chan RawChange {
	return watch(ctx, c, collection, func(change rawChange) RawChange {
		return RawChange{Kind: change.Kind, Key: change.Key, Value: bytes.Clone(change.Value), UpdatedAtMs: change.UpdatedAtMs, Seq: change.Seq}
	})
}

// Names returns the names of all collections that hold records, in order.
func (c Collections) Names(ctx context.Context) ([]string, error) {
	if err := c.db.begin(); err != nil {
		return nil, err
	}
	defer c.db.end()
	names, err := c.db.collections.Names(ctx)
	if err == nil {
		var drafts []mailbox.Listed
		if drafts, _, err = c.db.mailbox.Page(ctx, false, core.MaxDraftPlace()); len(drafts) > 0 {
			names = append(names, CollectionDraftMailbox)
		}
	}
	if err == nil {
		var jobs []upload.Listed
		if jobs, _, err = c.db.uploads.Page(ctx, 0); len(jobs) > 0 {
			names = append(names, CollectionUploadJobs)
		}
	}
	slices.Sort(names)
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	return names, nil
}

// Quarantined returns the records of a collection that cannot be read: see
// Collection.Quarantined.
func (c Collections) Quarantined(ctx context.Context, collection string) ([]QuarantinedRecord, error) {
	return c.quarantined(ctx, collection, func(record) error { return nil })
}

// DropQuarantined removes what Quarantined returns of a key, for good. Errors: ErrNotFound
// where there is nothing, and those of Get.
func (c Collections) DropQuarantined(ctx context.Context, collection, key string) error {
	return c.dropQuarantined(ctx, collection, key, func(record) error { return nil })
}

// Prune removes what no call can see any more, in all collections: records that have
// expired, and memories of deletions that were kept long enough. Writes do so too, a few
// rows at a time.
func (c Collections) Prune(ctx context.Context) error {
	if err := c.db.begin(); err != nil {
		return err
	}
	defer c.db.end()
	if err := c.db.collections.Prune(ctx); err != nil {
		return fmt.Errorf("prune collections: %w", err)
	}
	return nil
}

// The forms of records and changes below this package.
type (
	record    = collection.Record
	rawChange = collection.Change
)

// rawCollection is the untyped form of a collection.
type rawCollection interface {
	put(ctx context.Context, key string, value json.RawMessage, updatedAtMs int64) error
	get(ctx context.Context, key string) (record, error)
	delete(ctx context.Context, key string, updatedAtMs int64) error
	clear(ctx context.Context, updatedAtMs int64) error
	// list has no transaction open while its caller's code runs.
	list(ctx context.Context) iter.Seq2[record, error]
	// check is that of a type, for what can be read.
	quarantined(ctx context.Context, check func(record) error) ([]QuarantinedRecord, error)
	dropQuarantined(ctx context.Context, key string, check func(record) error) error
}

// canonicalNames are those of data that has an owner and rules of its own.
var canonicalNames = map[string]bool{
	"spaces": true, "members": true, "memberships": true, "roles": true, "capabilities": true, "invites": true,
	"documents": true, "pages": true, "blobs": true,
}

// reservedCollections are views of other services. Whoever writes to the data behind one
// tells its watches by DB.collections.Publish.
var reservedCollections = map[string]func(*DB) rawCollection{
	CollectionDraftMailbox: func(db *DB) rawCollection { return draftCollection{db.mailbox} },
	CollectionUploadJobs:   func(db *DB) rawCollection { return uploadCollection{db.uploads, db.now} },
}

// open returns what a name stands for.
func (c Collections) open(name string) (rawCollection, error) {
	if err := collection.CheckName(name); err != nil {
		return nil, err
	}
	view, reserved := reservedCollections[name]
	switch {
	case canonicalNames[name]:
		return nil, fmt.Errorf("collection name %q: %w", name, ErrReservedCollection)
	case reserved:
		return view(c.db), nil
	}
	return plainCollection{c.db.collections, name}, nil
}

// use runs fn on a collection, as one call.
func (c Collections) use(op, name string, fn func(rawCollection) error) error {
	r, err := c.open(name)
	if err != nil {
		return err
	}
	if err := c.db.begin(); err != nil {
		return err
	}
	defer c.db.end()
	switch err := fn(r); {
	case err == nil || collection.NamesRecord(err):
		return err
	default:
		return fmt.Errorf("%s collection %q: %w", op, name, err)
	}
}

// list is List of records as they are below this package. It is no call of the DB as a whole,
// which Close would wait for: once that has begun, the next page is ErrClosed.
func (c Collections) list(ctx context.Context, name string) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		r, err := c.open(name)
		if err != nil {
			yield(record{}, err)
			return
		}
		for rec, err := range r.list(ctx) {
			if err != nil {
				yield(record{}, fmt.Errorf("list collection %q: %w", name, err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (c Collections) quarantined(ctx context.Context, name string, check func(record) error) (all []QuarantinedRecord, err error) {
	err = c.use("list quarantine of", name, func(r rawCollection) error {
		all, err = r.quarantined(ctx, check)
		return err
	})
	return all, err
}

func (c Collections) dropQuarantined(ctx context.Context, name, key string, check func(record) error) error {
	return c.use("drop from quarantine of", name, func(r rawCollection) error { return r.dropQuarantined(ctx, key, check) })
}

// watch returns a channel of the changes of a collection in the form that convert gives.
func watch[E any](ctx context.Context, c Collections, name string, convert func(rawChange) E) <-chan E {
	if _, err := c.open(name); err != nil {
		none := make(chan E)
		close(none)
		return none
	}
	return collection.Watch(ctx, c.db.collections, name, convert)
}

func rawRecord(rec record) RawRecord {
	return RawRecord{Key: rec.Key, Value: rec.Value, UpdatedAtMs: rec.UpdatedAtMs}
}

// plainCollection is a collection that is nothing else.
type plainCollection struct {
	all  *collection.Collections
	name string
}

func (p plainCollection) put(ctx context.Context, key string, value json.RawMessage, updatedAtMs int64) error {
	return p.all.Put(ctx, p.name, key, value, updatedAtMs)
}

func (p plainCollection) get(ctx context.Context, key string) (record, error) {
	return p.all.Get(ctx, p.name, key)
}

func (p plainCollection) delete(ctx context.Context, key string, updatedAtMs int64) error {
	return p.all.Delete(ctx, p.name, key, updatedAtMs)
}

func (p plainCollection) clear(ctx context.Context, updatedAtMs int64) error {
	return p.all.Clear(ctx, p.name, updatedAtMs)
}

func (p plainCollection) list(ctx context.Context) iter.Seq2[record, error] {
	return p.all.List(ctx, p.name)
}

func (p plainCollection) quarantined(ctx context.Context, check func(record) error) ([]QuarantinedRecord, error) {
	return p.all.Quarantined(ctx, p.name, check)
}

func (p plainCollection) dropQuarantined(ctx context.Context, key string, check func(record) error) error {
	return p.all.DropQuarantined(ctx, p.name, key, check)
}

// collectionStore is what collections see of a store.
type collectionStore struct{ *store.DB }

func (s collectionStore) Write(ctx context.Context, fn func(core.CollectionTx) error) error {
	return s.DB.Write(ctx, func(tx core.Tx) error { return fn(tx) })
}

func (s collectionStore) Read(ctx context.Context, fn func(core.CollectionView) error) error {
	return s.DB.Read(ctx, func(v core.View) error { return fn(v) })
}

func openCollections(st *store.DB, o *options) *collection.Collections {
	return collection.New(collection.Config{Store: collectionStore{st}, Now: o.now, Logger: o.logger})
}
