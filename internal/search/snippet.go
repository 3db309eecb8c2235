package search

import (
	"strings"
	"unicode/utf8"
)

// The size of a snippet, in characters, and how much of it may come before the match.
const (
	snippetRunes = 160
	contextRunes = 50
)

// Snippet is the part of a text in which most of a query is.
type Snippet struct {
	Text    string  // line breaks and tabs are spaces
	Matches []Range // in Text, in order, apart from each other
	Before  bool    // something of the text comes before it
	After   bool    // something of the text comes after it
}

// snippet cuts out of a text the part in which most phrases are, the first of several.
// It begins and ends where terms do, so it cuts no word, and no character from its marks.
func snippet(text string, found []occurrence) Snippet {
	cut := window(text, best(text, found))
	s := Snippet{
		Text:   strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(text[cut.Start:cut.End]),
		Before: strings.TrimSpace(text[:cut.Start]) != "",
		After:  strings.TrimSpace(text[cut.End:]) != "",
	}
	s.Matches = within(found, cut)
	return s
}

// best returns where the occurrence begins from which on, within the size of a snippet,
// most different phrases are.
func best(text string, found []occurrence) int {
	at, most, all := 0, 0, 0
	for _, o := range found {
		all = max(all, o.phrase+1)
	}
	for i, o := range found {
		end := skip(text, o.Start, snippetRunes-contextRunes)
		distinct := map[int]bool{}
		for _, other := range found[i:] {
			if other.Start >= end {
				break
			}
			if other.End <= end || other == o {
				distinct[other.phrase] = true
			}
		}
		if len(distinct) > most {
			at, most = o.Start, len(distinct)
		}
		if most == all {
			break
		}
	}
	return at
}

// window returns the part of a text around the term at a position.
func window(text string, at int) Range {
	from := back(text, at, contextRunes)
	to := skip(text, from, snippetRunes)
	from = min(from, back(text, to, snippetRunes))
	cut := Range{at, at}
	if from == 0 {
		cut.Start = 0
	}
	terms(text, func(t *term) bool {
		if t.start >= from {
			cut.Start = min(cut.Start, t.start)
		}
		if t.end <= to || t.start == at {
			cut.End = max(cut.End, t.end)
		}
		return t.end < to
	})
	if to == len(text) {
		cut.End = to
	}
	cut.End = min(cut.End, skip(text, to, snippetRunes)) // a term has any number of marks
	return cut
}

// within returns the parts of a cut that are matches, overlapping ones as one.
func within(found []occurrence, cut Range) []Range {
	var all []Range
	for _, o := range found {
		if o.Start < cut.Start || o.Start >= cut.End {
			continue
		}
		r := Range{o.Start - cut.Start, min(o.End, cut.End) - cut.Start}
		if n := len(all); n > 0 && r.Start < all[n-1].End {
			all[n-1].End = max(all[n-1].End, r.End)
		} else {
			all = append(all, r)
		}
	}
	return all
}

// skip returns the position n characters after another one.
func skip(text string, at, n int) int {
	for ; n > 0 && at < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// back returns the position n characters before another one.
func back(text string, at, n int) int {
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return at
}
