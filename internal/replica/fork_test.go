package replica_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// heard returns the reasons of the events about a space that fn causes, in order.
func (s *site) heard(space core.SpaceID, fn func()) []string {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.ctx())
	defer cancel()
	ch := s.hub.Subscribe(ctx)
	fn()
	s.hub.Emit(events.DomainEvent{Kind: events.SpaceChanged, Source: events.SourceDaemon, SpaceID: "the end"})
	var reasons []string
	for ev := range ch {
		if ev.SpaceID == "the end" {
			break
		}
		if ev.Kind == events.SpaceChanged && ev.SpaceID == space {
			reasons = append(reasons, ev.Reason)
		}
	}
	return reasons
}

func (s *site) forks(space core.SpaceID) []replica.Fork {
	s.t.Helper()
	forks, err := s.Forks(s.ctx(), space)
	if err != nil {
		s.t.Fatalf("Forks = %v", err)
	}
	return forks
}

// TestForksAreBounded takes in a member who forks wherever there is a place to.
func TestForksAreBounded(t *testing.T) {
	var lines bytes.Buffer
	s := openSite(t, siteOptions{logger: slog.New(slog.NewTextHandler(&lines, nil))})
	space := s.create("space")
	const width = 2 * replica.MaxForkEntries
	base := newAuthor(t, s.id.Key(), space, 1)
	var all []core.Entry
	for n := range uint64(3) {
		root := *base
		base.write(nil, update("doc", insert(n+1, 0, "x")))
		all = append(all, base.last.Raw)
		for i := range width {
			branch := root
			all = append(all,
				branch.write(nil, update("doc", insert(n+1, 0, "x"))).Raw,
				branch.write(nil, update(fmt.Sprint(i), insert(1, 0, "x"))).Raw)
		}
	}
	last := len(all) - 1 - 2*width // the last of the chain, to which the highest forks belong
	reasons := s.heard(space, func() { s.wantStatus(space, core.EntryWaiting, all[last:]...) })
	if len(reasons) != 0 || s.waiting(space) == 0 {
		t.Errorf("reasons of events without a past = %q, want none", reasons)
	}
	reasons = s.heard(space, func() {
		for _, e := range all[:last] {
			s.wantStatus(space, core.EntryAccepted, e)
		}
	})
	if got := strings.Join(reasons, " "); got != replica.ReasonForked {
		t.Errorf("reasons of events = %q, want one fork", got)
	}
	if got := strings.Count(lines.String(), "has forked"); got != 1 {
		t.Errorf("the log tells of %d forks, want the first only", got)
	}
	forks := s.forks(space)
	if len(forks) != 1 || forks[0].Seq != 1 || len(forks[0].Entries) != replica.MaxForkEntries || forks[0].Entries[0] != all[0].Hash() ||
		forks[0].Member != s.Peer() || forks[0].Incarnation != base.incarnation || forks[0].Chain != core.ChainContent {
		t.Errorf("Forks = %+v, want the first one, and the first %d of its entries", forks, replica.MaxForkEntries)
	}
}

// TestEarlierForkIsNews shows a fork before one that is known, and one of the other
// chain, to a replica and what it logs.
func TestEarlierForkIsNews(t *testing.T) {
	var lines bytes.Buffer
	s := openSite(t, siteOptions{logger: slog.New(slog.NewTextHandler(&lines, nil))})
	space := s.create("space")
	w := newAuthor(t, s.id.Key(), space, 1)
	root := *w
	one := w.write(nil, update("doc", insert(1, 0, "1")))
	second := *w
	two, three := w.write(nil, update("doc", insert(1, 1, "2"))), w.write(nil, update("doc", insert(1, 2, "3")))
	acts := func(name string) core.Entry {
		return w.sign(log.Header{
			Space: w.genesis, Incarnation: w.incarnation, Chain: core.ChainMembership, Seq: 1, Auth: []core.Hash{w.genesis}, Lamport: 2,
		}, log.MemberAdd{Peer: peerOf(stranger(name[0])), Role: log.RoleEditor, Kind: log.KindDevice}).Raw
	}
	for _, c := range []struct {
		name  string
		entry core.Entry
		seqs  string // of the forks that are known then
		tells bool
	}{
		{"a chain", one.Raw, "", false},
		{"more of it", two.Raw, "", false},
		{"still more", three.Raw, "", false},
		{"a fork", second.write(nil, update("doc", insert(2, 0, "b"))).Raw, "2", true},
		{"along its branch", second.write(nil, update("doc", insert(2, 1, "c"))).Raw, "2", false},
		{"beyond the other branch", second.write(nil, update("doc", insert(2, 2, "d"))).Raw, "2", false},
		{"an earlier one", root.write(nil, update("doc", insert(3, 0, "a"))).Raw, "1", true},
		{"acts", acts("a"), "1", false},
		{"other acts", acts("b"), "1 1", true},
		{"third acts", acts("c"), "1 1", false},
	} {
		before := strings.Count(lines.String(), "has forked")
		reasons := s.heard(space, func() { s.wantStatus(space, core.EntryAccepted, c.entry) })
		var seqs []string
		for _, f := range s.forks(space) {
			seqs = append(seqs, fmt.Sprint(f.Seq))
		}
		if got := strings.Join(seqs, " "); got != c.seqs {
			t.Errorf("%s: forks at %q, want %q", c.name, got, c.seqs)
		}
		// A change of members in the same job leaves no reason.
		if got := len(reasons) > 0 && reasons[0] != replica.ReasonMembers; got != c.tells {
			t.Errorf("%s: events for reasons %q, want one that tells of a fork = %v", c.name, reasons, c.tells)
		}
		if got := strings.Count(lines.String(), "has forked") > before; got != c.tells {
			t.Errorf("%s: the log tells of a fork = %v, want %v", c.name, got, c.tells)
		}
	}
}

