package replica_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// The tests of this file take SOMA_CONTENT_SEEDS seeds, from SOMA_CONTENT_START on.
func contentSeeds(t *testing.T) (first, end int) {
	t.Helper()
	n := 15
	for name, value := range map[string]*int{"SOMA_CONTENT_SEEDS": &n, "SOMA_CONTENT_START": &first} {
		if text := os.Getenv(name); text != "" {
			var err error
			if *value, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	return first, first + n
}

// oddUpdate returns an update as nobody's editor makes it: structs of all kinds by few
// clients, at clocks that overlap, with neighbours and parents anywhere. It may be invalid.
func oddUpdate(r *rand.Rand) []byte {
	clients := r.Perm(3)[:r.IntN(3)]
	b := binary.AppendUvarint(nil, uint64(len(clients)))
	for _, c := range clients {
		client, clock := byte(5+c), byte(r.IntN(5))
		structs := 1 + r.IntN(3)
		b = append(b, byte(structs), client, clock)
		for range structs {
			s, length := oddStruct(r, client, clock)
			b, clock = append(b, s...), clock+length
		}
	}
	if r.IntN(2) == 0 {
		return append(b, 0)
	}
	return append(b, 1, byte(5+r.IntN(3)), 1, byte(r.IntN(5)), byte(1+r.IntN(3)))
}

func oddStruct(r *rand.Rand, client, clock byte) (b []byte, length byte) {
	length = byte(1 + r.IntN(3))
	switch r.IntN(10) {
	case 0:
		return []byte{0, length}, length // GC
	case 1:
		return []byte{10, length}, length // a gap
	case 2:
		return append(oddHead(r, 1, client, clock), length), length // deleted
	case 3:
		return append(oddHead(r, 7, client, clock), byte(r.IntN(2))), 1 // a type
	case 4:
		return append(oddHead(r, 8, client, clock), 2, 0x7d, byte(r.IntN(2)), 0x7d, 1), 2 // numbers
	case 5:
		return append(append(oddHead(r, 4, client, clock), 4), "😀"...), 2
	}
	b = append(oddHead(r, 4, client, clock), length)
	for range length {
		b = append(b, byte('a'+r.IntN(2)))
	}
	return b, length
}

// oddHead is the start of an item: its kind, neighbours and parent.
func oddHead(r *rand.Rand, kind, client, clock byte) []byte {
	ref := func() []byte {
		for {
			if c, at := byte(5+r.IntN(3)), byte(r.IntN(6)); c != client || at < clock {
				return []byte{c, at}
			}
		}
	}
	info, refs := kind, []byte(nil)
	if r.IntN(2) == 0 {
		info, refs = info|0x80, append(refs, ref()...)
	}
	if r.IntN(4) == 0 {
		info, refs = info|0x40, append(refs, ref()...)
	}
	if info != kind {
		return append([]byte{info}, refs...)
	}
	named := r.IntN(9) == 0
	if named {
		info |= 0x20
	}
	if r.IntN(3) == 0 {
		refs = append([]byte{0}, ref()...)
	} else {
		refs = []byte("\x01\x04text")
	}
	if named {
		refs = append(refs, 1, 'k')
	}
	return append([]byte{info}, refs...)
}

// oddEntry is an entry by one of the authors, who knows some of the others' last ones.
func (c *court) oddEntry(r *rand.Rand, authors []*author, others ...*log.Entry) (*author, *log.Entry) {
	a := authors[r.IntN(len(authors))]
	var deps []*log.Entry
	for _, o := range authors {
		if o != a && o.last != nil && r.IntN(3) == 0 {
			deps = append(deps, o.last)
		}
	}
	before := a.last
	updates := [][]byte{oddUpdate(r), oddUpdate(r)}[:1+r.IntN(2)]
	e := c.write(a, append(deps, others...), updates...)
	a.last = before // it may be refused
	return a, e
}

// shuffled hands entries to a fresh site in random order and batches, and compares.
func (c *court) shuffled(r *rand.Rand, when string, base, entries []core.Entry, want map[string]string) map[string]string {
	c.t.Helper()
	s := openSite(c.t, siteOptions{noVerify: true})
	defer s.close()
	s.found(c.site, c.space)
	s.accept(c.space, base...)
	r.Shuffle(len(entries), func(i, k int) { entries[i], entries[k] = entries[k], entries[i] })
	for len(entries) > 0 {
		n := 1 + r.IntN(len(entries))
		s.accept(c.space, entries[:n]...)
		entries = entries[n:]
	}
	s.wantSound(when)
	dump := s.dump(c.space)
	for key := range dump {
		if strings.HasPrefix(key, "head") || strings.HasPrefix(key, "frontier") {
			delete(dump, key)
		}
	}
	if want != nil {
		wantEqual(c.t, when, dump, want)
	}
	return dump
}

// Odd entries of several authors, one of whom is removed in the end, make the same
// wherever they come from, and what they make is what Verify says they should.
func TestOddContentInAnyOrder(t *testing.T) {
	first, end := contentSeeds(t)
	for seed := first; seed < end && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		c := newCourt(t)
		base := c.entries(c.space)
		authors := []*author{c.owner, c.bob, newAuthor(t, stranger(2), c.space, 7)}
		var entries []core.Entry
		var bobs []*log.Entry
		for range 4 + r.IntN(5) {
			a, e := c.oddEntry(r, authors)
			if c.accept(c.space, e.Raw)[0].Status != core.EntryAccepted {
				continue
			}
			a.last = e
			entries = append(entries, e.Raw)
			if a == c.bob {
				bobs = append(bobs, e)
			}
		}
		if r.IntN(3) > 0 {
			removal := log.MemberRemove{Peer: c.bob.peer(), Purge: r.IntN(2) == 0}
			if len(bobs) > 0 && r.IntN(2) == 0 {
				e := bobs[r.IntN(len(bobs))]
				removal.Cut = []log.CutHead{{Incarnation: e.Incarnation, Seq: e.Seq, Hash: e.Hash}}
			}
			entries = append(entries, c.act(c.owner, removal).Raw)
		}
		var want map[string]string
		for order := range 3 {
			want = c.shuffled(r, fmt.Sprintf("seed %d, order %d", seed, order), base, entries, want)
		}
		c.close()
	}
}

// The same with an editor of this machine that sends odd updates as well.
func TestOddLocalContent(t *testing.T) {
	first, end := contentSeeds(t)
	for seed := first; seed < end && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		c := newCourt(t)
		base := c.entries(c.space)
		when := fmt.Sprint("seed ", seed)
		removed := false
		for range 5 + r.IntN(8) {
			switch n := r.IntN(20); {
			case n < 10:
				_, err := c.Upsert(c.ctx(), c.space, "page", oddUpdate(r), replica.WriteOptions{})
				if err != nil && !errors.Is(err, core.ErrStaleDocument) && !errors.Is(err, core.ErrClientIDTaken) && !errors.Is(err, core.ErrInvalidUpdate) {
					t.Fatalf("%s: Upsert = %v", when, err)
				}
			case n < 12:
				c.seal()
			case n == 12 && !removed:
				removed = true
				c.take(c.remove())
			default:
				var own []*log.Entry
				if all := c.decoded(c.space); r.IntN(3) == 0 && all[len(all)-1].Peer == c.Peer() && all[len(all)-1].Chain == core.ChainContent {
					own = all[len(all)-1:]
				}
				a, e := c.oddEntry(r, []*author{c.owner, c.bob}, own...)
				if c.accept(c.space, e.Raw)[0].Status == core.EntryAccepted {
					a.last = e
				}
			}
			c.wantSound(when)
		}
		c.seal()
		want := c.dump(c.space)
		for key := range want {
			if strings.HasPrefix(key, "head") || strings.HasPrefix(key, "frontier") {
				delete(want, key)
			}
		}
		c.shuffled(r, when, base[:1], c.entries(c.space), want)
		c.close()
	}
}
