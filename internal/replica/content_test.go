package replica_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// remove is the removal of bob, who did not write anything by then.
func (c *court) remove() *log.Entry {
	return c.act(c.owner, log.MemberRemove{Peer: c.bob.peer()})
}

// wantPage fails unless the page has a text, and nothing is damaged.
func (c *court) wantPage(want string) {
	c.t.Helper()
	c.wantText(c.space, "page", want)
	c.wantSound(want)
}

// Void content that is only a gap is nothing.
func TestVoidGap(t *testing.T) {
	c := newCourt(t)
	c.upsert(c.space, "page", insert(9, 0, "x"))
	c.take(c.remove(), c.write(c.bob, nil, []byte{1, 1, 7, 0, 10, 5, 0}))
	c.wantPage("x")
}

// Content that waits for two things, of which the one that comes is void.
func TestWaitingForVoidAndMore(t *testing.T) {
	for name, k := range map[string][]byte{
		"void on the right": {1, 1, 2, 0, 0xC4, 77, 0, 1, 0, 1, 'x', 0},
		"void on the left":  {1, 1, 2, 0, 0xC4, 1, 0, 77, 0, 1, 'x', 0},
	} {
		for order := range 3 {
			c := newCourt(t)
			remove, kept := c.remove(), c.write(c.owner, nil, k)
			void, last := c.write(c.bob, nil, insert(1, 0, "v")), c.write(c.owner, nil, insert(77, 0, "y"))
			for _, e := range [][]*log.Entry{{remove, kept, void, last}, {kept, void, last, remove}, {remove, void, kept, last}}[order] {
				c.take(e)
			}
			c.wantSound(name)
		}
	}
}

// Several updates of one entry may lose the same clocks.
func TestLosingTwice(t *testing.T) {
	c := newCourt(t)
	c.take(c.write(c.owner, nil, insert(5, 0, "Hello")), c.write(c.bob, nil, insert(5, 0, "x"), insert(5, 0, "yz")))
	c.wantPage("Hello")
}

// Of three versions of one unit the first and the last are equal: which of these two
// came first must not decide whether the one between them prevails.
func TestEqualVersions(t *testing.T) {
	c := newCourt(t)
	var e [3]*log.Entry
	for i, text := range []string{"a", "b", "a"} {
		a := newAuthor(t, stranger(2), c.space, byte(10+i))
		for wall := uint64(1); e[i] == nil || i > 0 && bytes.Compare(e[i-1].Hash[:], e[i].Hash[:]) > 0; wall++ {
			h := a.header()
			h.Auth, h.Lamport, h.WallMs = []core.Hash{c.head}, c.lamport+1, wall
			e[i] = a.sign(h, update("page", insert(5, 0, text)))
		}
	}
	base := c.entries(c.space)
	eachOrder(e[:], func(order []*log.Entry) {
		s := openSite(t, siteOptions{})
		s.found(c.site, c.space)
		s.accept(c.space, base...)
		for _, x := range order {
			s.accept(c.space, x.Raw)
		}
		s.wantText(c.space, "page", "a")
		s.close()
	})
}

