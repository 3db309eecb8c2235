package log

import (
	"cmp"
	"slices"

	"github.com/soma-sdk/soma/internal/mutate"
)

// evaluate computes the state of a set of nodes that holds the past of each. It is
// DESIGN 5, step by step:
//
//	2 order, rank     by lamport and hash; a member ranks by when they were first added
//	3 candidates      what takes away, by (acks, rank of the author, lamport, hash)
//	4 taken           of candidates that conflict, the earlier one
//	5 replay          all other acts in order, but those that a taken one hits
//	6 again           without a candidate that turned out to have no standing
func (g *graph) evaluate(of Region) *State {
	ev := &evaluation{g: g, of: of}
	ev.sort()
	ev.collect()
	for {
		ev.take()
		state, lacking := ev.replay(ev.taken)
		if len(lacking) == 0 || mutate.On(mutate.Dropped) {
			return state
		}
		ev.drop(lacking)
	}
}

// evaluation is the work of evaluate.
type evaluation struct {
	g     *graph
	of    Region
	order []int       // nodes
	rank  map[int]int // by peer: when they were first added

	acts       []int               // in the order of replay
	candidates []candidate         // in the order of DESIGN 5.3
	hits       map[int][]candidate // by act: the candidates that are concurrent with it and aim at it
	tainted    []int               // acts that may have no effect although they were admitted
	taken      map[int]bool
	left       []int // candidates that were not taken so far
}

type candidate struct {
	act  int
	acks int
}

// sort puts the nodes in order: by lamport, which is higher than that of all in the
// past, then by hash. Two entries are in the same order in every set that holds both.
func (ev *evaluation) sort() {
	g := ev.g
	var order []int
	ev.of.all(func(i int) { order = append(order, i) })
	slices.SortFunc(order, g.compare)
	ev.rank = map[int]int{}
	for _, i := range order {
		for a := g.nodes[i].first; a < g.nodes[i].end; a++ {
			ev.acts = append(ev.acts, a)
			act := &g.acts[a]
			if _, ranked := ev.rank[act.target]; !ranked && !mutate.On(mutate.RankSeniority) && (act.kind == OpMemberAdd || act.kind == OpInviteRedeem) {
				ev.rank[act.target] = len(ev.acts)
			}
		}
	}
	ev.order = order
}

// compare orders nodes.
func (g *graph) compare(i, k int) int {
	a, b := &g.nodes[i], &g.nodes[k]
	return cmp.Or(cmp.Compare(a.lamport, b.lamport), compareHashes(a.hash, b.hash))
}

// collect finds the candidates, what each of them hits, and their order.
func (ev *evaluation) collect() {
	ev.hits = map[int][]candidate{}
	for _, i := range ev.acts {
		if !ev.g.acts[i].against {
			continue
		}
		c := candidate{act: i}
		ev.eachAimedAt(i, func(o int) { ev.hits[o] = append(ev.hits[o], c) })
		ev.candidates = append(ev.candidates, c)
	}
	for i := range ev.hits {
		if !ev.g.acts[i].against {
			ev.tainted = append(ev.tainted, i)
		}
	}
	for i := range ev.candidates {
		ev.candidates[i].acks = ev.acks(ev.candidates[i].act)
	}
	slices.SortFunc(ev.candidates, func(x, y candidate) int {
		a, b := &ev.g.acts[x.act], &ev.g.acts[y.act]
		m, n := &ev.g.nodes[a.node], &ev.g.nodes[b.node]
		return cmp.Or(
			cmp.Compare(y.acks, x.acks), cmp.Compare(ev.rank[a.author], ev.rank[b.author]),
			cmp.Compare(m.lamport, n.lamport), compareHashes(m.hash, n.hash), cmp.Compare(a.op, b.op),
		)
	})
	ev.putPastFirst()
}

// putPastFirst moves candidates, where it has to, so that each comes after those in its
// past: whether it has standing depends on what becomes of them.
func (ev *evaluation) putPastFirst() {
	sorted := ev.candidates
	node := func(i int) int { return ev.g.acts[sorted[i].act].node }
	byLamport := make([]int, len(sorted)) // only an earlier one can lie in the past of another
	for i := range byLamport {
		byLamport[i] = i
	}
	slices.SortFunc(byLamport, func(i, k int) int {
		return cmp.Or(cmp.Compare(ev.g.nodes[node(i)].lamport, ev.g.nodes[node(k)].lamport), cmp.Compare(i, k))
	})
	ev.candidates = make([]candidate, 0, len(sorted))
	placed := make([]bool, len(sorted))
	open := 0 // all before it, by lamport, are placed
	var place func(i int)
	place = func(i int) {
		placed[i] = true
		for open < len(byLamport) && placed[byLamport[open]] {
			open++
		}
		var before []int
		for _, k := range byLamport[open:] {
			if ev.g.nodes[node(k)].lamport >= ev.g.nodes[node(i)].lamport {
				break
			}
			if !placed[k] && ev.g.precedes(node(k), node(i)) {
				before = append(before, k)
			}
		}
		slices.Sort(before)
		for _, k := range before {
			if !placed[k] {
				place(k)
			}
		}
		ev.candidates = append(ev.candidates, sorted[i])
	}
	for i := range sorted {
		if !placed[i] {
			place(i)
		}
	}
}

