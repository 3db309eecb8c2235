package exchange_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/ticket"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// A ticket lets who holds it in: it brings the space, and its redemption back.
func TestJoin(t *testing.T) {
	a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
	space := a.create()
	a.write(space, 10)
	tk := a.invite(space, log.RoleEditor, 2)
	for _, s := range []*site{b, c} {
		s.join(tk)
		l := connect(t, a, s)
		r := l.must(1)
		if r.Accepted < 12 || r.Rejected+r.Waiting > 0 {
			t.Errorf("Pull of the joiner = %+v, want the space", r)
		}
		if got := s.role(space); got != uint8(log.RoleEditor) {
			t.Errorf("role = %d after one pull, want an editor", got)
		}
		if awaited, err := s.Awaited(s.ctx()); err != nil || len(awaited) > 1 {
			t.Errorf("Awaited = %v, %v", awaited, err)
		}
		l.both()
		members, err := a.Members(a.ctx(), space)
		if err != nil || !slices.ContainsFunc(members, func(m core.MemberRecord) bool { return m.Peer == s.Self() }) {
			t.Errorf("Members here = %v, %v, want the joiner", members, err)
		}
	}
	meet(t, a, b)
	meet(t, b, c)
	same(t, space, a, b, c)
	b.write(space, 3)
	meet(t, b, c)
	same(t, space, b, c)
	// It was good for two.
	d := open(t, "d")
	d.join(tk)
	l := connect(t, a, d)
	if r := l.must(1); r.Listed != 0 || r.Accepted != 0 {
		t.Errorf("Pull with a ticket that is used up = %+v, want nothing", r)
	}
}

// A former member whom a new ticket lets in again comes back with what is new.
func TestComingBack(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.remove(space, b.Self())
	a.write(space, 5)
	b.write(space, 5) // b does not know yet
	b.join(a.invite(space, log.RoleViewer, 1))
	meet(t, a, b)
	same(t, space, a, b)
	if got := b.role(space); got != uint8(log.RoleViewer) && got != uint8(log.RoleEditor) {
		t.Errorf("role = %d, want a member again", got)
	}
}

