package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// oddKind is a kind of things that ops are folded into, by hosts and by others.
type oddKind struct {
	op    func(*rand.Rand) log.Body                   // as no host makes it
	act   func(*site, *rand.Rand, core.SpaceID)       // of the local member
	lines func(*site, core.SpaceID) map[string]string // all rows, but for what differs from machine to machine
	plain func([]*log.Entry) map[string]string        // those of them that the plain definition speaks of
}

// oddEntryOf is an entry of odd ops by one of the authors, on some of what others wrote.
func (c *oddCourt) oddEntryOf(r *rand.Rand, a *author, others []*log.Entry) *log.Entry {
	var deps []*log.Entry
	for _, o := range others {
		if o.Writer != log.WriterIDOf(a.peer(), a.incarnation) && r.IntN(len(others)) < 2 {
			deps = append(deps, o)
		}
	}
	h := a.header(deps...)
	if h.Seq == 1 {
		h.Auth, h.Lamport = []core.Hash{c.head}, max(h.Lamport, c.lamport+1)
	}
	h.WallMs = uint64(r.IntN(4))
	bodies := make([]log.Body, 1+r.IntN(3))
	for i := range bodies {
		bodies[i] = c.kind.op(r)
	}
	return a.sign(h, bodies...)
}

// wantPlain compares what a site says with what its entries say.
func (s *site) wantPlain(kind *oddKind, when string, space core.SpaceID) {
	s.t.Helper()
	want, got := kind.plain(s.decoded(space)), kind.lines(s, space)
	for key := range got {
		if strings.HasPrefix(key, "only ") {
			delete(got, key)
		}
	}
	wantEqual(s.t, when, got, want)
}

// oddCourt is a court with a second editor. Two of its members are removed, by each other
// or by the owner, so that entries become void and some of them are kept again.
type oddCourt struct {
	*court
	kind    *oddKind
	authors []*author
	acts    []*log.Entry
}

func newOddCourt(t *testing.T, r *rand.Rand, kind *oddKind) *oddCourt {
	t.Helper()
	c := &oddCourt{court: newCourt(t), kind: kind}
	if err := c.AddMember(c.ctx(), c.space, peerOf(stranger(3)), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.decoded(c.space) {
		if e.Chain == core.ChainMembership {
			c.head, c.lamport = e.Hash, e.Lamport
		}
	}
	// One author writes under two incarnations.
	c.authors = []*author{c.owner, c.bob, newAuthor(t, stranger(3), c.space, 3), newAuthor(t, stranger(2), c.space, 4)}
	c.acts = []*log.Entry{c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Purge: r.IntN(3) > 0})}
	return c
}

// inAnyOrder lets replicas write at the same time, and get entries of hostile members and
// acts that void them in any order: what they say is what the plain definition makes of
// the entries. And so is each row of all others who get them in another order.
func (kind *oddKind) inAnyOrder(t *testing.T) {
	first, end := contentSeeds(t)
	for seed := first; seed < end && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		c := newOddCourt(t, r, kind)
		base := c.entries(c.space)
		other := c.second(c.space) // of the same member
		sites := []*site{c.site, other}
		late := slices.Clone(c.acts)
		for step := range 12 + r.IntN(25) {
			s := sites[r.IntN(2)]
			when := fmt.Sprintf("seed %d, step %d", seed, step)
			switch n := r.IntN(20); {
			case n < 7:
				c.kind.act(s, r, c.space)
			case n < 15:
				c.forge(r, s, &late)
			case n == 15:
				// What the local member does not know yet loses to this, and what it voided counts again.
				if err := s.RemoveMember(s.ctx(), c.space, c.owner.peer(), false); err != nil && !errors.Is(err, core.ErrNotFound) {
					t.Fatal(err)
				}
			case n < 18 && len(late) > 0:
				at := r.IntN(len(late))
				s.accept(c.space, late[at].Raw)
			default:
				all := sites[r.IntN(2)].entries(c.space)
				s.accept(c.space, all[:1+r.IntN(len(all))]...)
			}
			s.wantPlain(c.kind, when, c.space)
		}
		var rest []core.Entry
		for _, e := range late {
			rest = append(rest, e.Raw)
		}
		for _, s := range sites {
			s.accept(c.space, rest...)
		}
		exchange(c.site, other, c.space)
		exchange(c.site, other, c.space)
		when := fmt.Sprint("seed ", seed)
		want := c.kind.lines(c.site, c.space)
		c.wantPlain(c.kind, when, c.space)
		wantEqual(t, when+", second site", c.kind.lines(other, c.space), want)
		entries := c.entries(c.space)
		for order := range 3 {
			c.reshuffled(r, fmt.Sprintf("seed %d, order %d", seed, order), base, entries, want)
		}
		other.wantSound(when)
		c.wantSound(when)
		other.close()
		c.close()
	}
}

// forge writes an entry of an author that builds upon what a site has. The site gets it, or
// it is late.
func (c *oddCourt) forge(r *rand.Rand, s *site, late *[]*log.Entry) {
	c.t.Helper()
	a := c.authors[r.IntN(len(c.authors))]
	var known []*log.Entry
	for _, e := range s.decoded(c.space) {
		if e.Chain == core.ChainContent && e.Seq > 0 {
			known = append(known, e)
		}
	}
	before := a.last
	e := c.oddEntryOf(r, a, known)
	if r.IntN(3) == 0 { // it is on its way, and so is its past
		*late = append(*late, e)
		a.last = e
		return
	}
	switch c.accept1(s, e) {
	case core.EntryAccepted:
		a.last = e
	case core.EntryWaiting: // for one that is late
		*late = append(*late, e)
		a.last = e
	default:
		a.last = before
	}
}

func (c *oddCourt) accept1(s *site, e *log.Entry) core.EntryStatus {
	return s.accept(c.space, e.Raw)[0].Status
}

// reshuffled hands entries to a fresh site in random order and batches.
func (c *oddCourt) reshuffled(r *rand.Rand, when string, base, entries []core.Entry, want map[string]string) {
	c.t.Helper()
	s := openSite(c.t, siteOptions{noVerify: true})
	defer s.close()
	s.found(c.site, c.space)
	s.accept(c.space, base...)
	entries = slices.Clone(entries)
	r.Shuffle(len(entries), func(i, k int) { entries[i], entries[k] = entries[k], entries[i] })
	for len(entries) > 0 {
		n := 1 + r.IntN(min(len(entries), 8))
		s.accept(c.space, entries[:n]...)
		entries = entries[n:]
		s.wantPlain(c.kind, when, c.space)
	}
	wantEqual(c.t, when, c.kind.lines(s, c.space), want)
	s.wantSound(when)
}
