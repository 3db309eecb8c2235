package exchange_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// backUp returns a copy of a site's directory.
func (s *site) backUp() string {
	s.t.Helper()
	backup := s.t.TempDir()
	s.close()
	copyDir(s.t, s.dir, backup)
	s.start()
	return backup
}

func (s *site) restore(backup string) {
	s.t.Helper()
	s.close()
	copyDir(s.t, backup, s.dir)
	s.start()
}

func (s *site) add(space core.SpaceID, peer core.PeerID) {
	s.t.Helper()
	if err := s.AddMember(s.ctx(), space, peer, log.RoleEditor, log.KindDevice); err != nil {
		s.t.Fatalf("AddMember = %v", err)
	}
}

func (s *site) knows(space core.SpaceID, peer core.PeerID) bool {
	s.t.Helper()
	is, err := s.IsShared(s.ctx(), space, peer)
	if err != nil {
		s.t.Fatalf("IsShared = %v", err)
	}
	return is
}

// A directory that was put back to before it let a member in is reminded of that by the
// member, and nothing that either wrote is lost.
func TestRemindedOfAMember(t *testing.T) {
	for name, admission := range map[string]func(a, b, c *site, space core.SpaceID) (backup string){
		"added": func(a, b, _ *site, space core.SpaceID) string {
			backup := a.backUp()
			a.add(space, b.Self())
			b.importSpace(a, space)
			return backup
		},
		"invited": func(a, b, _ *site, space core.SpaceID) string {
			backup := a.backUp()
			admit(a.t, a, b, space)
			return backup
		},
		"invited before the backup": func(a, b, _ *site, space core.SpaceID) string {
			tk := a.invite(space, log.RoleEditor, 1)
			backup := a.backUp()
			b.join(tk)
			meet(a.t, a, b)
			return backup
		},
		"added, like others, after the backup": func(a, b, c *site, space core.SpaceID) string {
			backup := a.backUp()
			for range 3 * wire.MaxRemind {
				a.invite(space, log.RoleViewer, 1)
			}
			a.add(space, c.Self())
			a.add(space, b.Self())
			b.importSpace(a, space)
			return backup
		},
		"by who was let in": func(a, b, c *site, space core.SpaceID) string {
			backup := a.backUp()
			if err := a.AddMember(a.ctx(), space, c.Self(), log.RoleOwner, log.KindDevice); err != nil {
				a.t.Fatal(err)
			}
			c.importSpace(a, space)
			c.add(space, b.Self())
			b.importSpace(c, space)
			meet(a.t, a, b)
			return backup
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
			space := a.create()
			a.write(space, 3)
			backup := admission(a, b, c, space)
			a.write(space, 2)
			meet(t, a, b)
			a.restore(backup)
			a.write(space, 3)
			b.write(space, 3)
			if a.knows(space, b.Self()) {
				t.Fatal("the owner knows the member after it was put back")
			}
			l := connect(t, a, b)
			if r := l.must(0); r.Accepted != 0 {
				t.Errorf("Pull of the owner = %+v, want nothing yet", r)
			}
			if r := l.must(1); !slices.Equal(r.Partial, []core.SpaceID{space}) {
				t.Errorf("Pull of the member = %+v, want more to come", r)
			}
			if !a.knows(space, b.Self()) {
				t.Fatal("the owner does not know the member that reminded it")
			}
			l.both()
			same(t, space, a, b)
			if forks, err := b.Forks(b.ctx(), space); err != nil || len(forks) > 0 {
				t.Errorf("Forks = %v, %v, want none", forks, err)
			}
			// From here on it costs nothing.
			l.must(0)
			l.tap[0], l.tap[1] = &tape{keep: true}, &tape{keep: true}
			l.once()
			for end, tap := range l.tap {
				if kinds, _ := tap.messages(); len(kinds) != 2 {
					t.Errorf("side %d sent messages %v when nothing had changed, want two", end, kinds)
				}
			}
		})
	}
}

// Who joined by an invite of somebody else, and was let in by who was put back, shows how.
func TestRemindedByARedemption(t *testing.T) {
	a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
	space := a.create()
	admit(t, a, b, space)
	tk := a.invite(space, log.RoleEditor, 2)
	meet(t, a, b)
	backup := b.backUp()
	c.join(tk)
	meet(t, b, c) // which has nothing to sign: it is no owner
	if awaited, err := c.Awaited(c.ctx()); len(awaited) > 0 || err != nil {
		t.Fatalf("Awaited = %v, %v, want no ticket any more", awaited, err)
	}
	b.restore(backup)
	for _, s := range []*site{b, a} { // who made the invite never heard of it
		l := connect(t, s, c)
		l.must(1)
		l.both()
		same(t, space, s, c)
	}
}

