package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// MaxQueryTerms bounds a query: what comes after so many terms does not count.
const MaxQueryTerms = 64

// An occurrence in the title counts as much as so many in the text.
const titleWeight, textWeight = 5, 1

// parse reads what a user typed; there is no text that it refuses. Phrases that none
// but separators are in say nothing.
func parse(text string) core.SearchQuery {
	p := parser{rest: text}
	p.query.Weights = [2]float64{titleWeight, textWeight}
	for p.next() {
	}
	return p.query
}

type parser struct {
	rest  string
	terms int
	query core.SearchQuery
}

// next reads one word or quoted phrase.
func (p *parser) next() bool {
	p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace)
	if p.rest == "" || p.terms >= MaxQueryTerms {
		return false
	}
	after := strings.TrimLeft(p.rest, "-－")
	not := len(after) < len(p.rest)
	p.rest = after
	first, size := utf8.DecodeRuneInString(p.rest)
	switch {
	case !isQuote(first):
		end := strings.IndexFunc(p.rest, func(r rune) bool { return unicode.IsSpace(r) || isQuote(r) })
		if end < 0 {
			end = len(p.rest)
		}
		p.add(p.rest[:end], not, !not)
		p.rest = p.rest[end:]
	default:
		quoted := p.rest[size:]
		end := strings.IndexFunc(quoted, isQuote)
		if end < 0 { // still being typed
			p.add(quoted, not, !not)
			return false
		}
		p.add(quoted[:end], not, false)
		_, size = utf8.DecodeRuneInString(quoted[end:])
		p.rest = quoted[end+size:]
	}
	return true
}

// add takes the terms of a phrase. open says that its last word may go on.
func (p *parser) add(text string, not, open bool) {
	phrase := core.SearchPhrase{Prefix: open}
	last := word
	terms(text, func(t *term) bool {
		phrase.Terms = append(phrase.Terms, string(t.text))
		last = t.kind
		p.terms++
		return p.terms < MaxQueryTerms
	})
	switch last {
	case ending: // in a document, the run may go on
		phrase.Terms = phrase.Terms[:len(phrase.Terms)-1]
	case lone:
		phrase.Prefix = true
	case word, pair, sign:
	}
	switch {
	case len(phrase.Terms) == 0:
	case not:
		p.query.None = append(p.query.None, phrase)
	default:
		p.query.All = append(p.query.All, phrase)
	}
}

func isQuote(r rune) bool {
	switch r {
	case '"', '“', '”', '„', '‟', '«', '»', '＂':
		return true
	}
	return false
}
