package store

import (
	"fmt"
	"math"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// A page of DocOps: large enough that paging costs nothing, small enough that a
// long history is never in memory at once.
const (
	opsPageRows  = 1024
	opsPageBytes = 1 << 20
	opsBackRows  = 16 // of DocOpsSince, which mostly needs the newest few
)

// DocOps implements core.View. No statement is open while fn runs, so fn may
// use the view. An error of fn ends the loop and is returned as it is.
func (v *view) DocOps(doc, after int64, fn func(core.DocOp) error) error {
	return v.docOps(doc, after, core.EntryKept, fn)
}

// DocVoidOps implements core.View.
func (v *view) DocVoidOps(doc, after int64, fn func(core.DocOp) error) error {
	return v.docOps(doc, after, core.EntryVoid, fn)
}

func (v *view) docOps(doc, after int64, state core.EntryState, fn func(core.DocOp) error) error {
	for {
		// LEFT JOIN: an op whose entry is gone must not vanish silently.
		page, err := v.docOpsPage(`LEFT JOIN entry e ON e.id = o.entry
			WHERE o.doc = ?+0 AND o.n > ?+0 AND o.len > 0 AND ifnull(e.state, ?3) = ?3 ORDER BY o.n LIMIT ?+0`,
			doc, after, int64(state), int64(opsPageRows))
		if err != nil {
			return fmt.Errorf("read ops of document %d: %w", doc, err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, op := range page {
			if err := fn(op); err != nil {
				return err
			}
		}
		after = page[len(page)-1].N
	}
}

// DocOpsSince implements core.View.
func (v *view) DocOpsSince(doc, pos int64) ([]core.DocOp, error) {
	var ops []core.DocOp
	for before := int64(math.MaxInt64); ; {
		page, err := v.docOpsPage(`JOIN entry e ON e.id = o.entry
			WHERE o.doc = ?+0 AND o.n < ?+0 AND o.len > 0 AND e.state = 0 ORDER BY o.n DESC LIMIT ?+0`,
			doc, before, int64(opsBackRows))
		if err != nil {
			return nil, fmt.Errorf("read ops of document %d: %w", doc, err)
		}
		for _, op := range page {
			if op.Pos < pos {
				return ops, nil
			}
			ops = append(ops, op)
			before = op.N
		}
		if len(page) == 0 {
			return ops, nil
		}
	}
}

// docOpsPage reads ops until they are many bytes.
func (v *view) docOpsPage(which string, args ...any) ([]core.DocOp, error) {
	var page []core.DocOp
	size := 0
	err := v.c.each("SELECT o.n, o.entry, ifnull(e.pos, 0), o.len, substr(e.ops, o.off + 1, o.len) FROM doc_op o "+which, args, func(r *row) bool {
		op := core.DocOp{N: r.int(0), Entry: r.int(1), Pos: r.int(2), Update: r.blob(4)}
		if int64(len(op.Update)) != r.int(3) {
			r.err = damaged(fmt.Sprintf("op %d", op.N))
			return false
		}
		page = append(page, op)
		size += len(op.Update)
		return size < opsPageBytes
	})
	return page, err
}

// DocHasOthers implements core.View.
func (v *view) DocHasOthers(doc, writer int64) (bool, error) {
	r, err := v.c.one("SELECT 1 FROM doc_op o JOIN entry e ON e.id = o.entry WHERE o.doc = ? AND e.writer <> ? LIMIT 1", doc, writer)
	return r != nil, wrap("look for writers of a document", err)
}

// DocDeletes implements core.View.
func (v *view) DocDeletes(doc int64) ([]int64, error) {
	var keys []int64
	// Ops follow their entries nearly in order: sorting here beats SQLite's
	// temporary tables for DISTINCT and ORDER BY.
	err := v.c.each("SELECT o.entry FROM doc_op o JOIN entry e ON e.id = o.entry WHERE o.doc = ? AND e.state = 0 AND o.len = 0", []any{doc}, func(r *row) bool {
		if key := r.int(0); len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list deletions of document %d: %w", doc, err)
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
