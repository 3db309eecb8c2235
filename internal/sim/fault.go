package sim

import (
	"context"
	"errors"

	"github.com/soma-sdk/soma/internal/core"
)

// errKilled is what every write of a replica returns from the moment on at which its
// process is killed.
var errKilled = errors.New("killed")

// fault kills at a write: the one that brings left down to zero. It belongs to the
// store's writer.
type fault struct {
	armed bool
	left  int
}

func (f *fault) next() error {
	if !f.armed {
		return nil
	}
	if f.left--; f.left > 0 {
		return nil
	}
	return errKilled
}

// mortalStore is a store whose process can be killed. Nothing here ends the machine,
// so no write waits for the disk.
type mortalStore struct {
	core.Store
	fault *fault
}

func (s *mortalStore) Write(ctx context.Context, fn func(core.Tx) error) error {
	return s.Store.Write(ctx, func(tx core.Tx) error {
		if err := fn(&mortalTx{tx, s.fault}); err != nil {
			return err
		}
		return s.fault.next() // the commit
	})
}

func (s *mortalStore) WriteSynced(ctx context.Context, fn func(core.Tx) error) error {
	return s.Write(ctx, fn)
}

// mortalTx counts the statements that matter: wherever it is killed between two of
// the others, the database is the same.
type mortalTx struct {
	core.Tx
	fault *fault
}

func (t *mortalTx) SetMeta(key string, value []byte) error {
	return errors.Join(t.fault.next(), t.Tx.SetMeta(key, value))
}

func (t *mortalTx) InsertEntry(rec *core.EntryRecord) error {
	return errors.Join(t.fault.next(), t.Tx.InsertEntry(rec))
}

func (t *mortalTx) AddFrontier(space int64, chain core.Chain, f core.FrontierRecord) error {
	return errors.Join(t.fault.next(), t.Tx.AddFrontier(space, chain, f))
}

func (t *mortalTx) SetEntryState(entry int64, state core.EntryState) error {
	return errors.Join(t.fault.next(), t.Tx.SetEntryState(entry, state))
}

func (t *mortalTx) SetMembers(space int64, members []core.MemberRecord, invites []core.InviteRecord) error {
	return errors.Join(t.fault.next(), t.Tx.SetMembers(space, members, invites))
}

func (t *mortalTx) Park(rec core.ParkedRecord) error {
	return errors.Join(t.fault.next(), t.Tx.Park(rec))
}

func (t *mortalTx) PutDoc(rec *core.DocRecord) error {
	return errors.Join(t.fault.next(), t.Tx.PutDoc(rec))
}

func (t *mortalTx) AddDocOp(doc, n, entry int64, off, length int) error {
	return errors.Join(t.fault.next(), t.Tx.AddDocOp(doc, n, entry, off, length))
}

func (t *mortalTx) AddTail(doc int64, rec core.TailRecord) error {
	return errors.Join(t.fault.next(), t.Tx.AddTail(doc, rec))
}

func (t *mortalTx) ClearTail(doc int64) error {
	return errors.Join(t.fault.next(), t.Tx.ClearTail(doc))
}

func (t *mortalTx) PutPage(rec core.PageRecord) error {
	return errors.Join(t.fault.next(), t.Tx.PutPage(rec))
}

func (t *mortalTx) PutPageMove(space int64, m core.PageMove) error {
	return errors.Join(t.fault.next(), t.Tx.PutPageMove(space, m))
}

func (t *mortalTx) AddPagePut(space int64, page core.DocumentID, entry int64) error {
	return errors.Join(t.fault.next(), t.Tx.AddPagePut(space, page, entry))
}

func (t *mortalTx) PutBlob(rec core.BlobRecord) error {
	return errors.Join(t.fault.next(), t.Tx.PutBlob(rec))
}

func (t *mortalTx) DeleteBlob(space int64, hash core.Hash, nowMs int64) error {
	return errors.Join(t.fault.next(), t.Tx.DeleteBlob(space, hash, nowMs))
}

func (t *mortalTx) AddBlobOp(space int64, hash core.Hash, entry int64) error {
	return errors.Join(t.fault.next(), t.Tx.AddBlobOp(space, hash, entry))
}

func (t *mortalTx) ResetDoc(doc int64) error {
	return errors.Join(t.fault.next(), t.Tx.ResetDoc(doc))
}
