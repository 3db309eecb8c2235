package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// permutations calls fn with every order of the entries that keeps nothing back.
func permutations(entries []core.Entry, fn func([]core.Entry)) {
	var walk func(at int)
	walk = func(at int) {
		if at == len(entries) {
			fn(slices.Clone(entries))
			return
		}
		for i := at; i < len(entries); i++ {
			entries[at], entries[i] = entries[i], entries[at]
			walk(at + 1)
			entries[at], entries[i] = entries[i], entries[at]
		}
	}
	walk(0)
}

// inEveryOrder delivers entries in all orders to new replicas, singly, and lets
// check look at the results.
func inEveryOrder(t *testing.T, from *site, space core.SpaceID, entries []*log.Entry, check func(s *site, order string)) {
	t.Helper()
	names := map[core.Hash]int{}
	for i, e := range entries {
		names[e.Hash] = i
	}
	permutations(raws(entries...), func(order []core.Entry) {
		if t.Failed() {
			return
		}
		s := openSite(t, siteOptions{})
		s.found(from, space)
		what := "order"
		for _, e := range order {
			what += fmt.Sprint(" ", names[e.Hash()])
			s.accept(space, e)
		}
		check(s, what)
		s.close()
	})
}

func TestDeleteAndUpdate(t *testing.T) {
	from := openSite(t, siteOptions{})
	space := from.create("space")
	authors := func() (a, b, c *author) {
		return newAuthor(t, from.id.Key(), space, 1), newAuthor(t, from.id.Key(), space, 2), newAuthor(t, from.id.Key(), space, 3)
	}
	doc := func(client uint64) log.DocUpdate { return update("doc", insert(client, 0, "x")) }
	del := log.DocDelete{Doc: "doc"}
	for _, c := range []struct {
		name   string
		log    func() []*log.Entry
		hidden bool
	}{
		{"deleted", func() []*log.Entry {
			a, _, _ := authors()
			return []*log.Entry{a.write(nil, doc(1)), a.write(nil, del)}
		}, true},
		{"deleted by another who saw it", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			return []*log.Entry{u, b.write([]*log.Entry{u}, del)}
		}, true},
		{"concurrent update", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			return []*log.Entry{u, b.write([]*log.Entry{u}, del), a.write(nil, doc(2))}
		}, false},
		{"concurrent update that adds nothing", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			return []*log.Entry{u, b.write([]*log.Entry{u}, del), a.write(nil, doc(1))}
		}, false},
		{"later update", func() []*log.Entry {
			a, _, _ := authors()
			return []*log.Entry{a.write(nil, doc(1)), a.write(nil, del), a.write(nil, update("doc", insert(1, 1, "y")))}
		}, false},
		{"later update of another document", func() []*log.Entry {
			a, _, _ := authors()
			return []*log.Entry{a.write(nil, doc(1)), a.write(nil, del), a.write(nil, update("other", insert(1, 0, "y")))}
		}, true},
		{"restored and deleted again", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			d := b.write([]*log.Entry{u}, del)
			v := a.write(nil, doc(2))
			return []*log.Entry{u, d, v, b.write([]*log.Entry{v}, del)}
		}, true},
		{"two deletes, neither saw all", func() []*log.Entry {
			a, b, c := authors()
			u, v := a.write(nil, doc(1)), b.write(nil, doc(2))
			return []*log.Entry{u, v, c.write([]*log.Entry{u}, del), b.write(nil, del)}
		}, false},
		{"two deletes, one saw all", func() []*log.Entry {
			a, b, c := authors()
			u, v := a.write(nil, doc(1)), b.write(nil, doc(2))
			return []*log.Entry{u, v, c.write([]*log.Entry{u, v}, del), b.write(nil, del)}
		}, true},
		{"delete of an unknown document", func() []*log.Entry {
			a, b, _ := authors()
			return []*log.Entry{a.write(nil, doc(1)), b.write(nil, del)}
		}, false},
		{"update and delete in one entry", func() []*log.Entry {
			a, b, _ := authors()
			return []*log.Entry{a.write(nil, doc(1), del), b.write(nil, update("other", insert(9, 0, "z")))}
		}, true},
		{"delete and update in one entry", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			return []*log.Entry{u, a.write(nil, del, doc(2)), b.write(nil, update("other", insert(9, 0, "z")))}
		}, false},
		{"delete, update and delete in one entry", func() []*log.Entry {
			a, b, _ := authors()
			u := a.write(nil, doc(1))
			return []*log.Entry{u, a.write(nil, del, doc(2), del), b.write(nil, update("other", insert(9, 0, "z")))}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var want map[string]string
			inEveryOrder(t, from, space, c.log(), func(s *site, order string) {
				_, err := s.Get(s.ctx(), space, "doc")
				if hidden := errors.Is(err, core.ErrNotFound); hidden != c.hidden {
					t.Errorf("%s: hidden = %v, want %v", order, hidden, c.hidden)
				}
				if want == nil {
					want = s.dump(space)
				}
				wantEqual(t, order, s.dump(space), want)
			})
		})
	}
}

