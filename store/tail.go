package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Tail implements core.View.
func (v *view) Tail(doc int64) ([]core.TailRecord, error) {
	var recs []core.TailRecord
	err := v.c.each("SELECT n, op_id, body, sum FROM tail WHERE doc = ?+0 ORDER BY n", []any{doc}, func(r *row) bool {
		rec := core.TailRecord{N: r.int(0), OpID: r.blob(1), Update: r.blob(2)}
		if sumOfTail(doc, rec) != r.int(3) {
			r.err = damaged(fmt.Sprintf("update %d", rec.N))
			return false
		}
		recs = append(recs, rec)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read tail of document %d: %w", doc, err)
	}
	return recs, nil
}

// TailDocs implements core.View.
func (v *view) TailDocs(space, after int64, limit int) ([]int64, error) {
	var docs []int64
	// The recursion hops from one document to the next: a tail of a thousand
	// updates costs one probe. Its ORDER BY makes the order of rows certain.
	err := v.c.each(`WITH RECURSIVE hop (doc) AS (
			SELECT min(doc) FROM tail WHERE doc > ?1
			UNION ALL
			SELECT (SELECT min(doc) FROM tail WHERE doc > hop.doc) FROM hop WHERE hop.doc IS NOT NULL ORDER BY 1
		)
		SELECT doc FROM hop WHERE doc IS NOT NULL AND (?2 = 0 OR ?2 = (SELECT space FROM doc WHERE id = hop.doc)) LIMIT ?3+0`,
		[]any{after, space, int64(limit)}, func(r *row) bool {
			docs = append(docs, r.int(0))
			return true
		})
	if err != nil {
		return nil, wrap("list documents with a tail", err)
	}
	return docs, nil
}

// AddTail implements core.Tx.
func (t *tx) AddTail(doc int64, rec core.TailRecord) error {
	_, err := t.c.exec("INSERT INTO tail (doc, n, op_id, body, sum) VALUES (?, ?, ?, ?, ?)",
		doc, rec.N, notNil(rec.OpID), notNil(rec.Update), sumOfTail(doc, rec))
	if err != nil {
		return fmt.Errorf("add to tail of document %d: %w", doc, err)
	}
	return nil
}

// ClearTail implements core.Tx.
func (t *tx) ClearTail(doc int64) error {
	if _, err := t.c.exec("DELETE FROM tail WHERE doc = ?", doc); err != nil {
		return fmt.Errorf("clear tail of document %d: %w", doc, err)
	}
	return nil
}
