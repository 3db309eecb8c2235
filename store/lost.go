package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Lost implements core.View.
func (v *view) Lost(space int64) ([]core.LostRecord, error) {
	var recs []core.LostRecord
	err := v.c.each("SELECT doc, entry, client, clock, len FROM doc_lost WHERE space = ?+0 ORDER BY doc, entry, client, clock", []any{space}, func(r *row) bool {
		recs = append(recs, core.LostRecord{
			Doc: r.int(0), Entry: r.int(1), Client: r.uint(2), Range: core.ClockRange{Clock: r.uint(3), Len: r.uint(4)},
		})
		return true
	})
	if err != nil {
		return nil, wrap("list lost content", err)
	}
	return recs, nil
}

// SetDocLost implements core.Tx.
func (t *tx) SetDocLost(space, doc int64, lost []core.LostRecord) error {
	if _, err := t.c.exec("DELETE FROM doc_lost WHERE space = ? AND doc = ?", space, doc); err != nil {
		return fmt.Errorf("remove lost content of document %d: %w", doc, err)
	}
	for _, l := range lost {
		_, err := t.c.exec("INSERT INTO doc_lost (space, doc, entry, client, clock, len) VALUES (?, ?, ?, ?, ?, ?)",
			space, doc, l.Entry, int64(l.Client), int64(l.Range.Clock), int64(l.Range.Len))
		if err != nil {
			return fmt.Errorf("write lost content of document %d: %w", doc, err)
		}
	}
	return nil
}

// DocEarly implements core.View.
func (v *view) DocEarly(doc int64) ([]byte, error) {
	return v.body("SELECT body FROM doc_early WHERE doc = ?", "read early deletions", doc)
}

// SetDocEarly implements core.Tx.
func (t *tx) SetDocEarly(doc int64, update []byte) error {
	var err error
	if update == nil {
		_, err = t.c.exec("DELETE FROM doc_early WHERE doc = ?", doc)
	} else {
		_, err = t.c.exec("INSERT OR REPLACE INTO doc_early (doc, body, sum) VALUES (?, ?, ?)", doc, update, sumOfEarly(doc, update))
	}
	if err != nil {
		return fmt.Errorf("write early deletions of document %d: %w", doc, err)
	}
	return nil
}
