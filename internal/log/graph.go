package log

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/soma-sdk/soma/internal/core"
)

// graph is the membership entries of a space, each after its past. What it says
// does not depend on which of several possible orders that is.
type graph struct {
	nodes []node
	index map[core.Hash]int
	acts  []act // of all nodes, node after node

	peers   map[core.PeerID]int // interned: evaluation works on small numbers
	peerIDs []core.PeerID
	touches [][]int // by peer: acts by or about them, ascending
	about   [][]int // by peer: acts that may change their role, ascending

	invites   map[core.InviteID]int
	inviteIDs []core.InviteID
	uses      [][]int // by invite: acts that name it, ascending
	enders    [][]int // by invite: acts that end it, ascending
}

// node is a membership entry.
type node struct {
	hash    core.Hash
	author  int
	byOwner bool // its author was one
	lamport uint64
	parents []int
	past    region // what lies before it
	first   int    // its acts are acts[first:end]
	end     int
}

func newGraph() *graph {
	return &graph{
		index: map[core.Hash]int{}, peers: map[core.PeerID]int{}, invites: map[core.InviteID]int{},
	}
}

// region is a set of nodes that holds the past of each: those below end, but
// for the gaps. Histories that run in parallel for a while and join again leave
// none, so it is small where a list of members or a bitmap would not be.
type region struct {
	end  int
	gaps []span
}

// span is the nodes from first up to, and without, end.
type span struct{ first, end int }

func (r region) has(i int) bool {
	if i >= r.end {
		return false
	}
	at := sort.Search(len(r.gaps), func(k int) bool { return r.gaps[k].end > i })
	return at == len(r.gaps) || r.gaps[at].first > i
}

// whole reports whether the region is all nodes below its end.
func (r region) whole() bool { return len(r.gaps) == 0 }

// all calls fn with the nodes of the region, ascending.
func (r region) all(fn func(i int)) {
	at := 0
	for _, g := range r.gaps {
		for ; at < g.first; at++ {
			fn(at)
		}
		at = g.end
	}
	for ; at < r.end; at++ {
		fn(at)
	}
}

// join returns the union of two regions.
func (r region) join(o region) region {
	if r.end > o.end {
		r, o = o, r
	}
	// What r lacks, up to the end of o, cut with what o lacks.
	lacks := slices.Clone(r.gaps)
	if o.end > r.end {
		if n := len(lacks); n > 0 && lacks[n-1].end == r.end {
			lacks[n-1].end = o.end
		} else {
			lacks = append(lacks, span{r.end, o.end})
		}
	}
	out := region{end: o.end}
	for i, k := 0, 0; i < len(lacks) && k < len(o.gaps); {
		a, b := lacks[i], o.gaps[k]
		if first, end := max(a.first, b.first), min(a.end, b.end); first < end {
			out.gaps = append(out.gaps, span{first, end})
		}
		if a.end < b.end {
			i++
		} else {
			k++
		}
	}
	return out
}

// meet returns the intersection of two regions.
func (r region) meet(o region) region {
	end := min(r.end, o.end)
	all := slices.Concat(r.gaps, o.gaps)
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	out := region{end: end}
	for _, g := range all {
		if g.first >= end {
			break
		}
		if n := len(out.gaps); n > 0 && g.first <= out.gaps[n-1].end {
			out.gaps[n-1].end = max(out.gaps[n-1].end, g.end)
		} else {
			out.gaps = append(out.gaps, g)
		}
	}
	return out
}

// upTo returns the past of a node and the node itself.
func (g *graph) upTo(i int) region {
	past := g.nodes[i].past
	if past.end == i {
		return region{end: i + 1, gaps: past.gaps}
	}
	return region{end: i + 1, gaps: append(slices.Clone(past.gaps), span{past.end, i})}
}

// closure returns the nodes of the given hashes and all in their past.
func (g *graph) closure(heads []core.Hash) (region, error) {
	var r region
	for _, hash := range heads {
		i, ok := g.index[hash]
		if !ok {
			return region{}, fmt.Errorf("membership entry %s is not evaluated: %w", hash, core.ErrCorrupt)
		}
		r = r.join(g.upTo(i))
	}
	return r, nil
}

// everything is the region of all nodes.
func (g *graph) everything() region { return region{end: len(g.nodes)} }

// precedes reports whether node a lies in the past of node b.
func (g *graph) precedes(a, b int) bool { return g.nodes[b].past.has(a) }

// concurrent reports whether neither node lies in the past of the other.
func (g *graph) concurrent(a, b int) bool { return a != b && !g.precedes(a, b) && !g.precedes(b, a) }

func (g *graph) peer(id core.PeerID) int {
	p, ok := g.peers[id]
	if !ok {
		p = len(g.peerIDs)
		g.peers[id] = p
		g.peerIDs = append(g.peerIDs, id)
		g.touches, g.about = append(g.touches, nil), append(g.about, nil)
	}
	return p
}

func (g *graph) invite(id core.InviteID) int {
	v, ok := g.invites[id]
	if !ok {
		v = len(g.inviteIDs)
		g.invites[id] = v
		g.inviteIDs = append(g.inviteIDs, id)
		g.uses, g.enders = append(g.uses, nil), append(g.enders, nil)
	}
	return v
}

// truncate forgets the nodes from n on.
func (g *graph) truncate(n int) {
	if n >= len(g.nodes) {
		return
	}
	first := g.nodes[n].first
	for _, nd := range g.nodes[n:] {
		delete(g.index, nd.hash)
	}
	g.nodes, g.acts = g.nodes[:n], g.acts[:first]
	for _, lists := range [][][]int{g.touches, g.about, g.uses, g.enders} {
		for i, list := range lists {
			lists[i] = list[:sort.SearchInts(list, first)]
		}
	}
}
