package log

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Role is what a member may do.
type Role uint8

// The roles. The numbers are those of the format.
const (
	RoleOwner  Role = 1 // manage, write, read
	RoleEditor Role = 2 // write, read
	RoleViewer Role = 3 // read
	RoleCache  Role = 4 // store and serve
)

// String returns the role's name, "none" for that of somebody who is no member.
func (r Role) String() string {
	switch r {
	case 0:
		return "none"
	case RoleOwner:
		return "owner"
	case RoleEditor:
		return "editor"
	case RoleViewer:
		return "viewer"
	case RoleCache:
		return "cache"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Kind is what a member is.
type Kind uint8

// The kinds. The numbers are those of the format.
const (
	KindDevice Kind = 1
	KindBot    Kind = 2
	KindCache  Kind = 3
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindDevice:
		return "device"
	case KindBot:
		return "bot"
	case KindCache:
		return "cache"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Capability is what an op needs its author to have.
type Capability uint8

// The capabilities, each held by fewer than the one before.
const (
	CapSelf   Capability = iota // nothing: a statement about oneself
	CapMember                   // any role
	CapWrite                    // owners and editors
	CapManage                   // owners
)

// Has reports whether the role gives the capability. No role, 0, gives CapSelf only.
func (r Role) Has(c Capability) bool {
	switch c {
	case CapSelf:
		return true
	case CapMember:
		return r >= RoleOwner && r <= RoleCache
	case CapWrite:
		return r == RoleOwner || r == RoleEditor
	case CapManage:
		return r == RoleOwner
	}
	return false
}

// State says who is a member, as of a membership past. The zero State has no members.
type State struct {
	roles map[core.PeerID]Role
}

// Role returns the peer's role, or 0 for one who is not a member.
func (s State) Role(peer core.PeerID) Role { return s.roles[peer] }

// Allows reports whether the peer has the capability.
func (s State) Allows(peer core.PeerID, c Capability) bool { return s.Role(peer).Has(c) }

// StateAt returns the state after the membership entries in heads and in their
// past. Without heads nobody is a member.
//
// Admit lets no membership op but that of the genesis in, so in every past the
// genesis alone says who is a member: its author, as owner. Whoever evaluates
// further ops replays them here and stops making them wait in Admit.
func StateAt(space core.Hash, heads []core.Hash, past Past) (State, error) {
	if len(heads) == 0 {
		return State{}, nil
	}
	genesis, err := past.Ancestor(space)
	if err != nil {
		return State{}, fmt.Errorf("look up genesis %s: %w", space, err)
	}
	return State{roles: map[core.PeerID]Role{genesis.Peer: RoleOwner}}, nil
}

// permits rejects an entry unless its author is a member who may do every op.
func (s State) permits(e *Entry) error {
	if !s.Allows(e.Peer, CapMember) { // also for an entry without ops
		return reject(ReasonNotMember, "%s", e.Peer)
	}
	for _, op := range e.Ops {
		number := op.Body.Number()
		if r, ok := RangeOf(number); !ok || !s.Allows(e.Peer, r.Needs) {
			return reject(ReasonCapability, "%s is not for the role %s", number, s.Role(e.Peer))
		}
	}
	return nil
}
