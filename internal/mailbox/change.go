package mailbox

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// ChangeKind says what happened to a draft.
type ChangeKind string

// The kinds of Change.
const (
	Saved    ChangeKind = "saved"
	Cleared  ChangeKind = "cleared"
	Conflict ChangeKind = "conflict"
	Restored ChangeKind = "restored"
	Evicted  ChangeKind = "evicted"
	Expired  ChangeKind = "expired"
	// ListAgain stands for more changes than could wait.
	ListAgain ChangeKind = "list-again"
)

// Reason says why a draft was cleared.
type Reason string

// The reasons, which are stored as numbers from 1 on.
const (
	Stale     Reason = "stale"
	Confirmed Reason = "confirmed"
	Discarded Reason = "discarded"
	Replaced  Reason = "replaced"
)

var reasons = []Reason{"", Stale, Confirmed, Discarded, Replaced}

// Change says that the live draft of a document changed.
type Change struct {
	Kind        ChangeKind      `json:"kind"`
	SpaceID     core.SpaceID    `json:"spaceId,omitempty"`
	DocumentID  core.DocumentID `json:"documentId,omitempty"`
	UpdatedAtMs int64           `json:"updatedAtMs,omitempty"` // of the draft
	Reason      Reason          `json:"reason,omitempty"`      // of Cleared
}

// MaxPendingChanges bounds the changes that wait for one subscriber.
const MaxPendingChanges = 1024

// changeKey is the document of a change, the zero key for ListAgain.
type changeKey struct {
	space core.SpaceID
	doc   core.DocumentID
}

// changes is what waits for one subscriber: the latest change of each draft. One more
// than the limit turns them all into one ListAgain, which covers whatever comes until it
// is taken.
type changes struct {
	*events.Latest[changeKey, Change]
}

func newChanges(limit int) events.Pending[Change] {
	return changes{events.NewLatest(limit, func(c Change) changeKey {
		return changeKey{c.SpaceID, c.DocumentID}
	}, func(l *events.Latest[changeKey, Change]) {
		l.Clear()
		l.Push(Change{Kind: ListAgain})
	})}
}

// Push implements events.Pending.
func (c changes) Push(change Change) bool {
	if c.Has(changeKey{}) {
		change = Change{Kind: ListAgain} // the one on offer may have been taken just now
	}
	return c.Latest.Push(change)
}
