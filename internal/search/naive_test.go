//go:build cgo

package search_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// piece is a part of a random text, as it is written and as it is compared: a word, a run
// of characters without spaces between, or what separates.
type piece struct {
	kind    byte // 'w', 'r' or ' '
	written string
	folded  string
}

// letters are what words are made of here, and how that may be written.
var letters = map[string][]string{
	"a": {"a", "A", "á", "a\u0301", "ａ", "Å"}, "b": {"b", "B", "ｂ"}, "ss": {"ss", "ß", "ẞ", "SS"}, "i": {"i", "İ", "ı", "I"}, "fi": {"fi", "ﬁ"},
}

// dense are characters of runs, and how they may be written.
var dense = map[string][]string{"東": {"東"}, "京": {"京", "京\U000e0100"}, "が": {"が", "か\u3099"}, "ガ": {"ガ", "ｶﾞ"}, "한": {"한", "\u1112\u1161\u11ab"}}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func randomPiece(r *rand.Rand, kind byte) piece {
	p := piece{kind: kind}
	from := letters
	switch kind {
	case ' ':
		p.written = pick(r, []string{" ", "\n", ", ", "-", "'", " (", "\u200b"})
		return p
	case 'r':
		from = dense
	}
	keys := make([]string, 0, len(from))
	for k := range from {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for range 1 + r.IntN(4) {
		k := pick(r, keys)
		p.folded += k
		p.written += pick(r, from[k])
	}
	return p
}

// randomPieces alternates words, runs and separators so that no two of a kind touch.
func randomPieces(r *rand.Rand, n int, kinds string) []piece {
	var all []piece
	for len(all) < n {
		kind := kinds[r.IntN(len(kinds))]
		if len(all) > 0 && all[len(all)-1].kind == kind {
			continue
		}
		all = append(all, randomPiece(r, kind))
	}
	return all
}

func written(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.written)
	}
	return b.String()
}

// units are the pieces that are compared.
func units(pieces []piece) []piece {
	return slices.DeleteFunc(slices.Clone(pieces), func(p piece) bool { return p.kind == ' ' })
}

// holds reports, by going through all places, whether a phrase is in a text. Inside, its
// units are whole; a run may begin and end it in the middle of another, and the last word
// may go on if the phrase is open.
func holds(text, phrase []piece, open bool) bool {
	text, phrase = units(text), units(phrase)
	for at := range text {
		if at+len(phrase) > len(text) {
			return false
		}
		all := true
		for i, want := range phrase {
			have := text[at+i]
			first, last := i == 0, i == len(phrase)-1
			fits := have.folded == want.folded
			switch {
			case want.kind == 'r' && first && last:
				fits = strings.Contains(have.folded, want.folded)
			case want.kind == 'r' && first:
				fits = strings.HasSuffix(have.folded, want.folded)
			case last && (want.kind == 'r' || open):
				fits = strings.HasPrefix(have.folded, want.folded)
			}
			all = all && fits && have.kind == want.kind
		}
		if all {
			return true
		}
	}
	return false
}

// question is a random query, and what it means.
type question struct {
	text string
	yes  []func(text []piece) bool
	no   []func(text []piece) bool
}

func randomQuestion(r *rand.Rand) question {
	var q question
	for range 1 + r.IntN(3) {
		var phrase []piece
		text, open, not := "", true, r.IntN(4) == 0
		if r.IntN(3) == 0 {
			phrase = randomPieces(r, 1+r.IntN(4), "wr ")
			text, open = `"`+written(phrase)+`"`, false
		} else {
			phrase = randomPieces(r, 1+r.IntN(2), "wr")
			text = written(phrase)
		}
		if not {
			text, open = "-"+text, false
		}
		q.text += " " + text
		if len(units(phrase)) == 0 {
			continue
		}
		test := func(doc []piece) bool { return holds(doc, phrase, open) }
		if not {
			q.no = append(q.no, test)
		} else {
			q.yes = append(q.yes, test)
		}
	}
	return q
}

func (q question) fits(title, text []piece) bool {
	in := func(test func([]piece) bool) bool { return test(title) || test(text) }
	return len(q.yes) > 0 && !slices.ContainsFunc(q.yes, func(t func([]piece) bool) bool { return !in(t) }) && !slices.ContainsFunc(q.no, in)
}

// Search finds what reading all documents finds, whatever is written, changed and deleted.
func TestSearchAgreesWithReadingEverything(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	type randomPage struct{ title, text []piece }
	w := newWorld(t)
	s := w.search()
	docs := map[core.DocumentID]randomPage{}
	matched := 0
	for round := range 30 {
		for range 8 {
			id := core.DocumentID(fmt.Sprint("doc", r.IntN(40)))
			if r.IntN(5) == 0 {
				delete(docs, id)
				w.remove(id)
				continue
			}
			// The first line is title and text, as extract says.
			d := randomPage{title: randomPieces(r, 1+r.IntN(3), "wr")}
			d.text = slices.Concat(d.title, []piece{{' ', "\n", ""}}, randomPieces(r, 1+r.IntN(20), "wr  "))
			docs[id] = d
			w.put(id, written(d.text))
		}
		if round == 15 { // what happens to the index in between does not matter
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = w.search()
		}
		for range 40 {
			q := randomQuestion(r)
			want := []core.DocumentID{}
			for id, d := range docs {
				if q.fits(d.title, d.text) {
					want = append(want, id)
				}
			}
			got := w.ids(s, q.text)
			matched += len(got)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("Search(%q) found %q, want %q", q.text, got, want)
			}
		}
	}
	if matched < 100 {
		t.Errorf("only %d matches: the queries are too hard", matched)
	}
}