// answerTo returns what a server sends to a Hello and to requests about a tag.
func answerTo(t *testing.T, server *site, pair *share.Pair, hello wire.Hello, tag wire.Tag, reminders []core.Entry) []byte {
	t.Helper()
	x, y := wire.Pipe()
	out := &tape{keep: true}
	served := make(chan error, 1)
	go func() {
		served <- exchange.Serve(t.Context(), tapped{y, out}, server, pair, exchange.ServeOptions{})
	}()
	c := wire.NewConn(x)
	for _, m := range []wire.Message{
		hello,
		wire.Rows{Tag: tag},
		wire.Nodes{Tag: tag, Paths: [][]byte{{}, {1}}},
		wire.Get{Tag: tag, Ranges: []wire.Range{{From: 1, To: log.MaxCounter}}},
		wire.Hashes{Tag: tag, Seqs: []uint64{1, 2}},
		wire.Last{Tag: tag},
		wire.Remind{Tag: tag, Entries: wire.FromCore(reminders)},
		wire.Ack{Tag: tag}, // nothing called for it: an offence
	} {
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.CloseWrite()
	all := wire.Limits{}
	for k := range 32 {
		all[wire.Kind(k)] = wire.MaxFrameBytes
	}
	for {
		if _, err := c.Read(all); err != nil {
			break
		}
	}
	if err := <-served; err != nil && !wire.IsOffence(err) {
		t.Errorf("Serve = %v", err)
	}
	_ = x.Close()
	return out.bytes
}

// Whoever may not see a space gets the same bytes, whatever the reason.
func TestNobodyLearnsAnything(t *testing.T) {
	a := open(t, "a")
	space := a.create()
	a.write(space, 5)
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	stranger, former := peerOf(keyOf("stranger")), peerOf(keyOf("former"))
	if err := a.AddMember(a.ctx(), space, former, log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	a.remove(space, former)
	hello := func(joins ...wire.Join) wire.Hello {
		return wire.Hello{Version: wire.Version, Root: core.Hash{1}, Joins: joins}
	}
	empty := open(t, "empty")
	// Entries of the server's own, which it has, one of another space of its, and garbage.
	forged := newAuthor(t, keyOf("stranger"), space, 1).write(t, "doc").Raw
	reminders := append(a.entries(space)[:4], a.entries(a.create())[0], forged, core.Entry{Header: []byte{1}})
	answerTo := func(server *site, pair *share.Pair, hello wire.Hello, tag wire.Tag) []byte {
		return answerTo(t, server, pair, hello, tag, reminders)
	}
	want := answerTo(empty, share.NewPair(empty, stranger), hello(), wire.Tag{1})
	if kinds, _ := (&tape{bytes: want}).messages(); len(kinds) < 5 || kinds[0] != wire.KindSpaces {
		t.Fatalf("answer = %v, want spaces and none", kinds)
	}
	box := wire.Join{Tag: share.TagOf(genesis, stranger, a.Self()), Box: make([]byte, wire.BoxBytes)}
	for name, got := range map[string][]byte{
		"stranger":                 answerTo(a, share.NewPair(a, stranger), hello(), wire.Tag{1}),
		"stranger who knows a tag": answerTo(a, share.NewPair(a, stranger), hello(), share.TagOf(genesis, stranger, a.Self())),
		"stranger with a bad join": answerTo(a, share.NewPair(a, stranger), hello(box), box.Tag),
		"stranger about one":       answerTo(a, share.NewPair(a, stranger), wire.Hello{Version: 1, Only: []wire.Tag{box.Tag}}, box.Tag),
		"former member":            answerTo(a, share.NewPair(a, former), hello(), share.TagOf(genesis, former, a.Self())),
		"no root":                  answerTo(a, share.NewPair(a, stranger), wire.Hello{Version: 1}, wire.Tag{1}),
	} {
		if !bytes.Equal(got, want) {
			t.Errorf("%s gets %x, want %x", name, got, want)
		}
	}
}

// Proofs of tickets that are of no use: revoked, of another key, of another joiner.
func TestBadTickets(t *testing.T) {
	a, b, thief := open(t, "a"), open(t, "b"), open(t, "thief")
	space := a.create()
	nothing := func(name string, s *site, tk ticket.Ticket) {
		t.Helper()
		s.join(tk)
		l := connect(t, a, s)
		if r := l.must(1); r.Listed != 0 || r.Accepted != 0 || r.Same {
			t.Errorf("%s: Pull = %+v, want nothing", name, r)
		}
		if sum := s.summary(space); !sum.Digest.IsZero() {
			t.Errorf("%s: something of the space is there", name)
		}
	}
	forged := a.invite(space, log.RoleEditor, 1)
	forged.Seed[0] ^= 1
	nothing("another key", b, forged)
	revoked := a.invite(space, log.RoleEditor, 1)
	if err := a.RevokeInvite(a.ctx(), space, revoked.Invite()); err != nil {
		t.Fatal(err)
	}
	nothing("revoked", b, revoked)

	// What b shows to a, a thief who sees it cannot use.
	good := a.invite(space, log.RoleEditor, 1)
	b.join(good)
	_, joins, err := share.NewPair(b, a.Self()).Asks(b.ctx(), nil)
	if err != nil || len(joins) != 1 {
		t.Fatalf("Asks = %d, %v", len(joins), err)
	}
	pair := share.NewPair(a, thief.Self())
	genesis, _ := space.Hash()
	for _, tag := range []wire.Tag{joins[0].Tag, share.TagOf(genesis, thief.Self(), a.Self())} {
		j := joins[0]
		j.Tag = tag
		if n, err := pair.Admit(a.ctx(), []wire.Join{j}); n != 0 || err != nil {
			t.Errorf("Admit of a stolen proof = %d, %v, want 0", n, err)
		}
	}
	meet(t, a, b)
	same(t, space, a, b)
}

// Who is removed while connected learns that, and nothing after it.
func TestRemovedWhileConnected(t *testing.T) {
	a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
	space := a.create()
	l := admit(t, a, b, space)
	a.write(space, 3)
	l.both()
	before := len(b.entries(space))
	a.remove(space, b.Self())
	a.write(space, 4) // that b must not see
	a.invite(space, log.RoleEditor, 1)
	r := l.must(1)
	if len(r.Gone) != 1 || r.Gone[0] != space || r.Listed != 0 {
		t.Errorf("Pull of the removed = %+v, want the space gone", r)
	}
	if got := b.role(space); got != 0 {
		t.Errorf("role of the removed = %d, want none", got)
	}
	if got := len(b.entries(space)) - before; got != 1 {
		t.Errorf("%d entries came after the removal, want the removal alone", got)
	}
	// Only once.
	b.join(a.invite(a.create(), log.RoleEditor, 1)) // so that there is something to ask for
	if r = l.must(1); len(r.Gone) != 0 {
		t.Errorf("Pull again = %+v, want nothing gone", r)
	}
	// Who was removed while away is told nothing.
	admit(t, a, c, space)
	a.remove(space, c.Self())
	l = connect(t, a, c)
	if r = l.must(1); len(r.Gone)+r.Listed+r.Accepted != 0 {
		t.Errorf("Pull of a former member = %+v, want nothing", r)
	}
	if got := c.role(space); got == 0 {
		t.Errorf("a former member learned of the removal from who must not speak to it")
	}
}

// Who leaves while connected tells it as the last thing.
func TestLeaving(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	if err := b.Leave(b.ctx(), space); err != nil {
		t.Fatal(err)
	}
	if r := l.must(0); len(r.Gone) != 1 {
		t.Errorf("Pull = %+v, want the space gone", r)
	}
	if members, err := a.Members(a.ctx(), space); len(members) != 1 || err != nil {
		t.Errorf("Members = %v, %v, want one", members, err)
	}
}
