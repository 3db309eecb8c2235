package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// rows returns all rows of a space's log, by way of its tree.
func (s *site) rows(space core.SpaceID) []core.LogRow {
	s.t.Helper()
	var all []core.LogRow
	var walk func(path core.TreePath)
	walk = func(path core.TreePath) {
		node, err := s.Node(s.ctx(), space, path)
		if err != nil {
			s.t.Fatalf("Node(%q) = %v", path, err)
		}
		all = append(all, node.Rows...)
		for digit := range 16 {
			if node.Children != nil && !node.Children[digit].IsZero() {
				walk(path + core.TreePath(rune(digit)))
			}
		}
	}
	walk("")
	return all
}

func (s *site) summary(space core.SpaceID) core.Summary {
	s.t.Helper()
	sum, err := s.Summary(s.ctx(), space)
	if err != nil {
		s.t.Fatalf("Summary = %v", err)
	}
	return sum
}

// read returns the entries of ranges, in pages.
func (s *site) read(space core.SpaceID, ranges []core.Range, maxBytes int) []core.Entry {
	s.t.Helper()
	var all []core.Entry
	for at := (core.Cursor{}); ; {
		page, next, err := s.Entries(s.ctx(), space, ranges, at, maxBytes)
		if err != nil {
			s.t.Fatalf("Entries = %v", err)
		}
		if len(page) == 0 {
			return all
		}
		size := 0
		for _, e := range page[:len(page)-1] {
			size += e.Size()
		}
		if size > maxBytes {
			s.t.Fatalf("Entries returned %d bytes before the last one, want %d", size, maxBytes)
		}
		all, at = append(all, page...), next
	}
}

// drain brings what a site lacks of another one by nothing but the seam, as a node does, and
// acknowledges on both sides.
func (s *site) drain(from *site, space core.SpaceID, r *rand.Rand) {
	s.t.Helper()
	if err := from.SealSpace(s.ctx(), space); err != nil {
		s.t.Fatalf("SealSpace = %v", err)
	}
	for round := 0; ; round++ {
		rows := from.rows(space)
		if _, err := s.OwnAhead(s.ctx(), space, rows); err != nil {
			s.t.Fatalf("OwnAhead = %v", err)
		}
		missing, err := s.Missing(s.ctx(), space, rows)
		if err != nil {
			s.t.Fatalf("Missing = %v", err)
		}
		if len(missing) == 0 {
			break
		}
		if round > 100 {
			s.t.Fatalf("still missing after %d rounds: %v", round, missing)
		}
		var waits []core.Outcome
		all := from.read(space, missing, 1+r.IntN(4<<10))
		for len(all) > 0 {
			n := 1 + r.IntN(len(all))
			outcomes, err := s.Take(s.ctx(), space, all[:n])
			if err != nil {
				s.t.Fatalf("Take = %v", err)
			}
			for _, o := range outcomes {
				if o.Status == core.EntryRejected || o.Status == core.EntryDropped {
					s.t.Fatalf("entry %s is %s: %v", o.Hash, o.Status, o.Err)
				}
				if o.Status == core.EntryWaiting {
					waits = append(waits, o)
				}
			}
			all = all[n:]
		}
		for _, o := range waits { // a fork: fetch what it waits for
			s.bisect(from, space, o)
		}
	}
	rows := from.rows(space)
	if err := s.Acknowledge(s.ctx(), space, from.Self(), rows); err != nil {
		s.t.Fatalf("Acknowledge = %v", err)
	}
}

