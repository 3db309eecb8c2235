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
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
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
			a := openSite(t, siteOptions{relaxed: seed%2 == 1, noVerify: seed%4 == 2})
			space := a.create("space")
			b := a.second(space)
			c := openSite(t, siteOptions{relaxed: seed%3 == 1, noVerify: seed%4 == 2})
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
				if seed%4 == 2 && step == 30 { // what c writes until it learns of that is void
					if err := a.RemoveMember(a.ctx(), space, c.Self(), false); err != nil {
						t.Fatal(err)
					}
				}
				switch n := r.IntN(20); {
				case n < 11:
					if ids, err := s.SharedIDs(s.ctx()); err != nil || len(ids) == 0 {
						continue // the ex-member knows
					}
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
			if seed%4 != 2 {
				c.wantOnlyHere(space, "in the end", 0, 0)
			} else if rejected, err := a.Rejected(a.ctx(), space); err != nil || len(rejected) == 0 {
				t.Errorf("Rejected = %v, %v, want something of the ex-member", rejected, err)
			}
			for _, s := range sites { // read from the store, instead of followed
				s.close()
				got := s.reopen().summary(space)
				if got.Digest != want.Digest || got.Rows != want.Rows {
					t.Errorf("summary after a restart %+v, want %+v", got, want)
				}
			}
		})
	}
}

func (s *site) shared(peer core.PeerID) []core.SpaceID {
	s.t.Helper()
	spaces, err := s.Shared(s.ctx(), peer)
	if err != nil {
		s.t.Fatalf("Shared = %v", err)
	}
	return spaces
}

func (s *site) awaited() []core.SpaceID {
	s.t.Helper()
	all, err := s.Awaited(s.ctx())
	if err != nil {
		s.t.Fatalf("Awaited = %v", err)
	}
	var spaces []core.SpaceID
	for _, a := range all {
		spaces = append(spaces, a.Space)
	}
	return spaces
}

func (s *site) wantOnlyHere(space core.SpaceID, what string, entries, tails int64) {
	s.t.Helper()
	gotEntries, gotTails, err := s.OnlyHere(s.ctx(), space)
	if err != nil || gotEntries != entries || gotTails != tails {
		s.t.Errorf("%s: OnlyHere = %d, %d, %v, want %d, %d", what, gotEntries, gotTails, err, entries, tails)
	}
}

func (s *site) invite(space core.SpaceID, opts replica.InviteOptions) ticket.Ticket {
	s.t.Helper()
	text, err := s.Invite(s.ctx(), space, opts)
	if err != nil {
		s.t.Fatalf("Invite = %v", err)
	}
	parsed, err := ticket.Parse(text)
	if err != nil {
		s.t.Fatalf("Parse = %v", err)
	}
	return parsed
}

func (s *site) join(with ticket.Ticket) {
	s.t.Helper()
	if _, err := s.Join(s.ctx(), with, log.KindDevice); err != nil {
		s.t.Fatalf("Join = %v", err)
	}
}

// pair is an owner and an editor who joined by a ticket, each with all of the other's.
func pair(t *testing.T) (a, c *site, space core.SpaceID) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	a, c = openSite(t, siteOptions{}), openSite(t, siteOptions{})
	space = a.create("space")
	c.join(a.invite(space, replica.InviteOptions{Role: log.RoleEditor, Uses: 1}))
	c.drain(a, space, r)
	a.drain(c, space, r)
	c.drain(a, space, r)
	return a, c, space
}

