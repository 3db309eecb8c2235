package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
	"github.com/soma-sdk/soma/internal/yjs"
)

// plain reports whether an update of an entry of others can just be added to its
// document, as nearly all can. If not, the document has to be made anew from all of its
// entries: some of the update does not count, or something else does no more.
func (w *work) plain(space *core.SpaceRecord, h *head, u *yjs.Update, rec *core.EntryRecord) (bool, error) {
	if w.remakes[headKey{space.Key, h.ID}] != nil { // will be, and what is known of it is not true any more
		return false, nil
	}
	void, err := w.voidOf(space, h)
	if err != nil || void.concerns(h, u) {
		return false, err
	}
	if counts, err := w.allDeletesCount(space, h, u, rec, void); err != nil || !counts {
		return false, err
	}
	if claims, err := w.claimsAnew(space, h, u, rec); err != nil || claims {
		return false, err
	}
	if !h.overlaps(u) {
		return true, nil
	}
	state, err := w.heldBy(h)
	if err != nil {
		return false, err
	}
	_, differs := u.Rivals(state)
	return !differs, nil
}

// allDeletesCount reports whether the author of an update knew, or brought along, all
// that it deletes.
func (w *work) allDeletesCount(space *core.SpaceRecord, h *head, u *yjs.Update, rec *core.EntryRecord, void *voidContent) (bool, error) {
	deletes := u.Deleted()
	if len(deletes) == 0 || mutate.On(mutate.DeletionReach) {
		return true, nil
	}
	had := h.has(deletes)
	yjs.AddRanges(had, u.Content())
	if len(yjs.Without(deletes, had)) > 0 || yjs.Intersects(deletes, yjs.ByClient(void.structs)) {
		return false, nil
	}
	if seesAll(rec) {
		return true, nil
	}
	unseen, err := w.unseenOf(space, h, rec)
	return err == nil && !yjs.Intersects(deletes, unseen), err
}

// unseen is the content of a document in entries that another did not know. Entries of
// one writer that follow each other mostly do not know the same.
type unseen struct {
	gaps    string
	content map[uint64][]yjs.Range
}

// unseenOf returns what content that came here before an entry its author did not know.
func (w *work) unseenOf(space *core.SpaceRecord, h *head, rec *core.EntryRecord) (map[uint64][]yjs.Range, error) {
	if h.unseen != nil && h.unseen.gaps == string(rec.Gaps) && string(rec.Gaps) != string(manyGaps) {
		return h.unseen.content, nil
	}
	ops, err := w.opsUnseen(space, h, rec)
	if err != nil {
		return nil, err
	}
	content := map[uint64][]yjs.Range{}
	for _, op := range ops {
		u, err := yjs.ParseUpdate(op.Update)
		if err != nil {
			return nil, damaged("content", h, err)
		}
		u.AddContentTo(content)
	}
	h.unseen = &unseen{string(rec.Gaps), content}
	return content, nil
}

// opsUnseen returns the updates of a document, of other entries, that an entry did not
// know.
func (w *work) opsUnseen(space *core.SpaceRecord, h *head, rec *core.EntryRecord) ([]core.DocOp, error) {
	past, known, err := w.pastOf(space).pastOf(rec)
	if err != nil {
		return nil, err
	}
	since := rec.Pos + 1
	switch {
	case !known:
		since = 0
	case !seesAll(rec):
		since = int64(past.With(int(rec.Pos)).Gaps[0].First)
	}
	ops, err := w.DocOpsSince(h.Key, since)
	if err != nil {
		return nil, err
	}
	others := make([]core.EntryRecord, len(ops))
	for i, op := range ops {
		if others[i], err = w.EntryByKey(op.Entry); err != nil {
			return nil, err
		}
	}
	knows, err := w.pastOf(space).knows(rec, others)
	if err != nil {
		return nil, err
	}
	left := ops[:0]
	for i, op := range ops {
		if !knows[i] && op.Entry != rec.Key {
			left = append(left, op)
		}
	}
	return left, nil
}

// overlaps reports whether a document has content at clocks of an update.
func (h *head) overlaps(u *yjs.Update) bool {
	content := u.Content()
	return yjs.Intersects(content, h.has(content))
}

// writers says who wrote to a document.
type writers uint8

const (
	writersUnknown writers = iota
	writersSelf            // this incarnation alone
	writersMany
)

// hasOthers reports whether others wrote to a document, or this directory under an
// earlier incarnation.
func (w *work) hasOthers(h *head) (bool, error) {
	if h.writers == writersUnknown {
		others, err := w.DocHasOthers(h.Key, w.r.self.writerKey)
		if err != nil {
			return false, err
		}
		h.writers = writersSelf
		if others {
			h.writers = writersMany
		}
	}
	return h.writers == writersMany, nil
}

// heldBy returns all that a document holds.
func (w *work) heldBy(h *head) (*yjs.Update, error) {
	s := &stored{DocRecord: h.DocRecord}
	if err := s.read(w.Tx); err != nil {
		return nil, err
	}
	state, err := yjs.UnionOf(s.updates...)
	if err != nil {
		return nil, damaged("content", h, err)
	}
	return state, nil
}
