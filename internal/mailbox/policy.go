package mailbox

import "github.com/soma-sdk/soma/internal/yjs"

// Action is what becomes of a draft when its document changes remotely.
type Action string

// The actions of the policy.
const (
	NoAction Action = ""
	Clear    Action = "clear"
	Keep     Action = "keep"
)

// Decision is what the policy says. The other fields are set for Keep alone, as the draft
// is to have them.
type Decision struct {
	Action                Action
	ConflictState         ConflictState
	BaseDaemonUpdatedAtMs int64
}

// Decide is the policy for a draft whose document changed remotely, nil for no draft. The
// document was updated at daemonUpdatedAtMs and has the encoded state vector now.
//
// A draft that is not newer is cleared. A newer one is kept, ahead, or diverged if the
// document has content that the draft's base state vector does not have. Diverged stays,
// since the draft's base does. Without a base, or with bytes that are no vector, what the
// draft is based on is not known: it is ahead.
func Decide(draft *Draft, daemonUpdatedAtMs int64, stateVector []byte) Decision {
	switch {
	case draft == nil:
		return Decision{}
	case draft.UpdatedAtMs <= daemonUpdatedAtMs:
		return Decision{Action: Clear}
	}
	kept := Decision{Action: Keep, ConflictState: Ahead, BaseDaemonUpdatedAtMs: daemonUpdatedAtMs}
	if draft.ConflictState == Diverged || draft.isBehind(stateVector) {
		kept.ConflictState = Diverged
	}
	return kept
}

// isBehind reports whether a document holds what the draft's base does not.
func (d *Draft) isBehind(stateVector []byte) bool {
	if len(d.BaseStateVector) == 0 {
		return false
	}
	behind, err := yjs.Beyond(stateVector, d.BaseStateVector)
	return err == nil && behind
}
