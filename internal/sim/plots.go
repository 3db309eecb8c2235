package sim

import (
	"context"
	"math/rand/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Plots are acts that by chance would seldom meet: each shows what one rule is for.

// maxVillains bounds who can be brought in by plots.
const maxVillains = 10

// act has a villain sign an act that knows of another, and returns its hash, or that of
// the other if it is not admissible.
func (w *world) act(r *rand.Rand, by *villain, auth core.Hash, body log.Body) (core.Hash, error) {
	d, err := w.draft(r, by, core.ChainMembership, past{auth: []core.Hash{auth}})
	if err != nil {
		return auth, err
	}
	d.op(r, body)
	e, err := w.sign(by, d)
	if err != nil || e == nil || w.ledger.entries[e.Hash] == nil {
		return auth, err
	}
	return e.Hash, nil
}

// founded returns the act after which all of the start were members.
func (w *world) founded() core.Hash {
	return w.ledger.chains[core.ChainMembership][w.starters-1].Hash
}

// newest returns the last act that anybody made.
func (w *world) newest() core.Hash {
	known := w.ledger.chains[core.ChainMembership]
	return known[len(known)-1].Hash
}

func bringOwner(peer core.PeerID) log.Body {
	return log.MemberAdd{Peer: peer, Role: log.RoleOwner, Kind: log.KindDevice}
}

// frame is the counter-example of decision 0006: who is removed brings in an accomplice
// who aims at an owner, so that what a newcomer of that owner does has no standing for a
// while. It must get it back.
func (w *world) frame(r *rand.Rand) error {
	if len(w.villains) == 0 || len(w.villains) > 6 {
		return nil
	}
	eve := pick(r, w.villains)
	ann, cid := pick(r, w.sites), pick(r, w.sites)
	mal, dan := w.addVillain(), w.addVillain()
	before := w.founded()
	if err := ann.try(func(ctx context.Context) error { return ann.remove(ctx, eve.peer, false) }); err != nil {
		return err
	}
	added, err := w.act(r, eve, before, bringOwner(mal.peer))
	if err != nil {
		return err
	}
	if _, err := w.act(r, mal, added, log.MemberRemove{Peer: cid.peer}); err != nil {
		return err
	}
	if err := cid.try(func(ctx context.Context) error {
		return cid.AddMember(ctx, w.space, dan.peer, log.RoleOwner, log.KindDevice)
	}); err != nil {
		return err
	}
	_, err = w.act(r, dan, w.newest(), log.MemberRemove{Peer: pick(r, w.sites).peer})
	return err
}

// undermine takes a removal its standing by one of lower rank: the owner who brought its
// author in is removed by somebody who does not know of that. What the removal aimed at
// must count again.
func (w *world) undermine(r *rand.Rand) error {
	if len(w.villains) == 0 || len(w.villains)+2 > maxVillains {
		return nil
	}
	yan := pick(r, w.villains)
	ann, cid := pick(r, w.sites), pick(r, w.sites)
	xen, zoe, mel := w.addVillain(), w.addVillain(), pick(r, w.villains)
	brought, err := w.act(r, yan, w.founded(), bringOwner(xen.peer))
	if err != nil {
		return err
	}
	if err := ann.try(func(ctx context.Context) error {
		return ann.AddMember(ctx, w.space, zoe.peer, log.RoleOwner, log.KindDevice)
	}); err != nil {
		return err
	}
	zoes := w.newest()
	if _, err := w.act(r, xen, brought, log.MemberRemove{Peer: cid.peer}); err != nil {
		return err
	}
	if err := cid.try(func(ctx context.Context) error {
		return cid.AddMember(ctx, w.space, mel.peer, log.RoleEditor, log.KindDevice)
	}); err != nil {
		return err
	}
	_, err = w.act(r, zoe, zoes, log.MemberRemove{Peer: yan.peer})
	return err
}

// demote has two owners lower the role of a third at the same time, to different ones.
func (w *world) demote(r *rand.Rand) error {
	if len(w.villains) < 2 {
		return nil
	}
	one, two := pick(r, w.villains), pick(r, w.villains)
	target, auth := w.pickPeer(r), w.founded()
	if r.IntN(2) == 0 {
		auth = w.newest()
	}
	roles := []log.Role{log.RoleEditor, log.RoleViewer, log.RoleCache}
	r.Shuffle(len(roles), func(i, k int) { roles[i], roles[k] = roles[k], roles[i] })
	for i, by := range []*villain{one, two} {
		if _, err := w.act(r, by, auth, log.MemberRole{Peer: target, Role: roles[i]}); err != nil {
			return err
		}
	}
	return nil
}

// crowd has strangers join by one invite at the same time, more than it allows.
func (w *world) crowd(r *rand.Rand) error {
	if len(w.tickets) == 0 || len(w.villains)+3 > maxVillains {
		return nil
	}
	t := pick(r, w.tickets)
	genesis, err := w.space.Hash()
	if err != nil {
		return err
	}
	for _, e := range w.ledger.chains[core.ChainMembership] {
		for _, op := range e.Ops {
			if b, ok := op.Body.(log.InviteCreate); !ok || b.Invite != t.Invite() {
				continue
			}
			for range 2 + r.IntN(2) {
				v := w.addVillain()
				if _, err := w.act(r, v, e.Hash, log.Redeem(t.Key(), genesis, v.peer, log.KindBot)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return nil
}
