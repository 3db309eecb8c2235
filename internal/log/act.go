package log

import (
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// act is one op of a membership entry, as evaluation sees it. Peers and invites
// are numbers of the graph.
type act struct {
	node   int
	op     int // position in its entry
	kind   OpNumber
	author int
	target int // the peer it is about, -1 for none
	invite int // the invite that it names, -1 for none

	role    Role // of adds, role changes, invites, and redemptions
	is      Kind // of adds and redemptions
	uses    int  // of new invites
	expires uint64
	cut     []CutHead
	purge   bool

	// What follows from the past of the act alone.
	against bool  // it takes something away: a candidate of DESIGN 5.3
	ends    []int // invites that it ends: those its target made, or came by
}

// actsOf returns the acts of an entry whose past evaluates to state.
func (g *graph) actsOf(e *Entry, at int, past Region, state *State) []act {
	acts := make([]act, 0, len(e.Ops))
	author := g.peer(e.Peer)
	for i, op := range e.Ops {
		a := act{node: at, op: i, kind: op.Body.Number(), author: author, target: -1, invite: -1}
		switch b := op.Body.(type) {
		case MemberAdd:
			a.target, a.role, a.is = g.peer(b.Peer), b.Role, b.Kind
		case MemberRole:
			a.target, a.role, a.cut = g.peer(b.Peer), b.Role, b.Cut
			a.against = state.role(a.target).Exceeds(b.Role)
		case MemberRemove:
			a.target, a.cut, a.purge, a.against = g.peer(b.Peer), b.Cut, b.Purge, true
			a.ends = endsOf(acts, a, func() []int { return g.invitesOf(a.target, past, OpInviteCreate, OpInviteRedeem) })
		case MemberLeave:
			a.target, a.cut, a.against = author, b.Cut, true
			a.ends = endsOf(acts, a, func() []int { return g.invitesOf(author, past, OpInviteCreate) })
		case MemberAck:
			a.target = g.peer(b.Peer)
		case InviteCreate:
			a.invite, a.role, a.uses, a.expires = g.invite(b.Invite), b.Role, int(b.Uses), b.ExpiresMs
		case InviteRevoke:
			a.invite, a.against = g.invite(b.Invite), true
			if !mutate.On(mutate.InviteRevoke) {
				a.ends = []int{a.invite}
			}
		case InviteRedeem:
			a.target, a.invite, a.is = author, g.invite(b.Invite), b.Kind
			v, _ := state.invites.get(a.invite)
			a.role = v.Role
		}
		acts = append(acts, a)
	}
	return acts
}

// endsOf returns the invites that an act ends: the same slice as for one of the acts
// before it in its entry that is like it, so that many such take no more than one.
func endsOf(before []act, a act, find func() []int) []int {
	for i := range before {
		if b := &before[i]; b.kind == a.kind && b.target == a.target {
			return b.ends
		}
	}
	return find()
}

// invitesOf returns the invites that a peer made, or came by, in a past.
func (g *graph) invitesOf(peer int, past Region, kinds ...OpNumber) []int {
	var ends []int
	if mutate.On(mutate.RemovalEnds) {
		return ends
	}
	for _, i := range g.invited[peer] {
		if a := &g.acts[i]; slices.Contains(kinds, a.kind) && past.Has(a.node) {
			ends = append(ends, a.invite)
		}
	}
	slices.Sort(ends)
	return slices.Compact(ends)
}

// changesRole reports whether an act may change the role of its target.
func (a *act) changesRole() bool {
	switch a.kind {
	case OpMemberAdd, OpMemberRole, OpMemberRemove, OpMemberLeave, OpInviteRedeem:
		return true
	default:
		return false
	}
}

// append adds a node and its acts.
func (g *graph) append(e *Entry, parents []core.Hash, past Region, state *State) {
	at := len(g.nodes)
	n := node{
		hash: e.Hash, author: g.peer(e.Peer), byOwner: state.Role(e.Peer) == RoleOwner,
		lamport: e.Lamport, past: past, first: len(g.acts),
	}
	for _, hash := range parents {
		n.parents = append(n.parents, g.index[hash])
	}
	g.acts = append(g.acts, g.actsOf(e, at, past, state)...)
	n.end = len(g.acts)
	g.nodes = append(g.nodes, n)
	g.index[e.Hash] = at
	where, _ := slices.BinarySearchFunc(g.order, at, g.compare)
	g.order = slices.Insert(g.order, where, at)
	for i := n.first; i < n.end; i++ {
		g.note(i)
	}
}

// note puts an act into the lists of what it is by and about.
func (g *graph) note(i int) {
	a := &g.acts[i]
	g.touches[a.author] = append(g.touches[a.author], i)
	if a.target >= 0 {
		if a.target != a.author {
			g.touches[a.target] = append(g.touches[a.target], i)
		}
		if a.changesRole() {
			g.about[a.target] = g.insert(g.about[a.target], i)
		}
		if a.adds() {
			g.added[a.target] = g.insert(g.added[a.target], i)
		}
		if a.kind == OpMemberAck {
			g.acked[a.target] = append(g.acked[a.target], i)
		}
		if a.against && a.kind != OpMemberLeave {
			g.aimed[a.target] = appendOnce(g.aimed[a.target], a.node)
		}
	}
	if a.against && a.kind != OpMemberLeave {
		g.aiming[a.author] = appendOnce(g.aiming[a.author], a.node)
	}
	if a.invite >= 0 {
		g.uses[a.invite] = append(g.uses[a.invite], i)
		if a.kind == OpInviteCreate {
			g.made[a.invite] = append(g.made[a.invite], i)
		}
		if a.kind == OpInviteCreate || a.kind == OpInviteRedeem {
			g.invited[a.author] = append(g.invited[a.author], i)
		}
	}
	for _, v := range a.ends {
		g.enders[v] = appendOnce(g.enders[v], a.node)
	}
}

// insert puts an act into a list in the order of replay.
func (g *graph) insert(list []int, i int) []int {
	at, _ := slices.BinarySearchFunc(list, i, g.compareActs)
	return slices.Insert(list, at, i)
}

// appendOnce adds the newest node to a list of nodes.
func appendOnce(list []int, node int) []int {
	if n := len(list); n > 0 && list[n-1] == node {
		return list
	}
	return append(list, node)
}

// adds reports whether an act can make its target a member.
func (a *act) adds() bool { return a.kind == OpMemberAdd || a.kind == OpInviteRedeem }
