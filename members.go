package soma

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// Role is what a member may do in a space.
type Role = log.Role

// The roles. RoleNone is that of somebody who is no member, such as the reader of
// an imported space.
const (
	RoleNone   Role = 0
	RoleOwner       = log.RoleOwner  // manage, write, read
	RoleEditor      = log.RoleEditor // write, read
	RoleViewer      = log.RoleViewer // read
	RoleCache       = log.RoleCache  // store and serve
)

// Kind is what a member is.
type Kind = log.Kind

// The kinds.
const (
	KindDevice = log.KindDevice // a person's machine
	KindBot    = log.KindBot    // a program
	KindCache  = log.KindCache  // keeps the space for others
)

// Capability is a part of what a role allows.
type Capability = log.Capability

// The capabilities.
const (
	CapRead   = log.CapRead   // owners, editors and viewers
	CapWrite  = log.CapWrite  // owners and editors
	CapManage = log.CapManage // owners: members, invites, the name of the space
)

// ReasonMembers is the Reason of a SpaceChanged event for a change of members.
const ReasonMembers = replica.ReasonMembers

// Member is a member of a space.
type Member struct {
	Peer    PeerID
	Role    Role
	Kind    Kind
	AddedBy PeerID // who added them, or made the invite they came by
}

// NewMember describes a member to add. A Kind of 0 is KindDevice.
type NewMember struct {
	Peer PeerID
	Role Role
	Kind Kind
}

// RemoveOptions say how a member is removed.
type RemoveOptions struct {
	// Purge takes away all that the member wrote and that had not arrived here, also
	// where others have built upon it. By default what others have built upon stays.
	Purge bool
}

// Members returns the members of a space, owners first. Errors: ErrNotFound,
// ErrInvalidID.
func (s Spaces) Members(ctx context.Context, id SpaceID) ([]Member, error) {
	if err := s.begin(id); err != nil {
		return nil, err
	}
	defer s.db.end()
	recs, err := s.db.replica.Members(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list members of space %s: %w", id, err)
	}
	members := make([]Member, len(recs))
	for i, m := range recs {
		members[i] = Member{Peer: m.Peer, Role: Role(m.Role), Kind: Kind(m.Kind), AddedBy: m.By}
	}
	return members, nil
}

// Can reports whether the local member has a capability in a space, as far as is
// known here. Every call that needs one checks it itself and returns ErrForbidden.
// Errors: ErrNotFound, ErrInvalidID, ErrInvalidOption for another capability.
func (s Spaces) Can(ctx context.Context, id SpaceID, capability Capability) (bool, error) {
	if capability < CapRead || capability > CapManage {
		return false, fmt.Errorf("capability %d: %w", capability, ErrInvalidOption)
	}
	space, err := s.Get(ctx, id)
	return err == nil && space.Role.Has(capability), err
}

// AddMember makes a peer a member, who needs no invite then. It takes effect
// elsewhere when the others learn of it, and is durable when it returns. Errors:
// ErrNotFound, ErrForbidden, ErrExists for a member, ErrInvalidOption for an unknown
// role or kind, ErrInvalidID, ErrTooNew.
func (s Spaces) AddMember(ctx context.Context, id SpaceID, m NewMember) error {
	if m.Kind == 0 {
		m.Kind = KindDevice
	}
	if m.Peer.IsZero() {
		return fmt.Errorf("add member: peer id is zero: %w", ErrInvalidID)
	}
	if err := checkRole(m.Role); err != nil {
		return fmt.Errorf("add member: %w", err)
	}
	if err := checkKind(m.Kind); err != nil {
		return fmt.Errorf("add member: %w", err)
	}
	return s.manage(id, "add member to", func() error {
		return s.db.replica.AddMember(ctx, id, m.Peer, m.Role, m.Kind)
	})
}

// SetRole changes the role of a member. Lowering it leaves what the member wrote
// before, as far as that has arrived here. Errors: ErrNotFound, also for who is no
// member, ErrForbidden, ErrLastOwner, ErrInvalidOption for an unknown role,
// ErrInvalidID, ErrTooNew.
func (s Spaces) SetRole(ctx context.Context, id SpaceID, peer PeerID, role Role) error {
	if err := checkRole(role); err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	return s.manage(id, "set role in", func() error { return s.db.replica.SetRole(ctx, id, peer, role) })
}

