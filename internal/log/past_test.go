package log_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// graph is a membership graph with its closures written out: the oracle.
type graph struct {
	memory
	order   []core.Hash
	closure map[core.Hash]map[core.Hash]bool // of each node, itself included
}

// of returns the union of the closures of heads.
func (g *graph) of(heads []core.Hash) map[core.Hash]bool {
	all := map[core.Hash]bool{}
	for _, h := range heads {
		maps.Copy(all, g.closure[h])
	}
	return all
}

// maximal is log.Heads, by definition.
func (g *graph) maximal(set []core.Hash) []core.Hash {
	unique := map[core.Hash]bool{}
	for _, h := range set {
		unique[h] = true
	}
	out := []core.Hash{}
	for h := range unique {
		below := false
		for other := range unique {
			below = below || other != h && g.closure[other][h]
		}
		if !below {
			out = append(out, h)
		}
	}
	return sorted(out...)
}

// drawGraph makes a graph of nodes with any parents among those before. Parents
// are not reduced to heads here, while AuthSets are, as in Admit.
func drawGraph(t *rapid.T) *graph {
	g := &graph{memory: newMemory(), closure: map[core.Hash]map[core.Hash]bool{}}
	n := rapid.IntRange(1, 25).Draw(t, "nodes")
	for i := range n {
		// A multiplier spreads the order of hashes apart from that of the nodes.
		node := log.Ancestor{Hash: core.Hash{byte(i * 73), byte(i)}, Lamport: 1}
		var parents []core.Hash
		if i > 0 {
			parents = rapid.SliceOfN(rapid.SampledFrom(g.order), 1, 4).Draw(t, "parents")
		}
		g.closure[node.Hash] = g.of(parents)
		g.closure[node.Hash][node.Hash] = true
		for _, p := range parents {
			node.Lamport = max(node.Lamport, g.all[p].Lamport+1)
		}
		node.AuthSet = g.maximal(parents)
		g.all[node.Hash] = node
		g.order = append(g.order, node.Hash)
	}
	return g
}

func TestGraphAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		sample := rapid.SliceOfN(rapid.SampledFrom(g.order), 0, 8)
		set := sample.Draw(t, "set")
		before := slices.Clone(set)

		got, err := log.Heads(g, set)
		if err != nil {
			t.Fatal(err)
		}
		if want := g.maximal(set); !slices.Equal(got, want) {
			t.Fatalf("Heads(%v) = %v, want %v", set, got, want)
		}
		if !slices.Equal(set, before) {
			t.Fatal("Heads changed its input")
		}

		targets := sample.Draw(t, "targets")
		closure := g.of(set)
		var want []core.Hash
		for _, h := range targets {
			if !closure[h] {
				want = append(want, h)
			}
		}
		hash, found, err := log.Uncovered(g, set, targets)
		if err != nil {
			t.Fatal(err)
		}
		if found != (len(want) > 0) || found && hash != sorted(want...)[0] {
			t.Fatalf("Uncovered(%v, %v) = %v, %v, want one of %v", set, targets, hash, found, want)
		}

		// What NewAuth lists brings in all that is new, and nothing needlessly.
		base, err := log.Heads(g, sample.Draw(t, "base"))
		if err != nil {
			t.Fatal(err)
		}
		auth, err := log.NewAuth(g, base, set)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(g.of(slices.Concat(base, auth)), g.of(slices.Concat(base, set))) {
			t.Fatalf("NewAuth(%v, %v) = %v, which does not bring in all", base, set, auth)
		}
		if had := g.of(base); slices.ContainsFunc(auth, func(h core.Hash) bool { return had[h] }) || !slices.Equal(auth, g.maximal(auth)) {
			t.Fatalf("NewAuth(%v, %v) = %v, which is not minimal", base, set, auth)
		}
	})
}

// replica is what random writers of one owner build upon.
type replica struct {
	*graph
	space   core.Hash
	heads   map[core.WriterID][2]*log.Entry // by chain
	content map[core.Hash]*log.Entry
	known   map[core.Hash]map[core.Hash]bool // the membership past of every entry
}