// A redemption of an invite that was revoked since then is none.
func TestRemindedByARevokedInvite(t *testing.T) {
	a, b, c := open(t, "a"), open(t, "b"), open(t, "c")
	space := a.create()
	admit(t, a, b, space)
	tk := a.invite(space, log.RoleEditor, 2)
	meet(t, a, b)
	backup := b.backUp()
	c.join(tk)
	meet(t, b, c)
	b.restore(backup)
	if err := a.RevokeInvite(a.ctx(), space, tk.Invite()); err != nil {
		t.Fatal(err)
	}
	meet(t, a, b)
	for _, s := range []*site{b, a} {
		l := connect(t, s, c)
		l.tap[0].keep = true
		if r := l.must(1); len(r.Partial) > 0 || s.knows(space, c.Self()) {
			t.Errorf("Pull = %+v, want nothing", r)
		}
		if kinds, _ := l.tap[0].messages(); !slices.Equal(kinds, []wire.Kind{wire.KindSpaces, wire.KindNone}) {
			t.Errorf("messages %v were sent, want none", kinds)
		}
	}
}

// rival is a copy of an owner's directory that does what the owner does not know of. It lets
// b in, and hands it the space.
func rival(t *testing.T, a, b *site, space core.SpaceID) {
	t.Helper()
	copied := openIn(t, "a", a.backUp())
	copied.add(space, peerOf(keyOf("somebody")))
	copied.write(space, 1)
	meet(t, copied, b)
	copied.close()
}

// A member who was removed gets nothing for entries that the owner lost.
func TestRemovedMembersRemindInVain(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	rival(t, a, b, space)
	a.remove(space, b.Self())
	a.write(space, 1)
	before := a.summary(space)
	l := connect(t, a, b)
	l.tap[0].keep, l.tap[1].keep = true, true
	if r := l.must(1); len(r.Partial)+r.Accepted+r.Listed != 0 {
		t.Errorf("Pull of who was removed = %+v, want nothing", r)
	}
	if kinds, _ := l.tap[0].messages(); !slices.Equal(kinds, []wire.Kind{wire.KindSpaces, wire.KindTell, wire.KindNone}) {
		t.Errorf("the owner sent messages %v, want to be told, and nothing after it", kinds)
	}
	if got := a.summary(space); got.Digest != before.Digest || a.knows(space, b.Self()) {
		t.Error("something was stored, or the member is one again")
	}
	// It is not listened to again.
	l.pair[1] = share.NewPair(b, a.Self())
	l.tap[0] = &tape{keep: true}
	l.must(1)
	if kinds, _ := l.tap[0].messages(); !slices.Equal(kinds, []wire.Kind{wire.KindSpaces, wire.KindNone}) {
		t.Errorf("the owner sent messages %v the second time, want none", kinds)
	}
}

// A client reminds once, and waits before it does so again.
func TestReminderIsNotRepeated(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.remove(space, b.Self())
	l := connect(t, a, b)
	for n, want := range []int{2, 1} { // with the Hello
		l.tap[1] = &tape{keep: true}
		l.must(1)
		if kinds, _ := l.tap[1].messages(); len(kinds) != want {
			t.Errorf("Pull %d: the client sent messages %v, want %d", n+1, kinds, want)
		}
	}
}

// told has a client that is hostile remind the site of an own entry that it lost, and then
// send what it likes. It returns how that ended for both.
func told(t *testing.T, a *site, client core.PeerID, space core.SpaceID, evidence core.Entry, say func(c *wire.Conn)) (answer wire.Kind, served error) {
	t.Helper()
	pair := share.NewPair(a, client)
	x, y := wire.Pipe()
	done := make(chan error, 1)
	go func() { done <- exchange.Serve(t.Context(), y, a, pair, exchange.ServeOptions{}) }()
	c := wire.NewConn(x)
	if err := errors.Join(c.Send(wire.Hello{Version: wire.Version}), hear(c),
		c.Send(wire.Remind{Tag: share.TagOf(must(space.Hash()), client, a.Self()), Entries: wire.FromCore([]core.Entry{evidence})})); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(wire.Limits{wire.KindTell: wire.MaxTagFrame}); err != nil {
		t.Fatalf("Read = %v, want Tell", err)
	}
	say(c)
	f, err := c.Read(wire.Limits{wire.KindEnd: wire.MaxTagFrame, wire.KindNone: wire.MaxTagFrame})
	if err == nil {
		answer = f.Kind
	}
	_ = x.Reset(wire.CodeNone)
	return answer, <-done
}

