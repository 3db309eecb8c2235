package mailbox

import (
	"errors"

	"github.com/soma-sdk/soma/internal/core"
)

// Review runs the policy on the draft of each document that a transaction changed
// remotely.
func (m *Mailbox) Review(tx core.Tx, changed []core.ChangedDoc) error {
	has, err := tx.HasDrafts()
	if errors.Is(err, core.ErrCorrupt) { // documents must not suffer
		m.logger.Error("drafts cannot be read", "err", err)
		return nil
	}
	if err != nil || !has {
		return err
	}
	j := &job{tx, m}
	for _, doc := range changed {
		rec, err := j.live(doc.Space, doc.ID)
		if err != nil {
			return err
		}
		if rec == nil {
			continue
		}
		if err := j.review(rec, doc); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) review(rec *core.DraftRecord, doc core.ChangedDoc) error {
	draft, err := draftOf(rec)
	if err != nil {
		return err
	}
	updatedAtMs, vector, err := doc.State()
	if err != nil {
		return err
	}
	switch decision := Decide(&draft, updatedAtMs, vector); decision.Action {
	case Clear:
		return j.clear(rec, Stale)
	case Keep:
		rec.Conflict = int64(decision.ConflictState.rank())
		rec.BaseUpdatedAtMs = decision.BaseDaemonUpdatedAtMs
		if err := j.PutDraft(rec); err != nil {
			return err
		}
		j.tell(Conflict, rec)
	case NoAction:
	}
	return nil
}

// Confirm clears the draft of a document that holds, as of the transaction, what was
// drafted until updatedAtMs.
func (m *Mailbox) Confirm(tx core.Tx, space core.SpaceID, doc core.DocumentID, updatedAtMs int64) error {
	j := &job{tx, m}
	rec, err := j.live(space, doc)
	if err != nil || rec == nil || rec.UpdatedAtMs > updatedAtMs {
		return err
	}
	return j.clear(rec, Confirmed)
}
