package soma

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
)

// MaxInviteUses bounds how many may join by one invite.
const MaxInviteUses = log.MaxInviteUses

// InviteID names an invite.
type InviteID = core.InviteID

// InviteOptions say what an invite allows.
type InviteOptions struct {
	// Uses is how many may join by it: 1 to MaxInviteUses, 0 for one.
	Uses int
	// ExpiresAt is when Join stops to take the ticket; zero for never. It is advice:
	// clocks can be set. RevokeInvite ends an invite for good.
	ExpiresAt time.Time
	// Addresses say where the space can be had, for whoever joins over a network:
	// multiaddrs with the peer ID of a member. If it is nil, those of Sync.Addrs are taken,
	// of which there are none unless sync runs.
	Addresses []string
}

// Invite is an invite that can still be used.
type Invite struct {
	ID          InviteID
	Role        Role
	By          PeerID
	Uses        int   // left
	ExpiresAtMs int64 // 0 for never
}

// Ticket is what the text of a ticket says.
type Ticket struct {
	SpaceID     SpaceID
	Invite      InviteID
	Role        Role  // that it promises
	ExpiresAtMs int64 // 0 for never
	Addresses   []string
}

// ParseTicket reads a ticket without using it. Errors: ErrInvalidTicket.
func ParseTicket(text string) (Ticket, error) {
	t, err := ticket.Parse(text)
	if err != nil {
		return Ticket{}, fmt.Errorf("parse ticket: %w", err)
	}
	return Ticket{
		SpaceID: t.Space, Invite: t.Invite(), Role: Role(t.Role), ExpiresAtMs: int64(t.ExpiresMs), Addresses: t.Addresses,
	}, nil
}

// Invite makes an invite with a role, any but RoleOwner, and returns its ticket: one
// line of URL-safe text. Whoever has it can join, so it is a secret; it is not kept
// here. Errors: ErrNotFound, ErrForbidden, ErrInvalidOption, ErrInvalidTicket for
// addresses that do not fit in, ErrInvalidID, ErrTooNew.
func (s Spaces) Invite(ctx context.Context, id SpaceID, role Role, opts InviteOptions) (string, error) {
	if err := checkRole(role); err != nil {
		return "", fmt.Errorf("invite: %w", err)
	}
	o := replica.InviteOptions{Role: role, Uses: 1, Addresses: opts.Addresses}
	if opts.Addresses == nil {
		o.Addresses = ticketAddresses(s.db.Sync().Addrs())
	}
	switch {
	case role == RoleOwner:
		return "", fmt.Errorf("invite: a ticket cannot make owners: %w", ErrInvalidOption)
	case opts.Uses < 0 || opts.Uses > MaxInviteUses:
		return "", fmt.Errorf("invite: %d uses, at most %d are allowed: %w", opts.Uses, MaxInviteUses, ErrInvalidOption)
	case opts.Uses > 0:
		o.Uses = uint64(opts.Uses)
	}
	if !opts.ExpiresAt.IsZero() {
		ms := opts.ExpiresAt.UnixMilli()
		if ms <= 0 || ms > log.MaxCounter {
			return "", fmt.Errorf("invite: expires at %v: %w", opts.ExpiresAt, ErrInvalidOption)
		}
		o.ExpiresMs = uint64(ms)
	}
	var text string
	err := s.manage(id, "invite to", func() (err error) {
		text, err = s.db.replica.Invite(ctx, id, o)
		return err
	})
	return text, err
}

// maxOwnAddresses bounds the addresses in a ticket that the host program did not choose: it
// is to stay one line.
const maxOwnAddresses = 8

// ticketAddresses returns those of this device's addresses that a ticket has: what only
// this machine can reach if there is nothing else.
func ticketAddresses(all []string) []string {
	local := func(a string) bool { return strings.HasPrefix(a, "/ip4/127.") || strings.HasPrefix(a, "/ip6/::1/") }
	chosen := slices.DeleteFunc(slices.Clone(all), local)
	if len(chosen) == 0 {
		chosen = all
	}
	chosen = slices.DeleteFunc(slices.Clone(chosen), func(a string) bool { return len(a) > ticket.MaxAddressBytes })
	return chosen[:min(len(chosen), maxOwnAddresses)]
}

// Invites returns the invites of a space that can still be used. Errors: ErrNotFound,
// ErrInvalidID.
func (s Spaces) Invites(ctx context.Context, id SpaceID) ([]Invite, error) {
	if err := s.begin(id); err != nil {
		return nil, err
	}
	defer s.db.end()
	recs, err := s.db.replica.Invites(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list invites to space %s: %w", id, err)
	}
	invites := make([]Invite, len(recs))
	for i, v := range recs {
		invites[i] = Invite{ID: v.ID, Role: Role(v.Role), By: v.By, Uses: int(v.Uses), ExpiresAtMs: v.ExpiresMs}
	}
	return invites, nil
}

// RevokeInvite ends an invite, of which invite is the ticket, or the ID as text. Who
// joined by it before stays; who joins by it at the same time, not knowing, does not.
// Errors: ErrNotFound, also for an unknown invite, ErrForbidden, ErrInvalidTicket,
// ErrInvalidID, ErrTooNew.
func (s Spaces) RevokeInvite(ctx context.Context, id SpaceID, invite string) error {
	hash, err := core.ParseHash(invite)
	v := InviteID(hash)
	if err != nil {
		t, err := ticket.Parse(invite)
		if err != nil {
			return fmt.Errorf("revoke invite: %w", err)
		}
		v = t.Invite()
	}
	return s.manage(id, "revoke invite to", func() error { return s.db.replica.RevokeInvite(ctx, id, v) })
}

// JoinOption changes how a space is joined.
type JoinOption func(*Kind)

// AsKind says what joins: a device, by default, a bot or a cache.
func AsKind(kind Kind) JoinOption { return func(k *Kind) { *k = kind } }

// Join makes the local member a member of the space that a ticket is for, and returns
// when that is durable; the others learn of it as of any change. Who is a member
// already stays what they are.
//
// If the space is not here yet, or an older state of it that does not hold the invite,
// the ticket is kept, and used as soon as the invite arrives, by Import for one. The
// returned Space has RoleNone then.
//
// Errors: ErrInvalidTicket, ErrTicketExpired, ErrForbidden for an invite that was
// revoked or is used up, ErrInvalidOption, ErrTooNew.
func (s Spaces) Join(ctx context.Context, text string, opts ...JoinOption) (Space, error) {
	t, err := ticket.Parse(text)
	if err != nil {
		return Space{}, fmt.Errorf("join: %w", err)
	}
	kind := KindDevice
	for _, opt := range opts {
		if opt == nil {
			return Space{}, fmt.Errorf("join: nil option: %w", ErrInvalidOption)
		}
		opt(&kind)
	}
	if err := checkKind(kind); err != nil {
		return Space{}, fmt.Errorf("join: %w", err)
	}
	if err := s.db.begin(); err != nil {
		return Space{}, err
	}
	defer s.db.end()
	space, err := s.db.replica.Join(ctx, t, kind)
	if err != nil {
		return Space{}, fmt.Errorf("join space %s: %w", t.Space, err)
	}
	return exportSpace(space), nil
}
