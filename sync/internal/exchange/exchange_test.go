package exchange_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

func TestTwoSitesConverge(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	a.write(space, 5)
	l := admit(t, a, b, space)
	a.write(space, 30)
	b.write(space, 20)
	r := l.must(0)
	if r.Accepted != 20 || r.Known != 0 || r.Waiting+r.Rejected != 0 || len(r.Partial) != 0 {
		t.Errorf("Pull = %+v, want 20 entries and nothing else", r)
	}
	if r = l.must(1); r.Accepted != 30 || r.Known != 0 {
		t.Errorf("Pull = %+v, want 30 entries", r)
	}
	same(t, space, a, b)
	// Both know what the other has.
	for i, s := range []*site{a, b} {
		l.must(i)
		if only, tails, err := s.OnlyHere(s.ctx(), space); only != 0 || tails != 0 || err != nil {
			t.Errorf("OnlyHere = %d, %d, %v, want none", only, tails, err)
		}
		if mark, at, err := s.LastExchange(s.ctx(), space, l.ends[1-i].Self()); at == 0 || err != nil {
			t.Errorf("LastExchange = %+v, %d, %v, want a time", mark, at, err)
		}
	}
}

// Where it is not the time to bring anything the two are compared at least.
func TestCompareOnly(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.write(space, 3)
	b.write(space, 5)
	l := connect(t, a, b)
	if r, err, _ := l.pull(0, exchange.PullOptions{CompareOnly: true}); err != nil || r.Accepted != 0 || r.Listed != 1 {
		t.Fatalf("Pull = %+v, %v, want a space and no entries", r, err)
	}
	if r := l.must(1); r.Accepted != 3 {
		t.Errorf("Pull = %+v, want the 3 entries of whom has compared", r)
	}
	if r := l.must(0); r.Accepted != 5 {
		t.Errorf("Pull = %+v, want the 5 entries", r)
	}
}

// That an exchange brought nothing is known at once, too, and to both.
func TestLastExchangeIsTheLast(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	mark, at, err := b.LastExchange(b.ctx(), space, a.Self())
	if at == 0 || err != nil {
		t.Fatalf("LastExchange = %+v, %d, %v, want a time", mark, at, err)
	}
	for range 3 {
		at++
		now := func() time.Time { return time.UnixMilli(at) }
		if r, err, _ := l.pull(1, exchange.PullOptions{Now: now}); err != nil || !r.Same {
			t.Fatalf("Pull = %+v, %v, want the same", r, err)
		}
		if m, got, err := b.LastExchange(b.ctx(), space, a.Self()); got != at || m != mark || err != nil {
			t.Errorf("LastExchange = %+v, %d, %v, want %+v, %d", m, got, err, mark, at)
		}
	}
}

// What a client took the server knows by the end of the pull.
func TestPullAcknowledges(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	a.write(space, 7)
	if only, _, err := a.OnlyHere(a.ctx(), space); only != 7 || err != nil {
		t.Errorf("OnlyHere = %d, %v, want 7", only, err)
	}
	b.write(space, 1) // so that the digests differ afterwards
	l.must(1)
	if only, _, err := a.OnlyHere(a.ctx(), space); only != 0 || err != nil {
		t.Errorf("OnlyHere after the pull = %d, %v, want 0", only, err)
	}
	if only, _, err := b.OnlyHere(b.ctx(), space); only != 1 || err != nil {
		t.Errorf("OnlyHere of the other = %d, %v, want 1", only, err)
	}
}

