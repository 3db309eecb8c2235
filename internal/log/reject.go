package log

import (
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Reason names the rule that an entry broke. Reasons are reported to hosts and
// kept in databases, so a name never changes its meaning.
type Reason string

// The rules that an entry's own bytes are checked against, in Decode.
const (
	ReasonEncoding       Reason = "encoding"         // not the deterministic CBOR of an entry
	ReasonVersion        Reason = "version"          // header of a version this package does not read
	ReasonKeyID          Reason = "key-id"           // encrypted: reserved
	ReasonHeaderTooLarge Reason = "header-too-large" // MaxHeaderBytes
	ReasonOpsTooLarge    Reason = "ops-too-large"    // MaxOpsBytes
	ReasonTooManyOps     Reason = "too-many-ops"     // MaxOps
	ReasonTooManyHeads   Reason = "too-many-heads"   // MaxHeads
	ReasonTooDeep        Reason = "too-deep"         // MaxDepth
	ReasonCounter        Reason = "counter"          // seq or lamport 0, or seq, lamport or wallMs beyond MaxCounter
	ReasonPeer           Reason = "peer"             // the zero key names nobody
	ReasonChain          Reason = "chain"            // neither membership nor content
	ReasonGenesis        Reason = "genesis"          // the rules of a first entry of a space
	ReasonFirstEntry     Reason = "first-entry"      // seq 1 exactly when there is no prev, and then membership is cited
	ReasonHeadOrder      Reason = "head-order"       // auth or deps not strictly ascending
	ReasonMembershipDeps Reason = "membership-deps"  // a membership entry cites content
	ReasonOpsSize        Reason = "ops-size"         // opsSize is not the size of the ops
	ReasonOpsHash        Reason = "ops-hash"         // opsHash is not the hash of the ops
	ReasonOpNumber       Reason = "op-number"        // op number outside the assigned ranges
	ReasonOpChain        Reason = "op-chain"         // op of the other chain
	ReasonOpID           Reason = "op-id"            // two ops of an entry with one ID
	ReasonOpBody         Reason = "op-body"          // body is not what its number stands for
	ReasonSignature      Reason = "signature"        // not signed by its peer (VerifySignature)
)

// The rules that an entry is checked against together with its past, in Admit.
const (
	ReasonSpace         Reason = "space"           // the space field names an entry that is no genesis
	ReasonPrev          Reason = "prev"            // prev is not the entry before this one on its writer's chain
	ReasonAuthChain     Reason = "auth-chain"      // auth cites an entry that is not of a membership chain
	ReasonAuthRedundant Reason = "auth-redundant"  // auth cites what prev or another cited entry already has in its past
	ReasonAuthBehind    Reason = "auth-behind"     // a cited content entry knew of membership that this one does not
	ReasonDepsChain     Reason = "deps-chain"      // deps cites an entry that is not of a content chain
	ReasonDepsOwn       Reason = "deps-own-writer" // deps cites the writer's own entry
	ReasonLamport       Reason = "lamport"         // not 1 + the maximum of what is cited
	ReasonNotMember     Reason = "not-member"      // the author is no member in the past of the entry
	ReasonCapability    Reason = "capability"      // the author's role does not allow an op
	ReasonInvite        Reason = "invite"          // a redemption of an invite that is not open, or not proven
)

// limits are the reasons that say "too much" rather than "wrong".
var limits = map[Reason]bool{
	ReasonHeaderTooLarge: true,
	ReasonOpsTooLarge:    true,
	ReasonTooManyOps:     true,
	ReasonTooManyHeads:   true,
	ReasonTooDeep:        true,
}

// RejectedError says that an entry breaks a rule, for good: no entry that is
// still to come can make it admissible. It is core.ErrInvalidEntry, and also
// core.ErrTooLarge where the rule is a limit.
type RejectedError struct {
	Reason Reason
	Hash   core.Hash // zero where there is no header to hash
	Detail string
}

// Error implements error.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("%v: %s: %s: %s", core.ErrInvalidEntry, e.Hash, e.Reason, e.Detail)
}

// Is makes errors.Is find the sentinels.
func (e *RejectedError) Is(target error) bool {
	return target == core.ErrInvalidEntry || target == core.ErrTooLarge && limits[e.Reason]
}

// ReasonOf returns the rule that err says was broken, or "".
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*RejectedError](err); ok {
		return r.Reason
	}
	return ""
}

// reject returns an error without a hash: Decode and Admit, which know the
// entry, add it.
func reject(reason Reason, format string, args ...any) error {
	return &RejectedError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// about says which entry was rejected.
func about(hash core.Hash, err error) error {
	if r, ok := errors.AsType[*RejectedError](err); ok {
		r.Hash = hash
	}
	return err
}

// WaitReason says what an entry waits for.
type WaitReason string

// What an entry can wait for.
const (
	// WaitPast: entries it cites have not been accepted yet.
	WaitPast WaitReason = "missing-past"
	// WaitMembershipOp: it holds a membership op that this version does not
	// evaluate. It can be admitted after an upgrade.
	WaitMembershipOp WaitReason = "membership-op"
)

// WaitingError says that an entry can be neither admitted nor rejected yet.
type WaitingError struct {
	Reason  WaitReason
	Hash    core.Hash
	Missing []core.Hash // for WaitPast: all that is cited and not had, ascending
	Op      OpNumber    // for WaitMembershipOp: the first such op
}

// Error implements error.
func (e *WaitingError) Error() string {
	if e.Reason == WaitMembershipOp {
		return fmt.Sprintf("entry %s waits: %s: %s", e.Hash, e.Reason, e.Op)
	}
	return fmt.Sprintf("entry %s waits: %s: %d entries, first %s", e.Hash, e.Reason, len(e.Missing), e.Missing[0])
}

// WaitsForPast reports whether an entry that was handed in is not taken for want of others,
// which a peer may have. What waits for a newer version of the program waits however often
// it is fetched.
func WaitsForPast(o core.Outcome) bool {
	if o.Status != core.EntryWaiting && o.Status != core.EntryDropped {
		return false
	}
	w, ok := errors.AsType[*WaitingError](o.Err)
	return !ok || w.Reason == WaitPast
}
