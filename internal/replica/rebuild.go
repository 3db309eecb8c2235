package replica

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
	"github.com/soma-sdk/soma/internal/yjs"
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

// remake makes a document anew from its ops: those of kept entries count, and those
// of void ones leave their places where something else needs them.
func (w *work) remake(space *core.SpaceRecord, h *head) error {
	kept, void, err := w.opsOf(h)
	if err != nil {
		return err
	}
	if mutate.On(mutate.VoidPlaces) {
		void = nil
	}
	placed, err := yjs.Place(kept, void)
	if err != nil {
		return damaged("content", h, err)
	}
	if err := w.ResetDoc(h.Key); err != nil {
		return err
	}
	w.r.heads.clients -= min(w.r.heads.clients, len(h.clients))
	h.clients, h.waiting, h.vector = map[uint64]core.DocClient{}, waiting{}, nil
	h.SnapBytes, h.OpBytes, h.ThroughN = 0, 0, h.LastN
	state, err := w.reproject(h, placed)
	if err != nil {
		return err
	}
	if err := w.SetDocSnapshot(h.Key, state); err != nil {
		return err
	}
	h.SnapBytes = int64(len(state))
	h.Epoch, h.void = epochOf(placed.Void), placed.Void
	if h.Hidden, err = w.isHidden(space, h, len(kept) > 0); err != nil {
		return err
	}
	return w.save(h)
}

// remakeLater makes a document anew at the end of the job, once, because it got void
// content: its text is the same, its epoch is not.
func (w *work) remakeLater(space *core.SpaceRecord, h *head) {
	if w.shelved == nil {
		w.shelved = map[headKey]*core.SpaceRecord{}
	}
	w.shelved[headKey{space.Key, h.ID}] = space
}

// againstVoid compares an update with the void content of its document. touches says
// that it builds upon some, of which the state may hold no trace: then that has to get
// its places. clashes says that it holds other content at the same clocks, which would
// be taken for had.
func (w *work) againstVoid(h *head, u *yjs.Update) (touches, clashes bool, err error) {
	if len(h.Epoch) == 0 {
		return false, false, nil
	}
	if h.void == nil {
		kept, void, err := w.opsOf(h)
		if err != nil {
			return false, false, err
		}
		placed, err := yjs.Place(kept, void)
		if err != nil {
			return false, false, damaged("content", h, err)
		}
		h.void = placed.Void
	}
	touches = u.Touches(h.void)
	if !u.Overlaps(h.void) {
		return touches, false, nil
	}
	_, void, err := w.opsOf(h)
	if err != nil {
		return false, false, err
	}
	if clashes, err = u.Clashes(h.void, void); err != nil {
		err = damaged("content", h, err)
	}
	return touches, clashes, err
}

// opsOf returns the updates of a document: those of kept entries with the tail, and
// those of void ones.
func (w *work) opsOf(h *head) (kept, void [][]byte, err error) {
	collect := func(list *[][]byte) func(int64, []byte) error {
		return func(_ int64, update []byte) error {
			*list = append(*list, update)
			return nil
		}
	}
	if err := w.DocOps(h.Key, 0, collect(&kept)); err != nil {
		return nil, nil, err
	}
	if err := w.DocVoidOps(h.Key, 0, collect(&void)); err != nil {
		return nil, nil, err
	}
	tail, err := w.Tail(h.Key)
	for _, t := range tail {
		kept = append(kept, t.Update)
	}
	return kept, void, err
}

// reproject fills the rows of a document that was reset, and returns its state. What
// is void counts as had, so that no editor that still shows it brings it back.
func (w *work) reproject(h *head, placed yjs.Placed) ([]byte, error) {
	u, err := yjs.ParseUpdate(placed.State)
	if err != nil {
		return nil, damaged("content", h, err)
	}
	if _, err := w.project(h, u, w.r.self.writerKey); err != nil {
		return nil, err
	}
	for _, v := range placed.Void {
		c := h.clients[v.Client]
		end := v.Range.Clock + v.Range.Len
		if held := h.waiting.firstHeld(v.Client, c.End); held < end { // or what waits for it would not
			end = held
		}
		if c.End >= v.Range.Clock && c.End < end {
			c.Client, c.End = v.Client, end
			h.clients[v.Client] = c
			if err := w.PutDocClient(h.Key, c); err != nil {
				return nil, err
			}
		}
	}
	h.vector = nil
	return yjs.Compact(placed.State)
}

// epochOf names a set of void content, nil for none.
func epochOf(void []yjs.ClientRange) []byte {
	if len(void) == 0 {
		return nil
	}
	sum := sha256.New()
	for _, v := range void {
		fmt.Fprintf(sum, "%d %d %d\n", v.Client, v.Range.Clock, v.Range.Len)
	}
	return sum.Sum(nil)[:epochBytes]
}

// epochBytes is the length of an epoch.
const epochBytes = 16

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
		e, err := entryByKey(w.Tx, space.Key, key)
		if err != nil {
			return false, err
		}
		if covered, err := w.coversAll(space, e, h); err != nil || covered {
			return covered, err
		}
	}
	return false, nil
}

// coversAll is coversUpdates for any entry that deletes a document.
func (w *work) coversAll(space *core.SpaceRecord, e *log.Entry, h *head) (bool, error) {
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
	return w.coversUpdates(space, e, h)
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
					if _, err := w.foldName(space, e, rec.Key, meta.Name); err != nil {
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
