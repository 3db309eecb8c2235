//go:build cgo

package search_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/search"
)

func TestSearch(t *testing.T) {
	w := newWorld(t)
	w.put("fox", "The quick brown fox jumps over the lazy dog")
	w.put("dog", "A dog barks")
	w.put("meeting", "Notes\nof the meeting")
	w.put("tokyo", "東京都の天気")
	w.put("cafe", "Café Müller, Straße 5 👍🏽")
	w.put("empty", "")
	s := w.search()
	for _, tt := range []struct {
		query string
		want  []core.DocumentID
	}{
		{"dog", []core.DocumentID{"dog", "fox"}},
		{"fox dog", []core.DocumentID{"fox"}},
		{"dog fox", []core.DocumentID{"fox"}},
		{"qui bro", []core.DocumentID{"fox"}},
		{`"qui bro"`, nil},
		{`"quick brown"`, []core.DocumentID{"fox"}},
		{`"brown quick"`, nil},
		{"dog -fox", []core.DocumentID{"dog"}},
		{"dog -fo", []core.DocumentID{"dog", "fox"}},
		{`dog -"lazy dog"`, []core.DocumentID{"dog"}},
		{"-dog", nil},
		{"note meet", []core.DocumentID{"meeting"}},
		{"CAFE muller strasse", []core.DocumentID{"cafe"}},
		{"👍", []core.DocumentID{"cafe"}},
		{"京", []core.DocumentID{"tokyo"}},
		{"京都", []core.DocumentID{"tokyo"}},
		{"天気", []core.DocumentID{"tokyo"}},
		{"気", []core.DocumentID{"tokyo"}},
		{"京天", nil},
		{"", nil},
		{"zebra", nil},
	} {
		w.want(s, tt.query, tt.want...)
	}
	if _, err := s.Search(context.Background(), "unknown", "dog", search.Options{Limit: 1}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Search in an unknown space = %v, want ErrNotFound", err)
	}
}