// TestJoinBySeam joins by a ticket, which waits, through restarts, until a member has what
// redeems it: before, only the invite's key makes any other take it.
func TestJoinBySeam(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, c := openSite(t, siteOptions{}), openSite(t, siteOptions{})
	space := a.create("space")
	a.upsert(space, "doc", insert(1, 0, "text"))
	addresses := []string{"/ip4/127.0.0.1/tcp/1/p2p/" + a.Self().String(), "/ip4/127.0.0.1/tcp/2"}
	with := a.invite(space, replica.InviteOptions{Role: log.RoleEditor, Uses: 1, Addresses: addresses})

	if _, err := c.Take(c.ctx(), space, a.entries(space)); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Take of a space that nobody asked for = %v, want ErrNotFound", err)
	}
	if _, err := c.Summary(c.ctx(), space); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Summary of it = %v, want ErrNotFound", err)
	}
	c.join(with)
	c.close()
	c = c.reopen()
	all, err := c.Awaited(c.ctx())
	if err != nil || len(all) != 1 || all[0].Space != space || !all[0].Key.Equal(with.Key()) || !slices.Equal(all[0].Addresses, addresses) {
		t.Fatalf("Awaited = %+v, %v", all, err)
	}
	if sum := c.summary(space); sum != (core.Summary{}) {
		t.Errorf("Summary of an awaited space = %+v, want zero", sum)
	}
	for _, test := range []struct {
		invite core.InviteID
		want   bool
	}{{with.Invite(), true}, {core.InviteID{1}, false}} {
		if got, err := a.Invited(a.ctx(), space, test.invite); got != test.want || err != nil {
			t.Errorf("Invited(%s) = %v, %v, want %v", test.invite, got, err, test.want)
		}
	}

	c.drain(a, space, r)
	c.wantText(space, "doc", "text")
	if got := c.awaited(); !slices.Equal(got, []core.SpaceID{space}) {
		t.Errorf("Awaited with the redemption here alone = %v", got)
	}
	if got := c.shared(a.Self()); !slices.Equal(got, []core.SpaceID{space}) {
		t.Errorf("Shared at the joiner = %v", got)
	}
	c.close()
	c = c.reopen()
	a.drain(c, space, r)
	if got := a.shared(c.Self()); !slices.Equal(got, []core.SpaceID{space}) {
		t.Errorf("Shared at the owner = %v", got)
	}
	if got, err := a.Invited(a.ctx(), space, with.Invite()); got || err != nil {
		t.Errorf("Invited when it is used up = %v, %v", got, err)
	}
	c.drain(a, space, r)
	if got := c.awaited(); len(got) > 0 {
		t.Errorf("Awaited = %v, want nothing once another has the redemption", got)
	}
	c.wantOnlyHere(space, "joined", 0, 0)
}

// TestReturnBySeam removes a member, who comes back by another ticket.
func TestReturnBySeam(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, c, space := pair(t)
	var told []core.News
	stop := a.Follow(func(n core.News) {
		if is, err := a.IsShared(a.ctx(), space, c.Self()); n.Members && (is || err != nil) {
			t.Errorf("IsShared when the news comes = %v, %v", is, err)
		}
		told = append(told, n)
	})
	if err := a.RemoveMember(a.ctx(), space, c.Self(), false); err != nil {
		t.Fatal(err)
	}
	if is, err := a.IsShared(a.ctx(), space, c.Self()); is || err != nil {
		t.Errorf("IsShared with an ex-member = %v, %v", is, err)
	}
	if partners, err := a.Partners(a.ctx(), ""); len(partners) > 0 || err != nil {
		t.Errorf("Partners = %v, %v, want nobody", partners, err)
	}
	stop()
	if !slices.ContainsFunc(told, func(n core.News) bool { return n.Members && n.Space == space }) {
		t.Errorf("no news of members in %+v", told)
	}
	c.drain(a, space, r)
	if got := c.shared(a.Self()); len(got) > 0 {
		t.Errorf("Shared at the ex-member = %v", got)
	}
	if ids, err := c.SharedIDs(c.ctx()); len(ids) > 0 || err != nil {
		t.Errorf("SharedIDs at the ex-member = %v, %v", ids, err)
	}
	with := a.invite(space, replica.InviteOptions{Role: log.RoleEditor, Uses: 1})
	c.join(with)
	if got := c.awaited(); !slices.Equal(got, []core.SpaceID{space}) {
		t.Errorf("Awaited = %v", got)
	}
	c.drain(a, space, r)
	a.drain(c, space, r)
	c.drain(a, space, r)
	if got := a.shared(c.Self()); !slices.Equal(got, []core.SpaceID{space}) {
		t.Errorf("Shared after the return = %v", got)
	}
	if got := c.awaited(); len(got) > 0 {
		t.Errorf("Awaited = %v, want nothing", got)
	}

	// A ticket that is dropped: of a space that is not here, and of one that is.
	other := a.create("other")
	c.join(a.invite(other, replica.InviteOptions{Role: log.RoleEditor, Uses: 1}))
	if err := c.Leave(c.ctx(), other); err != nil {
		t.Errorf("Leave of an awaited space = %v", err)
	}
	if got := c.awaited(); len(got) > 0 {
		t.Errorf("Awaited after Leave = %v, want nothing", got)
	}
	if err := c.Leave(c.ctx(), other); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Leave again = %v, want ErrNotFound", err)
	}
}