// Random entries on random pasts: Admit takes those that cite as they should,
// whatever the shape of the graph, returns the heads of the membership past, and
// finds those that build upon content that knew more than they do.
func TestAdmitAgainstOracle(t *testing.T) {
	owner := keyOf("owner")
	genesis := newWorld(t).genesis
	rapid.Check(t, func(t *rapid.T) {
		r := &replica{
			graph:   &graph{memory: newMemory(), closure: map[core.Hash]map[core.Hash]bool{}},
			space:   genesis.Hash,
			heads:   map[core.WriterID][2]*log.Entry{},
			content: map[core.Hash]*log.Entry{},
			known:   map[core.Hash]map[core.Hash]bool{},
		}
		r.add(genesis, nil)
		for range rapid.IntRange(1, 25).Draw(t, "entries") {
			h := log.Header{
				Space:       r.space,
				Incarnation: incarnationOf(byte(rapid.IntRange(1, 4).Draw(t, "writer"))),
				Chain:       core.Chain(rapid.IntRange(0, 1).Draw(t, "chain")),
				Seq:         1,
			}
			var base []core.Hash
			highest := uint64(0)
			if prev := r.heads[log.WriterIDOf(genesis.Peer, h.Incarnation)][h.Chain]; prev != nil {
				h.Seq, h.Prev, highest = prev.Seq+1, prev.Hash, prev.Lamport
				if base = r.all[prev.Hash].AuthSet; h.Chain == core.ChainMembership {
					base = []core.Hash{prev.Hash}
				}
			}
			auth, err := log.NewAuth(r, base, rapid.SliceOfN(rapid.SampledFrom(r.order), 1, 3).Draw(t, "auth"))
			if err != nil {
				t.Fatal(err)
			}
			h.Auth = auth
			known := r.of(slices.Concat(base, auth))
			behind := false
			if h.Chain == core.ChainContent && len(r.content) > 0 {
				pool := slices.SortedFunc(maps.Keys(r.content), func(a, b core.Hash) int { return slices.Compare(a[:], b[:]) })
				deps := map[core.Hash]bool{}
				for _, d := range rapid.SliceOfN(rapid.SampledFrom(pool), 0, 3).Draw(t, "deps") {
					if r.content[d].Incarnation == h.Incarnation {
						continue
					}
					deps[d] = true
					for m := range r.known[d] {
						behind = behind || !known[m]
					}
				}
				h.Deps = sorted(slices.Collect(maps.Keys(deps))...)
			}
			for _, cited := range slices.Concat(h.Auth, h.Deps) {
				highest = max(highest, r.all[cited].Lamport)
			}
			h.Lamport = highest + 1
			e, err := log.Seal(owner, h, nil)
			if err != nil {
				t.Fatal(err)
			}
			set, err := log.Admit(e, r)
			if behind {
				if log.ReasonOf(err) != log.ReasonAuthBehind {
					t.Fatalf("Admit of an entry behind its deps = %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := r.maximal(slices.Collect(maps.Keys(known))); !slices.Equal(set, want) {
				t.Fatalf("Admit = %v, want %v", set, want)
			}
			r.add(e, set)
		}
	})
}

func (r *replica) add(e *log.Entry, set []core.Hash) {
	r.all[e.Hash] = e.AsAncestor(set)
	r.known[e.Hash] = r.of(set)
	if e.Chain == core.ChainMembership {
		if err := r.authority.Add(e, set); err != nil {
			panic(err)
		}
		closure := r.of(set)
		closure[e.Hash] = true
		r.closure[e.Hash] = closure
		r.order = append(r.order, e.Hash)
	} else {
		r.content[e.Hash] = e
	}
	heads := r.heads[e.Writer]
	heads[e.Chain] = e
	r.heads[e.Writer] = heads
}

// A walk must not be made longer by shapes that have many paths.
func TestManyPathsAreWalkedOnce(t *testing.T) {
	past := newMemory()
	last := []core.Hash{{0xff}}
	past.all[last[0]] = log.Ancestor{Hash: last[0], Lamport: 1}
	first := last
	for level := range 60 { // 2^60 paths
		var next []core.Hash
		for i := range 2 {
			h := core.Hash{byte(level), byte(i), 1}
			past.all[h] = log.Ancestor{Hash: h, Lamport: uint64(level + 2), AuthSet: last}
			next = append(next, h)
		}
		last = next
	}
	if _, found, err := log.Uncovered(past, last, first); found || err != nil {
		t.Errorf("Uncovered = %v, %v, want all covered", found, err)
	}
}
