package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/replica"
)

// oddPageID is one of few pages, so that all of them meet.
func oddPageID(r *rand.Rand) string { return string(rune('a' + r.IntN(6))) }

// oddPageOp is an op as no host makes it.
func oddPageOp(r *rand.Rand) log.Body {
	page := oddPageID(r)
	switch r.IntN(10) {
	case 0, 1:
		return log.PutTitle(page, fmt.Sprint("title ", r.IntN(100)))
	case 2:
		return log.PutArchived(page, r.IntN(2) == 0)
	case 3:
		return log.PageDelete{Page: page}
	}
	parent := []string{"", oddPageID(r), oddPageID(r), "z"}[r.IntN(4)]
	position := []string{"\x00\x01", "\x80", "\x80\x00\x00\x00\x01", "\xff", string(byte(1 + r.IntN(255)))}[r.IntN(5)]
	return log.PageMove{Page: page, Parent: parent, Position: position, Reorder: r.IntN(4) == 0}
}

// oddPages is an entry of page ops by one of the authors, on some of what others wrote.
func (c *court) oddPages(r *rand.Rand, a *author, others []*log.Entry) *log.Entry {
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
		bodies[i] = oddPageOp(r)
	}
	return a.sign(h, bodies...)
}

// oddPageAct is an act of the local member. Most are refused.
func (s *site) oddPageAct(r *rand.Rand, space core.SpaceID) {
	s.t.Helper()
	id := oddPageID(r)
	to := []replica.PageTarget{{}, {Parent: oddPageID(r)}, {Before: oddPageID(r)}, {After: oddPageID(r)}}[r.IntN(4)]
	var err error
	switch r.IntN(8) {
	case 0, 1:
		_, err = s.CreatePage(s.ctx(), space, replica.NewPage{ID: id, Title: id, At: to}, events.SourceRenderer)
	case 2:
		_, err = s.RenamePage(s.ctx(), space, id, fmt.Sprint("name ", r.IntN(100)), events.SourceRenderer)
	case 3:
		_, err = s.DeletePage(s.ctx(), space, id, events.SourceRenderer)
	case 4:
		_, err = s.RestorePage(s.ctx(), space, id, events.SourceRenderer)
	case 5:
		_, err = s.ArchivePage(s.ctx(), space, id, events.SourceRenderer)
	default:
		_, err = s.MovePage(s.ctx(), space, id, to, events.SourceRenderer)
	}
	for _, fine := range []error{core.ErrExists, core.ErrNotFound, core.ErrPageCycle, core.ErrInvalidPlace, core.ErrForbidden} {
		if errors.Is(err, fine) {
			return
		}
	}
	if err != nil {
		s.t.Fatalf("act on page %q = %v", id, err)
	}
}

// pageLines describes all rows that the tree of pages consists of, but for what differs
// from machine to machine.
func (s *site) pageLines(space core.SpaceID) map[string]string {
	s.t.Helper()
	lines := map[string]string{}
	hashes := map[int64]core.Hash{}
	for _, rec := range s.records(space) {
		hashes[rec.Key] = rec.Hash
	}
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		moves, err := v.PageMovesFrom(rec.Key, core.PageStamp{})
		if err != nil {
			return err
		}
		for i, m := range moves {
			if hashes[m.Entry] != m.Hash {
				s.t.Errorf("move of entry %s is that of %s", m.Hash, hashes[m.Entry])
			}
			m.Entry = 0
			lines[fmt.Sprintf("move %3d", i)] = fmt.Sprintf("%+q", fmt.Sprintf("%+v", m))
		}
		rows, err := v.Pages(rec.Key, "", 1000)
		if err != nil {
			return err
		}
		for _, p := range rows {
			lines["page "+p.ID] = pageLine(p)
			puts, err := v.PagePuts(rec.Key, p.ID)
			if err != nil {
				return err
			}
			lines["puts of "+p.ID] = entryHashes(hashes, puts)
			for _, field := range []string{"title", "archived"} {
				writes, err := v.FieldWrites(rec.Key, p.ID, field)
				if err != nil {
					return err
				}
				keys := make([]int64, len(writes))
				for i := range writes {
					keys[i] = writes[i].Entry
				}
				lines[field+" of "+p.ID] = entryHashes(hashes, keys)
			}
		}
		return nil
	})
	return lines
}

