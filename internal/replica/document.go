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
	Draft  *int64  // what was drafted until then is in the write; nil for nothing
	Origin any     // what FollowDoc says of it
}

// Upsert merges a Yjs v1 update into a document, which it creates if needed, and
// returns when that is durable. Only what the document lacks is stored; if that
// is nothing, nothing changes and no event fires, except that a deleted document
// comes back. It returns core.ErrInvalidUpdate, core.ErrTooLarge,
// core.ErrNotFound for an unknown space, core.ErrForbidden, core.ErrStaleDocument, and
// core.ErrClientIDTaken.
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
		w.origin = opts.Origin
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		h, err := w.headOrNew(s.Key, doc, r.self.peer)
		if err != nil {
			return err
		}
		if opts.Epoch != nil && !sameEpoch(&h.DocRecord, *opts.Epoch) {
			return core.ErrStaleDocument
		}
		if err := w.upsert(s, h, u, opts.Epoch != nil); err != nil {
			return err
		}
		rev = h.revision()
		return w.confirmDraft(space, doc, opts)
	})
	return rev, err
}

// sameEpoch reports whether a writer knows what is void. Of a document that cannot be
// seen nobody can know more than that it has none.
func sameEpoch(d *core.DocRecord, epoch []byte) bool {
	return bytes.Equal(epoch, d.Epoch) || len(epoch) == 0 && (d.Hidden || d.UpdatedAtMs == 0)
}

// emptyUpdate is a Yjs update without content.
var emptyUpdate = []byte{0, 0}

// upsert adds a local update. fresh says that its writer has seen what is void.
func (w *work) upsert(space *core.SpaceRecord, h *head, u *yjs.Update, fresh bool) error {
	void, err := w.voidOf(space, h)
	if err != nil {
		return err
	}
	touches, err := w.againstVoid(h, u, void)
	if err != nil {
		return err
	}
	early, err := w.keepEarly(h, u, void)
	if err != nil {
		return err
	}
	wins, err := w.againstOthers(space, h, u)
	if err != nil {
		return err
	}
	var added []byte
	if wins {
		if err := w.newDeletes(h, u); err != nil {
			return err
		}
		added = u.Encode()
	} else if added, err = w.projectOwn(h, u); err != nil {
		return err
	}
	if !fresh && yjs.Intersects(u.Deleted(), void.deletes) {
		return core.ErrStaleDocument // whoever still shows void deletions must not sign them
	}
	quiet := w.quiet(h)
	if added == nil && (h.Hidden || h.UpdatedAtMs == 0) { // a write, even of nothing, makes it appear
		added = emptyUpdate
	}
	if added == nil && !early {
		return nil
	}
	w.touch(h)
	switch {
	case added == nil:
		w.changed(events.DocumentChanged, space.ID, h.ID, "")
		return w.save(h)
	case h.Hidden || touches || wins:
		w.changed(events.DocumentChanged, space.ID, h.ID, "")
	default:
		w.changedBy(space.ID, h.ID, added)
	}
	h.Hidden = false
	if err := w.addOp(space, h, added, quiet); err != nil || !touches && !wins {
		return err
	}
	return w.remake(space, h)
}

// againstOthers returns core.ErrClientIDTaken for a local update whose content would
// lose its clocks to other content that is there. wins says that it takes them: its
// author owns the clientID, under which somebody else wrote.
func (w *work) againstOthers(space *core.SpaceRecord, h *head, u *yjs.Update) (wins bool, err error) {
	if !h.overlaps(u) {
		return false, nil
	}
	if others, err := w.hasOthers(h); err != nil || !others {
		return false, err // an editor sends what it sent before
	}
	state, err := w.heldBy(h)
	if err != nil {
		return false, err
	}
	if rivals, _ := u.Rivals(state); !rivals {
		return false, nil
	}
	res, err := w.resolver(space).resolve(h.Key, u.Encode())
	if err == nil && res.loses {
		err = core.ErrClientIDTaken
	}
	return err == nil, err
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
		_, rec, err := w.append(s, log.DocDelete{Doc: doc})
		if err != nil {
			return err
		}
		h.Hidden = true
		w.touch(h)
		w.changed(events.DocumentChanged, s.ID, doc, ReasonDeleted)
		return w.noteOp(h, rec.Key, 0, 0)
	})
}

// applyUpdate merges an op of an accepted entry into its document.
func (w *work) applyUpdate(space *core.SpaceRecord, e *log.Entry, op log.DocUpdate, u *yjs.Update, rec *core.EntryRecord) error {
	h, err := w.headOrNew(space.Key, op.Doc, e.Peer)
	if err != nil {
		return err
	}
	plain, err := w.plain(space, h, u, rec)
	if err != nil {
		return err
	}
	w.mayRipen(space, h)
	h.writers = writersMany
	if !plain {
		w.remakeLater(space, h, true)
		return w.addSealed(h, rec.Key, op)
	}
	fresh, err := w.project(h, u)
	if err != nil {
		return err
	}
	if fresh != nil || h.Hidden || h.UpdatedAtMs == 0 {
		w.touch(h)
		if h.Hidden || fresh == nil {
			w.changed(events.DocumentChanged, space.ID, h.ID, "")
		} else {
			w.changedBy(space.ID, h.ID, fresh)
		}
		h.Hidden = false // an accepted entry is never in the past of an accepted delete
	}
	return w.addSealed(h, rec.Key, op)
}

// applyDelete hides a document if the delete has all of its updates in its past.
func (w *work) applyDelete(space *core.SpaceRecord, op log.DocDelete, rec *core.EntryRecord) error {
	h, err := w.head(space.Key, op.Doc)
	if errors.Is(err, core.ErrNotFound) {
		return nil // deletes of what nobody wrote yet hide nothing
	}
	if err != nil {
		return err
	}
	if !h.Hidden {
		covered, err := w.coversUpdates(space, rec, h)
		if err != nil {
			return err
		}
		if covered {
			h.Hidden = true
			w.touch(h)
			w.changed(events.DocumentChanged, space.ID, h.ID, ReasonDeleted)
		}
	}
	return w.noteOp(h, rec.Key, 0, 0)
}

// coversUpdates reports whether every update of a document, of other entries, lies in
// the past of an entry. Of those of the entry itself the ones before the delete are
// covered, and one that comes after brings the document back.
func (w *work) coversUpdates(space *core.SpaceRecord, rec *core.EntryRecord, h *head) (bool, error) {
	unseen, err := w.opsUnseen(space, h, rec)
	return len(unseen) == 0, err
}

func damaged(what string, h *head, err error) error {
	return fmt.Errorf("%s of document %q: %w: %w", what, h.ID, core.ErrCorrupt, err)
}