// eachAimedAt calls fn with each act, once, that is concurrent with a candidate
// and at whose author, target or invite it aims.
func (ev *evaluation) eachAimedAt(c int, fn func(o int)) {
	g := ev.g
	r := &g.acts[c]
	var near []int
	if r.target >= 0 {
		near = append(near, g.touches[r.target]...)
	}
	for _, v := range r.ends {
		near = append(near, g.uses[v]...)
	}
	slices.Sort(near)
	for _, o := range slices.Compact(near) {
		a := &g.acts[o]
		if a.against && a.author == r.author { // nobody stands in their own way
			continue
		}
		if ev.of.Has(a.node) && g.concurrent(r.node, a.node) {
			fn(o)
		}
	}
}

// acks counts, for a candidate with rivals, the owners who stood by its author
// and are not part of the quarrel, in the past of all sides. A rival is concurrent,
// by another, and one of the two aims at the author of the other.
func (ev *evaluation) acks(c int) int {
	g := ev.g
	r := &g.acts[c]
	involved := map[int]bool{r.author: true, r.target: true}
	rivals := 0
	common := g.nodes[r.node].past
	note := func(o *act) {
		rivals++
		involved[o.author], involved[o.target] = true, true
		common = common.meet(g.nodes[o.node].past)
	}
	for _, o := range ev.hits[c] {
		if a := &g.acts[o.act]; a.target == r.author && a.author != r.author {
			note(a)
		}
	}
	if r.target >= 0 {
		for _, i := range g.touches[r.target] {
			a := &g.acts[i]
			if a.against && a.author == r.target && a.author != r.author && ev.of.Has(a.node) && g.concurrent(r.node, a.node) {
				note(a)
			}
		}
	}
	if rivals == 0 || mutate.On(mutate.RankAcks) {
		return 0
	}
	by := map[int]bool{}
	for _, i := range g.touches[r.author] {
		a := &g.acts[i]
		if a.kind == OpMemberAck && a.target == r.author && !involved[a.author] && common.Has(a.node) {
			by[a.author] = true
		}
	}
	return len(by)
}

// take walks the candidates and takes each, unless a taken one by another that it
// does not know of aims at its author, or its author has no standing as things are
// by then: one that counts for nothing must not stand in the way of others.
func (ev *evaluation) take() {
	ev.taken = map[int]bool{}
	owned := ev.staysOwned()
	ev.left = nil
	for _, c := range ev.candidates {
		if ev.blocked(c.act) {
			ev.left = append(ev.left, c.act)
			continue
		}
		ev.taken[c.act] = true
		certain := !ev.shaky(c.act) && (owned || ev.g.acts[c.act].target < 0)
		if certain || mutate.On(mutate.Standing) {
			continue
		}
		if _, lacking := ev.replay(ev.taken); slices.Contains(lacking, c.act) {
			delete(ev.taken, c.act)
			ev.left = append(ev.left, c.act)
		}
	}
}

// staysOwned reports whether somebody is certain to stay an owner, whatever is taken:
// then no candidate has to be tried for whether it would remove the last one.
func (ev *evaluation) staysOwned() bool {
	aimedAt := map[int]bool{}
	for _, c := range ev.candidates {
		aimedAt[ev.g.acts[c.act].target] = true
	}
	added := map[int]int{}
	for _, i := range ev.acts {
		if k := ev.g.acts[i].kind; k == OpMemberAdd || k == OpInviteRedeem {
			added[ev.g.acts[i].target]++ // of who is added twice one may change nothing
		}
	}
	return slices.ContainsFunc(ev.acts, func(i int) bool {
		a := &ev.g.acts[i]
		return a.kind == OpMemberAdd && a.role == RoleOwner && added[a.target] == 1 && !aimedAt[a.target] &&
			len(ev.hits[i]) == 0 && !ev.shaky(i)
	})
}

// shaky reports whether something that a candidate builds upon may have no effect.
func (ev *evaluation) shaky(c int) bool {
	before := func(i int) bool { return ev.g.precedes(ev.g.acts[i].node, ev.g.acts[c].node) }
	return slices.ContainsFunc(ev.tainted, before) || slices.ContainsFunc(ev.left, before)
}

