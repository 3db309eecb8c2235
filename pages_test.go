package soma_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// outline describes a tree by the titles of its pages: "a(b c) d".
func outline(nodes []*soma.PageNode) string {
	var out []string
	for _, node := range nodes {
		s := node.Title
		if len(node.Children) > 0 {
			s += "(" + outline(node.Children) + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func titles(pages []soma.Page) string {
	var out []string
	for _, page := range pages {
		out = append(out, page.Title)
	}
	return strings.Join(out, " ")
}

// pageTree is the pages of one space in a test, whose IDs are their first titles.
type pageTree struct {
	t     *testing.T
	db    *soma.DB
	space soma.SpaceID
}

func newPageTree(t *testing.T) pageTree {
	db := somatest.Open(t)
	return pageTree{t, db, newSpace(t, db, "Pages")}
}

func (p pageTree) create(id soma.DocumentID, at soma.PageTarget) soma.Page {
	p.t.Helper()
	page, err := p.db.Pages().Create(p.t.Context(), p.space, soma.NewPage{ID: id, Title: id, Parent: at.Parent, Before: at.Before, After: at.After})
	if err != nil {
		p.t.Fatalf("Create(%q) = %v", id, err)
	}
	return page
}

func (p pageTree) move(id soma.DocumentID, to soma.PageTarget) {
	p.t.Helper()
	if _, err := p.db.Pages().Move(p.t.Context(), p.space, id, to); err != nil {
		p.t.Fatalf("Move(%q, %+v) = %v", id, to, err)
	}
}

func (p pageTree) remove(id soma.DocumentID) {
	p.t.Helper()
	if err := p.db.Pages().Delete(p.t.Context(), p.space, id); err != nil {
		p.t.Fatalf("Delete(%q) = %v", id, err)
	}
}

func (p pageTree) want(want string, opts ...soma.PageOption) {
	p.t.Helper()
	tree, err := p.db.Pages().Tree(p.t.Context(), p.space, opts...)
	if got := outline(tree); err != nil || got != want {
		p.t.Errorf("tree is %q, %v, want %q", got, err, want)
	}
}

// plant makes the tree a(b c(d)) e.
func plant(t *testing.T) pageTree {
	p := newPageTree(t)
	p.create("a", soma.PageTarget{})
	p.create("b", soma.PageTarget{Parent: "a"})
	p.create("c", soma.PageTarget{Parent: "a"})
	p.create("d", soma.PageTarget{Parent: "c"})
	p.create("e", soma.PageTarget{})
	p.want("a(b c(d)) e")
	return p
}

func TestPages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := somatest.Open(t)
	space := newSpace(t, db, "Pages")
	made, err := db.Pages().Create(ctx, space, soma.NewPage{Title: "Today"})
	if err != nil {
		t.Fatalf("Create = %v", err)
	}
	want := soma.Page{
		ID: made.ID, SpaceID: space, Title: "Today", Order: made.Order, CreatedBy: db.PeerID(),
		CreatedAtMs: made.CreatedAtMs, UpdatedAtMs: made.UpdatedAtMs,
	}
	if made.ID == "" || made.Order == "" || made.CreatedAtMs == 0 || made != want {
		t.Errorf("Create = %+v, want %+v", made, want)
	}
	if got, err := db.Pages().Get(ctx, space, made.ID); err != nil || got != made {
		t.Errorf("Get = %+v, %v, want %+v", got, err, made)
	}
	if by, err := db.Pages().CreatedBy(ctx, space, made.ID); err != nil || by != db.PeerID() {
		t.Errorf("CreatedBy = %v, %v, want %v", by, err, db.PeerID())
	}
	upsert(t, db, space, made.ID, somatest.Typed(1, 0, "words"))
	renamed, err := db.Pages().Rename(ctx, space, made.ID, "")
	if err != nil || renamed.Title != "" || renamed.UpdatedAtMs <= made.UpdatedAtMs {
		t.Errorf("Rename = %+v, %v", renamed, err)
	}
	if err := db.Pages().Delete(ctx, space, made.ID); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if got := text(t, db, space, made.ID); got != "words" {
		t.Errorf("document of a deleted page is %q, want %q", got, "words")
	}
	if got, err := db.Pages().Get(ctx, space, made.ID); err != nil || !got.Trashed {
		t.Errorf("Get of a page in the trash = %+v, %v", got, err)
	}
}

func TestPageMoves(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		id   soma.DocumentID
		to   soma.PageTarget
		want string
	}{
		"to the end of the top":     {"b", soma.PageTarget{}, "a(c(d)) e b"},
		"to the end of a page":      {"e", soma.PageTarget{Parent: "a"}, "a(b c(d) e)"},
		"before":                    {"e", soma.PageTarget{Before: "c"}, "a(b e c(d))"},
		"before the first":          {"e", soma.PageTarget{Parent: "a", Before: "b"}, "a(e b c(d))"},
		"after":                     {"e", soma.PageTarget{After: "b"}, "a(b e c(d))"},
		"after the last":            {"e", soma.PageTarget{After: "c"}, "a(b c(d) e)"},
		"with what is under it":     {"c", soma.PageTarget{Before: "a"}, "c(d) a(b) e"},
		"order only":                {"c", soma.PageTarget{Before: "b"}, "a(c(d) b) e"},
		"order only, to the end":    {"b", soma.PageTarget{Parent: "a"}, "a(c(d) b) e"},
		"where it is":               {"b", soma.PageTarget{Before: "c"}, "a(b c(d)) e"},
		"where it is, at the end":   {"c", soma.PageTarget{Parent: "a"}, "a(b c(d)) e"},
		"where it is, after":        {"c", soma.PageTarget{After: "b"}, "a(b c(d)) e"},
		"where it is, at the start": {"a", soma.PageTarget{Before: "e"}, "a(b c(d)) e"},
		"deeper":                    {"b", soma.PageTarget{Parent: "d"}, "a(c(d(b))) e"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plant(t)
			before, err := p.db.Pages().Get(t.Context(), p.space, test.id)
			if err != nil {
				t.Fatal(err)
			}
			heard := p.db.Subscribe(t.Context())
			p.move(test.id, test.to)
			p.want(test.want)
			after, err := p.db.Pages().Get(t.Context(), p.space, test.id)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "where it is") {
				if after != before {
					t.Errorf("page is %+v, was %+v", after, before)
				}
				wantEvents(t, p.db, heard, name)
				return
			}
			wantEvents(t, p.db, heard, name, soma.DomainEvent{Kind: soma.PagesChanged, Source: soma.SourceRenderer, SpaceID: p.space})
		})
	}
}

