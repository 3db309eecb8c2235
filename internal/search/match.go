package search

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// Range is a part of a string, in bytes, from Start up to before End.
type Range struct{ Start, End int }

// finder finds the phrases of a query in texts. Several texts may be looked at in turn:
// what was found adds up.
type finder struct {
	query  core.SearchQuery
	whole  map[string][]place // of terms that have to be equal
	begins []beginning        // of prefixes
	seen   []bool             // phrases that were found, those of All first
}

// maxOccurrences bounds the occurrences of one phrase that are looked at for a snippet.
const maxOccurrences = 256

// place is a term of a phrase, by number.
type place struct{ phrase, at int }

type beginning struct {
	text []byte
	place
}

// occurrence is where a phrase is in a text.
type occurrence struct {
	phrase int
	Range
}

func newFinder(q core.SearchQuery) *finder {
	f := &finder{query: q, whole: map[string][]place{}, seen: make([]bool, len(q.All)+len(q.None))}
	for i := range f.seen {
		p := f.phrase(i)
		for at, text := range p.Terms {
			if p.Prefix && at == len(p.Terms)-1 {
				f.begins = append(f.begins, beginning{[]byte(text), place{i, at}})
			} else {
				f.whole[text] = append(f.whole[text], place{i, at})
			}
		}
	}
	return f
}

func (f *finder) phrase(i int) *core.SearchPhrase {
	if i < len(f.query.All) {
		return &f.query.All[i]
	}
	return &f.query.None[i-len(f.query.All)]
}

// matches reports whether what was found so far is what the query asks for.
func (f *finder) matches() bool {
	for i, seen := range f.seen {
		if seen != (i < len(f.query.All)) {
			return false
		}
	}
	return len(f.query.All) > 0
}

// find returns where the phrases that are asked for are in a text, in order, the first
// maxOccurrences of each.
func (f *finder) find(text string) []occurrence {
	var found []occurrence
	// A bit for each term of a phrase: set while the terms up to it are the last ones
	// that were read. A phrase has at most 64.
	reached := make([]uint64, len(f.seen))
	count := make([]int, len(f.query.All))
	fits := make([]uint64, len(f.seen))
	var starts [MaxQueryTerms]int
	n := 0
	terms(text, func(t *term) bool {
		starts[n%MaxQueryTerms] = t.start
		n++
		clear(fits)
		for _, p := range f.whole[string(t.text)] {
			fits[p.phrase] |= 1 << p.at
		}
		for _, b := range f.begins {
			if bytes.HasPrefix(t.text, b.text) {
				fits[b.phrase] |= 1 << b.at
			}
		}
		for i := range reached {
			reached[i] = (reached[i]<<1 | 1) & fits[i]
			size := len(f.phrase(i).Terms)
			if reached[i]&(1<<(size-1)) == 0 {
				continue
			}
			f.seen[i] = true
			if i < len(count) && count[i] < maxOccurrences {
				count[i]++
				found = append(found, occurrence{i, Range{starts[(n-size)%MaxQueryTerms], f.end(i, t)}})
			}
		}
		return true
	})
	slices.SortStableFunc(found, func(a, b occurrence) int { return cmp.Compare(a.Start, b.Start) })
	return found
}

// end returns where an occurrence of a phrase ends whose last term is in a text: behind
// the first character of a pair, if the phrase asks for no more.
func (f *finder) end(phrase int, t *term) int {
	all := f.phrase(phrase).Terms
	if t.kind == pair && len(all[len(all)-1]) <= t.first {
		return t.firstEnd
	}
	return t.end
}