// Whatever comes after good evidence, nothing is stored unless it makes a member.
func TestHostileReminders(t *testing.T) {
	a := open(t, "a")
	space := a.create()
	// An entry of a's that a lost, and a client who got hold of it.
	h := log.Header{
		Space: must(space.Hash()), Incarnation: core.Incarnation{7}, Seq: 1, Lamport: 2, Auth: []core.Hash{must(space.Hash())},
	}
	sealed := func(key string, h log.Header, ops ...log.Body) core.Entry {
		t.Helper()
		var with []log.Op
		for _, op := range ops {
			with = append(with, log.Op{ID: log.NewOpID(rand.Reader), Body: op})
		}
		e, err := log.Seal(keyOf(key), h, with)
		if err != nil {
			t.Fatal(err)
		}
		return e.Raw
	}
	client := peerOf(keyOf("client"))
	lost := sealed("a", h)
	foreign := a.entries(a.create())[0]
	content := newAuthor(t, a.key, space, 8).write(t, "doc").Raw
	forged := core.Entry{Header: lost.Header, Ops: lost.Ops, Sig: make([]byte, 64)}
	// More than may be kept until all is there. Else it would make the client a member.
	add := log.MemberAdd{Peer: client, Role: log.RoleOwner, Kind: log.KindDevice}
	letIn := []core.Entry{lost}
	for size, next := 0, h; size <= exchange.MaxTold; size += letIn[len(letIn)-1].Size() {
		next.Seq, next.Prev, next.Auth, next.Lamport = next.Seq+1, letIn[len(letIn)-1].Hash(), nil, next.Lamport+1
		letIn = append(letIn, sealed("a", next, slices.Repeat([]log.Body{add}, log.MaxOps)...))
	}
	give := func(entries ...core.Entry) func(c *wire.Conn) {
		return func(c *wire.Conn) {
			for _, run := range wire.Split(entries, wire.EntriesBytes) {
				_ = c.Send(wire.Entries{Entries: wire.FromCore(run)})
			}
			_ = c.Send(wire.End{})
		}
	}
	self := h
	self.Incarnation = core.Incarnation{9}
	before := a.summary(space)
	for name, test := range map[string]struct {
		say     func(c *wire.Conn)
		offence bool
	}{
		"nothing":          {give(), false},
		"the evidence":     {give(lost), false}, // it does not make the client a member
		"a forged one":     {give(forged), false},
		"itself a member":  {give(lost, sealed("client", self, add)), false},
		"too much":         {give(letIn...), false},
		"content":          {give(lost, content), true},
		"another space's":  {give(foreign), true},
		"no entry":         {give(core.Entry{Header: []byte{1}}), true},
		"something else":   {func(c *wire.Conn) { _ = c.Send(wire.Same{}) }, true},
		"the end too soon": {func(c *wire.Conn) { _ = c.CloseWrite() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := told(t, a, client, space, lost, test.say)
			if wire.IsOffence(err) != test.offence {
				t.Errorf("Serve = %v: an offence is %v, want %v", err, !test.offence, test.offence)
			}
			if answer == wire.KindEnd {
				t.Error("the client is told that it is a member")
			}
			if got := a.summary(space); got.Digest != before.Digest || a.knows(space, client) {
				t.Error("something was stored")
			}
		})
	}
	if answer, _ := told(t, a, client, space, lost, give(letIn[:2]...)); answer != wire.KindEnd || !a.knows(space, client) {
		t.Errorf("less is answered by message %d, want %d, and a member", answer, wire.KindEnd)
	}
}

// Who has evidence, and then speaks slowly, has TellTime.
func TestSlowReminders(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := &site{t: t, key: keyOf("a"), dir: dir}
		a.start()
		defer a.close()
		space := a.create()
		genesis := a.entries(space)[0]
		lost, err := log.Seal(a.key, log.Header{
			Space: must(space.Hash()), Incarnation: core.Incarnation{7}, Seq: 1, Lamport: 2, Auth: []core.Hash{genesis.Hash()},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		answer, err := told(t, a, peerOf(keyOf("client")), space, lost.Raw, func(c *wire.Conn) {
			for c.Send(wire.Entries{Entries: wire.FromCore([]core.Entry{genesis})}) == nil {
				time.Sleep(wire.Patience - time.Second)
			}
		})
		if took := time.Since(began); answer != 0 || !wire.IsTimeout(err) || took > exchange.TellTime+wire.Patience {
			t.Errorf("Serve = %v after %v, want a timeout after %v", err, took, exchange.TellTime)
		}
	})
}
