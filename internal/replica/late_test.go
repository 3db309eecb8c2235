package replica_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// after makes an author's first membership entry on top of another.
func (c *court) after(e *log.Entry, a *author, bodies ...log.Body) *log.Entry {
	return a.sign(log.Header{
		Space: a.genesis, Incarnation: a.incarnation, Chain: core.ChainMembership, Seq: 1,
		Auth: []core.Hash{e.Hash}, Lamport: e.Lamport + 1, WallMs: 1,
	}, bodies...)
}

// offer returns an act that makes an invite, and one by which a stranger joins by it.
func (c *court) offer(n byte) (log.Body, func(a *author) log.Body) {
	key := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), n))
	id := core.InviteID(key.Public().(ed25519.PublicKey))
	return log.InviteCreate{Invite: id, Role: log.RoleEditor, Uses: 1}, func(a *author) log.Body {
		return log.Redeem(key, a.genesis, a.peer(), log.KindDevice)
	}
}

func (c *court) wantMember(a *author, want log.Role) {
	c.t.Helper()
	members, err := c.Members(c.ctx(), c.space)
	if err != nil {
		c.t.Fatal(err)
	}
	got := log.Role(0)
	for _, m := range members {
		if m.Peer == a.peer() {
			got = log.Role(m.Role)
		}
	}
	if shared, err := c.IsShared(c.ctx(), c.space, a.peer()); err != nil || shared != (want != 0) {
		c.t.Errorf("IsShared = %v, %v, want %v", shared, err, want != 0)
	}
	if got != want {
		c.t.Errorf("role = %s, want %s", got, want)
	}
}

// A ticket that a removed owner made on the side lets nobody in who comes with it late: they
// see nothing of the space, and nobody is told of a change of members.
func TestLateTicketsOfFormerOwners(t *testing.T) {
	c := newCourt(t)
	if err := c.RemoveMember(c.ctx(), c.space, c.owner.peer(), false); err != nil {
		t.Fatal(err)
	}
	offer, redeem := c.offer(1)
	made := c.act(c.owner, offer)
	mal := newAuthor(t, stranger(7), c.space, 7)
	heard := c.heard(c.space, func() { c.take(made, c.after(made, mal, redeem(mal))) })
	if slices.Contains(heard, replica.ReasonMembers) {
		t.Errorf("events for %v, want none of a change of members", heard)
	}
	c.wantMember(mal, 0)
	if invites, err := c.Invites(c.ctx(), c.space); err != nil || len(invites) > 0 {
		t.Errorf("Invites = %v, %v, want none", invites, err)
	}
	invite := offer.(log.InviteCreate).Invite
	if open, err := c.Invited(c.ctx(), c.space, invite); err != nil || open {
		t.Errorf("Invited = %v, %v, want false", open, err)
	}
}

// An owner's directory notes in the log who has joined, so that nobody who comes late with
// the same ticket, and a redemption of lower lamport, takes their place.
func TestWhoJoinedStays(t *testing.T) {
	c := newCourt(t)
	offer, redeem := c.offer(2)
	made := c.act(c.owner, offer)
	ahead := c.after(made, newAuthor(t, stranger(1), c.space, 8))
	joe, mal := newAuthor(t, stranger(8), c.space, 8), newAuthor(t, stranger(9), c.space, 9)
	c.take(made, ahead, c.after(ahead, joe, redeem(joe)))
	c.wantMember(joe, log.RoleEditor)
	n := len(c.decoded(c.space))
	c.take(c.after(made, mal, redeem(mal)))
	c.wantMember(joe, log.RoleEditor)
	c.wantMember(mal, 0)
	if got := len(c.decoded(c.space)); got != n+1 {
		t.Errorf("%d entries after one that has no effect, want %d", got, n+1)
	}
}
