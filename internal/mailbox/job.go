package mailbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// job is drafts inside of a transaction.
type job struct {
	core.Tx
	m *Mailbox
}

// tell notes a change of a live draft, which subscribers learn of after the commit.
func (j *job) tell(kind ChangeKind, rec *core.DraftRecord) {
	change := Change{Kind: kind, SpaceID: rec.Space, DocumentID: rec.Doc, UpdatedAtMs: rec.UpdatedAtMs}
	if kind == Cleared {
		change.Reason = reasonOf(rec)
	}
	now := Numbered{Seq: rec.Key}
	if kind == Saved || kind == Restored || kind == Conflict {
		now.Draft, _ = draftOf(rec) // it was written just now
	}
	j.OnCommit(func() {
		j.m.topic.Emit(change)
		if j.m.mirror != nil {
			j.m.mirror(change, now)
		}
	})
}

// isOver reports whether a draft comes late: one of its document that is not older was
// found stale, or is in the document. What a user discarded may come back.
func (j *job) isOver(d *Draft) (bool, error) {
	all, err := j.ClearedDrafts(d.SpaceID, d.DocumentID)
	return slices.ContainsFunc(all, func(c core.DraftRecord) bool {
		why := reasonOf(&c)
		return !c.Damaged && (why == Stale || why == Confirmed) && c.UpdatedAtMs >= d.UpdatedAtMs
	}), err
}

// save stores a draft in place of the live one of its document, and returns its row, or
// nil if that one is newer, or the draft is over.
func (j *job) save(d *Draft) (*core.DraftRecord, error) {
	rec := d.record()
	was, err := j.Draft(d.SpaceID, d.DocumentID)
	switch {
	case errors.Is(err, core.ErrNotFound):
		if over, err := j.isOver(d); err != nil || over {
			return nil, err
		}
	case err != nil:
		return nil, err
	case was.Damaged:
		if err := j.setAside(&was, Replaced); err != nil {
			return nil, err
		}
	case !wins(rec, &was):
		return nil, nil
	default:
		rec.Key = was.Key
	}
	if err := j.PutDraft(rec); err != nil {
		return nil, err
	}
	j.tell(Saved, rec)
	return rec, nil
}

// live returns the live draft of a document, nil if there is none, or if it is damaged:
// then nothing can be said of it.
func (j *job) live(space core.SpaceID, doc core.DocumentID) (*core.DraftRecord, error) {
	rec, err := j.Draft(space, doc)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return nil, nil
	case errors.Is(err, core.ErrCorrupt), err == nil && rec.Damaged: // documents must not suffer
		j.m.logger.Error("draft is damaged and stays as it is", "space", space, "document", doc, "err", err)
		return nil, nil
	case err != nil:
		return nil, err
	case j.m.isPast(rec.UpdatedAtMs):
		return nil, nil
	}
	return &rec, nil
}

// clear takes a live draft away, so that it can be restored.
func (j *job) clear(rec *core.DraftRecord, why Reason) error {
	if err := j.setAside(rec, why); err != nil {
		return err
	}
	j.tell(Cleared, rec)
	return nil
}

// setAside is clear without telling. One that is damaged stays so.
func (j *job) setAside(rec *core.DraftRecord, why Reason) error {
	rec.Cleared, rec.ClearedAtMs = int64(slices.Index(reasons, why)), max(j.m.now().UnixMilli(), 0)
	if err := j.PutDraft(rec); err != nil {
		return err
	}
	all, err := j.ClearedDrafts(rec.Space, rec.Doc)
	if err != nil {
		return err
	}
	kept := 0
	for i := range all {
		if all[i].Damaged {
			continue
		}
		if kept++; kept > MaxClearedPerDocument {
			if err := j.DeleteDraft(all[i].Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// restorable returns the cleared draft that Restore is for.
func (j *job) restorable(space core.SpaceID, doc core.DocumentID) (*core.DraftRecord, error) {
	all, err := j.ClearedDrafts(space, doc)
	if err != nil {
		return nil, err
	}
	err = core.ErrNotFound
	for i := range all {
		switch rec := &all[i]; {
		case rec.Damaged:
			err = fmt.Errorf("cleared drafts of document %q: %w", doc, core.ErrCorrupt)
		case !j.m.isPast(rec.UpdatedAtMs):
			return rec, nil
		}
	}
	return nil, err
}

// removeDamaged removes the drafts of a document that cannot be read.
func (j *job) removeDamaged(space core.SpaceID, doc core.DocumentID) (removed bool, err error) {
	all, err := j.ClearedDrafts(space, doc)
	if err != nil {
		return false, err
	}
	live, err := j.Draft(space, doc)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return false, err
	}
	for _, rec := range append(all, live) {
		if !rec.Damaged {
			continue
		}
		removed = true
		if err := j.DeleteDraft(rec.Key); err != nil {
			return false, err
		}
	}
	return removed, nil
}

// sweep removes drafts that are past their time, and then the oldest beyond the limit,
// cleared ones first. What is damaged stays: its time may be wrong.
func (j *job) sweep() error {
	n, oldestMs, err := j.DraftTotals()
	if err != nil || n == 0 {
		return err
	}
	if j.m.isPast(oldestMs) {
		for _, cleared := range []bool{true, false} {
			removed, err := j.remove(cleared, n, Expired)
			if err != nil {
				return err
			}
			n -= removed
		}
	}
	for _, cleared := range []bool{true, false} {
		if n <= j.m.limits.Drafts {
			break
		}
		removed, err := j.remove(cleared, n-j.m.limits.Drafts, Evicted)
		if err != nil {
			return err
		}
		n -= removed
	}
	return nil
}

// sweepPage is how many drafts remove reads at a time: mostly one has to go.
const sweepPage = 4

// remove removes up to most drafts, the oldest first: those that are past their time for
// Expired, any for Evicted.
func (j *job) remove(cleared bool, most int, why ChangeKind) (removed int, err error) {
	for after := (core.DraftPlace{}); removed < most; {
		page, err := j.OldestDrafts(cleared, after, min(sweepPage, most-removed))
		if err != nil || len(page) == 0 {
			return removed, err
		}
		for i := range page {
			rec := &page[i]
			after = rec.Place()
			switch {
			case rec.Damaged:
				continue
			case why == Expired && !j.m.isPast(rec.UpdatedAtMs):
				return removed, nil
			}
			if err := j.DeleteDraft(rec.Key); err != nil {
				return removed, err
			}
			removed++
			if rec.Key, err = j.DraftSeq(); err != nil { // which the removal has raised
				return removed, err
			}
			if !cleared {
				j.tell(why, rec)
			}
		}
	}
	return removed, nil
}