// TestOnlyHere counts what of the local member's nobody else has.
func TestOnlyHere(t *testing.T) {
	a, c, space := pair(t)
	ack := func(peer core.PeerID, at core.Summary) {
		t.Helper()
		if err := a.AcknowledgeAll(a.ctx(), space, peer, at); err != nil {
			t.Fatal(err)
		}
	}
	a.wantOnlyHere(space, "at first", 1, 0) // that it saw c join
	ack(c.Self(), a.summary(space))
	a.wantOnlyHere(space, "acknowledged at first", 0, 0)
	lone := a.create("lone")
	a.wantOnlyHere(lone, "of a space of one", 2, 0) // its genesis and its name
	a.clock.advance(time.Minute)
	a.upsert(space, "doc", insert(1, 0, "sealed"))
	a.upsert(space, "doc", insert(1, 6, "tail"))
	a.wantOnlyHere(space, "written", 1, 1)
	before := a.summary(space)
	a.seal()
	a.wantOnlyHere(space, "sealed", 2, 0)

	// Of somebody else's summary, of one of another epoch, of that before the last entry.
	ack(peerOf(stranger(5)), a.summary(space))
	ack(a.Self(), a.summary(space))
	ack(c.Self(), core.Summary{Digest: before.Digest, Mark: core.Mark{Row: before.Mark.Row}})
	a.wantOnlyHere(space, "acknowledged by nobody that counts", 2, 0)
	ack(c.Self(), before)
	a.wantOnlyHere(space, "acknowledged as of before", 1, 0)
	ack(c.Self(), a.summary(space))
	a.wantOnlyHere(space, "acknowledged as of now", 0, 0)
	a.close()
	a = a.reopen()
	a.wantOnlyHere(space, "after a restart", 0, 0)

	// A tip that is not here, that is of another chain, and none: c lost everything.
	writer, _ := a.Writer()
	var own core.LogRow
	for _, row := range a.rows(space) {
		if row.Writer == writer && row.Chain == core.ChainContent {
			own = row
		}
	}
	for _, tips := range [][]core.Tip{{{Seq: 9, Hash: core.Hash{9}}}, {{Seq: 9, Hash: a.entries(space)[0].Hash()}}, nil} {
		ack(c.Self(), a.summary(space))
		row := own
		row.Tips = tips
		if err := a.Acknowledge(a.ctx(), space, c.Self(), []core.LogRow{row}); err != nil {
			t.Fatal(err)
		}
		a.wantOnlyHere(space, fmt.Sprint("with tips ", tips), int64(own.Tips[0].Seq), 0)
	}
	a.crash() // less than before is on disk at once
	a = a.reopen()
	a.wantOnlyHere(space, "after a crash", int64(own.Tips[0].Seq), 0)
	ack(c.Self(), a.summary(space))
	a.wantOnlyHere(space, "acknowledged again", 0, 0)
	if err := a.RemoveMember(a.ctx(), space, c.Self(), false); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, e := range a.decoded(space) {
		if e.Peer == a.Self() {
			total++
		}
	}
	a.wantOnlyHere(space, "of an ex-member", total, 0)
}

