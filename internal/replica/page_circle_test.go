package replica_test

import (
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// Rows that are damaged so that pages are under each other end no call in a loop, and
// Rebuild makes them what they were.
func TestPagesInACircle(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("circle")
	for _, p := range []replica.NewPage{{ID: "a"}, {ID: "b", At: replica.PageTarget{Parent: "a"}}, {ID: "c", At: replica.PageTarget{Parent: "b"}}, {ID: "d"}} {
		if _, err := s.CreatePage(s.ctx(), space, p, events.SourceRenderer); err != nil {
			t.Fatal(err)
		}
	}
	want := s.pageLines(space)
	err := s.store.Write(s.ctx(), func(tx core.Tx) error {
		rec, err := tx.Space(space)
		if err != nil {
			return err
		}
		a, err := tx.Page(rec.Key, "a")
		a.Parent, a.Under = "c", "c"
		return errors.Join(err, tx.PutPage(a))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Page":        func() error { _, err := s.Page(s.ctx(), space, "c"); return err },
		"PagePath":    func() error { _, err := s.PagePath(s.ctx(), space, "b"); return err },
		"ArchivePage": func() error { _, err := s.ArchivePage(s.ctx(), space, "a", events.SourceRenderer); return err },
		"DeletePage":  func() error { _, err := s.DeletePage(s.ctx(), space, "a", events.SourceRenderer); return err },
		"RestorePage": func() error { _, err := s.RestorePage(s.ctx(), space, "a", events.SourceRenderer); return err },
		"MovePage into it": func() error {
			_, err := s.MovePage(s.ctx(), space, "d", replica.PageTarget{Parent: "b"}, events.SourceRenderer)
			return err
		},
	} {
		if err := call(); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s = %v, want ErrCorrupt", name, err)
		}
	}
	if err := s.Rebuild(s.ctx()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rebuilt", s.pageLines(space), want)
}

// Others may have put a page under one that nobody created yet. It cannot be created under
// that page then.
func TestCreateUnderItsOwnPages(t *testing.T) {
	c := newCourt(t)
	h := c.bob.header()
	h.Auth, h.Lamport = []core.Hash{c.head}, c.lamport+1
	c.take(c.bob.sign(h,
		log.PageMove{Page: "child", Parent: "later", Position: "\x80"}, log.PageMove{Page: "grandchild", Parent: "child", Position: "\x80"}))
	want := c.pageLines(c.space)
	for _, to := range []replica.PageTarget{{Parent: "grandchild"}, {Parent: "child"}, {After: "grandchild"}} {
		_, err := c.CreatePage(c.ctx(), c.space, replica.NewPage{ID: "later", At: to}, events.SourceRenderer)
		if !errors.Is(err, core.ErrPageCycle) {
			t.Errorf("CreatePage at %+v = %v, want ErrPageCycle", to, err)
		}
	}
	wantEqual(t, "refused", c.pageLines(c.space), want)
	if _, err := c.CreatePage(c.ctx(), c.space, replica.NewPage{ID: "later", At: replica.PageTarget{Before: "child"}}, events.SourceRenderer); err != nil {
		t.Fatal(err)
	}
	path, err := c.PagePath(c.ctx(), c.space, "grandchild")
	if err != nil || len(path) != 3 || path[0].ID != "later" || path[1].ID != "child" {
		t.Errorf("path of the grandchild = %+v, %v", path, err)
	}
}
