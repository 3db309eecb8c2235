package replica

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// ReasonUpdate is the reason for refusing an entry whose doc.update op holds bytes
// that are no Yjs update.
const ReasonUpdate log.Reason = "doc-update"

// arrival is an entry of others, checked as far as its own bytes go.
type arrival struct {
	raw     core.Entry
	entry   *log.Entry
	updates []*yjs.Update // of its doc.update ops, in order
	err     error
}

// inspect decodes an entry, verifies its signature and decodes its updates. It
// takes nearly all of the time that an entry costs, and needs no transaction.
func inspect(raw core.Entry) arrival {
	a := arrival{raw: raw}
	if a.entry, a.err = log.Decode(raw); a.err != nil {
		return a
	}
	if a.err = a.entry.VerifySignature(); a.err != nil {
		return a
	}
	for _, op := range a.entry.Ops {
		if u, ok := op.Body.(log.DocUpdate); ok {
			update, err := yjs.ParseUpdate(u.Update)
			if err != nil {
				a.err = &log.RejectedError{Reason: ReasonUpdate, Hash: a.entry.Hash, Detail: err.Error()}
				return a
			}
			a.updates = append(a.updates, update)
		}
	}
	return a
}

// inspectStored is inspectAll for rows.
func inspectStored(page []core.EntryRecord) []arrival {
	entries := make([]core.Entry, len(page))
	for i := range page {
		entries[i] = page[i].Entry
	}
	return inspectAll(entries)
}

func inspectAll(entries []core.Entry) []arrival {
	arrivals := make([]arrival, len(entries))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range entries {
		g.Go(func() error {
			arrivals[i] = inspect(entries[i])
			return nil
		})
	}
	_ = g.Wait() // the functions return no errors
	return arrivals
}

// Accept takes in entries of a known space, in any order, from wherever they come:
// an import or the network. Each is stored with its past or waits for it; what
// breaks a rule is refused, with the reason in its Outcome. All of it is one
// transaction. It returns core.ErrNotFound for an unknown space.
func (r *Replica) Accept(ctx context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error) {
	return r.accept(ctx, space, inspectAll(entries), false)
}

// accept is Accept that may also found the space, from its genesis.
func (r *Replica) accept(ctx context.Context, space core.SpaceID, arrivals []arrival, found bool) ([]core.Outcome, error) {
	return r.acceptBy(ctx, r.write, space, arrivals, func(*work) (bool, error) { return found, nil })
}

