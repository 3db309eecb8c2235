package store

import (
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// DeletedRanges implements core.View. Stored ranges of one client never overlap
// or touch each other.
func (v *view) DeletedRanges(doc int64, client, from, to uint64) ([]core.ClockRange, error) {
	if err := checkRange("client", client); err != nil {
		return nil, err
	}
	from, to = min(from, math.MaxInt64), min(to, math.MaxInt64)
	var ranges []core.ClockRange
	// The scan starts at the last range that begins at or before from: no earlier
	// one reaches from.
	err := v.c.each(`SELECT clock, len FROM doc_deleted WHERE doc = ?1+0 AND client = ?2+0 AND clock <= ?4 AND clock >= ifnull(
			(SELECT clock FROM doc_deleted WHERE doc = ?1+0 AND client = ?2+0 AND clock <= ?3 ORDER BY clock DESC LIMIT 1), ?3)
		ORDER BY clock`, []any{doc, int64(client), int64(from), int64(to)}, func(r *row) bool {
		if rg := (core.ClockRange{Clock: r.uint(0), Len: r.uint(1)}); rg.Clock+rg.Len >= from {
			ranges = append(ranges, rg)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read deleted ranges of document %d: %w", doc, err)
	}
	return ranges, nil
}

// AddDeleted implements core.Tx. It costs the ranges it touches. A range that
// ends beyond 63 bits is ErrTooLarge.
func (t *tx) AddDeleted(doc int64, client uint64, add core.ClockRange) ([]core.ClockRange, error) {
	if add.Len == 0 {
		return nil, nil
	}
	from, to := add.Clock, add.Clock+add.Len
	if err := checkRange("clock", max(add.Clock, add.Len, to)); err != nil {
		return nil, err
	}
	touched, err := t.DeletedRanges(doc, client, from, to)
	if err != nil {
		return nil, err
	}
	fresh := subtract(from, to, touched)
	if len(fresh) == 0 {
		return nil, nil
	}
	if err := t.mergeDeleted(doc, client, from, to, touched); err != nil {
		return nil, fmt.Errorf("add deleted range to document %d: %w", doc, err)
	}
	return fresh, nil
}

// subtract returns the parts of [from, to) outside of the ranges, which are in order.
func subtract(from, to uint64, ranges []core.ClockRange) []core.ClockRange {
	var parts []core.ClockRange
	for _, r := range ranges {
		if r.Clock > from {
			parts = append(parts, core.ClockRange{Clock: from, Len: min(r.Clock, to) - from})
		}
		from = max(from, r.Clock+r.Len)
	}
	if from < to {
		parts = append(parts, core.ClockRange{Clock: from, Len: to - from})
	}
	return parts
}

// mergeDeleted replaces the touched rows by one.
func (t *tx) mergeDeleted(doc int64, client, from, to uint64, touched []core.ClockRange) error {
	if n := len(touched); n > 0 {
		first, last := touched[0], touched[n-1]
		from, to = min(from, first.Clock), max(to, last.Clock+last.Len)
		if n > 1 || first.Clock != from {
			if _, err := t.c.exec("DELETE FROM doc_deleted WHERE doc = ? AND client = ? AND clock > ? AND clock <= ?",
				doc, int64(client), int64(from), int64(last.Clock)); err != nil {
				return err
			}
		}
	}
	_, err := t.c.exec(`INSERT INTO doc_deleted (doc, client, clock, len) VALUES (?, ?, ?, ?)
		ON CONFLICT (doc, client, clock) DO UPDATE SET len = excluded.len`, doc, int64(client), int64(from), int64(to-from))
	return err
}

// DocDeleted implements core.View.
func (v *view) DocDeleted(doc int64) (map[uint64][]core.ClockRange, error) {
	ranges := map[uint64][]core.ClockRange{}
	err := v.c.each("SELECT client, clock, len FROM doc_deleted WHERE doc = ?+0 ORDER BY client, clock", []any{doc}, func(r *row) bool {
		client := r.uint(0)
		ranges[client] = append(ranges[client], core.ClockRange{Clock: r.uint(1), Len: r.uint(2)})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read deleted ranges of document %d: %w", doc, err)
	}
	return ranges, nil
}