// bisect takes the entries before one that waits, back to what is here.
func (s *site) bisect(from *site, space core.SpaceID, o core.Outcome) {
	s.t.Helper()
	var waiting *log.WaitingError
	for errors.As(o.Err, &waiting) && len(waiting.Missing) > 0 {
		var found *log.Entry
		for _, e := range from.decoded(space) {
			if e.Hash == waiting.Missing[0] {
				found = e
			}
		}
		if found == nil {
			s.t.Fatalf("entry %s waits for %s, which its source does not have", o.Hash, waiting.Missing[0])
		}
		hashes, err := from.Hashes(s.ctx(), space, found.Writer, found.Chain, []uint64{found.Seq, math.MaxUint64, 0})
		if err != nil || !slices.Contains(hashes[0], found.Hash) || len(hashes[1])+len(hashes[2]) > 0 {
			s.t.Fatalf("Hashes(%d) = %v, %v, want %s among them", found.Seq, hashes, err, found.Hash)
		}
		entries := from.read(space, []core.Range{{Writer: found.Writer, Chain: found.Chain, From: found.Seq, To: found.Seq}}, 1<<20)
		outcomes, err := s.Take(s.ctx(), space, entries)
		if err != nil {
			s.t.Fatalf("Take = %v", err)
		}
		waiting = nil
		for _, one := range outcomes {
			if one.Hash == found.Hash {
				o = one
			}
		}
		if o.Status != core.EntryWaiting {
			return
		}
	}
}

// hashesOf returns the hashes of a log in order.
func (s *site) hashesOf(space core.SpaceID) []core.Hash {
	var all []core.Hash
	for _, rec := range s.records(space) {
		all = append(all, rec.Hash)
	}
	slices.SortFunc(all, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
	return all
}

// TestSeamConverges lets three directories, two of them of one member, write, fork, be
// restored from backups and exchange, by the seam alone. Digests are equal exactly where
// the logs are.
func TestSeamConverges(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			a := openSite(t, siteOptions{relaxed: seed%2 == 1})
			space := a.create("space")
			b := a.second(space)
			c := openSite(t, siteOptions{relaxed: seed%3 == 1})
			if err := a.AddMember(a.ctx(), space, c.Self(), log.RoleEditor, log.KindDevice); err != nil {
				t.Fatal(err)
			}
			c.found(a, space)
			c.pull(a, space)
			sites := []*site{a, b, c}
			// A third directory of the owner's, of which there are copies that do not know of
			// each other.
			trunk := newAuthor(t, a.id.Key(), space, 200)
			branches := []*author{trunk}
			written := [][]core.Entry{{trunk.write(nil, update("forked", insert(200, 0, "x"))).Raw}}
			next := map[*site]uint64{}
			for step := range 60 {
				i := r.IntN(3)
				s := sites[i]
				s.clock.advance(time.Duration(r.IntN(1500)) * time.Millisecond)
				switch n := r.IntN(20); {
				case n < 11:
					s.upsert(space, fmt.Sprint("doc ", r.IntN(3)), insert(uint64(100+i), next[s], "ab"))
					next[s] += 2
				case n < 12:
					s.seal()
				case n < 15:
					n := r.IntN(len(branches))
					if r.IntN(4) == 0 {
						fork := *branches[n]
						branches, written = append(branches, &fork), append(written, slices.Clone(written[n]))
						n = len(branches) - 1
					}
					e := branches[n].write(nil, update("forked", insert(uint64(200+step), 0, "x")))
					written[n] = append(written[n], e.Raw)
					s.accept(space, written[n]...)
				default:
					s.drain(sites[(i+1+r.IntN(2))%3], space, r)
				}
				for _, o := range sites {
					if o.opts.relaxed || s.opts.relaxed { // the digest is of what is on disk
						continue
					}
					same := slices.Equal(s.hashesOf(space), o.hashesOf(space))
					if got := s.summary(space).Digest == o.summary(space).Digest; got != same {
						t.Fatalf("step %d: same digest is %v, same entries is %v", step, got, same)
					}
				}
			}
			for range 3 {
				for i, s := range sites {
					s.drain(sites[(i+1)%3], space, r)
					s.drain(sites[(i+2)%3], space, r)
				}
			}
			want := a.summary(space)
			for _, s := range sites {
				got := s.summary(space)
				if got.Digest != want.Digest || got.Rows != want.Rows || !slices.Equal(s.hashesOf(space), a.hashesOf(space)) {
					t.Errorf("summary %+v with %d entries, want %+v with %d", got, len(s.hashesOf(space)), want, len(a.hashesOf(space)))
				}
			}
			if n, tails, err := c.OnlyHere(c.ctx(), space); n != 0 || tails != 0 || err != nil {
				t.Errorf("OnlyHere = %d, %d, %v, want nothing", n, tails, err)
			}
		})
	}
}