func TestPageErrors(t *testing.T) {
	t.Parallel()
	p := plant(t)
	ctx, pages := t.Context(), p.db.Pages()
	p.create("gone", soma.PageTarget{})
	p.create("gone too", soma.PageTarget{Parent: "gone"})
	p.remove("gone")
	archive := export(t, p.db, p.space)
	heard := p.db.Subscribe(ctx)
	move := func(id soma.DocumentID, to soma.PageTarget) error {
		_, err := pages.Move(ctx, p.space, id, to)
		return err
	}
	create := func(n soma.NewPage) error {
		_, err := pages.Create(ctx, p.space, n)
		return err
	}
	first := func(_ any, err error) error { return err }
	for name, test := range map[string]struct{ got, want error }{
		"under itself":              {move("a", soma.PageTarget{Parent: "a"}), soma.ErrPageCycle},
		"under what is under it":    {move("a", soma.PageTarget{Parent: "d"}), soma.ErrPageCycle},
		"beside what is under it":   {move("a", soma.PageTarget{Before: "d"}), soma.ErrPageCycle},
		"beside itself":             {move("a", soma.PageTarget{Before: "a"}), soma.ErrInvalidPlace},
		"before and after":          {move("a", soma.PageTarget{Before: "e", After: "e"}), soma.ErrInvalidPlace},
		"beside what is elsewhere":  {move("e", soma.PageTarget{Parent: "a", Before: "d"}), soma.ErrInvalidPlace},
		"of an unknown page":        {move("x", soma.PageTarget{}), soma.ErrNotFound},
		"under an unknown page":     {move("a", soma.PageTarget{Parent: "x"}), soma.ErrNotFound},
		"beside an unknown page":    {move("a", soma.PageTarget{After: "x"}), soma.ErrNotFound},
		"into the trash":            {move("a", soma.PageTarget{Parent: "gone"}), soma.ErrNotFound},
		"deeper into the trash":     {move("a", soma.PageTarget{Parent: "gone too"}), soma.ErrNotFound},
		"beside what is in there":   {move("a", soma.PageTarget{Before: "gone"}), soma.ErrNotFound},
		"without an ID":             {move("", soma.PageTarget{}), soma.ErrInvalidID},
		"unprintable parent":        {move("a", soma.PageTarget{Parent: "\x00"}), soma.ErrInvalidID},
		"twice":                     {create(soma.NewPage{ID: "a"}), soma.ErrExists},
		"as one in the trash":       {create(soma.NewPage{ID: "gone"}), soma.ErrExists},
		"under itself, new":         {create(soma.NewPage{ID: "x", Parent: "x"}), soma.ErrPageCycle},
		"under an unknown one, new": {create(soma.NewPage{Parent: "x"}), soma.ErrNotFound},
		"long title":                {create(soma.NewPage{Title: strings.Repeat("x", soma.MaxPageTitleBytes+1)}), soma.ErrInvalidName},
		"title of two lines":        {create(soma.NewPage{Title: "a\nb"}), soma.ErrInvalidName},
		"title that is not UTF-8":   {first(pages.Rename(ctx, p.space, "a", "\xff")), soma.ErrInvalidName},
		"rename nothing":            {first(pages.Rename(ctx, p.space, "x", "y")), soma.ErrNotFound},
		"delete nothing":            {pages.Delete(ctx, p.space, "x"), soma.ErrNotFound},
		"delete twice":              {pages.Delete(ctx, p.space, "gone"), soma.ErrNotFound},
		"delete in the trash":       {pages.Delete(ctx, p.space, "gone too"), soma.ErrNotFound},
		"archive in the trash":      {first(pages.Archive(ctx, p.space, "gone")), soma.ErrNotFound},
		"restore nothing":           {first(pages.Restore(ctx, p.space, "x")), soma.ErrNotFound},
		"get nothing":               {first(pages.Get(ctx, p.space, "x")), soma.ErrNotFound},
		"path of nothing":           {first(pages.Path(ctx, p.space, "x")), soma.ErrNotFound},
		"children of nothing":       {first(pages.Children(ctx, p.space, "x")), soma.ErrNotFound},
		"creator of nothing":        {first(pages.CreatedBy(ctx, p.space, "x")), soma.ErrNotFound},
		"nil option":                {first(pages.Tree(ctx, p.space, nil)), soma.ErrInvalidOption},
		"with a draft":              {first(pages.Rename(ctx, p.space, "a", "b", soma.WithDraft(1))), soma.ErrInvalidOption},
		"with an epoch":             {first(pages.Create(ctx, p.space, soma.NewPage{ID: "new"}, soma.WithEpoch(nil))), soma.ErrInvalidOption},
		"nil write option":          {pages.Delete(ctx, p.space, "a", nil), soma.ErrInvalidOption},
		"unknown source":            {pages.Delete(ctx, p.space, "a", soma.WithSource("x")), soma.ErrInvalidOption},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	for field, err := range map[string]error{
		"parent": move("a", soma.PageTarget{Parent: "x"}), "before": create(soma.NewPage{Before: "x"}), "after": move("a", soma.PageTarget{After: "\xff"}),
	} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error is %v, want it to name %s", err, field)
		}
	}
	unknown := soma.SpaceID("bafyreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi")
	for name, err := range map[string]error{
		"tree":  first(pages.Tree(ctx, unknown)),
		"trash": first(pages.Trash(ctx, unknown)),
		"new":   first(pages.Create(ctx, unknown, soma.NewPage{})),
	} {
		if !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s of an unknown space: %v, want ErrNotFound", name, err)
		}
	}
	p.want("a(b c(d)) e")
	if after := export(t, p.db, p.space); !slices.Equal(after, archive) {
		t.Errorf("export after errors has %d bytes, want the same %d", len(after), len(archive))
	}
	wantEvents(t, p.db, heard, "errors")
}

