package log

import (
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// State is who may do what, as a function of a set of membership entries that
// holds the past of each: DESIGN 5.2 to 5.6. It does not change. It is for the
// goroutine of the Authority that it is of.
type State struct {
	g       *graph
	members layered[Member]
	invites layered[Invite]
	owners  int
	cuts    []*Cut // in the order of replay
	ignored map[int]bool
	ended   map[ending]bool             // while it is made
	whole   bool                        // while it is made: it builds upon no other
	byPeer  map[core.PeerID][]*Cut      // made when it is asked for
	byHead  map[core.Hash][]core.PeerID // the same
}

// ending is what an entry takes from a member, invites too. Many acts may say the same.
type ending struct{ node, target int }

// Member is a member of a space.
type Member struct {
	Peer  core.PeerID
	Role  Role
	Kind  Kind
	By    core.PeerID // who added them, or made the invite that they came by
	Since core.Hash   // the entry that made them a member
}

// Invite is an invite that can be used, or could be once.
type Invite struct {
	ID        core.InviteID
	Role      Role
	By        core.PeerID
	Uses      int // left
	ExpiresMs uint64
	Revoked   bool

	joins []int // the acts by which somebody became a member
}

func (v Invite) made() bool { return v.ID != core.InviteID{} }

// Open reports whether somebody can still join by the invite, clocks aside.
func (v Invite) Open() bool { return !v.Revoked && v.Uses > 0 }

// Cut is an act that took a role, or part of it, from a member.
type Cut struct {
	Entry core.Hash
	Op    int
	By    core.PeerID
	Peer  core.PeerID
	Role  Role // that is left, 0 for none
	Purge bool
	Heads []CutHead

	node     int
	byWriter map[core.WriterID][]CutHead // Heads, once asked for
}

// Member returns a member of the space.
func (s *State) Member(peer core.PeerID) (Member, bool) {
	p, ok := s.g.peers[peer]
	if !ok {
		return Member{}, false
	}
	m, ok := s.members.get(p)
	return m, ok && m.Role != 0
}

// Role returns the peer's role, or 0 for one who is not a member.
func (s *State) Role(peer core.PeerID) Role {
	m, _ := s.Member(peer)
	return m.Role
}

func (s *State) role(peer int) Role {
	m, _ := s.members.get(peer)
	return m.Role
}

// Allows reports whether the peer has the capability.
func (s *State) Allows(peer core.PeerID, c Capability) bool { return s.Role(peer).Has(c) }

// Members returns all members, in order of their keys.
func (s *State) Members() []Member {
	var all []Member
	s.members.each(func(_ int, m Member) {
		if m.Role != 0 {
			all = append(all, m)
		}
	})
	slices.SortFunc(all, func(a, b Member) int { return a.Peer.Compare(b.Peer) })
	return all
}

// Owners returns the number of owners.
func (s *State) Owners() int { return s.owners }

// Invite returns an invite that was made.
func (s *State) Invite(id core.InviteID) (Invite, bool) {
	i, ok := s.g.invites[id]
	if !ok {
		return Invite{}, false
	}
	v, _ := s.invites.get(i)
	return v, v.made()
}

// Invites returns the invites that can be used, in order of their IDs.
func (s *State) Invites() []Invite {
	var all []Invite
	s.invites.each(func(_ int, v Invite) {
		if v.Open() {
			all = append(all, v)
		}
	})
	slices.SortFunc(all, func(a, b Invite) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all
}

// Cuts returns the cuts in force. The slice is only read.
func (s *State) Cuts() []*Cut { return s.cuts }

// Ignored names the acts that have no effect although they were admitted, as an
// entry and the position of an op in it.
func (s *State) Ignored() map[Act]bool {
	out := make(map[Act]bool, len(s.ignored))
	for i := range s.ignored {
		a := &s.g.acts[i]
		out[Act{s.g.nodes[a.node].hash, a.op}] = true
	}
	return out
}

// Act names an op of an entry.
type Act struct {
	Entry core.Hash
	Op    int
}

// roleAsOf returns the role that the effective acts in a past give to a peer.
func (s *State) roleAsOf(peer int, past Region) Role {
	return s.g.roleAsOf(peer, past, func(i int) bool { return !s.ignored[i] })
}

// roleAsOf returns the role that those acts in a past give to a peer that have effect.
func (g *graph) roleAsOf(peer int, past Region, effective func(i int) bool) Role {
	var role Role
	for _, i := range g.about[peer] {
		if a := &g.acts[i]; past.Has(a.node) && effective(i) {
			role = a.changed(role)
		}
	}
	return role
}

// changed returns the role that an act makes of its target's.
func (a *act) changed(role Role) Role {
	switch a.kind {
	case OpMemberAdd, OpInviteRedeem:
		if role == 0 || mutate.On(mutate.NoOpAdds) {
			return a.role
		}
	case OpMemberRole:
		if role == 0 {
			return role
		}
		// What takes away never gives, and what does not never takes away.
		if a.against != role.Exceeds(a.role) && !mutate.On(mutate.NeverRaises) {
			return role
		}
		return a.role
	case OpMemberRemove, OpMemberLeave:
		return 0
	default:
	}
	return role
}

// apply makes the effect of an act that has standing, and reports false, changing
// nothing, if it would leave no owner.
func (s *State) apply(i int) bool {
	a := &s.g.acts[i]
	switch a.kind {
	case OpInviteCreate:
		if v, _ := s.invites.get(a.invite); !v.made() {
			s.invites.set(a.invite, Invite{
				ID: s.g.inviteIDs[a.invite], Role: a.role, By: s.g.peerIDs[a.author],
				Uses: a.uses, ExpiresMs: a.expires, Revoked: v.Revoked,
			})
		}
	case OpInviteRevoke:
		s.end(a.ends)
	case OpMemberAck:
	default:
		return s.changeRole(i, a)
	}
	return true
}

func (s *State) changeRole(i int, a *act) bool {
	m, _ := s.members.get(a.target)
	was := m.Role
	m.Role = a.changed(was)
	switch {
	case was == RoleOwner && m.Role != RoleOwner && s.owners == 1 && !mutate.On(mutate.LastOwner):
		return false
	case was == RoleOwner && m.Role != RoleOwner:
		s.owners--
	case was != RoleOwner && m.Role == RoleOwner:
		s.owners++
	}
	if was == 0 && m.Role != 0 {
		m.Peer, m.Kind, m.By, m.Since = s.g.peerIDs[a.target], a.is, s.g.peerIDs[a.author], s.g.nodes[a.node].hash
	}
	if a.kind == OpInviteRedeem && was == 0 {
		v, _ := s.invites.get(a.invite)
		v.Uses--
		if !s.whole {
			v.joins = slices.Clip(v.joins)
		}
		v.joins = append(v.joins, i)
		s.invites.set(a.invite, v)
		m.By = v.By
	}
	if m.Role != was {
		s.members.set(a.target, m)
	}
	if a.against {
		if of := (ending{a.node, a.target}); !s.ended[of] || a.kind == OpMemberLeave {
			s.end(a.ends)
			if s.ended != nil {
				s.ended[of] = true
			}
		}
		s.cuts = append(s.cuts, &Cut{
			Entry: s.g.nodes[a.node].hash, Op: a.op, By: s.g.peerIDs[a.author], Peer: s.g.peerIDs[a.target],
			Role: a.role, Purge: a.purge, Heads: a.cut, node: a.node,
		})
	}
	return true
}

// end revokes invites, for ever: also those that are not made yet.
func (s *State) end(invites []int) {
	for _, i := range invites {
		if v, _ := s.invites.get(i); !v.Revoked {
			v.Revoked = true
			s.invites.set(i, v)
		}
	}
}

// ignore notes that an act has no effect.
func (s *State) ignore(i int) {
	if s.ignored == nil {
		s.ignored = map[int]bool{}
	}
	s.ignored[i] = true
}

// extended returns the state after one more node, which has all of s in its past.
// Nothing is concurrent with it, so all that holds in s holds after it, and its
// own acts have the standing that they were admitted with.
func (s *State) extended(n int) *State {
	next := &State{
		g: s.g, owners: s.owners, ended: map[ending]bool{},
		members: s.members.over(), invites: s.invites.over(), cuts: slices.Clip(s.cuts), ignored: s.ignored,
	}
	own := false
	for i := s.g.nodes[n].first; i < s.g.nodes[n].end; i++ {
		if next.apply(i) {
			continue
		}
		if !own {
			next.ignored, own = maps.Clone(next.ignored), true
		}
		next.ignore(i)
	}
	next.ended = nil
	return next
}

// layered is a map that can be built upon without copying it: what is below a
// layer does not change any more.
type layered[V any] struct {
	top   map[int]V
	below *layered[V]
	depth int
}

// maxLayers bounds how many maps a look-up may have to try.
const maxLayers = 32

func (l *layered[V]) get(key int) (V, bool) {
	for ; l != nil; l = l.below {
		if v, ok := l.top[key]; ok {
			return v, true
		}
	}
	var none V
	return none, false
}

func (l *layered[V]) set(key int, v V) {
	if l.top == nil {
		l.top = map[int]V{}
	}
	l.top[key] = v
}

// over returns a new layer over l.
func (l *layered[V]) over() layered[V] {
	switch {
	case l.top == nil && l.below == nil:
		return layered[V]{}
	case l.top == nil:
		return layered[V]{below: l.below, depth: l.depth}
	case l.depth < maxLayers:
		return layered[V]{below: l, depth: l.depth + 1}
	}
	flat := &layered[V]{top: map[int]V{}}
	l.each(func(key int, v V) { flat.top[key] = v })
	return layered[V]{below: flat, depth: 1}
}

// each calls fn with every key once, in any order.
func (l *layered[V]) each(fn func(key int, v V)) {
	seen := map[int]bool{}
	for ; l != nil; l = l.below {
		for key, v := range l.top {
			if !seen[key] {
				seen[key] = true
				fn(key, v)
			}
		}
	}
}
