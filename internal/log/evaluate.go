package log

import (
	"cmp"
	"slices"

	"github.com/soma-sdk/soma/internal/mutate"
)

// evaluate computes the state of a set of nodes that holds the past of each. It is
// DESIGN 5, step by step, as decision 0006 has it:
//
//	2 order           by lamport and hash
//	3 candidates      entries that take away, by (acks, rank of the author, lamport, hash)
//	4 taken           of candidates that conflict, the earlier one
//	5 replay          all other acts in order, but those that a taken one hits
//	6 again           without candidates that turned out to have no standing, and then
//	                  without redemptions beyond what their invites allow
func (g *graph) evaluate(of Region) *State {
	ev := newEvaluation(g, of)
	for {
		ev.reset()
		state := ev.settle()
		if !ev.spend(state) {
			return state
		}
	}
}

// evaluation is the work of evaluate. What it does is linear in the acts, but for two
// things: each candidate looks at the acts by and about who it aims at, and a candidate
// that is taken after what it hits was looked at has the rest looked at again.
type evaluation struct {
	g     *graph
	of    Region
	order []int // nodes
	at    []int // by node: its place in order

	candidates []candidate // in the order of DESIGN 5.3
	spent      map[int]bool
	dropped    map[int]bool // acts of candidates that turned out to have no standing

	// What follows from the candidates that are taken so far.
	takenOf []takenState  // by candidate
	taken   []bool        // by act
	hit     []bool        // by act: a taken candidate that is concurrent with it aims at it
	stops   map[int][]int // by peer: nodes of taken candidates that aim at them

	// Which acts have effect, good for nodes at places in order before valid.
	effective []bool
	valid     int
	roleTimes []int   // by peer: changes when an act about their role gains or loses effect
	roles     []known // by place in order: the author's role
}

// candidate is the acts of an entry that take something away: all leaves in it, or all
// others.
type candidate struct {
	node  int
	leave bool
	acks  int
	rank  int // act by which the author became a member, as all sides know it
}

type takenState uint8

const (
	left     takenState = iota // it, or what it needs, is stopped
	takenHit                   // taken
	takenMum                   // a leave that others got ahead of: it counts, and hits nothing
)

// known is a role, and when that was.
type known struct {
	time int
	role Role
}

func newEvaluation(g *graph, of Region) *evaluation {
	acts := 0
	if of.End > 0 {
		acts = g.nodes[of.End-1].end
	}
	ev := &evaluation{
		g: g, of: of, at: make([]int, of.End), spent: map[int]bool{}, dropped: map[int]bool{},
		taken: make([]bool, acts), hit: make([]bool, acts), effective: make([]bool, acts),
		roleTimes: make([]int, len(g.peerIDs)),
	}
	for _, i := range g.order {
		if of.Has(i) {
			ev.at[i] = len(ev.order)
			ev.order = append(ev.order, i)
		}
	}
	ev.roles = make([]known, len(ev.order))
	ev.collect()
	return ev
}

