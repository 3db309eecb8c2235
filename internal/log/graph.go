package log

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// graph is the membership entries of a space, each after its past. What it says
// does not depend on which of several possible orders that is.
type graph struct {
	nodes []node
	index map[core.Hash]int
	order []int // nodes, in the order of replay
	acts  []act // of all nodes, node after node

	peers   map[core.PeerID]int // interned: evaluation works on small numbers
	peerIDs []core.PeerID
	touches [][]int // by peer: acts by or about them, ascending
	about   [][]int // by peer: acts that may change their role, in the order of replay
	added   [][]int // by peer: acts that may make them a member, in the order of replay
	acked   [][]int // by peer: acts that stand by them
	invited [][]int // by peer: acts by which they made invites, or came by one
	aimed   [][]int // by peer: nodes with acts of others, or theirs, that take away from them, but leaves
	aiming  [][]int // by peer: their nodes with acts that take away, but leaves

	invites   map[core.InviteID]int
	inviteIDs []core.InviteID
	uses      [][]int // by invite: acts that name it, ascending
	made      [][]int // by invite: acts that make it, ascending
	enders    [][]int // by invite: nodes with acts that end it, ascending

	beside      map[int]*beside // by node
	besideWords int
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
		beside: map[int]*beside{},
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

// maxBesideWords bounds what is kept of which nodes are concurrent: 8 MiB, enough for
// 8,000 acts that take away among 8,000 entries.
const maxBesideWords = 1 << 20

// beside is the nodes that are concurrent with one, of the first so many.
type beside struct {
	nodes bitset
	end   int
}

// besides returns which nodes are concurrent with one; nil if that would take too much.
func (g *graph) besides(i int) bitset {
	n := len(g.nodes)
	b := g.beside[i]
	if b == nil {
		b = &beside{}
	}
	if b.end == n {
		return b.nodes
	}
	if more := (n+63)/64 - len(b.nodes); more > 0 {
		if g.besideWords+more > maxBesideWords {
			return nil
		}
		g.besideWords += more
		b.nodes = append(b.nodes, make(bitset, more)...)
	}
	if b.end == 0 {
		g.firstBesides(i, b)
	}
	for ; b.end < n; b.end++ {
		if b.end != i && !g.precedes(i, b.end) {
			b.nodes.add(b.end)
		}
	}
	g.beside[i] = b
	return b.nodes
}

// firstBesides finds the nodes that are concurrent with one, a step for each.
func (g *graph) firstBesides(i int, b *beside) {
	past := g.nodes[i].past
	for _, gap := range past.Gaps {
		for k := gap.First; k < gap.End; k++ {
			b.nodes.add(k)
		}
	}
	n := len(g.nodes)
	after := newBitset(n)
	after.add(i)
	for k := past.End; k < n; k++ {
		switch {
		case k == i:
		case k > i && slices.ContainsFunc(g.nodes[k].parents, after.has):
			after.add(k)
		default:
			b.nodes.add(k)
		}
	}
	b.end = n
}

// forgetBesides takes nodes from n on out of what is kept of which are concurrent.
func (g *graph) forgetBesides(n int) {
	for i, b := range g.beside {
		if i >= n {
			g.besideWords -= len(b.nodes)
			delete(g.beside, i)
			continue
		}
		for ; b.end > n; b.end-- {
			b.nodes.remove(b.end - 1)
		}
	}
}

func (g *graph) peer(id core.PeerID) int {
	p, ok := g.peers[id]
	if !ok {
		p = len(g.peerIDs)
		g.peers[id] = p
		g.peerIDs = append(g.peerIDs, id)
		for _, lists := range g.byPeer() {
			*lists = append(*lists, nil)
		}
	}
	return p
}

func (g *graph) invite(id core.InviteID) int {
	v, ok := g.invites[id]
	if !ok {
		v = len(g.inviteIDs)
		g.invites[id] = v
		g.inviteIDs = append(g.inviteIDs, id)
		g.uses, g.made, g.enders = append(g.uses, nil), append(g.made, nil), append(g.enders, nil)
	}
	return v
}

// byPeer returns the lists of acts, and of nodes, of peers.
func (g *graph) byPeer() []*[][]int {
	return []*[][]int{&g.touches, &g.about, &g.added, &g.acked, &g.invited, &g.aimed, &g.aiming}
}

// firstAdd returns the first act by which a peer was added, -1 for none.
func (g *graph) firstAdd(peer core.PeerID) int {
	p, known := g.peers[peer]
	if !known || len(g.added[p]) == 0 {
		return -1
	}
	return g.added[p][0]
}

// compare orders nodes: by lamport, which is higher than that of all in the past, then
// by hash. Two entries are in the same order in every set that holds both.
func (g *graph) compare(i, k int) int {
	a, b := &g.nodes[i], &g.nodes[k]
	return cmp.Or(cmp.Compare(a.lamport, b.lamport), compareHashes(a.hash, b.hash))
}

// compareActs orders acts: by their entries, then as they are there.
func (g *graph) compareActs(i, k int) int {
	if a, b := g.acts[i].node, g.acts[k].node; a != b {
		return g.compare(a, b)
	}
	return cmp.Compare(i, k)
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
	peers, invites := map[int]bool{}, map[int]bool{}
	for i := first; i < len(g.acts); i++ {
		a := &g.acts[i]
		peers[a.author], peers[a.target], invites[a.invite] = true, true, true
		for _, v := range a.ends {
			invites[v] = true
		}
	}
	delete(peers, -1)
	delete(invites, -1)
	for p := range peers {
		for _, lists := range [][][]int{g.touches, g.about, g.added, g.acked, g.invited} {
			cutList(lists, p, first)
		}
		cutList(g.aimed, p, n)
		cutList(g.aiming, p, n)
	}
	for v := range invites {
		cutList(g.uses, v, first)
		cutList(g.made, v, first)
		cutList(g.enders, v, n)
	}
	g.nodes, g.acts = g.nodes[:n], g.acts[:first]
	g.order = slices.DeleteFunc(g.order, func(i int) bool { return i >= n })
	g.forgetBesides(n)
}

// cutList takes numbers from end on out of one of some lists.
func cutList(lists [][]int, of, end int) {
	lists[of] = slices.DeleteFunc(lists[of], func(k int) bool { return k >= end })
}