// TestRemovalOfManyChains removes a member who wrote on more chains than a cut can name.
func TestRemovalOfManyChains(t *testing.T) {
	const more = 3
	c := newCourt(t)
	docs := func(n int) string { return fmt.Sprintf("doc %04d", n) }
	var all []core.Entry
	for n := range log.MaxCut + more {
		all = append(all, c.content(newAuthor(t, stranger(2), c.space, 2), docs(n)).Raw)
	}
	c.wantStatus(c.space, core.EntryAccepted, all...)
	if err := c.RemoveMember(c.ctx(), c.space, c.bob.peer(), false); err != nil {
		t.Fatalf("RemoveMember = %v", err)
	}
	want := ""
	for n := range more {
		want += fmt.Sprint([]string{docs(n)})
	}
	if got := c.rejected(); got != want {
		t.Errorf("rejected in %s, want only what came first: %s", got, want)
	}
	c.wantStatus(c.space, core.EntryAccepted, c.content(c.owner, "mine").Raw)
}

// TestCutsOfLongForks removes a member two of whose four branches the cut names, one of
// them by an entry that others come behind, in any order of arrival.
func TestCutsOfLongForks(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, seed))
	for round := range 40 {
		c := newCourt(t)
		base := c.content(c.bob, "0")
		all := []*log.Entry{base}
		var named []log.CutHead
		for i := range 4 {
			b := *c.bob
			for n := range 3 {
				e := c.content(&b, fmt.Sprintf("%d%d", i, n))
				all = append(all, e)
				if i == 0 && n == 2 || i == 1 && n == 1 {
					named = append(named, log.CutHead{Incarnation: b.incarnation, Seq: e.Seq, Hash: e.Hash})
				}
			}
		}
		slices.SortFunc(named, func(a, b log.CutHead) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
		all = append(all, c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Cut: named}))
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for len(all) > 0 {
			n := 1 + rng.IntN(len(all))
			c.accept(c.space, raws(all[:n]...)...)
			all = all[n:]
		}
		rejected, err := c.Rejected(c.ctx(), c.space)
		if err != nil {
			t.Fatal(err)
		}
		var docs []string
		for _, r := range rejected {
			docs = append(docs, r.Documents...)
		}
		slices.Sort(docs)
		if got, want := strings.Join(docs, " "), "12 20 21 22 30 31 32"; got != want {
			t.Errorf("seed %d, round %d: rejected in %s, want %s", seed, round, got, want)
		}
	}
}

// TestForksAfterARemoval has forks show in one job, the earlier one last, of which the
// cut names neither, and so before that with the end of the chain missing.
func TestForksAfterARemoval(t *testing.T) {
	for _, held := range []bool{false, true} {
		c := newCourt(t)
		one := c.content(c.bob, "one")
		early := *c.bob
		two := c.content(c.bob, "two")
		late := *c.bob
		three := c.content(c.bob, "three")
		cut := []log.CutHead{{Incarnation: c.bob.incarnation, Seq: three.Seq, Hash: three.Hash}}
		c.take(one, two)
		if !held {
			c.take(three)
		}
		c.take(c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Cut: cut}))
		if got := c.rejected(); got != "" {
			t.Errorf("with the end missing = %v: rejected in %s, want nothing that leads to it", held, got)
		}
		c.wantStatus(c.space, core.EntryAccepted, raws(c.content(&late, "late"), c.content(&early, "early"))...)
		if held {
			if got := c.rejected(); got != "" {
				t.Errorf("rejected in %s, want nothing as long as the end is missing", got)
			}
			c.take(three)
		}
		if got := c.rejected(); got != "[late][early]" {
			t.Errorf("with the end missing = %v: rejected in %s, want the forks", held, got)
		}
	}
}