// TestOnlyHereOfForks counts the entries of an own chain of which a peer has a branch.
func TestOnlyHereOfForks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, c, space := pair(t)
	a.drain(c, space, r)
	trunk := newAuthor(t, a.id.Key(), space, 200)
	root := trunk.write(nil, update("doc", insert(1, 0, "x")))
	branch := *trunk
	one := []core.Entry{root.Raw, trunk.write(nil, update("doc", insert(1, 1, "x"))).Raw, trunk.write(nil, update("doc", insert(1, 2, "x"))).Raw}
	two := []core.Entry{branch.write(nil, update("doc", insert(2, 0, "x"))).Raw}
	a.accept(space, slices.Concat(one, two)...)
	a.wantOnlyHere(space, "forked", 4, 0)
	for _, test := range []struct {
		tips []*log.Entry
		want int64
	}{{[]*log.Entry{root}, 3}, {[]*log.Entry{branch.last}, 2}, {[]*log.Entry{trunk.last}, 1}, {[]*log.Entry{trunk.last, branch.last}, 0}, {[]*log.Entry{trunk.last, root}, 1}} {
		row := core.LogRow{Writer: root.Writer, Chain: core.ChainContent}
		for _, e := range test.tips {
			row.Tips = append(row.Tips, core.Tip{Seq: e.Seq, Hash: e.Hash})
		}
		if err := a.Acknowledge(a.ctx(), space, c.Self(), []core.LogRow{row}); err != nil {
			t.Fatal(err)
		}
		a.wantOnlyHere(space, fmt.Sprintf("with %d tips, the first %d", len(test.tips), test.tips[0].Seq), test.want, 0)
	}
}

// TestAcknowledgeTaken notes no less than before: what a peer says of entries that it took
// in may come after what it said of later ones.
func TestAcknowledgeTaken(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, c, space := pair(t)
	a.drain(c, space, r)
	own := newAuthor(t, a.id.Key(), space, 200)
	var all []core.Entry
	var rows []core.LogRow
	for i := range uint64(4) {
		e := own.write(nil, update("doc", insert(1, i, "x")))
		all = append(all, e.Raw)
		rows = append(rows, core.LogRow{Writer: e.Writer, Chain: e.Chain, Tips: []core.Tip{{Seq: e.Seq, Hash: e.Hash}}})
	}
	a.accept(space, all...)
	for _, step := range []struct {
		row  int
		want int64
	}{{1, 2}, {0, 2}, {2, 1}, {2, 1}, {3, 0}, {0, 0}} {
		if err := a.AcknowledgeTaken(a.ctx(), space, c.Self(), rows[step.row:step.row+1]); err != nil {
			t.Fatal(err)
		}
		a.wantOnlyHere(space, fmt.Sprint("taken: ", step.row), step.want, 0)
	}
	if err := a.Acknowledge(a.ctx(), space, c.Self(), rows[:1]); err != nil {
		t.Fatal(err)
	}
	a.wantOnlyHere(space, "has less", 3, 0)
	if err := a.AcknowledgeTaken(a.ctx(), space, peerOf(stranger(5)), rows[3:]); err != nil {
		t.Fatal(err)
	}
	a.wantOnlyHere(space, "taken by a stranger", 3, 0)
}

// TestExchanges keeps what was exchanged with members, through restarts.
func TestExchanges(t *testing.T) {
	a, c, space := pair(t)
	want := core.Mark{Epoch: core.Incarnation{7}, Row: 9}
	for _, peer := range []core.PeerID{c.Self(), peerOf(stranger(5))} {
		if err := a.Exchanged(a.ctx(), space, peer, want, 5); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, peer core.PeerID, want core.Mark, at int64) {
		t.Helper()
		mark, atMs, err := a.LastExchange(a.ctx(), space, peer)
		if mark != want || atMs != at || err != nil {
			t.Errorf("%s: LastExchange = %+v, %d, %v, want %+v, %d", what, mark, atMs, err, want, at)
		}
	}
	for range 2 {
		check("of a member", c.Self(), want, 5)
		check("of a stranger", peerOf(stranger(5)), core.Mark{}, 0)
		check("of all", core.PeerID{}, core.Mark{}, 5)
		a.close()
		a = a.reopen()
	}
	if err := a.RemoveMember(a.ctx(), space, c.Self(), false); err != nil {
		t.Fatal(err)
	}
	check("of an ex-member", c.Self(), core.Mark{}, 0)
}

