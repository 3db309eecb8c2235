package replica_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// court is a space with an owner and an editor whose entries a test makes by hand.
type court struct {
	*site
	space      core.SpaceID
	head       core.Hash // the newest membership entry
	lamport    uint64
	owner, bob *author
}

func newCourt(t *testing.T) *court {
	t.Helper()
	s := openSite(t, siteOptions{noVerify: true})
	c := &court{site: s, space: s.create("court")}
	for i, role := range []log.Role{log.RoleOwner, log.RoleEditor} {
		if err := s.AddMember(s.ctx(), c.space, peerOf(stranger(byte(i+1))), role, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range s.decoded(c.space) {
		if e.Chain == core.ChainMembership {
			c.head, c.lamport = e.Hash, e.Lamport
		}
	}
	c.owner, c.bob = newAuthor(t, stranger(1), c.space, 1), newAuthor(t, stranger(2), c.space, 2)
	return c
}

func peerOf(key ed25519.PrivateKey) core.PeerID {
	return core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
}

// act makes an author's first membership entry.
func (c *court) act(a *author, bodies ...log.Body) *log.Entry {
	return a.sign(log.Header{
		Space: a.genesis, Incarnation: a.incarnation, Chain: core.ChainMembership, Seq: 1,
		Auth: []core.Hash{c.head}, Lamport: c.lamport + 1, WallMs: 1,
	}, bodies...)
}

// content makes an author's next content entry, which knows of nothing else.
func (c *court) content(a *author, doc string) *log.Entry {
	h := a.header()
	if h.Seq == 1 {
		h.Auth, h.Lamport = []core.Hash{c.head}, c.lamport+1
	}
	a.last = a.sign(h, update(doc, insert(1, 0, "x")))
	return a.last
}

// take hands entries over one by one, and looks at the result.
func (c *court) take(entries ...*log.Entry) {
	c.t.Helper()
	for _, e := range entries {
		if o := c.accept(c.space, e.Raw)[0]; o.Status != core.EntryAccepted {
			c.t.Fatalf("entry is %s: %v", o.Status, o.Err)
		}
	}
	c.wantSound("the court")
}

func (c *court) rejected() string {
	c.t.Helper()
	rejected, err := c.Rejected(c.ctx(), c.space)
	if err != nil {
		c.t.Fatal(err)
	}
	out := ""
	for _, r := range rejected {
		out += fmt.Sprint(r.Documents)
	}
	return out
}

// eachOrder calls fn with every order of entries.
func eachOrder(entries []*log.Entry, fn func([]*log.Entry)) {
	if len(entries) == 0 {
		fn(nil)
	}
	for i, first := range entries {
		rest := append(append([]*log.Entry{}, entries[:i]...), entries[i+1:]...)
		eachOrder(rest, func(order []*log.Entry) { fn(append([]*log.Entry{first}, order...)) })
	}
}

// wantVerdicts judges entries in all orders of arrival.
func wantVerdicts(t *testing.T, want string, make func(c *court) []*log.Entry) {
	t.Helper()
	n := 0
	eachOrder(make(newCourt(t)), func([]*log.Entry) { n++ })
	for i := range n {
		c := newCourt(t)
		at := 0
		eachOrder(make(c), func(order []*log.Entry) {
			if at == i {
				c.take(order...)
			}
			at++
		})
		if got := c.rejected(); got != want {
			t.Errorf("order %d: rejected in %s, want %s", i, got, want)
		}
	}
}

// A cut that names one branch of a fork: the other one is over, whichever comes first.
func TestCutsOfForks(t *testing.T) {
	wantVerdicts(t, "[two]", func(c *court) []*log.Entry {
		again := newAuthor(t, stranger(2), c.space, 2) // the same writer
		one, two := c.content(c.bob, "one"), c.content(again, "two")
		cut := []log.CutHead{{Incarnation: c.bob.incarnation, Seq: 1, Hash: one.Hash}}
		return []*log.Entry{one, two, c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Cut: cut})}
	})
}

// A cut that names an entry of somebody else, or of another seq, cuts at zero once that
// is here.
func TestOddCuts(t *testing.T) {
	wantVerdicts(t, "[doc]", func(c *court) []*log.Entry {
		foreign, own := c.content(c.owner, "other"), c.content(c.bob, "doc")
		cut := []log.CutHead{{Incarnation: c.bob.incarnation, Seq: 100, Hash: foreign.Hash}}
		return []*log.Entry{foreign, own, c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Cut: cut})}
	})
	wantVerdicts(t, "[doc]", func(c *court) []*log.Entry {
		own := c.content(c.bob, "doc")
		cut := []log.CutHead{{Incarnation: c.bob.incarnation, Seq: 100, Hash: own.Hash}}
		return []*log.Entry{own, c.act(c.owner, log.MemberRemove{Peer: c.bob.peer(), Cut: cut})}
	})
}