func TestLocalDelete(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	del := func() error { return s.Delete(s.ctx(), space, "doc", events.SourceRenderer) }
	if err := del(); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Delete(unknown) = %v, want ErrNotFound", err)
	}
	s.upsert(space, "doc", insert(1, 0, "text"))
	s.upsert(space, "doc", insert(1, 4, "!"))
	if err := del(); err != nil {
		t.Errorf("Delete = %v", err)
	}
	s.wantHidden(space, "doc")
	if docs, _, err := s.Docs(s.ctx(), space, "", 10); err != nil || len(docs) != 0 {
		t.Errorf("Docs = %v, %v, want none", docs, err)
	}
	if err := del(); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Delete again = %v, want ErrNotFound", err)
	}
	b := s.second(space)
	b.wantHidden(space, "doc")

	// Writing what is there already brings it back, here and elsewhere.
	s.upsert(space, "doc", insert(1, 0, "text"))
	s.wantText(space, "doc", "text!")
	exchange(s, b, space)
	b.wantText(space, "doc", "text!")

	// A delete here and an update there, at the same time.
	s.remove(space)
	b.upsert(space, "doc", insert(2, 0, "not so fast "))
	exchange(s, b, space)
	for name, x := range map[string]*site{"deleting": s, "writing": b} {
		if got := x.text(space, "doc"); len(got) != len("text!not so fast ") {
			t.Errorf("%s side: text = %q, want all of it", name, got)
		}
	}
	wantEqual(t, "other side", b.dump(space), s.dump(space))
}

// TestUpdateInTheTailBeatsARemoteDelete has an own update that was not sealed
// when the delete of another comes.
func TestUpdateInTheTailBeatsARemoteDelete(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "a"))
	b := s.second(space)
	s.upsert(space, "doc", insert(1, 1, "b"))
	b.remove(space)
	s.pull(b, space)
	s.wantText(space, "doc", "ab")
	exchange(s, b, space)
	b.wantText(space, "doc", "ab")
}

