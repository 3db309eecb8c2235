package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// MaxUpdateBytes bounds one update that a host hands in.
const MaxUpdateBytes = 64 << 20

// ReasonDeleted is the reason of the event for a deleted document.
const ReasonDeleted = "deleted"

// Revision says where a document stands after a write.
type Revision struct {
	UpdatedAtMs int64
	StateVector []byte
	Epoch       []byte
}

func (h *head) revision() Revision {
	return Revision{
		UpdatedAtMs: h.UpdatedAtMs,
		StateVector: append([]byte(nil), h.stateVector()...),
		Epoch:       append([]byte(nil), h.Epoch...),
	}
}

// WriteOptions say how a document is written.
type WriteOptions struct {
	Source events.EventSource
	Epoch  *[]byte // the one that the writer has seen; nil if that does not matter
}

// Upsert merges a Yjs v1 update into a document, which it creates if needed, and
// returns when that is durable. Only what the document lacks is stored; if that
// is nothing, nothing changes and no event fires, except that a deleted document
// comes back. It returns core.ErrInvalidUpdate, core.ErrTooLarge,
// core.ErrNotFound for an unknown space, core.ErrForbidden, and core.ErrStaleDocument.
func (r *Replica) Upsert(ctx context.Context, space core.SpaceID, doc core.DocumentID, update []byte, opts WriteOptions) (Revision, error) {
	if len(update) > MaxUpdateBytes {
		return Revision{}, fmt.Errorf("update of %d bytes, at most %d are allowed: %w", len(update), MaxUpdateBytes, core.ErrTooLarge)
	}
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		return Revision{}, fmt.Errorf("%w: %w", core.ErrInvalidUpdate, err)
	}
	var rev Revision
	err = r.write(ctx, opts.Source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		h, err := w.headOrNew(s.Key, doc, r.self.peer)
		if err != nil {
			return err
		}
		if opts.Epoch != nil && !bytes.Equal(*opts.Epoch, h.Epoch) {
			return core.ErrStaleDocument
		}
		if err := w.upsert(s, h, u); err != nil {
			return err
		}
		rev = h.revision()
		return nil
	})
	return rev, err
}

// emptyUpdate is a Yjs update without content.
var emptyUpdate = []byte{0, 0}

func (w *work) upsert(space *core.SpaceRecord, h *head, u *yjs.Update) error {
	touches, clashes, err := w.againstVoid(h, u)
	switch {
	case err != nil:
		return err
	case clashes:
		return core.ErrStaleDocument
	}
	fresh, err := w.project(h, u, w.r.self.writerKey)
	if err != nil {
		return err
	}
	switch {
	case fresh != nil:
	case h.Hidden, h.UpdatedAtMs == 0: // a write, even of nothing, makes it appear
		fresh = emptyUpdate
	default:
		return nil
	}
	quiet := w.quiet(h)
	w.touch(h)
	h.Hidden = false
	w.changed(events.DocumentChanged, space.ID, h.ID, "")
	if err := w.addOp(space, h, fresh, quiet); err != nil || !touches {
		return err
	}
	return w.remake(space, h)
}

// Delete hides a document: an entry that any concurrent or later update undoes. It
// returns core.ErrNotFound for an unknown or hidden document and core.ErrForbidden.
func (r *Replica) Delete(ctx context.Context, space core.SpaceID, doc core.DocumentID, source events.EventSource) error {
	return r.write(ctx, source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		h, err := w.head(s.Key, doc)
		if err != nil {
			return err
		}
		if h.Hidden {
			return core.ErrNotFound
		}
		// The delete must have every update in its past.
		if err := w.sealDocs(s, h); err != nil {
			return err
		}
		_, entry, err := w.append(s, log.DocDelete{Doc: doc})
		if err != nil {
			return err
		}
		h.Hidden = true
		w.touch(h)
		w.changed(events.DocumentChanged, s.ID, doc, ReasonDeleted)
		return w.noteOp(h, entry, 0, 0)
	})
}

// applyUpdate merges an op of an accepted entry into its document.
func (w *work) applyUpdate(space *core.SpaceRecord, e *log.Entry, op log.DocUpdate, u *yjs.Update, entry, writer int64) error {
	h, err := w.headOrNew(space.Key, op.Doc, e.Peer)
	if err != nil {
		return err
	}
	touches, _, err := w.againstVoid(h, u)
	if err != nil {
		return err
	}
	fresh, err := w.project(h, u, writer)
	if err != nil {
		return err
	}
	if fresh != nil || h.Hidden || h.UpdatedAtMs == 0 {
		w.touch(h)
		h.Hidden = false // an accepted entry is never in the past of an accepted delete
		w.changed(events.DocumentChanged, space.ID, h.ID, "")
	}
	if err := w.addSealed(h, entry, op); err != nil || !touches {
		return err
	}
	return w.remake(space, h)
}

// applyDelete hides a document if the delete has all of its updates in its past.
func (w *work) applyDelete(space *core.SpaceRecord, e *log.Entry, op log.DocDelete, entry int64) error {
	h, err := w.head(space.Key, op.Doc)
	if errors.Is(err, core.ErrNotFound) {
		return nil // deletes of what nobody wrote yet hide nothing
	}
	if err != nil {
		return err
	}
	if !h.Hidden {
		covered, err := w.coversUpdates(space, e, h)
		if err != nil {
			return err
		}
		if covered {
			h.Hidden = true
			w.touch(h)
			w.changed(events.DocumentChanged, space.ID, h.ID, ReasonDeleted)
		}
	}
	return w.noteOp(h, entry, 0, 0)
}

// coversUpdates reports whether every update of a document lies in the past of e,
// which is newly accepted. Ops of e itself count in their order: those before are
// applied already, and one that comes after brings the document back.
func (w *work) coversUpdates(space *core.SpaceRecord, e *log.Entry, h *head) (bool, error) {
	if all, err := w.seesAll(space, e); err != nil || all {
		return all, err
	}
	entries, err := w.DocEntries(h.Key)
	if err != nil {
		return false, err
	}
	targets := make([]core.Hash, 0, len(entries))
	for _, key := range entries {
		rec, err := w.EntryByKey(key)
		if err != nil {
			return false, err
		}
		if rec.Hash != e.Hash {
			targets = append(targets, rec.Hash)
		}
	}
	below, err := w.pastOf(space).below(parentsOf(&e.Header), targets)
	return len(below) == len(targets), err
}

func damaged(what string, h *head, err error) error {
	return fmt.Errorf("%s of document %q: %w: %w", what, h.ID, core.ErrCorrupt, err)
}