// The rank of a member changes when another, older add of them arrives.
func TestRankThatArrivesLate(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("court")
	for i, n := range []byte{1, 9, 2, 3} {
		role := []log.Role{log.RoleOwner, log.RoleEditor}[min(i, 1)]
		if err := s.AddMember(s.ctx(), space, peerOf(stranger(n)), role, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	members := slices.DeleteFunc(s.decoded(space), func(e *log.Entry) bool { return e.Chain != core.ChainMembership })
	head := members[len(members)-1]
	owner, bob, carol := newAuthor(t, stranger(1), space, 1), newAuthor(t, stranger(2), space, 2), newAuthor(t, stranger(3), space, 3)
	add := owner.sign(log.Header{
		Space: owner.genesis, Incarnation: owner.incarnation, Chain: core.ChainMembership, Seq: 1,
		Auth: []core.Hash{members[1].Hash}, Lamport: members[1].Lamport + 1, WallMs: 1,
	}, log.MemberAdd{Peer: carol.peer(), Role: log.RoleEditor, Kind: log.KindDevice})
	write := func(a *author, body []byte) *log.Entry {
		h := a.header()
		h.Auth, h.Lamport = []core.Hash{head.Hash}, head.Lamport+1
		a.last = a.sign(h, update("page", body))
		return a.last
	}
	b, c := write(bob, insert(5, 0, "bob")), write(carol, insert(5, 0, "carol"))
	base := s.entries(space)
	for _, order := range [][]*log.Entry{{add, b, c}, {b, c, add}} {
		at := openSite(t, siteOptions{})
		at.found(s, space)
		at.accept(space, base...)
		for _, e := range order {
			at.accept(space, e.Raw)
		}
		at.wantText(space, "page", "carol")
		at.close()
	}
}

// A deletion of content that is void holds if that counts again one day, whether it came
// before the content or after.
func TestDeletionsOfVoidContent(t *testing.T) {
	for name, steps := range map[string]func(c *court, void *log.Entry){
		"before": func(c *court, void *log.Entry) {
			c.upsert(c.space, "page", erase(5, 0, 6))
			c.take(c.remove(), void)
		},
		"before, typing on": func(c *court, void *log.Entry) {
			c.upsert(c.space, "page", erase(5, 0, 6))
			c.take(c.remove(), void)
			c.upsert(c.space, "page", insert(9, 5, "more "))
		},
		"after": func(c *court, void *log.Entry) {
			c.take(c.remove(), void)
			c.upsert(c.space, "page", erase(5, 0, 6))
		},
	} {
		c := newCourt(t)
		c.upsert(c.space, "page", insert(9, 0, "mine "))
		void := c.write(c.bob, nil, insert(5, 0, "secret"))
		steps(c, void)
		text := c.text(c.space, "page")
		if err := c.Adopt(c.ctx(), c.space, void.Hash); err != nil {
			t.Fatalf("%s: Adopt = %v", name, err)
		}
		c.wantPage(text)
	}
}

// A deletion whose content has come, and waits itself.
func TestEarlyDeletionOfWaitingContent(t *testing.T) {
	c := newCourt(t)
	c.upsert(c.space, "page", insert(9, 0, "mine "))
	c.upsert(c.space, "page", erase(5, 3, 2))
	c.take(c.write(c.owner, nil, insert(5, 3, "ab")))
	c.wantPage("mine ")
}

// Of values set at the same time all but one are deleted, also by who sends both.
func TestImpliedDeletionsOfOthers(t *testing.T) {
	set := func(client, value byte) []byte { // key "k" of the root map "m"
		return []byte{1, client, 0, 0x28, 1, 1, 'm', 1, 'k', 1, 0x7d, value}
	}
	for _, client := range []uint64{5, 6} {
		c := newCourt(t)
		one := c.write(c.owner, nil, append(append([]byte{1}, set(5, 1)...), 0))
		two := c.write(c.bob, nil, append(append([]byte{1}, set(6, 2)...), 0))
		both := append(append([]byte{2}, set(6, 2)...), set(5, 1)...)
		c.take(one, two, c.write(c.owner, []*log.Entry{two}, append(both, erase(client, 0, 1)[1:]...)))
		c.wantSound("both")
	}
}

// Who adopts an entry knows more than its author did, and deletes no more.
func TestAdoptedDeletionsReachNoFurther(t *testing.T) {
	c := newCourt(t)
	c.upsert(c.space, "page", insert(9, 0, "mine "))
	c.seal()
	void := c.write(c.bob, nil, insert(5, 0, "bob"), erase(9, 0, 1<<40))
	c.take(c.remove(), void)
	before := len(c.entries(c.space))
	for range 2 { // the second time nothing is left to adopt
		if err := c.Adopt(c.ctx(), c.space, void.Hash); err != nil {
			t.Fatal(err)
		}
		c.wantPage("bobmine ")
	}
	if n := len(c.entries(c.space)); n != before+1 {
		t.Errorf("%d entries were made, want 1", n-before)
	}
}

// An editor joins what it shows of void values.
func TestVoidValuesThatAnEditorJoined(t *testing.T) {
	single := []byte{1, 2, 5, 0, 8, 1, 1, 'a', 1, 0x7d, 1, 0x88, 5, 0, 1, 0x7d, 2, 0}
	joined := []byte{1, 1, 5, 0, 8, 1, 1, 'a', 2, 0x7d, 1, 0x7d, 2, 0}
	c := newCourt(t)
	c.upsert(c.space, "page", insert(9, 0, "mine"))
	c.take(c.remove(), c.write(c.bob, nil, single))
	for name, u := range map[string][]byte{"single": single, "joined": joined} {
		if _, err := c.Upsert(c.ctx(), c.space, "page", u, replica.WriteOptions{}); err != nil {
			t.Errorf("Upsert(%s) = %v", name, err)
		}
	}
	other := []byte{1, 1, 5, 0, 8, 1, 1, 'a', 2, 0x7d, 1, 0x7d, 3, 0}
	if _, err := c.Upsert(c.ctx(), c.space, "page", other, replica.WriteOptions{}); !errors.Is(err, core.ErrStaleDocument) {
		t.Errorf("Upsert of other values = %v, want ErrStaleDocument", err)
	}
}
