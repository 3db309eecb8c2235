package pagetree_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/pagetree"
)

// tree is a plain map of places.
type tree map[core.DocumentID]core.PagePlace

func (t tree) Place(page core.DocumentID) (core.PagePlace, error) { return t[page], nil }

func (t tree) do(tt *testing.T, m core.PageMove) {
	tt.Helper()
	at, err := pagetree.Apply(m, t)
	if err != nil {
		tt.Fatal(err)
	}
	t[m.Page] = at
}

func move(page, parent, position string) core.PageMove {
	return core.PageMove{Page: page, Parent: parent, Position: position}
}

// reorder and remove are of page a.
func reorder(parent, position string) core.PageMove {
	return core.PageMove{Page: "a", Parent: parent, Position: position, Kind: core.PageReordered}
}

func remove() core.PageMove { return core.PageMove{Page: "a", Kind: core.PageDeleted} }

func (t tree) String() string {
	var pages []string
	for page, at := range t {
		if !at.Placed {
			continue
		}
		s := fmt.Sprintf("%s<%s@%s", page, at.Parent, at.Position)
		if at.Trashed {
			s += "!"
		}
		pages = append(pages, s)
	}
	slices.Sort(pages)
	return strings.Join(pages, " ")
}

func TestApply(t *testing.T) {
	for name, test := range map[string]struct {
		moves []core.PageMove
		want  string
	}{
		"under each other":         {[]core.PageMove{move("a", "", "1"), move("b", "a", "1"), move("a", "b", "2")}, "a<@1 b<a@1"},
		"under itself":             {[]core.PageMove{move("a", "", "1"), move("a", "a", "2")}, "a<@1"},
		"new, under itself":        {[]core.PageMove{move("a", "a", "2")}, "a<@2"},
		"new, under what is under": {[]core.PageMove{move("b", "a", "1"), move("a", "b", "2")}, "a<@2 b<a@1"},
		"long cycle":               {[]core.PageMove{move("a", "", "1"), move("b", "a", "1"), move("c", "b", "1"), move("d", "c", "1"), move("a", "d", "2")}, "a<@1 b<a@1 c<b@1 d<c@1"},
		"reordered":                {[]core.PageMove{move("a", "", "1"), reorder("", "2")}, "a<@2"},
		"reordered under another":  {[]core.PageMove{move("a", "x", "1"), reorder("x", "3")}, "a<x@3"},
		"reordered elsewhere":      {[]core.PageMove{move("a", "x", "1"), reorder("", "2")}, "a<x@1"},
		"reordered, never moved":   {[]core.PageMove{reorder("", "2")}, ""},
		"reordered in the trash":   {[]core.PageMove{move("a", "", "1"), remove(), reorder("", "2")}, "a<@2!"},
		"deleted":                  {[]core.PageMove{move("a", "", "1"), remove()}, "a<@1!"},
		"deleted twice":            {[]core.PageMove{move("a", "", "1"), remove(), remove()}, "a<@1!"},
		"deleted, never moved":     {[]core.PageMove{remove()}, ""},
		"moved out of the trash":   {[]core.PageMove{move("a", "", "1"), remove(), move("a", "b", "2")}, "a<b@2"},
		"deleted, cycle":           {[]core.PageMove{move("a", "", "1"), move("b", "a", "1"), remove(), move("a", "b", "2")}, "a<@1! b<a@1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := tree{}
			for _, m := range test.moves {
				got.do(t, m)
			}
			if got.String() != test.want {
				t.Errorf("tree is %q, want %q", got, test.want)
			}
		})
	}
}

// TestMaxDepth puts pages under each other until that is a cycle.
func TestMaxDepth(t *testing.T) {
	places := tree{}
	last := ""
	for i := range pagetree.MaxDepth + 1 {
		page := fmt.Sprint(i)
		places.do(t, move(page, last, "1"))
		last = page
	}
	if at := places[last]; at.Parent != fmt.Sprint(pagetree.MaxDepth-1) {
		t.Fatalf("page %s is at %+v", last, at)
	}
	places.do(t, move("new", last, "2"))
	places.do(t, move("other", "", "1"))
	places.do(t, move("other", last, "2"))
	if places["new"] != (core.PagePlace{Position: "2", Placed: true}) || places["other"] != (core.PagePlace{Position: "1", Placed: true}) {
		t.Errorf("pages that go too deep are at %+v and %+v", places["new"], places["other"])
	}
}

// chance is a seeded source of random bytes.
func chance(seed uint64) *rand.ChaCha8 {
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	return rand.NewChaCha8(s)
}

// TestBetween makes positions between random neighbours: each is before one and after the
// other, and one that entries may hold.
func TestBetween(t *testing.T) {
	for seed := range uint64(20) {
		source := chance(seed)
		r := rand.New(rand.NewPCG(seed, 1))
		// Positions of others may be anything.
		positions := []string{"\x00\x01", "\x00\x00\x00\x00\x01", "a", "a\x00\x01", "\xff\xff\xff\xff\xff", strings.Repeat("\xff", 40)}
		slices.Sort(positions)
		for range 2000 {
			i := r.IntN(len(positions) + 1)
			lo, hi := "", ""
			if i > 0 {
				lo = positions[i-1]
			}
			if i < len(positions) {
				hi = positions[i]
			}
			p := pagetree.Between(lo, hi, source)
			if err := log.CheckPosition(p); err != nil {
				t.Fatalf("seed %d: Between(%x, %x) = %x: %v", seed, lo, hi, p, err)
			}
			if p <= lo || hi != "" && p >= hi {
				t.Fatalf("seed %d: Between(%x, %x) = %x", seed, lo, hi, p)
			}
			positions = slices.Insert(positions, i, p)
		}
	}
}

// TestPositionsStayShort inserts one after the other, always in the same way.
func TestPositionsStayShort(t *testing.T) {
	const n = 10_000
	for name, next := range map[string]func(lo, hi, p string) (string, string){
		"at the end":                         func(_, _, p string) (string, string) { return p, "" },
		"at the start":                       func(_, _, p string) (string, string) { return "", p },
		"after the last, before a fixed one": func(_, hi, p string) (string, string) { return p, hi },
		"before the last, after a fixed one": func(lo, _, p string) (string, string) { return lo, p },
	} {
		t.Run(name, func(t *testing.T) {
			source := chance(1)
			lo, hi := "", ""
			if strings.Contains(name, "fixed") {
				lo = pagetree.Between("", "", source)
				hi = pagetree.Between(lo, "", source)
			}
			longest := 0
			for range n {
				p := pagetree.Between(lo, hi, source)
				longest = max(longest, len(p))
				lo, hi = next(lo, hi, p)
			}
			if longest > 24 {
				t.Errorf("positions have up to %d bytes, want 24 at most", longest)
			}
		})
	}
}

// TestConcurrentPositionsDiffer puts many pages into the same place, each without knowing
// of the others.
func TestConcurrentPositionsDiffer(t *testing.T) {
	source := chance(7)
	lo := pagetree.Between("", "", source)
	hi := pagetree.Between(lo, "", source)
	seen := map[string]bool{}
	for range 5000 {
		p := pagetree.Between(lo, hi, source)
		if seen[p] {
			t.Fatalf("position %x twice", p)
		}
		seen[p] = true
	}
}
