package replica_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// sessions are recordings of real yjs, a few of each family.
var sessions = sync.OnceValues(func() ([]*yjstest.Session, error) {
	var all []*yjstest.Session
	for _, family := range []string{"mixed", "nested", "text"} {
		s, err := yjstest.Fixtures("../yjs/yjstest/testdata/sessions-" + family + ".jsonl.gz")
		if err != nil {
			return nil, err
		}
		all = append(all, s[:min(len(s), 12)]...)
	}
	return all, nil
})

func fixtures(t testing.TB) []*yjstest.Session {
	t.Helper()
	all, err := sessions()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// quarrel lets two directories of one member write to a space at the same time
// and exchange now and then. In the end both hold the same log.
func quarrel(t testing.TB, r *rand.Rand) (a, b *site, space core.SpaceID) {
	t.Helper()
	id := newIdentity(t)
	a = openSite(t, siteOptions{id: id})
	space = a.create("first")
	b = a.second(space)
	sites := []*site{a, b}
	docs := make([]*yjstest.Session, 4)
	for i := range docs {
		docs[i] = fixtures(t)[r.IntN(len(fixtures(t)))]
	}
	next := make([]int, len(docs))
	for step := range 50 {
		s, other := sites[step%2], sites[1-step%2]
		if r.IntN(4) == 0 {
			s, other = other, s
		}
		i := r.IntN(len(docs))
		doc := fmt.Sprintf("doc-%d", i)
		s.clock.advance(time.Duration(r.IntN(1500)) * time.Millisecond)
		switch n := r.IntN(100); {
		case n < 70:
			at := next[i]
			if r.IntN(5) == 0 && at > 0 { // once more
				at = r.IntN(at)
			} else {
				next[i] = min(at+1, len(docs[i].Updates)-1)
			}
			s.upsert(space, doc, docs[i].Updates[at])
		case n < 78:
			s.rename(space, fmt.Sprint("name ", r.IntN(20)))
		case n < 86:
			_ = s.Delete(s.ctx(), space, doc, events.SourceRenderer) // of one that is there
		case n < 90:
			s.seal()
		default:
			entries := other.entries(space)
			s.accept(space, entries[:r.IntN(len(entries))+1]...)
		}
	}
	exchange(a, b, space)
	exchange(a, b, space) // deletions of what has come only now are signed only now
	wantEqual(t, "second directory", b.dump(space), a.dump(space))
	return a, b, space
}

// deliver hands over entries in random order, with repetitions, in random batches.
func deliver(t testing.TB, r *rand.Rand, to *site, space core.SpaceID, entries []core.Entry) {
	t.Helper()
	for range len(entries) / 3 {
		entries = append(entries, entries[r.IntN(len(entries))])
	}
	r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	for batch := range slices.Chunk(entries, 1+r.IntN(24)) {
		for _, o := range to.accept(space, batch...) {
			if o.Status == core.EntryRejected || o.Status == core.EntryDropped {
				t.Fatalf("entry %s is %s: %v", o.Hash, o.Status, o.Err)
			}
		}
	}
}

func TestAnyOrderConverges(t *testing.T) {
	const scenarios, orders = 30, 7
	for seed := range uint64(scenarios) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			a, b, space := quarrel(t, rand.New(rand.NewPCG(seed, 1)))
			want, entries := a.dump(space), a.entries(space)
			b.close()
			for order := range uint64(orders) {
				r := rand.New(rand.NewPCG(seed, 100+order))
				c := openSite(t, siteOptions{})
				c.found(a, space)
				deliver(t, r, c, space, slices.Clone(entries))
				wantEqual(t, fmt.Sprintf("seed %d, order %d", seed, order), c.dump(space), want)
				if n := c.waiting(space); n != 0 {
					t.Errorf("seed %d, order %d: %d bytes still wait", seed, order, n)
				}
				c.close()
				if t.Failed() {
					return
				}
			}
		})
	}
}
