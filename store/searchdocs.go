package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// Spaces returns the spaces that have documents in the index.
func (x *SearchIndex) Spaces() ([]core.SpaceID, error) {
	var all []core.SpaceID
	err := x.writer.each("SELECT ident FROM space ORDER BY ident", nil, func(r *row) bool {
		all = append(all, core.SpaceID(r.text(0)))
		return true
	})
	return all, wrap("list spaces of search index", x.failed(err))
}

// Docs returns up to limit documents of a space that are in the index, with IDs greater
// than after, in order of ID (bytewise).
func (x *SearchIndex) Docs(space core.SpaceID, after core.DocumentID, limit int) ([]core.IndexedDoc, error) {
	key, err := spaceKey(x.writer, space)
	if err != nil || key == 0 {
		return nil, x.failed(err)
	}
	var docs []core.IndexedDoc
	err = x.writer.each("SELECT ident, updated_at_ms FROM doc WHERE space = ?+0 AND ident > ? ORDER BY ident LIMIT ?+0",
		[]any{key, after, int64(limit)}, func(r *row) bool {
			docs = append(docs, core.IndexedDoc{ID: r.text(0), UpdatedAtMs: r.int(1)})
			return true
		})
	return docs, wrap("list documents of search index", x.failed(err))
}

// Apply makes changes, all or none. A document is in them once.
func (x *SearchIndex) Apply(changes []core.IndexChange) error {
	return wrap("write search index", x.change(func() error {
		rows, err := x.rows(changes)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := x.apply(r.doc, r.change); err != nil {
				return err
			}
		}
		return nil
	}))
}

// searchRow is a change of a row of doc.
type searchRow struct {
	doc    int64
	change *core.IndexChange
}

// rows finds the rows of changes, in the order of their keys: FTS4 begins a segment for
// each step back.
func (x *SearchIndex) rows(changes []core.IndexChange) ([]searchRow, error) {
	rows := make([]searchRow, len(changes))
	var added []searchRow
	n := 0
	for i := range changes {
		ch := &changes[i]
		space, err := x.ensureSpace(ch)
		if err != nil {
			return nil, err
		}
		r, err := x.writer.one("SELECT id FROM doc WHERE space = ? AND ident = ?", space, ch.Doc)
		switch {
		case err != nil:
			return nil, err
		case r != nil:
			rows[n] = searchRow{r.int(0), ch}
			n++
		case !ch.Gone:
			key, err := x.writer.insert("INSERT INTO doc (space, ident, updated_at_ms) VALUES (?, ?, ?)", space, ch.Doc, ch.UpdatedAtMs)
			if err != nil {
				return nil, err
			}
			added = append(added, searchRow{key, ch})
		}
	}
	rows = append(rows[:n], added...)
	slices.SortStableFunc(rows, func(a, b searchRow) int { return cmp.Compare(a.doc, b.doc) })
	return rows, nil
}

// ensureSpace returns the key of the space of a change. One that takes out of a space
// what is not in it does not make it.
func (x *SearchIndex) ensureSpace(ch *core.IndexChange) (int64, error) {
	key, err := spaceKey(x.writer, ch.Space)
	if err != nil || key != 0 || ch.Gone {
		return key, err
	}
	return x.writer.insert("INSERT INTO space (ident) VALUES (?)", string(ch.Space))
}

func (x *SearchIndex) apply(doc int64, ch *core.IndexChange) error {
	removed, err := x.writer.exec("DELETE FROM words WHERE rowid = ?", doc)
	if err != nil {
		return err
	}
	if ch.Gone {
		if _, err := x.writer.exec("DELETE FROM doc WHERE id = ?", doc); err != nil {
			return err
		}
		return x.count("removed", removed)
	}
	if _, err := x.writer.exec("UPDATE doc SET updated_at_ms = ? WHERE id = ?", ch.UpdatedAtMs, doc); err != nil {
		return err
	}
	if _, err := x.writer.exec("INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)", doc, ch.Title, ch.Text); err != nil {
		return err
	}
	return x.count("replaced", removed)
}

