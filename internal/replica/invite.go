package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/ticket"
)

// InviteOptions says what an invite allows.
type InviteOptions struct {
	Role      log.Role
	Uses      uint64
	ExpiresMs uint64 // 0 for never
	Addresses []string
}

// Invite makes an invite and returns its ticket. It returns core.ErrNotFound and
// core.ErrForbidden.
func (r *Replica) Invite(ctx context.Context, id core.SpaceID, opts InviteOptions) (string, error) {
	t := ticket.Ticket{Space: id, Role: uint8(opts.Role), ExpiresMs: opts.ExpiresMs, Addresses: opts.Addresses}
	core.Fill(r.random, t.Seed[:])
	var text string
	err := r.manage(ctx, id, func(w *work, space *core.SpaceRecord, _ *log.State) (err error) {
		if text, err = t.Encode(); err != nil {
			return err
		}
		return w.act(space, log.InviteCreate{Invite: t.Invite(), Role: opts.Role, Uses: opts.Uses, ExpiresMs: opts.ExpiresMs})
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

// RevokeInvite ends an invite: nobody can join by it any more, nor has who did so
// without knowing of this. It returns core.ErrNotFound and core.ErrForbidden.
func (r *Replica) RevokeInvite(ctx context.Context, id core.SpaceID, invite core.InviteID) error {
	return r.manage(ctx, id, func(w *work, space *core.SpaceRecord, now *log.State) error {
		v, known := now.Invite(invite)
		switch {
		case !known:
			return fmt.Errorf("invite %s: %w", invite, core.ErrNotFound)
		case v.Revoked:
			return nil
		}
		return w.act(space, log.InviteRevoke{Invite: invite})
	})
}

// Invites returns the open invites of a space. It returns core.ErrNotFound.
func (r *Replica) Invites(ctx context.Context, id core.SpaceID) (invites []core.InviteRecord, err error) {
	err = r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
		invites, err = v.Invites(space.Key)
		return err
	})
	return invites, err
}

// joining is what is kept of a ticket until its space is here, and somebody else has the
// entry that redeems it: only who shows the invite's key can hand them that.
type joining struct {
	key       ed25519.PrivateKey
	kind      log.Kind
	addresses []string
	redeemed  core.Hash // the entry that redeems it, zero if there is none yet
}

// encode returns the seed, the kind, the hash of the redemption, and the addresses, each
// with its size. Rows of earlier versions end with the kind.
func (j joining) encode() []byte {
	b := append(j.key.Seed(), byte(j.kind))
	return core.AppendTexts(append(b, j.redeemed[:]...), j.addresses)
}

func decodeJoining(b []byte) (joining, error) {
	var j joining
	if len(b) < ed25519.SeedSize+1 {
		return j, fmt.Errorf("ticket that waits: %w", core.ErrCorrupt)
	}
	j.key, j.kind = ed25519.NewKeyFromSeed(b[:ed25519.SeedSize]), log.Kind(b[ed25519.SeedSize])
	if b = b[ed25519.SeedSize+1:]; len(b) == 0 {
		return j, nil
	}
	if len(b) < len(j.redeemed) {
		return j, fmt.Errorf("ticket that waits: %w", core.ErrCorrupt)
	}
	b = b[copy(j.redeemed[:], b):]
	var ok bool
	if j.addresses, ok = core.ReadTexts(b); !ok {
		return j, fmt.Errorf("addresses of a ticket that waits: %w", core.ErrCorrupt)
	}
	return j, nil
}

func (j joining) awaited(space core.SpaceID) core.Awaited {
	return core.Awaited{Space: space, Key: j.key, Addresses: j.addresses}
}

func (j joining) invite() core.InviteID { return core.InviteID(j.key.Public().(ed25519.PublicKey)) }

// Join makes the local member a member of a ticket's space. If the space, or the
// invite, is not here yet, the ticket is kept, and used as soon as they are; the
// Space that is returned has no role then. It returns core.ErrTicketExpired, and
// core.ErrForbidden for an invite that was revoked or is used up.
func (r *Replica) Join(ctx context.Context, t ticket.Ticket, kind log.Kind) (Space, error) {
	if t.ExpiresMs > 0 && r.now().UnixMilli() > int64(t.ExpiresMs) {
		return Space{}, core.ErrTicketExpired
	}
	j := &joining{key: t.Key(), kind: kind, addresses: t.Addresses}
	joined := Space{SpaceRecord: core.SpaceRecord{ID: t.Space}}
	err := r.writeSynced(ctx, events.SourceRenderer, func(w *work) error {
		space, err := w.space(t.Space)
		if isNotFound(err) {
			return w.setJoining(t.Space, j)
		}
		if err != nil {
			return err
		}
		a, err := w.authority(space)
		if err != nil {
			return err
		}
		if err := w.judgesAll(space); err != nil {
			return err
		}
		joined = Space{*space, a.Now().Role(r.self.peer)}
		v, known := a.Now().Invite(j.invite())
		switch {
		case !known: // also of a member, who may have been removed without knowing yet
			return w.setJoining(t.Space, j)
		case joined.Role != 0:
			return nil // already
		case !v.Open():
			return fmt.Errorf("invite %s is revoked or used up: %w", v.ID, core.ErrForbidden)
		}
		if err := w.redeem(space, j); err != nil {
			return err
		}
		joined.Role = a.Now().Role(r.self.peer)
		return w.setJoining(t.Space, j)
	})
	return joined, err
}

// redeem makes the local member a member by a ticket, and notes so in it.
func (w *work) redeem(space *core.SpaceRecord, j *joining) error {
	genesis, err := space.ID.Hash()
	if err != nil {
		return err
	}
	h, more, err := w.header(space, core.ChainMembership)
	if err != nil {
		return err
	}
	if more { // who is no member yet cannot gather them first
		if err := w.citeInvite(space, &h, j.invite()); err != nil {
			return err
		}
	}
	e, _, err := w.seal(space, h, []log.Op{w.op(log.Redeem(j.key, genesis, w.r.self.peer, j.kind))})
	if err != nil {
		return err
	}
	j.redeemed = e.Hash
	return nil
}

// citeInvite makes sure that an invite is in the past of a header that can cite some
// of all heads only.
func (w *work) citeInvite(space *core.SpaceRecord, h *log.Header, invite core.InviteID) error {
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	offers := func(head core.Hash) (bool, error) {
		s, err := a.At([]core.Hash{head})
		if err != nil {
			return false, err
		}
		v, known := s.Invite(invite)
		return known && v.Open(), nil
	}
	for _, head := range h.Auth {
		if ok, err := offers(head); ok || err != nil {
			return err
		}
	}
	all, err := w.frontier(space, core.ChainMembership)
	if err != nil {
		return err
	}
	for _, head := range all {
		ok, err := offers(head)
		if err != nil {
			return err
		}
		if ok && head != h.Prev {
			h.Auth[len(h.Auth)-1] = head
			slices.SortFunc(h.Auth, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
			return w.setLamport(space, h)
		}
	}
	return nil
}

// joinNow uses a ticket that was kept, if its invite has come.
func (w *work) joinNow(a *authority) error {
	kept, err := w.Joining(a.space.ID)
	if err != nil || kept == nil {
		return err
	}
	decoded, err := decodeJoining(kept)
	if err != nil {
		return err
	}
	j := &decoded
	v, known := a.Now().Invite(j.invite())
	switch {
	case a.Now().Role(w.r.self.peer) != 0 && !j.redeemed.IsZero():
		return nil // until somebody has the redemption, see Acknowledge
	case !known:
		return nil
	case a.Now().Role(w.r.self.peer) != 0:
	case !j.redeemed.IsZero():
		w.r.logger.Warn("ticket is of no use any more: who joined by it is no member", "space", a.space.ID)
	case !v.Open():
		w.r.logger.Warn("ticket is of no use any more: its invite is revoked or used up", "space", a.space.ID)
	default:
		if waits := w.judgesAll(a.space); waits != nil {
			return nil //nolint:nilerr // acts of a newer version wait: it is tried again when something changes
		}
		if err := w.redeem(a.space, j); log.ReasonOf(err) != "" { // it must not keep the entries out that brought it up
			w.r.logger.Warn("ticket could not be used", "space", a.space.ID, "err", err)
			return nil
		} else if err != nil {
			return err
		}
		return w.setJoining(a.space.ID, j)
	}
	return w.setJoining(a.space.ID, nil)
}