func TestNames(t *testing.T) {
	from := openSite(t, siteOptions{})
	space := from.create("first")
	authors := func() (a, b, c *author) {
		return newAuthor(t, from.id.Key(), space, 1), newAuthor(t, from.id.Key(), space, 2), newAuthor(t, from.id.Key(), space, 3)
	}
	rename := func(a *author, wall uint64, deps []*log.Entry, names ...string) *log.Entry {
		h := a.header(deps...)
		h.WallMs = wall
		var bodies []log.Body
		for _, name := range names {
			bodies = append(bodies, log.SpaceMeta{Name: name})
		}
		a.last = a.sign(h, bodies...)
		return a.last
	}
	for _, c := range []struct {
		name string
		log  func() (entries []*log.Entry, want string)
	}{
		{"later clock", func() ([]*log.Entry, string) {
			a, b, c := authors()
			return []*log.Entry{rename(a, 5, nil, "five"), rename(b, 7, nil, "seven"), rename(c, 6, nil, "six")}, "seven"
		}},
		{"equal clocks, higher hash", func() ([]*log.Entry, string) {
			a, b, c := authors()
			entries := []*log.Entry{rename(a, 5, nil, "a"), rename(b, 5, nil, "b"), rename(c, 5, nil, "c")}
			highest := slices.MaxFunc(entries, func(x, y *log.Entry) int { return slices.Compare(x.Hash[:], y.Hash[:]) })
			return entries, highest.Ops[0].Body.(log.SpaceMeta).Name
		}},
		{"causally later, older clock", func() ([]*log.Entry, string) {
			a, b, _ := authors()
			old := rename(a, 1000, nil, "old")
			return []*log.Entry{old, rename(b, 1, []*log.Entry{old}, "new")}, "new"
		}},
		{"one of two replaced", func() ([]*log.Entry, string) {
			a, b, c := authors()
			x, y := rename(a, 1000, nil, "x"), rename(b, 500, nil, "y")
			return []*log.Entry{x, y, rename(c, 1, []*log.Entry{x}, "z")}, "y"
		}},
		{"replaced through entries between", func() ([]*log.Entry, string) {
			a, b, _ := authors()
			old := rename(a, 1000, nil, "old")
			between := b.write([]*log.Entry{old}, update("doc", insert(1, 0, "x")))
			return []*log.Entry{old, between, rename(b, 2, nil, "new")}, "new"
		}},
		{"two in one entry", func() ([]*log.Entry, string) {
			a, b, _ := authors()
			return []*log.Entry{rename(a, 9, nil, "first", "second"), rename(b, 5, nil, "other")}, "second"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			entries, want := c.log()
			inEveryOrder(t, from, space, entries, func(s *site, order string) {
				if got := s.name(space); got != want {
					t.Errorf("%s: name = %q, want %q", order, got, want)
				}
			})
		})
	}
}

// TestNamesAtRandom renames in two directories, which see some of each other.
func TestNamesAtRandom(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 2))
		a := openSite(t, siteOptions{})
		space := a.create("space")
		b := a.second(space)
		sites := []*site{a, b}
		for n := range 30 {
			s := sites[r.IntN(2)]
			s.clock.ms.Add(int64(r.IntN(2000)) - 1000)
			s.rename(space, fmt.Sprint("name ", n))
			if r.IntN(4) == 0 {
				s.pull(sites[r.IntN(2)], space)
			}
		}
		exchange(a, b, space)
		if x, y := a.name(space), b.name(space); x != y {
			t.Errorf("seed %d: names = %q and %q", seed, x, y)
		}
	}
}

func TestRenameToTheSame(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	before := len(s.entries(space))
	s.rename(space, "space")
	if got := len(s.entries(space)); got != before {
		t.Errorf("%d entries after a rename to the same name, want %d", got, before)
	}
	if _, err := s.RenameSpace(s.ctx(), space, "", events.SourceRenderer); !errors.Is(err, core.ErrInvalidName) {
		t.Errorf("RenameSpace(%q) = %v, want ErrInvalidName", "", err)
	}
	other := openSite(t, siteOptions{})
	other.found(s, space)
	if _, err := other.RenameSpace(other.ctx(), space, "mine", events.SourceRenderer); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("RenameSpace by another = %v, want ErrForbidden", err)
	}
	if _, err := other.Upsert(other.ctx(), space, "doc", insert(1, 0, "x"), replica.WriteOptions{Source: events.SourceRenderer}); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("Upsert by another = %v, want ErrForbidden", err)
	}
	if _, err := other.Accept(other.ctx(), space, nil); err != nil {
		t.Errorf("Accept(nothing) = %v", err)
	}
	if sp, err := other.Space(other.ctx(), space); err != nil || sp.Role != 0 {
		t.Errorf("role of another = %s, %v, want none", sp.Role, err)
	}
}