// Unknown acts stop owners only if they are acts of owners.
func TestUnknownActsOfOthersStopNobody(t *testing.T) {
	add := func(c *court) error {
		return c.AddMember(c.ctx(), c.space, peerOf(stranger(9)), log.RoleViewer, log.KindDevice)
	}
	c := newCourt(t)
	for _, op := range []log.OpNumber{7, 63} {
		c.accept(c.space, c.act(newAuthor(t, stranger(7), c.space, 1), log.UnknownOp{Op: op, Raw: []byte{0x80}}).Raw)
		c.accept(c.space, c.act(newAuthor(t, stranger(2), c.space, byte(op)), log.UnknownOp{Op: op, Raw: []byte{0x80}}).Raw)
	}
	if err := add(c); err != nil {
		t.Errorf("AddMember beside unknown acts of others = %v", err)
	}
	c = newCourt(t)
	c.accept(c.space, c.act(c.owner, log.UnknownOp{Op: 7, Raw: []byte{0x80}}).Raw)
	if err := add(c); !errors.Is(err, core.ErrTooNew) {
		t.Errorf("AddMember beside an unknown act of an owner = %v, want ErrTooNew", err)
	}
}

// An owner whose acts nobody here can judge can be removed all the same, and stops
// nobody from then on, whatever of theirs comes late.
func TestUnknownActsOfRemovedOwnersStopNobody(t *testing.T) {
	c := newCourt(t)
	add := func(n byte) error {
		return c.AddMember(c.ctx(), c.space, peerOf(stranger(n)), log.RoleViewer, log.KindDevice)
	}
	c.accept(c.space, c.act(c.owner, log.UnknownOp{Op: 7, Raw: []byte{0x80}}).Raw)
	for name, err := range map[string]error{
		"AddMember": add(9), "SetRole": c.SetRole(c.ctx(), c.space, c.bob.peer(), log.RoleViewer),
		"RemoveMember of another": c.RemoveMember(c.ctx(), c.space, c.bob.peer(), false),
	} {
		if !errors.Is(err, core.ErrTooNew) {
			t.Errorf("%s beside an unknown act of an owner = %v, want ErrTooNew", name, err)
		}
	}
	if err := c.RemoveMember(c.ctx(), c.space, c.owner.peer(), false); err != nil {
		t.Fatalf("RemoveMember of an owner whose act waits = %v", err)
	}
	if err := add(9); err != nil {
		t.Errorf("AddMember beside an unknown act of a removed owner = %v", err)
	}
	late := c.act(newAuthor(t, stranger(1), c.space, 9), log.UnknownOp{Op: 63, Raw: []byte{0x80}})
	if o := c.accept(c.space, late.Raw)[0]; o.Status != core.EntryWaiting {
		t.Fatalf("entry is %s: %v, want waiting", o.Status, o.Err)
	}
	if err := add(10); err != nil {
		t.Errorf("AddMember beside an unknown act that came late = %v", err)
	}
}

// Whether the delete of a document counts that nobody wrote may change like that of
// others. It must not keep out what changes it.
func TestVoidDeleteOfNothing(t *testing.T) {
	c := newCourt(t)
	h := c.bob.header()
	h.Auth, h.Lamport = []core.Hash{c.head}, c.lamport+1
	c.take(c.bob.sign(h, log.DocDelete{Doc: "nothing"}), c.act(c.owner, log.MemberRemove{Peer: c.bob.peer()}))
	if rejected, err := c.Rejected(c.ctx(), c.space); err != nil || len(rejected) != 1 || rejected[0].Kept {
		t.Errorf("Rejected = %+v, %v, want the delete", rejected, err)
	}
}

// A deletion of void content leaves no trace, whenever it comes.
func TestDeletionOfVoidContent(t *testing.T) {
	var states [2][]byte
	for i := range states {
		c := newCourt(t)
		h := c.owner.header()
		h.Auth, h.Lamport = []core.Hash{c.head}, c.lamport+1
		entries := []*log.Entry{
			c.content(c.bob, "doc"),
			c.act(c.owner, log.MemberRemove{Peer: c.bob.peer()}),
			c.owner.sign(h, update("doc", insert(9, 0, "kept")), update("doc", erase(1, 0, 1))),
		}
		if i == 1 {
			entries[0], entries[2] = entries[2], entries[0]
		}
		c.take(entries...)
		d, err := c.Get(c.ctx(), c.space, "doc")
		if err != nil {
			t.Fatal(err)
		}
		states[i] = d.Update
	}
	if !bytes.Equal(states[0], states[1]) {
		t.Errorf("state after the void content = %x, before it %x", states[0], states[1])
	}
}

// What builds upon void content that waits for what is not here waits too, whatever
// else comes.
func TestWaitingForVoidContent(t *testing.T) {
	behind := func(client, left, clock byte) []byte { // a character behind a unit of another client
		return []byte{1, 1, client, 0, 0x84, left, clock, 1, 'x', 0}
	}
	c := newCourt(t)
	sign := func(a *author, body []byte) *log.Entry {
		h := a.header()
		if h.Seq == 1 {
			h.Auth, h.Lamport = []core.Hash{c.head}, c.lamport+1
		}
		a.last = a.sign(h, update("doc", body))
		return a.last
	}
	c.take(
		c.act(c.owner, log.MemberRemove{Peer: c.bob.peer()}),
		sign(c.bob, behind(1, 77, 0)), sign(c.owner, behind(2, 1, 0)), sign(c.owner, insert(3, 0, "here")),
	)
	if d, err := c.Get(c.ctx(), c.space, "doc"); err != nil || !d.Pending {
		t.Errorf("Get = %+v, %v, want a document of which something waits", d, err)
	}
}