// TestAddressBook keeps where members are, and who is blocked.
func TestAddressBook(t *testing.T) {
	a, c, space := pair(t)
	long := make([]string, 2*core.MaxPeerAddresses)
	for i := range long {
		long[i] = fmt.Sprint("/ip4/127.0.0.1/tcp/", i+1)
	}
	blocked := core.PeerAddresses{Peer: peerOf(stranger(6)), Blocked: true}
	for _, p := range []core.PeerAddresses{
		{Peer: c.Self(), Addresses: long, SeenMs: 3}, blocked, {Peer: peerOf(stranger(5)), Addresses: long[:1]},
	} {
		if err := a.PutPeer(a.ctx(), p); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...core.PeerAddresses) {
		t.Helper()
		slices.SortFunc(want, func(a, b core.PeerAddresses) int { return a.Peer.Compare(b.Peer) })
		got, err := a.KnownPeers(a.ctx())
		if fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
			t.Errorf("KnownPeers = %v, %v, want %v", got, err, want)
		}
	}
	known := core.PeerAddresses{Peer: c.Self(), Addresses: long[:core.MaxPeerAddresses], SeenMs: 3}
	for range 2 {
		check(known, blocked)
		a.close()
		a = a.reopen()
	}
	if err := a.RemoveMember(a.ctx(), space, c.Self(), false); err != nil {
		t.Fatal(err)
	}
	check(blocked)
	blocked.Blocked = false
	if err := a.PutPeer(a.ctx(), blocked); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestOwnAhead meets a peer that has entries of the own writer which are not here.
func TestOwnAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, c, space := pair(t)
	a.clock.advance(time.Minute)
	a.upsert(space, "doc", insert(1, 0, "mine"))
	a.seal()
	if ahead, err := a.OwnAhead(a.ctx(), space, a.rows(space)); ahead || err != nil {
		t.Errorf("OwnAhead of what is here = %v, %v", ahead, err)
	}
	writer, incarnation := a.Writer()
	twin := newAuthor(t, a.id.Key(), space, 0)
	twin.incarnation = incarnation
	for _, e := range a.decoded(space) {
		if e.Writer == writer && e.Chain == core.ChainContent {
			twin.last = e
		}
	}
	c.drain(a, space, r)
	c.accept(space, twin.write(nil, update("doc", insert(1, 4, " and lost"))).Raw)
	if ahead, err := a.OwnAhead(a.ctx(), space, c.rows(space)); !ahead || err != nil {
		t.Fatalf("OwnAhead = %v, %v, want true", ahead, err)
	}
	if now, _ := a.Writer(); now == writer {
		t.Error("the directory goes on as the same writer")
	}
	if ahead, err := a.OwnAhead(a.ctx(), space, c.rows(space)); ahead || err != nil {
		t.Errorf("OwnAhead again = %v, %v", ahead, err)
	}
	a.upsert(space, "doc", insert(7, 0, "!"))
	a.drain(c, space, r)
	c.drain(a, space, r)
	if len(a.forks(space)) > 0 || a.summary(space).Digest != c.summary(space).Digest {
		t.Errorf("forks %v, digests %s and %s", a.forks(space), a.summary(space).Digest, c.summary(space).Digest)
	}

	// A peer that makes it up.
	var err error
	for n := range 20 {
		if err != nil {
			break
		}
		now, _ := a.Writer()
		_, err = a.OwnAhead(a.ctx(), space, []core.LogRow{{Writer: now, Chain: core.ChainContent, Tips: []core.Tip{{Seq: uint64(n) + 1, Hash: core.Hash{1}}}}})
	}
	if !errors.Is(err, core.ErrForbidden) || len(a.Retired()) > 10 {
		t.Errorf("after many claims: OwnAhead = %v with %d writers before, want ErrForbidden", err, len(a.Retired()))
	}
}