func (ev *evaluation) blocked(c int) bool {
	if mutate.On(mutate.Cancelled) {
		return false
	}
	r := &ev.g.acts[c]
	return slices.ContainsFunc(ev.hits[c], func(o candidate) bool {
		a := &ev.g.acts[o.act]
		return ev.taken[o.act] && a.target == r.author && a.author != r.author
	})
}

// hit reports whether a taken candidate hits an act.
func (ev *evaluation) hit(i int, taken map[int]bool) bool {
	if mutate.On(mutate.ConcurrentActs) {
		return false
	}
	return slices.ContainsFunc(ev.hits[i], func(c candidate) bool { return taken[c.act] })
}

// replay applies the acts in order. It returns the taken candidates that lack
// standing, or would remove the last owner.
func (ev *evaluation) replay(taken map[int]bool) (*State, []int) {
	spent := map[int]bool{} // redemptions beyond what their invite allows
	for {
		s, lacking := ev.replayWithout(taken, spent)
		more := ev.overspent(s)
		if len(more) == 0 {
			return s, lacking
		}
		for _, i := range more {
			spent[i] = true
			if !slices.Contains(ev.tainted, i) {
				ev.tainted = append(ev.tainted, i)
			}
		}
	}
}

func (ev *evaluation) replayWithout(taken, spent map[int]bool) (s *State, lacking []int) {
	s = &State{g: ev.g}
	for _, i := range ev.acts {
		a := &ev.g.acts[i]
		switch {
		case a.against && !taken[i], !a.against && ev.hit(i, taken), spent[i]:
			s.ignore(i)
		case !s.stands(a), !s.apply(i):
			s.ignore(i)
			if a.against {
				lacking = append(lacking, i)
			}
		}
	}
	return s, lacking
}

// stands reports whether the effective acts in the past of an act allow it.
func (s *State) stands(a *act) bool {
	if len(s.ignored) == 0 || mutate.On(mutate.EffectiveActs) { // then it has what it was admitted with
		return true
	}
	past := s.g.nodes[a.node].past
	switch a.kind {
	case OpInviteRedeem:
		return s.offers(a.invite, past)
	case OpMemberLeave:
		return s.roleAsOf(a.author, past) != 0
	default:
		// The genesis has no past, and founds the space.
		return past.End == 0 || s.roleAsOf(a.author, past).Has(CapManage)
	}
}

// offers reports whether an invite was made by an effective act in a past, and not
// ended by one.
func (s *State) offers(invite int, past Region) bool {
	effective := func(i int) bool { return !s.ignored[i] && past.Has(s.g.acts[i].node) }
	made := slices.ContainsFunc(s.g.uses[invite], func(i int) bool {
		return s.g.acts[i].kind == OpInviteCreate && effective(i)
	})
	return made && !slices.ContainsFunc(s.g.enders[invite], effective)
}

// overspent returns redemptions beyond the uses of their invites: of those that made
// somebody a member the ones stay that an owner knew of first, then those of lower
// lamport, then of lower hash.
func (ev *evaluation) overspent(s *State) []int {
	var out []int
	s.invites.each(func(_ int, v Invite) {
		if v.Uses >= 0 || mutate.On(mutate.InviteUses) {
			return
		}
		joins := slices.Clone(v.joins)
		seen := map[int]int{}
		for _, i := range joins {
			seen[i] = ev.seenByOwner(ev.g.acts[i].node)
		}
		slices.SortFunc(joins, func(i, k int) int {
			return cmp.Or(cmp.Compare(seen[i], seen[k]), ev.g.compare(ev.g.acts[i].node, ev.g.acts[k].node), cmp.Compare(i, k))
		})
		out = append(out, joins[len(joins)+v.Uses:]...)
	})
	return out
}

// seenByOwner returns where, in the order, the first entry by an owner stands that has
// a node in its past; behind all others if there is none.
func (ev *evaluation) seenByOwner(node int) int {
	for at, i := range ev.order {
		if ev.g.nodes[i].byOwner && ev.g.precedes(node, i) {
			return at
		}
	}
	return len(ev.order)
}

// drop gives up one of some candidates: the last in their order, since what has standing
// while the others count must not fall because of one that counts for less, but none
// before another in its past, which may be why it lacks standing. So an act that knows
// all others changes nothing about them.
func (ev *evaluation) drop(lacking []int) {
	first := slices.DeleteFunc(slices.Clone(lacking), func(i int) bool {
		return slices.ContainsFunc(lacking, func(k int) bool { return ev.g.comesAfter(i, k) })
	})
	for i, c := range slices.Backward(ev.candidates) {
		if slices.Contains(first, c.act) {
			ev.candidates = slices.Delete(ev.candidates, i, i+1)
			ev.tainted = append(ev.tainted, c.act)
			return
		}
	}
}