// collect finds the candidates and their order.
func (ev *evaluation) collect() {
	g := ev.g
	for _, n := range ev.order {
		var leaves, others bool
		for i := g.nodes[n].first; i < g.nodes[n].end; i++ {
			if a := &g.acts[i]; a.against {
				leaves, others = leaves || a.kind == OpMemberLeave, others || a.kind != OpMemberLeave
			}
		}
		if others {
			ev.candidates = append(ev.candidates, ev.candidate(n))
		}
		if leaves {
			ev.candidates = append(ev.candidates, candidate{node: n, leave: true})
		}
	}
	slices.SortStableFunc(ev.candidates, func(a, b candidate) int {
		if a.leave || b.leave { // leaves last: whoever takes their author out comes first
			return cmp.Or(boolCompare(a.leave, b.leave), g.compare(a.node, b.node))
		}
		return cmp.Or(cmp.Compare(b.acks, a.acks), ev.compareRanks(a.rank, b.rank), g.compare(a.node, b.node))
	})
	ev.putPastFirst()
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (ev *evaluation) compareRanks(i, k int) int {
	if i == k || mutate.On(mutate.RankSeniority) {
		return 0
	}
	return ev.g.compareActs(i, k)
}

// candidate ranks the acts of an entry that take away, but leaves. Of acks those count
// that lie in its past and in that of all its rivals, and are by nobody of either side.
// The rank is by when the author became a member, as the rivals know it too: by what was
// made behind their backs nobody gets ahead of them.
func (ev *evaluation) candidate(n int) candidate {
	g := ev.g
	author := g.nodes[n].author
	rivals := ev.rivals(n)
	c := candidate{node: n, rank: ev.rank(author, n, rivals)}
	if len(rivals) == 0 || len(g.acked[author]) == 0 || mutate.On(mutate.RankAcks) {
		return c
	}
	involved := map[int]bool{}
	for _, r := range append(rivals, n) {
		for i := g.nodes[r].first; i < g.nodes[r].end; i++ {
			if a := &g.acts[i]; a.against && a.kind != OpMemberLeave {
				involved[a.author], involved[a.target] = true, true
			}
		}
	}
	by := map[int]bool{}
	for _, i := range g.acked[author] {
		a := &g.acts[i]
		if involved[a.author] || by[a.author] || !g.precedes(a.node, n) {
			continue
		}
		by[a.author] = !slices.ContainsFunc(rivals, func(r int) bool { return !g.precedes(a.node, r) })
	}
	for _, counts := range by {
		if counts {
			c.acks++
		}
	}
	return c
}

// rivals returns the nodes that are concurrent with one, by another, and one of the two
// aims at the author of the other.
func (ev *evaluation) rivals(n int) (rivals []int) {
	g := ev.g
	author := g.nodes[n].author
	note := func(nodes []int) {
		for _, r := range nodes {
			if g.nodes[r].author != author && ev.of.Has(r) && ev.beside(n, r) {
				rivals = append(rivals, r)
			}
		}
	}
	note(g.aimed[author])
	aims := map[int]bool{}
	for i := g.nodes[n].first; i < g.nodes[n].end; i++ {
		if a := &g.acts[i]; a.against && a.target >= 0 && a.target != author && !aims[a.target] {
			aims[a.target] = true
			note(g.aiming[a.target])
		}
	}
	slices.Sort(rivals)
	return slices.Compact(rivals)
}

// rank returns the act by which a peer became a member, as a node and its rivals know it:
// the last of those that are the first for it and one of them.
func (ev *evaluation) rank(peer, n int, rivals []int) int {
	g := ev.g
	first := func(in ...int) int {
		at := slices.IndexFunc(g.added[peer], func(i int) bool {
			return !slices.ContainsFunc(in, func(k int) bool { return !g.precedes(g.acts[i].node, k) })
		})
		if at < 0 {
			return -1
		}
		return g.added[peer][at]
	}
	rank := first(n)
	if len(g.added[peer]) == 1 {
		return rank
	}
	for _, r := range rivals {
		if i := first(n, r); i >= 0 && g.compareActs(rank, i) < 0 {
			rank = i
		}
	}
	return rank
}

// beside reports whether two nodes are concurrent. It is quick for one that is asked
// about often.
func (ev *evaluation) beside(n, other int) bool {
	if b := ev.g.besides(n); b != nil {
		return b.has(other)
	}
	return ev.g.concurrent(n, other)
}

// putPastFirst moves candidates, where it has to, so that each comes after those in its
// past: whether it has standing depends on what becomes of them.
func (ev *evaluation) putPastFirst() {
	sorted := ev.candidates
	open := newBitset(ev.of.End) // nodes that are not placed
	of := make(map[int][]int, len(sorted))
	for i, c := range sorted {
		open.add(c.node)
		of[c.node] = append(of[c.node], i)
	}
	ev.candidates = make([]candidate, 0, len(sorted))
	placed := make([]bool, len(sorted))
	var place func(i int)
	place = func(i int) {
		n := sorted[i].node
		placed[i] = true
		var before []int
		open.within(ev.g.nodes[n].past, func(k int) bool {
			before = append(before, of[k]...)
			return true
		})
		slices.Sort(before)
		for _, k := range before {
			if !placed[k] {
				place(k)
			}
		}
		ev.candidates = append(ev.candidates, sorted[i])
		if !slices.ContainsFunc(of[n], func(k int) bool { return !placed[k] }) {
			open.remove(n)
		}
	}
	for i := range sorted {
		if !placed[i] {
			place(i)
		}
	}
}

// settle walks the candidates, and again without those that turn out to have no standing
// once all others are there, until there are no such.
func (ev *evaluation) settle() *State {
	from := 0
	for {
		ev.take(from)
		state, lacking := ev.replay()
		if len(lacking) == 0 || mutate.On(mutate.Dropped) {
			return state
		}
		from = ev.drop(lacking)
	}
}

// reset begins anew, but for the redemptions that are spent.
func (ev *evaluation) reset() {
	clear(ev.dropped)
	ev.takenOf = make([]takenState, len(ev.candidates))
}

// take walks the candidates from one on, the others stay as they are. It takes each,
// unless a taken one by another that it does not know of aims at its author, or its
// author has no standing as things are by then: one that counts for nothing must not
// stand in the way of others.
func (ev *evaluation) take(from int) {
	clear(ev.takenOf[from:])
	ev.enact()
	for i := from; i < len(ev.candidates); i++ {
		c := &ev.candidates[i]
		state := takenHit
		if ev.blocked(c.node) {
			if !c.leave {
				continue
			}
			state = takenMum
		}
		if !mutate.On(mutate.Standing) {
			ev.run(ev.at[c.node])
			if !ev.stands(c.node, ev.firstOf(c)) {
				continue
			}
		}
		ev.takenOf[i] = state
		ev.enactOne(i)
	}
}

// enact works out from the beginning what the taken candidates do.
func (ev *evaluation) enact() {
	clear(ev.taken)
	clear(ev.hit)
	ev.stops = map[int][]int{}
	ev.valid = 0
	for i, state := range ev.takenOf {
		if state != left {
			ev.enactOne(i)
		}
	}
}

// enactOne works out what one more taken candidate does.
func (ev *evaluation) enactOne(c int) {
	g := ev.g
	n := ev.candidates[c].node
	ev.valid = min(ev.valid, ev.at[n])
	targets, invites := map[int]bool{}, map[int]bool{}
	ev.each(&ev.candidates[c], func(i int) {
		a := &g.acts[i]
		ev.taken[i] = true
		if ev.takenOf[c] == takenMum {
			return
		}
		if a.target >= 0 && !targets[a.target] {
			targets[a.target] = true
			ev.hits(n, g.touches[a.target])
			ev.stops[a.target] = append(ev.stops[a.target], n)
		}
		for _, v := range a.ends {
			if !invites[v] {
				invites[v] = true
				ev.hits(n, g.uses[v])
			}
		}
	})
}

// hits notes that a node hits those of some acts that are concurrent with it.
func (ev *evaluation) hits(n int, acts []int) {
	if mutate.On(mutate.ConcurrentActs) {
		return
	}
	for _, i := range acts {
		a := &ev.g.acts[i]
		if i < len(ev.hit) && !a.against && !ev.hit[i] && ev.of.Has(a.node) && ev.beside(n, a.node) {
			ev.hit[i] = true
			ev.valid = min(ev.valid, ev.at[a.node])
		}
	}
}

// each calls fn with the acts of a candidate that are not dropped.
func (ev *evaluation) each(c *candidate, fn func(i int)) {
	for i := ev.g.nodes[c.node].first; i < ev.g.nodes[c.node].end; i++ {
		if a := &ev.g.acts[i]; a.against && (a.kind == OpMemberLeave) == c.leave && !ev.dropped[i] {
			fn(i)
		}
	}
}

// firstOf returns the first act of a candidate.
func (ev *evaluation) firstOf(c *candidate) int {
	i := ev.g.nodes[c.node].first
	for a := &ev.g.acts[i]; !a.against || (a.kind == OpMemberLeave) != c.leave; a = &ev.g.acts[i] {
		i++
	}
	return i
}

// blocked reports whether a taken candidate by another aims at the author of a node that
// is concurrent with it.
func (ev *evaluation) blocked(n int) bool {
	author := ev.g.nodes[n].author
	return !mutate.On(mutate.Cancelled) && slices.ContainsFunc(ev.stops[author], func(r int) bool {
		return ev.g.nodes[r].author != author && ev.beside(r, n)
	})
}

// run makes effective good for the nodes before a place in the order.
func (ev *evaluation) run(end int) {
	g := ev.g
	for ; ev.valid < end; ev.valid++ {
		n := ev.order[ev.valid]
		for i := g.nodes[n].first; i < g.nodes[n].end; i++ {
			a := &g.acts[i]
			effective := !ev.spent[i] && ev.taken[i] == a.against && !ev.hit[i] && ev.stands(n, i)
			if effective != ev.effective[i] {
				ev.effective[i] = effective
				if a.changesRole() {
					ev.roleTimes[a.target]++
				}
			}
		}
	}
}

// stands reports whether the effective acts in the past of a node allow one of its acts.
func (ev *evaluation) stands(n, i int) bool {
	past := ev.g.nodes[n].past
	if past.End == 0 || mutate.On(mutate.EffectiveActs) { // the genesis founds the space
		return true
	}
	switch a := &ev.g.acts[i]; a.kind {
	case OpInviteRedeem:
		return ev.offers(a.invite, past)
	case OpMemberLeave:
		return ev.role(n) != 0
	default:
		return ev.role(n).Has(CapManage)
	}
}

// role returns the role that the effective acts in its past give to the author of a node.
func (ev *evaluation) role(n int) Role {
	author := ev.g.nodes[n].author
	k := &ev.roles[ev.at[n]]
	if now := ev.roleTimes[author] + 1; k.time != now {
		*k = known{now, ev.g.roleAsOf(author, ev.g.nodes[n].past, func(i int) bool { return ev.effective[i] })}
	}
	return k.role
}

// offers reports whether an invite was made by an effective act in a past, and not
// ended by one.
func (ev *evaluation) offers(invite int, past Region) bool {
	g := ev.g
	made := slices.ContainsFunc(g.made[invite], func(i int) bool {
		return past.Has(g.acts[i].node) && ev.effective[i]
	})
	return made && !slices.ContainsFunc(g.enders[invite], func(n int) bool {
		if !past.Has(n) {
			return false
		}
		for i := g.nodes[n].first; i < g.nodes[n].end; i++ {
			if ev.effective[i] && slices.Contains(g.acts[i].ends, invite) {
				return true
			}
		}
		return false
	})
}

// replay applies the acts in order. It returns the taken ones that lack standing, or
// would remove the last owner.
func (ev *evaluation) replay() (s *State, lacking []int) {
	ev.run(len(ev.order))
	s = &State{g: ev.g, ended: map[ending]bool{}, whole: true}
	for _, n := range ev.order {
		for i := ev.g.nodes[n].first; i < ev.g.nodes[n].end; i++ {
			if ev.effective[i] && s.apply(i) {
				continue
			}
			s.ignore(i)
			if ev.taken[i] {
				lacking = append(lacking, i)
			}
		}
	}
	s.ended, s.whole = nil, false
	return s, lacking
}

// drop gives up some of the taken acts that lack standing, and returns the first candidate
// that has to be walked again. None is given up before another in its past, which may be
// why it lacks standing: so an act that knows all others changes nothing about them. Of
// the rest, those go that have none either while none that lacks it counts; else that of
// the last entry in the order of candidates, since what has standing while the others
// count must not fall because of one that counts for less.
func (ev *evaluation) drop(lacking []int) int {
	first := ev.earliest(lacking)
	for _, i := range lacking {
		ev.dropped[i] = true
	}
	ev.enact()
	ev.run(len(ev.order))
	for _, i := range lacking {
		delete(ev.dropped, i)
	}
	gone := slices.DeleteFunc(slices.Clone(first), func(i int) bool { return ev.stands(ev.g.acts[i].node, i) })
	if len(gone) == 0 {
		gone = ev.lastOf(first)
	}
	of := map[candidate]bool{}
	for _, i := range gone {
		ev.dropped[i] = true
		of[ev.key(i)] = true
	}
	return slices.IndexFunc(ev.candidates, func(c candidate) bool { return of[candidate{node: c.node, leave: c.leave}] })
}

// earliest returns those of some acts that have none of the others in their past.
func (ev *evaluation) earliest(acts []int) []int {
	nodes := newBitset(ev.of.End)
	for _, i := range acts {
		nodes.add(ev.g.acts[i].node)
	}
	return slices.DeleteFunc(slices.Clone(acts), func(i int) bool { return nodes.meets(ev.g.nodes[ev.g.acts[i].node].past) })
}

// key returns the node and the kind of the candidate that an act is of.
func (ev *evaluation) key(i int) candidate {
	a := &ev.g.acts[i]
	return candidate{node: a.node, leave: a.kind == OpMemberLeave}
}

// lastOf returns those of some acts that are of the last candidate.
func (ev *evaluation) lastOf(acts []int) []int {
	keys := map[candidate]bool{}
	for _, i := range acts {
		keys[ev.key(i)] = true
	}
	for _, c := range slices.Backward(ev.candidates) {
		if last := (candidate{node: c.node, leave: c.leave}); keys[last] {
			return slices.DeleteFunc(slices.Clone(acts), func(i int) bool { return ev.key(i) != last })
		}
	}
	return nil
}

// spend notes redemptions beyond the uses of their invites, and reports whether there
// are any: of those that made somebody a member the ones stay that an owner knew of
// first, then those of lower lamport, then of lower hash. None is noted before another
// in its past, which may be why it is beyond.
func (ev *evaluation) spend(s *State) bool {
	var over []int
	s.invites.each(func(_ int, v Invite) {
		if v.Uses >= 0 || mutate.On(mutate.InviteUses) {
			return
		}
		joins := slices.Clone(v.joins)
		seen := ev.seen(joins)
		slices.SortFunc(joins, func(i, k int) int {
			return cmp.Or(cmp.Compare(seen[i], seen[k]), ev.g.compareActs(i, k))
		})
		over = append(over, joins[len(joins)+v.Uses:]...)
	})
	for _, i := range ev.earliest(over) {
		ev.spent[i] = true
	}
	return len(over) > 0
}

// seen returns where, in the order, the first entry by an owner stands that has an act in
// its past; behind all others if there is none. The owner must have been one by effect,
// and nobody may have taken that from them in an act that the entry does not know of: or
// a former owner could, at any time, have known of somebody first.
func (ev *evaluation) seen(acts []int) map[int]int {
	seen := make(map[int]int, len(acts))
	for _, i := range acts {
		seen[i] = len(ev.order)
	}
	open := slices.Clone(acts)
	for at, n := range ev.order {
		if len(open) == 0 {
			break
		}
		if !ev.g.nodes[n].byOwner || !ev.owned(n) {
			continue
		}
		open = slices.DeleteFunc(open, func(i int) bool {
			if !ev.g.precedes(ev.g.acts[i].node, n) {
				return false
			}
			seen[i] = at
			return true
		})
	}
	return seen
}

// owned reports whether a node is by somebody who was an owner by effect then.
func (ev *evaluation) owned(n int) bool {
	if mutate.On(mutate.SeenByOwners) {
		return true
	}
	author := ev.g.nodes[n].author
	if slices.ContainsFunc(ev.stops[author], func(r int) bool { return ev.beside(r, n) }) {
		return false
	}
	return ev.role(n) == RoleOwner
}