// RemoveMember takes a member out of a space, and ends the invites that they made and
// the one that they came by. What they wrote stays, as far as it has arrived here, and
// beyond that as far as other members build upon it before they learn of the removal;
// the rest is void, see Rejected. Errors: ErrNotFound, also for who is no member,
// ErrForbidden, ErrLastOwner, ErrInvalidID, ErrTooNew.
func (s Spaces) RemoveMember(ctx context.Context, id SpaceID, peer PeerID, opts RemoveOptions) error {
	return s.manage(id, "remove member from", func() error {
		return s.db.replica.RemoveMember(ctx, id, peer, opts.Purge)
	})
}

// Leave takes the local member out of a space, which stays here to be read. Errors:
// ErrNotFound, ErrForbidden for who is no member, ErrLastOwner, ErrInvalidID,
// ErrTooNew.
func (s Spaces) Leave(ctx context.Context, id SpaceID) error {
	return s.manage(id, "leave", func() error { return s.db.replica.Leave(ctx, id) })
}

func (s Spaces) manage(id SpaceID, what string, fn func() error) error {
	if err := s.begin(id); err != nil {
		return err
	}
	defer s.db.end()
	if err := fn(); err != nil {
		return fmt.Errorf("%s space %s: %w", what, id, err)
	}
	return nil
}

func checkRole(role Role) error {
	if role < RoleOwner || role > RoleCache {
		return fmt.Errorf("%s: %w", role, ErrInvalidOption)
	}
	return nil
}

func checkKind(kind Kind) error {
	if kind < KindDevice || kind > KindCache {
		return fmt.Errorf("%s: %w", kind, ErrInvalidOption)
	}
	return nil
}

// EntryID names a signed entry of a space's log, in lower-case hex.
type EntryID string

// Rejection is an entry that a member made without knowing that they had lost the
// right to. Unless Kept, its changes do not count: they are void.
type Rejection struct {
	Entry       EntryID
	Member      PeerID
	WrittenAtMs int64        // by the author's clock
	Documents   []DocumentID // that it changes
	Reason      RejectionReason
	By          PeerID // who took the right away; zero for RejectedMembership
	Kept        bool   // because another member built upon it; of RejectedClientID the rest counts
	VouchedBy   PeerID // who did, if it is kept
}

// RejectionReason says why an entry was rejected.
type RejectionReason string

// The reasons of rejections.
const (
	RejectedRemoved    RejectionReason = replica.RejectedRemoved    // its author was removed, or left
	RejectedDemoted    RejectionReason = replica.RejectedDemoted    // its author's role was lowered
	RejectedMembership RejectionReason = replica.RejectedMembership // what made its author a member has no effect
	RejectedClientID   RejectionReason = replica.RejectedClientID   // some of it is under a Yjs clientID where other content prevails
)

// Rejected reports what was written in a space by members who had lost the right to,
// in the order in which it came here. Errors: ErrNotFound, ErrInvalidID.
func (s Spaces) Rejected(ctx context.Context, id SpaceID) ([]Rejection, error) {
	if err := s.begin(id); err != nil {
		return nil, err
	}
	defer s.db.end()
	recs, err := s.db.replica.Rejected(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list rejections in space %s: %w", id, err)
	}
	all := make([]Rejection, len(recs))
	for i, r := range recs {
		all[i] = Rejection{
			Entry: EntryID(r.Entry.String()), Member: r.Member, WrittenAtMs: r.WallMs, Documents: r.Documents,
			Reason: RejectionReason(r.Reason), By: r.By, Kept: r.Kept, VouchedBy: r.VouchedBy,
		}
	}
	return all, nil
}

// Adopt takes over the document updates of a void entry: the local member signs what of
// them is not there, and so it counts, without its author getting any right back. The
// entry itself stays void, and in Rejected; adopting it again changes nothing. Content
// that lost its clocks to other content (RejectedClientID) cannot be adopted: its clocks
// are taken. Errors: ErrNotFound, also for an entry that is not void, ErrForbidden for who is no owner, ErrInvalidID.
func (s Spaces) Adopt(ctx context.Context, id SpaceID, entry EntryID) error {
	hash, err := core.ParseHash(string(entry))
	if err != nil {
		return fmt.Errorf("adopt entry: %w", err)
	}
	return s.manage(id, "adopt entry in", func() error { return s.db.replica.Adopt(ctx, id, hash) })
}
