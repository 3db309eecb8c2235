package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// Numbered is a live draft and the number of its last change.
type Numbered struct {
	Draft
	Seq int64
}

// Snapshot returns all live drafts in the order of their last changes, and the number of
// the newest change of any. Damaged ones are left out, and logged.
func (m *Mailbox) Snapshot(ctx context.Context) (drafts []Numbered, seq int64, err error) {
	err = m.store.Read(ctx, func(v core.View) error {
		if seq, err = v.DraftSeq(); err != nil {
			return err
		}
		return m.eachLive(v, func(rec *core.DraftRecord) error {
			d, err := draftOf(rec)
			drafts = append(drafts, Numbered{d, rec.Key})
			return err
		})
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(drafts, func(a, b Numbered) int { return int(a.Seq - b.Seq) })
	return drafts, seq, nil
}

// eachLive calls fn with the live drafts that can be read, in any order.
func (m *Mailbox) eachLive(v core.View, fn func(*core.DraftRecord) error) error {
	for after := core.MaxDraftPlace(); ; {
		page, err := v.NewestDrafts(false, after, listPage)
		if err != nil {
			return err
		}
		for i := range page {
			rec := &page[i]
			after = rec.Place()
			switch {
			case rec.Damaged:
				m.logger.Error("draft is damaged and stays as it is", "space", rec.Space, "document", rec.Doc)
			case !m.isPast(rec.UpdatedAtMs):
				if err := fn(rec); err != nil {
					return err
				}
			}
		}
		if len(page) < listPage {
			return nil
		}
	}
}

// Exchange is all drafts as a window wants them, who had seen what there was at BaseSeq.
type Exchange struct {
	Drafts  []Draft
	BaseSeq int64
	Window  string // "" for none
}

// Exchanged is what became of an Exchange.
type Exchanged struct {
	Seq  int64
	Same bool // the live drafts are those that were given
}

// Exchange saves the drafts that are news and discards those that the window does not
// have any more. A draft that is not newer than one of its document that was cleared is a
// copy from before that, and is no news; nor is one that is past its time. A live draft
// that is not among them is discarded if the window knew it as it is: if it did not change
// after BaseSeq, or last by that window.
//
// It returns what Save does, core.ErrInvalidSeq for a BaseSeq that is not there yet, and
// then nothing has happened. A document must not have two drafts among them.
func (m *Mailbox) Exchange(ctx context.Context, x Exchange) (Exchanged, error) {
	drafts := slices.DeleteFunc(slices.Clone(x.Drafts), func(d Draft) bool { return m.isPast(d.UpdatedAtMs) })
	for i := range drafts {
		if err := m.check(&drafts[i]); err != nil {
			return Exchanged{}, err
		}
	}
	var done Exchanged
	err := m.write(ctx, func(j *job) (err error) {
		if done.Seq, err = j.DraftSeq(); err != nil {
			return err
		}
		if x.BaseSeq < 0 || x.BaseSeq > done.Seq {
			return fmt.Errorf("baseSeq %d, the newest change is %d: %w", x.BaseSeq, done.Seq, core.ErrInvalidSeq)
		}
		if err := j.take(drafts, x.Window); err != nil {
			return err
		}
		if err := j.sweep(); err != nil {
			return err
		}
		if err := j.discardMissing(drafts, x); err != nil {
			return err
		}
		if done.Same, err = j.holds(x.Drafts); err != nil {
			return err
		}
		done.Seq, err = j.DraftSeq()
		return err
	})
	return done, err
}

// take saves those of a window's drafts that are news.
func (j *job) take(drafts []Draft, window string) error {
	for i := range drafts {
		d := &drafts[i]
		cleared, err := j.ClearedDrafts(d.SpaceID, d.DocumentID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(cleared, func(c core.DraftRecord) bool { return !c.Damaged && c.UpdatedAtMs >= d.UpdatedAtMs }) {
			continue
		}
		rec, err := j.save(d)
		if err != nil {
			return err
		}
		if rec != nil && window != "" {
			key := rec.Key
			j.OnCommit(func() { j.m.authors.note(changeKey{rec.Space, rec.Doc}, key, window) })
		}
	}
	return nil
}

// discardMissing clears the live drafts that a window has seen and does not have.
func (j *job) discardMissing(drafts []Draft, x Exchange) error {
	given := make(map[changeKey]bool, len(drafts))
	for i := range drafts {
		given[changeKey{drafts[i].SpaceID, drafts[i].DocumentID}] = true
	}
	var missing []core.DraftRecord
	err := j.m.eachLive(j, func(rec *core.DraftRecord) error {
		key := changeKey{rec.Space, rec.Doc}
		if !given[key] && (rec.Key <= x.BaseSeq || x.Window != "" && j.m.authors.of(key, rec.Key) == x.Window) {
			missing = append(missing, *rec)
		}
		return nil
	})
	for i := range missing {
		if err == nil {
			err = j.clear(&missing[i], Discarded)
		}
	}
	return err
}

// holds reports whether the live drafts are exactly some, but for what the policy says.
func (j *job) holds(drafts []Draft) (bool, error) {
	given := make(map[changeKey]*Draft, len(drafts))
	for i := range drafts {
		given[changeKey{drafts[i].SpaceID, drafts[i].DocumentID}] = &drafts[i]
	}
	same, n := true, 0
	err := j.m.eachLive(j, func(rec *core.DraftRecord) error {
		n++
		d := given[changeKey{rec.Space, rec.Doc}]
		same = same && d != nil && d.record().Conflict == rec.Conflict && d.BaseDaemonUpdatedAtMs == rec.BaseUpdatedAtMs &&
			d.UpdatedAtMs == rec.UpdatedAtMs && d.Snippet == rec.Snippet && slices.Equal(d.BaseStateVector, rec.BaseVector)
		return nil
	})
	return same && n == len(drafts), err
}

// authors are the windows that wrote drafts last, as long as these did not change since.
// Only the writer's goroutine uses them.
type authors map[changeKey]author

type author struct {
	draft  int64 // its key
	window string
}

func (a authors) note(key changeKey, draft int64, window string) {
	if len(a) >= MaxDrafts {
		clear(a) // they only save a window from waiting for an answer
	}
	a[key] = author{draft, window}
}

func (a authors) of(key changeKey, draft int64) string {
	if a[key].draft != draft {
		return ""
	}
	return a[key].window
}

// RemoveDamaged removes what is damaged of a document's drafts, for good. It returns
// core.ErrNotFound if nothing is.
func (m *Mailbox) RemoveDamaged(ctx context.Context, space core.SpaceID, doc core.DocumentID) error {
	return m.write(ctx, func(j *job) error {
		removed, err := j.removeDamaged(space, doc)
		if err == nil && !removed {
			err = core.ErrNotFound
		}
		return err
	})
}

// DiscardUntil clears the live draft of a document unless it is newer than a time. Where
// there is none nothing happens.
func (m *Mailbox) DiscardUntil(ctx context.Context, space core.SpaceID, doc core.DocumentID, updatedAtMs int64) error {
	if err := checkIDs(space, doc); err != nil {
		return err
	}
	return m.write(ctx, func(j *job) error {
		rec, err := j.live(space, doc)
		if err != nil || rec == nil || rec.UpdatedAtMs > updatedAtMs {
			return err
		}
		return j.clear(rec, Discarded)
	})
}

// DiscardAllUntil is DiscardUntil for all drafts.
func (m *Mailbox) DiscardAllUntil(ctx context.Context, updatedAtMs int64) error {
	return m.write(ctx, func(j *job) error {
		var old []core.DraftRecord
		err := m.eachLive(j, func(rec *core.DraftRecord) error {
			if rec.UpdatedAtMs <= updatedAtMs {
				old = append(old, *rec)
			}
			return nil
		})
		for i := range old {
			if err == nil {
				err = j.clear(&old[i], Discarded)
			}
		}
		return err
	})
}

// Knows reports whether a document has a draft, or one that can be restored.
func (m *Mailbox) Knows(ctx context.Context, space core.SpaceID, doc core.DocumentID) (known bool, err error) {
	err = m.store.Read(ctx, func(v core.View) error {
		cleared, err := v.ClearedDrafts(space, doc)
		if err != nil || len(cleared) > 0 {
			known = len(cleared) > 0
			return err
		}
		_, err = v.Draft(space, doc)
		known = err == nil
		return onlyFound(err)
	})
	return known, err
}

func onlyFound(err error) error {
	if errors.Is(err, core.ErrNotFound) {
		return nil
	}
	return err
}
