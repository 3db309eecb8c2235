package replica_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/soma-sdk/soma/internal/core"
)

var errInjected = errors.New("injected failure")

// faults decides which write calls of a faultyStore fail.
type faults struct {
	calls atomic.Int64 // write calls so far
	at    atomic.Int64 // the number of the call that fails; 0 for none
	stays atomic.Bool  // so do all after it
	panic atomic.Bool  // by a panic
	hits  atomic.Int64 // how many failed
	syncs atomic.Int64 // calls of WriteSynced that succeeded
}

// arm lets the k-th write call from now on fail.
func (f *faults) arm(k int64, stays, panics bool) {
	f.hits.Store(0)
	f.stays.Store(stays)
	f.panic.Store(panics)
	f.at.Store(f.calls.Load() + k)
}

// disarm ends all failing and reports whether there was any.
func (f *faults) disarm() bool {
	f.at.Store(0)
	return f.hits.Load() > 0
}

func (f *faults) next() error {
	n, at := f.calls.Add(1), f.at.Load()
	if at == 0 || n != at && (n < at || !f.stays.Load()) {
		return nil
	}
	f.hits.Add(1)
	if f.panic.Load() {
		panic(errInjected)
	}
	return errInjected
}

// faultyStore is a store of which single writes fail.
type faultyStore struct {
	core.Store
	faults *faults
}

func (s *faultyStore) Write(ctx context.Context, fn func(core.Tx) error) error {
	return s.Store.Write(ctx, s.wrap(fn))
}

func (s *faultyStore) WriteSynced(ctx context.Context, fn func(core.Tx) error) error {
	err := s.Store.WriteSynced(ctx, s.wrap(fn))
	if err == nil {
		s.faults.syncs.Add(1)
	}
	return err
}

// wrap counts the end of a transaction as one more call: its commit may fail too.
func (s *faultyStore) wrap(fn func(core.Tx) error) func(core.Tx) error {
	return func(tx core.Tx) error {
		if err := fn(&faultyTx{tx, s.faults}); err != nil {
			return err
		}
		return s.faults.next()
	}
}

type faultyTx struct {
	core.Tx
	faults *faults
}

func (t *faultyTx) SetMeta(key string, value []byte) error {
	return errors.Join(t.faults.next(), t.Tx.SetMeta(key, value))
}

func (t *faultyTx) PutSpace(rec *core.SpaceRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutSpace(rec))
}

func (t *faultyTx) PutFieldWrite(space int64, object, field string, w core.FieldWrite) error {
	return errors.Join(t.faults.next(), t.Tx.PutFieldWrite(space, object, field, w))
}

func (t *faultyTx) DeleteFieldWrite(space int64, object, field string, entry int64) error {
	return errors.Join(t.faults.next(), t.Tx.DeleteFieldWrite(space, object, field, entry))
}

func (t *faultyTx) EnsureWriter(rec core.WriterRecord) (int64, error) {
	if err := t.faults.next(); err != nil {
		return 0, err
	}
	return t.Tx.EnsureWriter(rec)
}

func (t *faultyTx) InsertEntry(rec *core.EntryRecord) error {
	return errors.Join(t.faults.next(), t.Tx.InsertEntry(rec))
}

func (t *faultyTx) PutWriterHead(rec core.HeadRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutWriterHead(rec))
}

func (t *faultyTx) AddFrontier(space int64, chain core.Chain, f core.FrontierRecord) error {
	return errors.Join(t.faults.next(), t.Tx.AddFrontier(space, chain, f))
}

func (t *faultyTx) RemoveFrontier(space int64, chain core.Chain, hash core.Hash) error {
	return errors.Join(t.faults.next(), t.Tx.RemoveFrontier(space, chain, hash))
}

func (t *faultyTx) EnsureAuthSet(space int64, heads []core.Hash) (int64, error) {
	if err := t.faults.next(); err != nil {
		return 0, err
	}
	return t.Tx.EnsureAuthSet(space, heads)
}

func (t *faultyTx) Park(rec core.ParkedRecord) error {
	return errors.Join(t.faults.next(), t.Tx.Park(rec))
}

func (t *faultyTx) Unpark(space int64, hash core.Hash) error {
	return errors.Join(t.faults.next(), t.Tx.Unpark(space, hash))
}

func (t *faultyTx) PutDoc(rec *core.DocRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutDoc(rec))
}

func (t *faultyTx) PutDocClient(doc int64, c core.DocClient) error {
	return errors.Join(t.faults.next(), t.Tx.PutDocClient(doc, c))
}

func (t *faultyTx) AddDeleted(doc int64, client uint64, r core.ClockRange) ([]core.ClockRange, error) {
	if err := t.faults.next(); err != nil {
		return nil, err
	}
	return t.Tx.AddDeleted(doc, client, r)
}

func (t *faultyTx) PutDocPending(doc int64, part core.PendingRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutDocPending(doc, part))
}

func (t *faultyTx) TrimDocPending(doc, n int64) error {
	return errors.Join(t.faults.next(), t.Tx.TrimDocPending(doc, n))
}

func (t *faultyTx) SetDocSnapshot(doc int64, update []byte) error {
	return errors.Join(t.faults.next(), t.Tx.SetDocSnapshot(doc, update))
}

func (t *faultyTx) AddDocOp(doc, n, entry int64, off, length int) error {
	return errors.Join(t.faults.next(), t.Tx.AddDocOp(doc, n, entry, off, length))
}

func (t *faultyTx) AddTail(doc int64, rec core.TailRecord) error {
	return errors.Join(t.faults.next(), t.Tx.AddTail(doc, rec))
}

func (t *faultyTx) ClearTail(doc int64) error {
	return errors.Join(t.faults.next(), t.Tx.ClearTail(doc))
}

func (t *faultyTx) Mend() error  { return errors.Join(t.faults.next(), t.Tx.Mend()) }
func (t *faultyTx) Sweep() error { return errors.Join(t.faults.next(), t.Tx.Sweep()) }

func (t *faultyTx) SetEntry(rec core.EntryRecord) error {
	return errors.Join(t.faults.next(), t.Tx.SetEntry(rec))
}

func (t *faultyTx) ResetSpace(space int64) error {
	return errors.Join(t.faults.next(), t.Tx.ResetSpace(space))
}

func (t *faultyTx) SetMembers(space int64, members []core.MemberRecord, invites []core.InviteRecord) error {
	return errors.Join(t.faults.next(), t.Tx.SetMembers(space, members, invites))
}

func (t *faultyTx) ResetDoc(doc int64) error {
	return errors.Join(t.faults.next(), t.Tx.ResetDoc(doc))
}

func (t *faultyTx) ClearParked(space int64) error {
	return errors.Join(t.faults.next(), t.Tx.ClearParked(space))
}

func (t *faultyTx) PutDraft(rec *core.DraftRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutDraft(rec))
}

func (t *faultyTx) PutBlob(rec core.BlobRecord) error {
	return errors.Join(t.faults.next(), t.Tx.PutBlob(rec))
}

func (t *faultyTx) DeleteBlob(space int64, hash core.Hash, nowMs int64) error {
	return errors.Join(t.faults.next(), t.Tx.DeleteBlob(space, hash, nowMs))
}

func (t *faultyTx) AddBlobOp(space int64, hash core.Hash, entry int64) error {
	return errors.Join(t.faults.next(), t.Tx.AddBlobOp(space, hash, entry))
}
