package log

import (
	"cmp"
	"fmt"
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
	past    Region // what lies before it
	first   int    // its acts are acts[first:end]
	end     int
}

func newGraph() *graph {
	return &graph{
		index: map[core.Hash]int{}, peers: map[core.PeerID]int{}, invites: map[core.InviteID]int{},
	}
}

// upTo returns the past of a node and the node itself.
func (g *graph) upTo(i int) Region { return g.nodes[i].past.With(i) }

// closure returns the nodes of the given hashes and all in their past.
func (g *graph) closure(heads []core.Hash) (Region, error) {
	var r Region
	for _, hash := range heads {
		i, ok := g.index[hash]
		if !ok {
			return Region{}, fmt.Errorf("membership entry %s is not evaluated: %w", hash, core.ErrCorrupt)
		}
		r = r.Join(g.upTo(i))
	}
	return r, nil
}

// everything is the Region of all nodes.
func (g *graph) everything() Region { return Region{End: len(g.nodes)} }

// precedes reports whether node a lies in the past of node b.
func (g *graph) precedes(a, b int) bool { return g.nodes[b].past.Has(a) }

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

// firstAdd returns the first act by which a peer was added, -1 for none.
func (g *graph) firstAdd(peer core.PeerID) int {
	first := -1
	p, known := g.peers[peer]
	if !known {
		return first
	}
	for _, i := range g.about[p] {
		if k := g.acts[i].kind; (k == OpMemberAdd || k == OpInviteRedeem) && (first < 0 || g.compareActs(i, first) < 0) {
			first = i
		}
	}
	return first
}

// compareActs orders acts: by their entries, then as they are there.
func (g *graph) compareActs(i, k int) int {
	if a, b := g.acts[i].node, g.acts[k].node; a != b {
		return g.compare(a, b)
	}
	return cmp.Compare(i, k)
}

// comesAfter reports whether act k lies in the past of act i, or before it in its entry.
func (g *graph) comesAfter(i, k int) bool {
	a, b := g.acts[i].node, g.acts[k].node
	return a == b && k < i || g.precedes(b, a)
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
