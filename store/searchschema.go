package store

import (
	"errors"
	"strings"
)

// searchSchema are the tables beside the full-text table, whose row IDs are those of doc.
const searchSchema = `
CREATE TABLE state (
	id       INTEGER PRIMARY KEY,
	source   TEXT NOT NULL,
	rules    TEXT NOT NULL,
	engine   TEXT NOT NULL,
	complete INTEGER NOT NULL,
	removed  INTEGER NOT NULL,
	replaced INTEGER NOT NULL
) STRICT;

CREATE TABLE space (
	id    INTEGER PRIMARY KEY,
	ident TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE doc (
	id            INTEGER PRIMARY KEY,
	space         INTEGER NOT NULL,
	ident         TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	UNIQUE (space, ident)
) STRICT;
`

// engine is which full-text search SQLite has. Terms come folded and cut already, so
// the tokenizers only have to split at spaces.
type engine string

const (
	fts4 engine = "fts4"
	fts5 engine = "fts5"
)

// findEngine asks SQLite what it was compiled with.
func findEngine(c *conn) (engine, error) {
	has := map[string]bool{}
	err := c.each("PRAGMA compile_options", nil, func(r *row) bool {
		has[r.text(0)] = true
		return true
	})
	switch {
	case err != nil:
		return "", err
	case has["ENABLE_FTS5"]:
		return fts5, nil
	case (has["ENABLE_FTS4"] || has["ENABLE_FTS3"]) && has["ENABLE_FTS3_PARENTHESIS"]:
		return fts4, nil
	}
	return "", errors.ErrUnsupported
}

// schema makes the full-text table. FTS5 takes deleted terms out of its index at once;
// in FTS4 they stay until segments are merged.
func (e engine) schema() string {
	if e == fts5 {
		return `CREATE VIRTUAL TABLE words USING fts5(title, body, tokenize='ascii');
INSERT INTO words(words, rank) VALUES('secure-delete', 1);`
	}
	return `CREATE VIRTUAL TABLE words USING fts4(title, body, tokenize=simple);`
}

// find returns the statement that lists what matches: ID, time, and the score or what
// it is computed from. CROSS keeps SQLite from asking the other table first.
func (e engine) find() string {
	score := "matchinfo(words, 'pcnalx')"
	if e == fts5 {
		score = "-bm25(words, ?3, ?4)"
	}
	return "SELECT doc.ident, doc.updated_at_ms, " + score + ` FROM words CROSS JOIN doc ON doc.id = words.rowid
		WHERE words MATCH ?1 AND doc.space = ?2`
}

// phrase returns terms as a phrase of the engine's language. Nothing in a term has a
// meaning in it.
func (e engine) phrase(terms []string, prefix bool) string {
	text := strings.Join(terms, " ")
	switch {
	case !prefix:
		return `"` + text + `"`
	case e == fts5:
		return `"` + text + `" *`
	default:
		return `"` + text + `*"`
	}
}
