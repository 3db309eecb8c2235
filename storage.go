package soma

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// Limits of the storage bridge.
const (
	// MaxSnapshotBytes is how long a snapshot may be, in bytes. A longer one is ErrTooLarge.
	MaxSnapshotBytes = collection.MaxSnapshotBytes
	// MaxVersionKeyBytes is how long the versionKey of a row may be, in bytes.
	MaxVersionKeyBytes = collection.MaxVersionKeyBytes
)

// StorageSnapshot is a whole collection as localStorageCollectionOptions of @tanstack/db
// keeps it under a storage key:
//
//	{"s:key":{"versionKey":"uuid","data":{...}}, "n:5":{...}}
//
// with "s:" in front of keys that are strings and "n:" of numbers, in order of insertion,
// and data byte for byte as it was stored.
type StorageSnapshot struct {
	Value []byte
	Seq   int64 // number of the newest change of the collection, 0 before the first
}

// StorageResult is what became of a SetItem or RemoveItem.
type StorageResult struct {
	Seq int64 // number of the newest change of the collection
	// Same says that the collection has exactly the rows that were given, in their order.
	// Else there are others that the window has not seen: it fetches a Snapshot.
	Same bool
}

// StorageOption changes one SetItem or RemoveItem.
type StorageOption func(*storageOptions) error

type storageOptions struct{ window string }

// WithWindow names the window that writes, or any other client: 1 to MaxIDBytes bytes of
// printable UTF-8, which no other window has or had; one that is loaded again is another
// one. What a window wrote itself since its baseSeq counts as seen by it, so that it can
// delete a row that it has just inserted without waiting for an answer. This is remembered
// in memory, for the 64 windows of a collection that wrote last.
func WithWindow(id string) StorageOption {
	return func(o *storageOptions) error {
		if err := core.CheckID("window", id); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidOption, err)
		}
		o.window = id
		return nil
	}
}

// Snapshot returns a whole collection as of one moment, {} with Seq 0 for one that was
// never written to. Records that are quarantined, and those whose value is neither an
// object nor an array, are left out, because a window reads nothing of a snapshot that has
// one; SetItem keeps them. Values need their key in them, where the getKey of the window
// finds it: see WithKeyOf.
//
// Errors: ErrTooLarge past MaxSnapshotBytes, which is noticed without reading more, and those of Get but ErrNotFound and
// ErrCorrupt.
func (c Collections) Snapshot(ctx context.Context, collection string) (s StorageSnapshot, err error) {
	err = c.useStorage("read snapshot of", collection, func(r storageCollection) error {
		s.Value, s.Seq, err = r.snapshot(ctx)
		return err
	})
	return s, err
}

// SetItem writes what a window has put into its storage: a whole snapshot, made of one that
// the window adopted, with the Seq baseSeq, by changing rows. It is merged row by row, in one
// transaction, so that windows, and Go, do not lose each other's rows:
//
//   - A row whose versionKey is the stored one is unchanged, whatever its bytes.
//   - One whose versionKey the row had earlier is a copy from before somebody else's change,
//     and ignored. So is one from before a deletion.
//   - One with another versionKey is a write. It wins, at this machine's clock, or at one
//     millisecond after what is there. It also brings back a row that was deleted meanwhile.
//   - A stored row that is missing is deleted if the window knew it as it is: if its last
//     change is not after baseSeq, or was by this window (WithWindow). Else it stays.
//
// Rules of the collection hold as for Put: one row that is refused refuses all. A collection
// may grow past what a Snapshot can return, by Puts or by what several windows write; then
// Snapshot is ErrTooLarge, SetItem goes on to merge, and windows see each other's rows again
// when records were deleted. WithMaxBytes, lower than MaxSnapshotBytes, prevents it. The value is
// not kept. Keys without "s:" or "n:" are of an old version, and are strings.
//
// A host has a Storage in each renderer that is synchronous there, and keeps to this: it
// sends its writes one after the other, each with the Seq that it adopted last as baseSeq.
// It adopts the Seq of an answer that is Same. It adopts a Snapshot, and tells the renderer
// by a storage event, when an answer was not Same or an error, or when a Watch of the
// collection has a Change whose Seq is greater than its own; but only while none of its
// writes is unanswered, and none whose Seq is smaller than that of the last answer.
// A write that got no answer, as when the program was killed, it sends again as it was, before
// any other: if it was stored, that changes nothing.
//
// A row remembers the last 64 versionKeys that it had, as long as it is there or its deletion
// is remembered (WithTombstoneRetention), and a collection the last 65,536 since the DB was
// opened. A window that is further behind brings back what it had seen.
//
// Errors, with nothing stored: ErrInvalidJSON, also for half a snapshot; ErrInvalidSnapshot
// for JSON that is no object; a *RecordError that is ErrInvalidRecord and ErrInvalidSnapshot
// for a row that is not {versionKey, data}, whose versionKey is no string of 1 to
// MaxVersionKeyBytes bytes, whose data is neither an object nor an array, whose key is there
// twice, or can be none, which is ErrInvalidID too; ErrInvalidSeq for baseSeq; ErrTooLarge
// past MaxSnapshotBytes or MaxRecordBytes; ErrInvalidOption; ErrInvalidRecord for what a
// validator refuses, ErrCollectionFull, ErrReservedCollection, ErrSchemaTooNew.
func (c Collections) SetItem(ctx context.Context, collection string, value []byte, baseSeq int64, opts ...StorageOption) (StorageResult, error) {
	return c.setItem(ctx, "set snapshot of", collection, value, baseSeq, opts)
}

// RemoveItem is SetItem of {}: what the window had seen is deleted.
func (c Collections) RemoveItem(ctx context.Context, collection string, baseSeq int64, opts ...StorageOption) (StorageResult, error) {
	return c.setItem(ctx, "remove snapshot of", collection, []byte("{}"), baseSeq, opts)
}

func (c Collections) setItem(ctx context.Context, op, name string, value []byte, baseSeq int64, opts []StorageOption) (result StorageResult, err error) {
	var o storageOptions
	for _, opt := range opts {
		if opt == nil {
			return StorageResult{}, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		if err := opt(&o); err != nil {
			return StorageResult{}, err
		}
	}
	err = c.useStorage(op, name, func(r storageCollection) error {
		written, err := r.setItem(ctx, collection.StorageWrite{Value: value, BaseSeq: baseSeq, Window: o.window})
		result = StorageResult(written)
		return err
	})
	return result, err
}

// storageCollection is a rawCollection that windows read and write as a whole.
type storageCollection interface {
	snapshot(ctx context.Context) (value []byte, seq int64, err error)
	setItem(ctx context.Context, w collection.StorageWrite) (collection.StorageResult, error)
}

func (c Collections) useStorage(op, name string, fn func(storageCollection) error) error {
	return c.use(op, name, func(r rawCollection) error {
		s, ok := r.(storageCollection)
		if !ok {
			return ErrReservedCollection
		}
		return fn(s)
	})
}

func (p plainCollection) snapshot(ctx context.Context) ([]byte, int64, error) {
	return p.all.Storage(ctx, p.name)
}

func (p plainCollection) setItem(ctx context.Context, w collection.StorageWrite) (collection.StorageResult, error) {
	return p.all.SetItem(ctx, p.name, w)
}