func TestTrashAndArchive(t *testing.T) {
	t.Parallel()
	p := plant(t)
	ctx, pages := t.Context(), p.db.Pages()
	must := func(page soma.Page, err error) soma.Page {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	wantTrash := func(want string) {
		t.Helper()
		trash, err := pages.Trash(ctx, p.space)
		if got := titles(trash); err != nil || got != want {
			t.Errorf("trash is %q, %v, want %q", got, err, want)
		}
	}
	children := func(parent soma.DocumentID, want string) {
		t.Helper()
		found, err := pages.Children(ctx, p.space, parent)
		if got := titles(found); err != nil || got != want {
			t.Errorf("children of %q are %q, %v, want %q", parent, got, err, want)
		}
	}
	p.remove("c")
	p.want("a(b) e")
	wantTrash("c")
	children("a", "b")
	children("c", "d")
	path, err := pages.Path(ctx, p.space, "d")
	if got := titles(path); err != nil || got != "a c d" || path[0].Trashed || !path[1].Trashed || !path[2].Trashed {
		t.Errorf("path is %+v, %v", path, err)
	}
	if d := must(pages.Restore(ctx, p.space, "d")); d.Trashed || d.Parent != "a" {
		t.Errorf("d alone is restored to %+v, want under a", d)
	}
	p.want("a(b d) e")
	must(pages.Restore(ctx, p.space, "c"))
	p.want("a(b c d) e")

	// What went to the trash with another page comes back with it, but for what went there for itself.
	p.remove("d")
	p.remove("a")
	p.want("e")
	wantTrash("a d")
	must(pages.Restore(ctx, p.space, "a"))
	p.want("a(b c) e")
	p.remove("a")
	if d := must(pages.Restore(ctx, p.space, "d")); d.Parent != "" {
		t.Errorf("d is restored under %q, want the top level", d.Parent)
	}
	p.want("e d")
	p.move("a", soma.PageTarget{Before: "e"})
	p.want("a(b c) e d")

	if a := must(pages.Archive(ctx, p.space, "a")); !a.Archived {
		t.Errorf("Archive = %+v", a)
	}
	must(pages.Archive(ctx, p.space, "a"))
	p.want("e d")
	p.want("a(b c) e d", soma.WithArchived())
	children("", "e d")
	children("a", "b c")
	p.remove("a")
	p.want("e d", soma.WithArchived())
	if a := must(pages.Restore(ctx, p.space, "a")); a.Archived || a.Trashed {
		t.Errorf("Restore = %+v", a)
	}
	p.want("a(b c) e d")
	must(pages.Restore(ctx, p.space, "a"))
}

// TestPageDepth nests pages as deep as they may be.
func TestPageDepth(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	p := pageTree{t, db, newSpace(t, db, "Deep")}
	parent := soma.DocumentID("")
	for i := range soma.MaxPageDepth + 1 {
		parent = p.create(fmt.Sprint("p", i), soma.PageTarget{Parent: parent}).ID
	}
	if _, err := db.Pages().Create(t.Context(), p.space, soma.NewPage{ID: "deeper", Parent: parent}); !errors.Is(err, soma.ErrTooLarge) {
		t.Errorf("Create below %d pages = %v, want ErrTooLarge", soma.MaxPageDepth+1, err)
	}
	if _, err := db.Pages().Get(t.Context(), p.space, "deeper"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	path, err := db.Pages().Path(t.Context(), p.space, parent)
	if err != nil || len(path) != soma.MaxPageDepth+1 || path[0].ID != "p0" || path[len(path)-1].ID != parent {
		t.Errorf("Path has %d pages, %v", len(path), err)
	}
	p.remove("p0")
	if page, err := db.Pages().Get(t.Context(), p.space, parent); err != nil || !page.Trashed {
		t.Errorf("Get = %+v, %v, want it in the trash", page, err)
	}
}

// TestPagesInOrder inserts at random places and compares with a list.
func TestPagesInOrder(t *testing.T) {
	t.Parallel()
	p := newPageTree(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var want []string
	for i := range 300 {
		id := fmt.Sprintf("p%d", i)
		at := r.IntN(len(want) + 1)
		to := soma.PageTarget{}
		switch {
		case at < len(want) && r.IntN(2) == 0:
			to.Before = want[at]
		case at > 0:
			to.After = want[at-1]
		case len(want) > 0:
			to.Before = want[0]
		}
		if i > 10 && r.IntN(3) == 0 { // one that is there already
			from := r.IntN(len(want))
			id = want[from]
			if to.Before == id || to.After == id {
				continue
			}
			p.move(id, to)
			want = slices.Delete(want, from, from+1)
			if at > from {
				at--
			}
		} else {
			p.create(id, to)
		}
		want = slices.Insert(want, at, id)
	}
	p.want(strings.Join(want, " "))
}

func TestPagesNeedTheRight(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob")
	ann, bob := m.dbs["ann"], m.dbs["bob"]
	page, err := ann.Pages().Create(m.ctx(), m.space, soma.NewPage{Title: "ours"})
	m.must("Create", err)
	m.must("SetRole", ann.Spaces().SetRole(m.ctx(), m.space, bob.PeerID(), soma.RoleViewer))
	m.sync()
	before := export(t, bob, m.space)
	heard := bob.Subscribe(m.ctx())
	_, create := bob.Pages().Create(m.ctx(), m.space, soma.NewPage{})
	_, rename := bob.Pages().Rename(m.ctx(), m.space, page.ID, "mine")
	_, move := bob.Pages().Move(m.ctx(), m.space, page.ID, soma.PageTarget{})
	_, archive := bob.Pages().Archive(m.ctx(), m.space, page.ID)
	_, restore := bob.Pages().Restore(m.ctx(), m.space, page.ID)
	for name, err := range map[string]error{
		"Create": create, "Rename": rename, "Move": move, "Archive": archive, "Restore": restore, "Delete": bob.Pages().Delete(m.ctx(), m.space, page.ID),
	} {
		if !errors.Is(err, soma.ErrForbidden) {
			t.Errorf("%s by a viewer = %v, want ErrForbidden", name, err)
		}
	}
	if after := export(t, bob, m.space); !slices.Equal(after, before) {
		t.Error("a viewer changed the space")
	}
	wantEvents(t, bob, heard, "what a viewer may not do")
}

// wantTrees fails unless all have the same tree, and it is one of some.
func (m *team) wantTrees(want ...string) {
	m.t.Helper()
	m.sync()
	trees := map[string]string{}
	for name, db := range m.dbs {
		tree, err := db.Pages().Tree(m.ctx(), m.space)
		m.must("Tree", err)
		trees[name] = outline(tree)
	}
	for name, tree := range trees {
		if tree != trees["ann"] || !slices.Contains(want, tree) {
			m.t.Errorf("tree at %s is %q, at ann %q, want one of %q", name, tree, trees["ann"], want)
		}
	}
}

func (m *team) pages(name string) pageTree { return pageTree{m.t, m.dbs[name], m.space} }

func TestPagesTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ann, bob func(pageTree)
		want     []string
	}{
		"under each other": {
			func(p pageTree) { p.move("a", soma.PageTarget{Parent: "b"}) },
			func(p pageTree) { p.move("b", soma.PageTarget{Parent: "a"}) },
			[]string{"b(a) c", "a(b) c"},
		},
		"to two places": {
			func(p pageTree) { p.move("a", soma.PageTarget{Parent: "b"}) },
			func(p pageTree) { p.move("a", soma.PageTarget{Parent: "c"}) },
			[]string{"b(a) c", "b c(a)"},
		},
		"order beside a move": { // the move stays, whoever was first
			func(p pageTree) { p.move("a", soma.PageTarget{After: "b"}); p.move("a", soma.PageTarget{After: "c"}) },
			func(p pageTree) { p.move("a", soma.PageTarget{Parent: "b"}) },
			[]string{"b(a) c"},
		},
		"a child of what is deleted": {
			func(p pageTree) { p.remove("a") },
			func(p pageTree) { p.create("new", soma.PageTarget{Parent: "a"}) },
			[]string{"b c"},
		},
		"moved to what is deleted": {
			func(p pageTree) { p.remove("a") },
			func(p pageTree) { p.move("b", soma.PageTarget{Parent: "a"}) },
			[]string{"c"},
		},
		"two new at one place": {
			func(p pageTree) { p.create("x", soma.PageTarget{After: "a"}) },
			func(p pageTree) { p.create("y", soma.PageTarget{After: "a"}) },
			[]string{"a x y b c", "a y x b c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTeam(t, "bob")
			for _, id := range []soma.DocumentID{"a", "b", "c"} {
				m.pages("ann").create(id, soma.PageTarget{})
			}
			m.sync()
			test.ann(m.pages("ann"))
			test.bob(m.pages("bob"))
			m.wantTrees(test.want...)
		})
	}
}

// TestPageEvents hears of what others did, and of nothing that changes nothing.
func TestPageEvents(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob")
	m.pages("ann").create("a", soma.PageTarget{})
	m.pages("ann").create("b", soma.PageTarget{Parent: "a"})
	heard := m.dbs["bob"].Subscribe(t.Context())
	m.send("ann", "bob")
	changed := soma.DomainEvent{Kind: soma.PagesChanged, Source: soma.SourceDaemon, SpaceID: m.space}
	wantEvents(t, m.dbs["bob"], heard, "pages of another", changed)
	m.send("ann", "bob")
	wantEvents(t, m.dbs["bob"], heard, "the same again")

	// A name that loses to a later one, which is there already.
	m.sync()
	_, err := m.dbs["ann"].Pages().Rename(m.ctx(), m.space, "a", "first")
	m.must("Rename", err)
	_, err = m.dbs["bob"].Pages().Rename(m.ctx(), m.space, "a", "second", soma.WithSource(soma.SourceDaemon))
	m.must("Rename", err)
	wantEvents(t, m.dbs["bob"], heard, "own rename", changed)
	m.wantTrees("first(b)", "second(b)")
}
