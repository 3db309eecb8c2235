package replica

import (
	"bytes"
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// MaxEditBytes bounds the update that an Edit makes, so that it fits into one entry.
const MaxEditBytes = maxPartBytes

// Edit runs fn on a document as it was last committed, and stores what it changed as one
// update. It returns when that is durable. fn runs in the caller's goroutine and has the
// document to itself, unless it takes longer than livePatience. If fn fails, panics or
// changes nothing, nothing is stored. It returns what Upsert returns, and the error of fn.
func (r *Replica) Edit(
	ctx context.Context, space core.SpaceID, doc core.DocumentID, opts WriteOptions, fn func(*yjs.Transaction) error,
) (Revision, error) {
	in, err := r.live.acquire(ctx, liveKey{space, doc})
	if err != nil {
		return Revision{}, err
	}
	clean := true // what is in memory is what is stored
	defer func() {
		if !clean {
			in.drop()
		}
		r.live.release(in)
	}()
	switch err := r.catchUp(ctx, in); {
	case err != nil:
		return Revision{}, err
	case !in.writable: // the writer asks again: this is to fail before fn runs
		return Revision{}, core.ErrForbidden
	case opts.Epoch != nil && !sameEpoch(&in.rec, *opts.Epoch):
		return Revision{}, core.ErrStaleDocument
	}
	clean = false
	update, err := in.transact(fn)
	switch {
	case err != nil:
		clean = update == nil && in.doc.Faithful()
		return Revision{}, err
	case update == nil:
		clean = in.doc.Faithful()
		if err := r.confirmUnchanged(ctx, space, doc, opts); err != nil {
			return Revision{}, err
		}
		return r.Revision(ctx, space, doc)
	case len(update) > MaxEditBytes:
		return Revision{}, fmt.Errorf("edit of %d bytes, at most %d are allowed: %w", len(update), MaxEditBytes, core.ErrTooLarge)
	}
	rev, err := r.commitEdit(ctx, in, update, opts)
	clean = err == nil && in.doc.Faithful()
	return rev, err
}

// View runs fn on a document as it is committed. It must not change it, nor keep anything
// of it. It returns core.ErrNotFound as Get does, and the error of fn.
func (r *Replica) View(ctx context.Context, space core.SpaceID, doc core.DocumentID, fn func(*yjs.Doc) error) error {
	in, err := r.live.acquire(ctx, liveKey{space, doc})
	if err != nil {
		return err
	}
	defer r.live.release(in)
	if err := r.catchUp(ctx, in); err != nil {
		return err
	}
	if in.rec.Key == 0 || in.rec.Hidden {
		return core.ErrNotFound
	}
	return in.lend(func() error { return fn(in.doc) })
}

// transact runs a host's function as a transaction and returns what it changed, nil for
// nothing.
func (in *instance) transact(fn func(*yjs.Transaction) error) (update []byte, err error) {
	defer in.doc.OnUpdate(func(e yjs.Emission) { update = e.Update })()
	err = in.lend(func() error { return in.doc.Transact(fn) })
	return update, err
}

// commitEdit stores the update that an instance made.
func (r *Replica) commitEdit(ctx context.Context, in *instance, update []byte, opts WriteOptions) (Revision, error) {
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		return Revision{}, fmt.Errorf("%w: %w", core.ErrInvalidUpdate, err)
	}
	key := in.of.key
	var rev Revision
	rec, upToDate, saves := in.rec, false, 0
	var job *work
	err = r.write(ctx, opts.Source, func(w *work) error {
		w.origin = opts.Origin
		space, err := w.permitted(key.space, log.CapWrite)
		if err != nil {
			return err
		}
		h, err := w.headOrNew(space.Key, key.doc, r.self.peer)
		if err != nil {
			return err
		}
		if opts.Epoch != nil && !sameEpoch(&h.DocRecord, *opts.Epoch) {
			return core.ErrStaleDocument
		}
		if u.HasContent() && (h.end(in.client) != in.end || h.overlaps(u)) {
			return core.ErrClientIDTaken
		}
		if rec.Key == 0 {
			rec.Key = h.Key // nothing came before what the instance has
		}
		upToDate = h.Key == rec.Key && h.LastN == rec.LastN && h.TailCount == rec.TailCount
		if err := w.upsert(space, h, u, bytes.Equal(h.Epoch, rec.Epoch)); err != nil {
			return err
		}
		if rev = h.revision(); upToDate {
			rec = h.DocRecord
		}
		job, saves = w, w.saves
		return w.confirmDraft(key.space, key.doc, opts)
	})
	if err != nil {
		return Revision{}, err
	}
	in.jobs = r.live.afterOwn(in.jobs)
	if !upToDate || job.saves != saves || len(job.ended) > 0 { // there is more to read
		in.jobs = 0
	}
	in.rec, in.end = rec, in.doc.End(in.client)
	in.grow(update)
	return rev, nil
}

// Revision returns where a document stands, the zero one with an empty state vector for
// a document that was never written. It does not read the content.
func (r *Replica) Revision(ctx context.Context, space core.SpaceID, doc core.DocumentID) (Revision, error) {
	h := &head{clients: map[uint64]core.DocClient{}}
	err := r.readSpace(ctx, space, func(v core.View, rec *core.SpaceRecord) (err error) {
		if h.DocRecord, err = v.Doc(rec.Key, doc); err != nil {
			return err
		}
		clients, err := v.DocClients(h.Key)
		for _, c := range clients {
			h.clients[c.Client] = c
		}
		return err
	})
	if isNotFound(err) {
		err = nil
	}
	return h.revision(), err
}