func (x *SearchIndex) count(column string, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := x.writer.exec("UPDATE state SET "+column+" = "+column+" + ?", n)
	return err
}

// DropSpace takes a space out of the index.
func (x *SearchIndex) DropSpace(space core.SpaceID) error {
	return wrap("take space out of search index", x.change(func() error {
		key, err := spaceKey(x.writer, space)
		if err != nil || key == 0 {
			return err
		}
		n, err := x.writer.exec("DELETE FROM words WHERE rowid IN (SELECT id FROM doc WHERE space = ?)", key)
		if err != nil {
			return err
		}
		if _, err := x.writer.exec("DELETE FROM doc WHERE space = ?", key); err != nil {
			return err
		}
		if _, err := x.writer.exec("DELETE FROM space WHERE id = ?", key); err != nil {
			return err
		}
		return x.count("removed", n)
	}))
}

// IsComplete reports whether SetComplete was ever called.
func (x *SearchIndex) IsComplete() bool { return x.whole.Load() }

// SetComplete remembers that all documents are in the index.
func (x *SearchIndex) SetComplete() error {
	err := x.change(func() error {
		_, err := x.writer.exec("UPDATE state SET complete = 1 WHERE id = 1")
		return err
	})
	if err == nil {
		x.whole.Store(true)
	}
	return wrap("write search index", err)
}

// manyReplaced is how many documents are replaced before their old terms are worth to
// be taken out; fewer wait for a deletion.
const manyReplaced = 4096

// Purge takes out of the files the terms of what was deleted or replaced: after any
// deletion, and after many replacements. It rewrites the index, which takes a time in
// proportion to its size, or does nothing, and reports which. ctx interrupts.
func (x *SearchIndex) Purge(ctx context.Context) (bool, error) {
	r, err := x.writer.one("SELECT removed, replaced FROM state WHERE id = 1")
	if err == nil && r == nil {
		err = damaged("state of the index")
	}
	if err != nil {
		return false, wrap("purge search index", x.failed(err))
	}
	removed, replaced := r.int(0), r.int(1)
	if err := r.bad(); err != nil {
		return false, wrap("purge search index", x.failed(err))
	}
	if removed == 0 && replaced < manyReplaced {
		return false, nil
	}
	return true, wrap("purge search index", x.purge(ctx))
}

func (x *SearchIndex) purge(ctx context.Context) error {
	err := x.change(func() error {
		if err := x.writer.scriptContext(ctx, "INSERT INTO words(words) VALUES('optimize')"); err != nil {
			return err
		}
		_, err := x.writer.exec("UPDATE state SET removed = 0, replaced = 0")
		return err
	})
	if err != nil {
		return err
	}
	// Pages that became free hold nothing any more, but the log still has them as they were.
	if err := x.writer.scriptContext(ctx, "PRAGMA incremental_vacuum"); err != nil {
		return x.failed(err)
	}
	_, err = x.writer.one("PRAGMA wal_checkpoint(TRUNCATE)")
	return x.failed(err)
}

// Check returns core.ErrCorrupt for an index that was not closed, as in a crash, and is
// not whole. It reads all of one. ctx interrupts.
func (x *SearchIndex) Check(ctx context.Context) error {
	if x.sound.Load() {
		return nil
	}
	if err := x.check(ctx); err != nil {
		return wrap("check search index", x.failed(err))
	}
	x.sound.Store(true)
	return nil
}

func (x *SearchIndex) check(ctx context.Context) error {
	if err := quickCheck(ctx, x.writer); err != nil {
		return err
	}
	if err := x.writer.scriptContext(ctx, "INSERT INTO words(words) VALUES('integrity-check')"); err != nil {
		return err
	}
	lost, err := x.writer.one("SELECT id FROM doc WHERE id NOT IN (SELECT rowid FROM words)")
	if err == nil && lost != nil {
		err = damaged("document without words")
	}
	return err
}