// Whatever somebody types, SQLite understands what is made of it.
func TestEveryQueryIsLegal(t *testing.T) {
	w := newWorld(t)
	w.put("a", "a b c NEAR AND OR NOT title body words")
	s := w.search()
	queries := []string{
		`"`, `""`, `"""`, `'`, `*`, `**`, `a*`, `*a`, `(`, `)`, `((a)`, `^a`, `a^`, `:`, `title:a`, `a:b`, `-`, `--`, `- a`, `+a`, `{a b}:c`,
		"NEAR", "NEAR/", "NEAR/2", "a NEAR/2 b", "NEAR(a b)", "AND", "OR", "NOT", "a AND", "AND a", "a OR", "NOT a", "a NOT b", "\x00", "a\x00b",
		"\xff", "\xf0\x90", "a;b", "a'); DROP TABLE words; --", `\"`, "%", "_", "?1", "@a", "$a", "\u2028", "\ufeff", "\ud7ff", "😀", "🏽",
		strings.Repeat("a ", 500), strings.Repeat("-a ", 500), strings.Repeat(`"a b" `, 500), strings.Repeat("x", 100_000),
		strings.Repeat("東", 1000), strings.Repeat("a -b ", 100), strings.Repeat("(", 1000), strings.Repeat(`"`, 1001),
	}
	for _, q := range queries {
		if _, err := s.Search(context.Background(), space, q, search.Options{Limit: 10}); err != nil {
			t.Errorf("Search(%.40q) = %v", q, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a b", `"a b" -c`, "東京 NEAR/2", "a* OR (b)", "\x00\xff", "é -ß ﬁ 👍"} {
		f.Add(q)
	}
	w := newWorld(f)
	w.put("a", "a b c é ß ﬁ 東京 👍")
	w.put("b", "c d e f g")
	s := w.search()
	f.Fuzz(func(t *testing.T, query string) {
		hits, err := s.Search(context.Background(), space, query, search.Options{Limit: 10})
		if err != nil {
			t.Fatalf("Search(%q) = %v", query, err)
		}
		for _, h := range hits {
			if len(h.Snippet.Matches) == 0 {
				t.Fatalf("Search(%q) found %q, and nothing in it", query, h.Snippet.Text)
			}
		}
	})
}

func TestRanking(t *testing.T) {
	w := newWorld(t)
	filler := strings.Repeat("lorem ipsum dolor ", 30)
	w.put("in-text", "Nothing\n"+filler+"budget "+filler)
	w.put("in-title", "Budget\n"+filler)
	w.put("often", "Nothing\n"+strings.Repeat("budget lorem ", 10)+filler)
	w.put("short", "Nothing\nbudget")
	w.put("prefix", "Nothing\nbudgets are good")
	w.put("older", "Same\nthing here")
	w.put("newer", "Same\nthing here")
	for i := range 30 { // so that the words are rare
		w.put(fmt.Sprint("other", i), "Other\n"+filler)
	}
	s := w.search()
	got := w.ids(s, "budget")
	for _, order := range [][2]core.DocumentID{{"in-title", "in-text"}, {"often", "in-text"}, {"short", "in-text"}, {"short", "prefix"}} {
		if slices.Index(got, order[0]) > slices.Index(got, order[1]) || !slices.Contains(got, order[1]) {
			t.Errorf("Search(budget) found %q, want %s before %s", got, order[0], order[1])
		}
	}
	w.want(s, "thing", "newer", "older")
	hits := w.hits(s, "budget", search.Options{Limit: 10})
	for i, h := range hits[1:] {
		if h.Score > hits[i].Score {
			t.Errorf("scores rise from %v to %v", hits[i].Score, h.Score)
		}
	}
	// A rare word counts more than one that is everywhere.
	w.put("rare", "x\nlorem zebra")
	w.put("common", "x\nlorem lorem")
	if got := w.ids(s, "lorem"); len(got) < 30 {
		t.Errorf("Search(lorem) found %d", len(got))
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for i := range 700 {
		w.put(fmt.Sprintf("doc%03d", i), "same words")
	}
	s := w.search()
	all := w.ids(s, "same")
	if len(all) != 700 {
		t.Fatalf("found %d, want 700", len(all))
	}
	// What is deleted or changed meanwhile leaves no hole, though the index does not know.
	w.docs[space]["doc650"] = page{"other words", 10_000}
	delete(w.docs[space], "doc640")
	all = slices.DeleteFunc(all, func(id core.DocumentID) bool { return id == "doc650" || id == "doc640" })
	var pages []core.DocumentID
	for offset := 0; ; offset += 30 {
		page := w.hits(s, "same", search.Options{Limit: 30, Offset: offset})
		if len(page) == 0 {
			break
		}
		pages = append(pages, idsOf(page)...)
	}
	if !slices.Equal(pages, all) {
		t.Errorf("pages have %d documents, want the %d of one call, in the same order", len(pages), len(all))
	}
	if got := w.hits(s, "same", search.Options{}); len(got) != 0 {
		t.Errorf("limit 0 returns %d", len(got))
	}
}

// Only the beginning of a huge document is indexed, and found.
func TestHugeDocument(t *testing.T) {
	w := newWorld(t)
	w.put("huge", "first "+strings.Repeat("é", search.MaxTextBytes/2)+" last")
	w.put("title", strings.Repeat("long ", search.MaxTitleBytes)+"end\nrest")
	s := w.search()
	w.want(s, "first", "huge")
	w.want(s, "last")
	hits := w.hits(s, "rest", search.Options{Limit: 1})
	if len(hits) != 1 || len(hits[0].Title) > search.MaxTitleBytes {
		t.Errorf("hits = %v", hits)
	}
}

func TestSearchWhileOthersWrite(t *testing.T) {
	w := newWorld(t)
	s := w.search()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 30 {
				id := core.DocumentID(fmt.Sprintf("%d-%d", g, i%10))
				w.put(id, fmt.Sprintf("writer %d version v%d", g, i))
				if i%7 == 0 {
					w.remove(id)
				}
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				for _, h := range w.hits(s, "writer", search.Options{Limit: 50, Fresh: i%5 == 0}) {
					if !strings.Contains(h.Snippet.Text, "writer") {
						t.Errorf("found %q", h.Snippet.Text)
					}
				}
			}
		})
	}
	wg.Wait()
	w.want(s, "v20 3", "3-0")
	if got := w.ids(s, "writer"); len(got) != 8*8 { // of each ten, versions 21 and 28 were deleted
		t.Errorf("found %d documents, want 64", len(got))
	}
}
