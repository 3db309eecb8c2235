package search

import "github.com/soma-sdk/soma/internal/core"

// Term is what Terms returns: a folded term, and where it is in the text.
type Term struct {
	Text       string
	Start, End int
}

// Terms returns the terms of a text.
func Terms(text string) []Term {
	var all []Term
	terms(text, func(t *term) bool {
		all = append(all, Term{string(t.text), t.start, t.end})
		return true
	})
	return all
}

// Spelled, Parse and Rank are the functions of these names.
func Spelled(text string) string { return spelled(text) }

// Parse reads a query.
func Parse(text string) core.SearchQuery { return parse(text) }

// Rank scores a match.
func Rank(m core.MatchInfo, weights [2]float64) float64 { return rank(m, weights) }

// Look returns the snippet of a text, and whether the text alone matches.
func Look(query, text string) (Snippet, bool) {
	f := newFinder(parse(query))
	found := f.find(text)
	return snippet(text, found), f.matches()
}
