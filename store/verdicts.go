package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Verdicts implements core.View.
func (v *view) Verdicts(space int64) ([]core.VerdictRecord, error) {
	var recs []core.VerdictRecord
	err := v.c.each("SELECT space, entry, cut, voucher FROM verdict WHERE space = ?+0 ORDER BY entry", []any{space}, func(r *row) bool {
		recs = append(recs, core.VerdictRecord{Space: r.int(0), Entry: r.int(1), Cut: r.hash(2), Voucher: r.int(3)})
		return true
	})
	if err != nil {
		return nil, wrap("list verdicts", err)
	}
	return recs, nil
}

// PutVerdict implements core.Tx.
func (t *tx) PutVerdict(rec core.VerdictRecord) error {
	_, err := t.c.exec("INSERT OR REPLACE INTO verdict (space, entry, cut, voucher) VALUES (?, ?, ?, ?)",
		rec.Space, rec.Entry, rec.Cut[:], rec.Voucher)
	return wrap("write verdict", err)
}

// DeleteVerdict implements core.Tx.
func (t *tx) DeleteVerdict(space, entry int64) error {
	_, err := t.c.exec("DELETE FROM verdict WHERE space = ? AND entry = ?", space, entry)
	return wrap("remove verdict", err)
}

// SetEntryState implements core.Tx.
func (t *tx) SetEntryState(entry int64, state core.EntryState) error {
	_, err := t.c.exec("UPDATE entry SET state = ? WHERE id = ?", int64(state), entry)
	if err != nil {
		return fmt.Errorf("write state of entry %d: %w", entry, err)
	}
	return nil
}