// acceptBy is accept with another way to write, which may decide in the job whether the
// space may be founded.
func (r *Replica) acceptBy(
	ctx context.Context, write func(context.Context, events.EventSource, func(*work) error) error,
	space core.SpaceID, arrivals []arrival, mayFound func(*work) (bool, error),
) ([]core.Outcome, error) {
	outcomes := make([]core.Outcome, len(arrivals))
	err := write(ctx, events.SourceDaemon, func(w *work) error {
		found, err := mayFound(w)
		if err != nil {
			return err
		}
		if err := w.yield(space, arrivals); err != nil {
			return err
		}
		s, err := w.spaceFor(space, arrivals, found)
		if err != nil {
			return err
		}
		// Own ops get their place in the log before what they did not know of. What is
		// known or refused is no reason to seal.
		fresh, err := w.anyFresh(s, arrivals)
		if err != nil {
			return err
		}
		if fresh {
			if err := w.sealAll(s); err != nil {
				return err
			}
		}
		for i := range arrivals {
			if outcomes[i], err = w.take(s, &arrivals[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return outcomes, err
}

// anyFresh reports whether one of the arrivals may be new.
func (w *work) anyFresh(space *core.SpaceRecord, arrivals []arrival) (bool, error) {
	for _, a := range arrivals {
		if a.err != nil {
			continue
		}
		_, err := w.EntryHeader(space.Key, a.entry.Hash)
		if errors.Is(err, core.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// spaceFor returns the space that arrivals are for, founding it if it may.
func (w *work) spaceFor(id core.SpaceID, arrivals []arrival, found bool) (*core.SpaceRecord, error) {
	space, err := w.space(id)
	if err == nil {
		return space, nil
	}
	if !errors.Is(err, core.ErrNotFound) || !found {
		return nil, err
	}
	for _, a := range arrivals {
		if a.err == nil && a.entry.IsGenesis() && a.entry.SpaceID() == id {
			w.changed(events.SpacesChanged, "", "", "")
			return w.addSpace(a.entry)
		}
	}
	return nil, err
}

// take accepts an entry, and then those that waited for it.
func (w *work) take(space *core.SpaceRecord, a *arrival) (core.Outcome, error) {
	outcome, err := w.takeOne(space, a)
	switch {
	case err != nil:
		return outcome, err
	case outcome.Status == core.EntryRejected && a.final():
		return outcome, w.forsake(space, outcome.Hash)
	case outcome.Status != core.EntryAccepted && outcome.Status != core.EntryKnown:
		return outcome, nil
	}
	ready := []core.Hash{outcome.Hash}
	for len(ready) > 0 {
		waiting, err := w.Parked(space.Key, ready[0])
		if err != nil {
			return outcome, err
		}
		ready = ready[1:]
		for _, p := range waiting {
			if err := w.Unpark(space.Key, p.Hash); err != nil {
				return outcome, err
			}
			again := inspect(p.Entry)
			next, err := w.takeOne(space, &again)
			if err == nil && next.Status == core.EntryRejected {
				err = w.forsake(space, next.Hash)
			}
			if err != nil {
				return outcome, err
			}
			if next.Status == core.EntryAccepted {
				ready = append(ready, next.Hash)
			}
		}
	}
	return outcome, nil
}

func (w *work) takeOne(space *core.SpaceRecord, a *arrival) (core.Outcome, error) {
	outcome := core.Outcome{Hash: a.raw.Hash()}
	reject := func(err error) (core.Outcome, error) {
		outcome.Status, outcome.Err = core.EntryRejected, err
		return outcome, nil
	}
	if a.err != nil {
		return reject(a.err)
	}
	if id := a.entry.SpaceID(); id != space.ID {
		return reject(&log.RejectedError{Reason: log.ReasonSpace, Hash: a.entry.Hash, Detail: fmt.Sprintf("is of space %s", id)})
	}
	if _, err := w.EntryHeader(space.Key, outcome.Hash); !errors.Is(err, core.ErrNotFound) {
		outcome.Status = core.EntryKnown
		return outcome, err
	}
	rec, err := w.admit(space, a.entry)
	var waiting *log.WaitingError
	var rejected *log.RejectedError
	switch {
	case errors.As(err, &waiting):
		return w.park(space, a, waiting)
	case errors.As(err, &rejected):
		return reject(err)
	case err != nil:
		return outcome, err
	}
	outcome.Status = core.EntryAccepted
	if a.entry.Chain == core.ChainMembership { // finish draws the conclusions from all of them
		return outcome, w.noteAct(space, a.entry, rec)
	}
	if err := w.judgeNew(space, a.entry, rec); err != nil {
		return outcome, err
	}
	if rec.State != core.EntryKept {
		return outcome, w.shelve(space, a, rec)
	}
	return outcome, w.apply(space, a, rec)
}

// shelve notes where the ops of a void entry are, should it be kept one day.
func (w *work) shelve(space *core.SpaceRecord, a *arrival, rec *core.EntryRecord) error {
	updates := a.updates
	for _, op := range a.entry.Ops {
		var err error
		switch body := op.Body.(type) {
		case log.DocUpdate:
			err = w.shelveUpdate(space, a.entry, body, updates[0], rec)
			updates = updates[1:]
		case log.DocDelete:
			var h *head
			if h, err = w.head(space.Key, body.Doc); err == nil {
				err = w.noteOp(h, rec.Key, 0, 0)
			} else if isNotFound(err) {
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("shelve entry %s: %w", a.entry.Hash, err)
		}
	}
	return nil
}

func (w *work) shelveUpdate(space *core.SpaceRecord, e *log.Entry, op log.DocUpdate, u *yjs.Update, rec *core.EntryRecord) error {
	h, err := w.headOrNew(space.Key, op.Doc, e.Peer)
	if err != nil {
		return err
	}
	h.writers = writersMany
	added, err := w.addVoid(space, h, u)
	if err != nil {
		return err
	}
	if !added {
		w.remakeLater(space, h, false)
	}
	return w.noteOp(h, rec.Key, op.Offset, op.Length)
}

// apply applies the ops of an accepted entry to the projections. Ops of newer
// versions are kept in the log for later.
func (w *work) apply(space *core.SpaceRecord, a *arrival, rec *core.EntryRecord) error {
	w.note(space, a.entry, rec, true)
	updates := a.updates
	for _, op := range a.entry.Ops {
		var err error
		switch body := op.Body.(type) {
		case log.DocUpdate:
			err = w.applyUpdate(space, a.entry, body, updates[0], rec)
			updates = updates[1:]
		case log.DocDelete:
			err = w.applyDelete(space, body, rec)
		case log.SpaceMeta:
			var changed bool
			if changed, err = w.foldName(space, a.entry, rec, body.Name); changed {
				w.renamed(space.ID)
			}
		}
		if err != nil {
			return fmt.Errorf("apply entry %s: %w", a.entry.Hash, err)
		}
	}
	return nil
}