func entryHashes(hashes map[int64]core.Hash, keys []int64) string {
	var all []string
	for _, key := range keys {
		all = append(all, hashes[key].String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func pageLine(p core.PageRecord) string {
	return fmt.Sprintf("%+q under %q, %q, archived %v, by %s at %d", fmt.Sprintf("%+v", p.PagePlace), p.Under, p.Title, p.Archived, p.CreatedBy, p.CreatedAtMs)
}

// plainPages is what the rows of pages must be by the plain definition.
func plainPages(entries []*log.Entry) map[string]string {
	lines := map[string]string{}
	for id, p := range plain.New(entries).Outcome().Tree {
		lines["page "+id] = pageLine(core.PageRecord{
			PagePlace: core.PagePlace{Parent: p.Parent, Position: p.Position, Placed: p.Placed, Trashed: p.Trashed},
			Under:     p.Under, Title: p.Title, Archived: p.Archived, CreatedBy: p.CreatedBy, CreatedAtMs: int64(p.CreatedAtMs),
		})
	}
	return lines
}

// wantPlainPages compares the pages of a site with what its entries say.
func (s *site) wantPlainPages(when string, space core.SpaceID) {
	s.t.Helper()
	got := s.pageLines(space)
	for key := range got {
		if !strings.HasPrefix(key, "page ") {
			delete(got, key)
		}
	}
	wantEqual(s.t, when, got, plainPages(s.decoded(space)))
}

// pageCourt is a court with a second editor. Two of its members are removed, by each other
// or by the owner, so that entries become void and some of them are kept again.
type pageCourt struct {
	*court
	authors []*author
	acts    []*log.Entry
}

func newPageCourt(t *testing.T, r *rand.Rand) *pageCourt {
	t.Helper()
	c := &pageCourt{court: newCourt(t)}
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

// Pages of replicas that write at the same time, and get entries of hostile members and
// acts that void them in any order, are what the plain definition makes of the entries.
// And so is each row of all others who get them in another order.
func TestOddPagesInAnyOrder(t *testing.T) {
	first, end := contentSeeds(t)
	for seed := first; seed < end && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		c := newPageCourt(t, r)
		base := c.entries(c.space)
		other := c.second(c.space) // of the same member
		sites := []*site{c.site, other}
		late := slices.Clone(c.acts)
		for step := range 12 + r.IntN(25) {
			s := sites[r.IntN(2)]
			when := fmt.Sprintf("seed %d, step %d", seed, step)
			switch n := r.IntN(20); {
			case n < 7:
				s.oddPageAct(r, c.space)
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
			s.wantPlainPages(when, c.space)
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
		want := c.pageLines(c.space)
		c.wantPlainPages(when, c.space)
		wantEqual(t, when+", second site", other.pageLines(c.space), want)
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
func (c *pageCourt) forge(r *rand.Rand, s *site, late *[]*log.Entry) {
	c.t.Helper()
	a := c.authors[r.IntN(len(c.authors))]
	var known []*log.Entry
	for _, e := range s.decoded(c.space) {
		if e.Chain == core.ChainContent && e.Seq > 0 {
			known = append(known, e)
		}
	}
	before := a.last
	e := c.oddPages(r, a, known)
	if r.IntN(3) == 0 { // it is on its way, and so is its past
		*late = append(*late, e)
		a.last = e
		return
	}
	switch c.accept1(s, e) {
	case replica.Accepted:
		a.last = e
	case replica.Waiting: // for one that is late
		*late = append(*late, e)
		a.last = e
	default:
		a.last = before
	}
}

func (c *pageCourt) accept1(s *site, e *log.Entry) replica.Status {
	return s.accept(c.space, e.Raw)[0].Status
}

// reshuffled hands entries to a fresh site in random order and batches.
func (c *pageCourt) reshuffled(r *rand.Rand, when string, base, entries []core.Entry, want map[string]string) {
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
		s.wantPlainPages(when, c.space)
	}
	wantEqual(c.t, when, s.pageLines(c.space), want)
	s.wantSound(when)
}
