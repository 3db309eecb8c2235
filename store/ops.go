package store

import (
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// A page of DocOps: large enough that paging costs nothing, small enough that a
// long history is never in memory at once.
const (
	opsPageRows  = 1024
	opsPageBytes = 1 << 20
)

type docOp struct {
	n      int64
	update []byte
}

// DocOps implements core.View. No statement is open while fn runs, so fn may
// use the view. An error of fn ends the loop and is returned as it is.
func (v *view) DocOps(doc, after int64, fn func(n int64, update []byte) error) error {
	return v.docOps(doc, after, core.EntryKept, fn)
}

// DocVoidOps implements core.View.
func (v *view) DocVoidOps(doc, after int64, fn func(n int64, update []byte) error) error {
	return v.docOps(doc, after, core.EntryVoid, fn)
}

func (v *view) docOps(doc, after int64, state core.EntryState, fn func(n int64, update []byte) error) error {
	for {
		page, err := v.docOpsPage(doc, after, state)
		if err != nil {
			return fmt.Errorf("read ops of document %d: %w", doc, err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, op := range page {
			if err := fn(op.n, op.update); err != nil {
				return err
			}
		}
		after = page[len(page)-1].n
	}
}

func (v *view) docOpsPage(doc, after int64, state core.EntryState) ([]docOp, error) {
	var page []docOp
	size := 0
	// LEFT JOIN: an op whose entry is gone must not vanish silently.
	err := v.c.each(`SELECT o.n, o.len, substr(e.ops, o.off + 1, o.len) FROM doc_op o LEFT JOIN entry e ON e.id = o.entry
		WHERE o.doc = ?+0 AND o.n > ? AND o.len > 0 AND ifnull(e.state, ?+0) = ?+0 ORDER BY o.n LIMIT ?+0`,
		[]any{doc, after, int64(state), int64(state), int64(opsPageRows)}, func(r *row) bool {
			op := docOp{n: r.int(0), update: r.blob(2)}
			if int64(len(op.update)) != r.int(1) {
				r.err = damaged(fmt.Sprintf("op %d", op.n))
				return false
			}
			page = append(page, op)
			size += len(op.update)
			return size < opsPageBytes
		})
	return page, err
}

// DocEntries implements core.View.
func (v *view) DocEntries(doc int64) ([]int64, error) { return v.docEntries(doc, "o.len > 0") }

// DocDeletes implements core.View.
func (v *view) DocDeletes(doc int64) ([]int64, error) { return v.docEntries(doc, "o.len = 0") }

func (v *view) docEntries(doc int64, which string) ([]int64, error) {
	var keys []int64
	// Ops follow their entries nearly in order: sorting here beats SQLite's
	// temporary tables for DISTINCT and ORDER BY.
	err := v.c.each("SELECT o.entry FROM doc_op o JOIN entry e ON e.id = o.entry WHERE o.doc = ? AND e.state = 0 AND "+which, []any{doc}, func(r *row) bool {
		if key := r.int(0); len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list entries of document %d: %w", doc, err)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// AddDocOp implements core.Tx.
func (t *tx) AddDocOp(doc, n, entry int64, off, length int) error {
	_, err := t.c.exec("INSERT INTO doc_op (doc, n, entry, off, len) VALUES (?, ?, ?, ?, ?)", doc, n, entry, int64(off), int64(length))
	if err != nil {
		return fmt.Errorf("write op %d of document %d: %w", n, doc, err)
	}
	return nil
}

// OpRecords implements core.View.
func (v *view) OpRecords(doc, after int64, limit int) ([]core.OpRecord, error) {
	var recs []core.OpRecord
	err := v.c.each("SELECT n, entry, off, len FROM doc_op WHERE doc = ?+0 AND n > ?+0 ORDER BY n LIMIT ?+0", []any{doc, after, int64(limit)}, func(r *row) bool {
		recs = append(recs, core.OpRecord{N: r.int(0), Entry: r.int(1), Offset: r.int(2), Length: r.int(3)})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list ops of document %d: %w", doc, err)
	}
	return recs, nil
}
