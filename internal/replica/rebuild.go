package replica

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// ReasonRebuilt is the reason of the event for a document that changed because of
// what became of entries that were there already.
const ReasonRebuilt = "rebuilt"

// rebuildFrom makes anew what some entries, which have become void or are so no
// more, are part of, and nothing else.
func (w *work) rebuildFrom(space *core.SpaceRecord, entries []core.EntryRecord) error {
	docs := map[core.DocumentID]bool{}
	renamed := false
	for _, rec := range entries {
		e, err := entryByHash(w.Tx, space.Key, rec.Hash)
		if err != nil {
			return err
		}
		w.note(space, e, &rec, false)
		for _, doc := range documentsOf(e) {
			docs[doc] = true
		}
		renamed = renamed || slices.ContainsFunc(e.Ops, func(op log.Op) bool { return op.Body.Number() == log.OpSpaceMeta })
	}
	for _, id := range slices.Sorted(maps.Keys(docs)) {
		h, err := w.head(space.Key, id)
		if isNotFound(err) {
			continue // deleted before anybody wrote it
		}
		if err != nil {
			return err
		}
		if err := w.rebuild(space, h); err != nil {
			return fmt.Errorf("rebuild document %q: %w", id, err)
		}
	}
	if renamed {
		return w.refoldName(space)
	}
	return nil
}

// rebuild makes a document anew after what became of its entries changed.
func (w *work) rebuild(space *core.SpaceRecord, h *head) error {
	wasHidden := h.Hidden
	if err := w.remake(space, h); err != nil {
		return err
	}
	reason := ReasonRebuilt
	if h.Hidden && !wasHidden {
		reason = ReasonDeleted
	}
	return w.tellRebuilt(space, h, reason)
}

func (w *work) tellRebuilt(space *core.SpaceRecord, h *head, reason string) error {
	w.touch(h)
	w.changed(events.DocumentChanged, space.ID, h.ID, reason)
	return w.save(h)
}

// remake makes a document anew from its ops: those of kept entries count, as far as
// others do not prevail, and those of void ones leave their places where something
// else needs them.
func (w *work) remake(space *core.SpaceRecord, h *head) error {
	d, err := w.derive(space, &h.DocRecord)
	if err != nil {
		return err
	}
	if err := w.putDerived(space, h, d); err != nil {
		return err
	}
	w.mayRipen(space, h)
	return nil
}

// remakeLater makes a document anew at the end of the job, once. It is for content that
// cannot just be added. changed says that this is news even if its epoch stays.
func (w *work) remakeLater(space *core.SpaceRecord, h *head, changed bool) {
	if w.remakes == nil {
		w.remakes = map[headKey]*pendingRemake{}
	}
	key := headKey{space.Key, h.ID}
	if w.remakes[key] == nil {
		w.remakes[key] = &pendingRemake{space: space}
	}
	w.remakes[key].changed = w.remakes[key].changed || changed
}

// pendingRemake is a document to be made anew.
type pendingRemake struct {
	space   *core.SpaceRecord
	changed bool
}

// remakeNow does what remakeLater put off.
func (w *work) remakeNow() error {
	for key, p := range w.remakes {
		h, err := w.head(key.space, key.doc)
		if err != nil {
			return err
		}
		epoch, wasHidden := h.Epoch, h.Hidden
		if err := w.remake(p.space, h); err != nil {
			return err
		}
		reason := ""
		switch {
		case h.Hidden && (wasHidden || h.UpdatedAtMs == 0):
			continue
		case h.Hidden:
			reason = ReasonDeleted
		case !bytes.Equal(epoch, h.Epoch): // editors must know
			reason = ReasonRebuilt
		case !p.changed && !wasHidden:
			continue
		}
		if err := w.tellRebuilt(p.space, h, reason); err != nil {
			return err
		}
	}
	w.remakes = nil
	return nil
}

// isHidden reports whether nothing is left of a document, or a delete has all of its
// updates in its past.
func (w *work) isHidden(space *core.SpaceRecord, h *head, any bool) (bool, error) {
	if !any {
		return true, nil
	}
	if h.TailCount > 0 {
		return false, nil
	}
	deletes, err := w.DocDeletes(h.Key)
	if err != nil || len(deletes) == 0 {
		return false, err
	}
	for _, key := range deletes {
		covered, err := w.coversAll(space, key, h)
		if err != nil || covered {
			return covered, err
		}
	}
	return false, nil
}

// coversAll is coversUpdates for any entry that deletes a document.
func (w *work) coversAll(space *core.SpaceRecord, key int64, h *head) (bool, error) {
	e, err := entryByKey(w.Tx, space.Key, key)
	if err != nil {
		return false, err
	}
	after := false // an update of the entry itself that comes after the delete
	for _, op := range e.Ops {
		switch b := op.Body.(type) {
		case log.DocDelete:
			after = after && b.Doc != h.ID
		case log.DocUpdate:
			after = after || b.Doc == h.ID
		}
	}
	if after {
		return false, nil
	}
	rec, err := w.EntryByKey(key)
	if err != nil {
		return false, err
	}
	return w.coversUpdates(space, &rec, h)
}

// refoldName folds the name of a space anew from all entries that are kept.
func (w *work) refoldName(space *core.SpaceRecord) error {
	writes, err := w.FieldWrites(space.Key, "", fieldName)
	if err != nil {
		return err
	}
	for _, f := range writes {
		if err := w.DeleteFieldWrite(space.Key, "", fieldName, f.Entry); err != nil {
			return err
		}
	}
	was, found := space.Name, false
	for after := int64(0); ; {
		page, err := w.EntriesAfter(space.Key, after, batchBytes)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, rec := range page {
			after = rec.Key
			if rec.Chain != core.ChainContent || rec.State != core.EntryKept {
				continue
			}
			e, err := log.Decode(rec.Entry)
			if err != nil {
				return fmt.Errorf("entry %s: %w: %w", rec.Hash, core.ErrCorrupt, err)
			}
			for _, op := range e.Ops {
				if meta, ok := op.Body.(log.SpaceMeta); ok {
					if _, err := w.foldName(space, e, &rec, meta.Name); err != nil {
						return err
					}
					found = true
				}
			}
		}
	}
	if !found && space.Name != "" {
		space.Name, space.UpdatedAtMs = "", max(w.nowMs, space.UpdatedAtMs+1)
		if err := w.PutSpace(space); err != nil {
			return err
		}
	}
	if space.Name != was {
		w.renamed(space.ID)
	}
	return nil
}

func isNotFound(err error) bool { return errors.Is(err, core.ErrNotFound) }