// Nothing changed costs a request and an answer for all spaces together.
func TestNothingChanged(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	for range 20 {
		space := a.create()
		a.write(space, 1)
		b.join(a.invite(space, log.RoleEditor, 1))
		if (len(b.spaces())+1)%8 == 0 {
			meet(t, a, b)
		}
	}
	for range 3 {
		meet(t, a, b) // there are more tickets than go into one Hello
	}
	l := connect(t, a, b)
	for end := range 2 {
		l.tap[0], l.tap[1] = &tape{keep: true}, &tape{keep: true}
		if r := l.must(end); !r.Same {
			t.Fatalf("Pull = %+v, want the same", r)
		}
		for i, want := range []wire.Kind{wire.KindHello, wire.KindSame} {
			kinds, sizes := l.tap[(end+i)%2].messages()
			if !slices.Equal(kinds, []wire.Kind{want}) || sizes[0] >= 100 {
				t.Errorf("messages = %v of %v bytes, want one %d under 100", kinds, sizes, want)
			}
		}
	}
	// One of them changed: the others cost their digest.
	changed := a.spaces()[7]
	a.write(changed, 1)
	l.tap[0], l.tap[1] = &tape{keep: true}, &tape{keep: true}
	if r := l.must(1); r.Accepted != 1 || r.Listed != 20 {
		t.Errorf("Pull = %+v, want 1 entry of 20 spaces", r)
	}
	if kinds, _ := l.tap[1].messages(); !slices.Equal(kinds, []wire.Kind{wire.KindHello, wire.KindRows, wire.KindGet, wire.KindAck}) {
		t.Errorf("requests = %v", kinds)
	}
	if l.tap[0].n > 20*40+1000 {
		t.Errorf("answers = %d bytes, want some for each space", l.tap[0].n)
	}
	// And about that one only, of the others nothing.
	a.write(changed, 1)
	l.tap[0] = &tape{keep: true}
	r, err, served := l.pull(1, exchange.PullOptions{Only: []core.SpaceID{changed}})
	if r.Accepted != 1 || r.Listed != 1 || err != nil || served != nil {
		t.Errorf("Pull of one = %+v, %v, %v, want 1 entry", r, err, served)
	}
}

func (s *site) spaces() []core.SpaceID {
	s.t.Helper()
	ids, err := s.SharedIDs(s.ctx())
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

// Replicas with forks, several incarnations and restored backups come to the same.
func TestRandomHistoriesConverge(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
			sites := []*site{a, b, c}
			space := a.create()
			admit(t, a, b, space)
			admit(t, a, c, space)
			meet(t, a, b)
			// The owner forks: each site gets another branch first.
			forker := newAuthor(t, a.key, space, 9)
			stem := forker.chain(t, r.IntN(200))
			for _, s := range sites {
				branch := *forker
				s.take(space, append(slices.Clone(stem), branch.chain(t, 1+r.IntN(150))...)...)
				if r.IntN(2) == 0 { // and a branch of the branch
					deep := branch
					s.take(space, deep.chain(t, 1+r.IntN(100))...)
					s.take(space, branch.chain(t, 1+r.IntN(100))...)
				}
				s.write(space, r.IntN(20))
			}
			links := []*link{connect(t, a, b), connect(t, b, c), connect(t, c, a)}
			for range 10 {
				links[r.IntN(3)].once()
				sites[r.IntN(3)].write(space, r.IntN(5))
			}
			for range 3 {
				for _, l := range links {
					l.both()
				}
			}
			same(t, space, sites...)
			for _, l := range links {
				if got := l.must(0); !got.Same {
					t.Errorf("Pull at the end = %+v, want the same", got)
				}
			}
		})
	}
}

// A fork far back is found by a few questions, and costs little more than its branch.
func TestForkFarBack(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	forker := newAuthor(t, a.key, space, 9)
	stem := forker.chain(t, 900)
	branch := *forker
	a.take(space, slices.Concat(stem, forker.chain(t, 300))...)
	b.take(space, slices.Concat(stem, branch.chain(t, 250))...)
	l.tap[1] = &tape{keep: true}
	r := l.must(1)
	if r.Accepted != 250 || r.Waiting != 50 || r.Known > 10 || len(r.Partial) > 0 {
		t.Errorf("Pull = %+v, want the other branch, of which the end comes first", r)
	}
	asked := 0
	kinds, _ := l.tap[1].messages()
	for _, k := range kinds {
		if k == wire.KindHashes {
			asked++
		}
	}
	if asked == 0 || asked > 3 {
		t.Errorf("questions for hashes = %d, want 1 to 3", asked)
	}
	l.must(0)
	same(t, space, a, b)
}
