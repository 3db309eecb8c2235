package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const quarantineColumns = "id, collection, key, updated_at_ms, reason, sum, value"

func quarantineOf(r *row) core.QuarantineRow {
	q := core.QuarantineRow{ID: r.int(0), Key: r.text(2), UpdatedAtMs: r.int(3), Reason: r.text(4), Value: notNil(r.blob(6))}
	q.Damaged = sumOfQuarantine(r.int(1), q) != r.int(5)
	return q
}

func sumOfQuarantine(collection int64, q core.QuarantineRow) int64 {
	return sumOf(numbers(collection, q.ID, q.UpdatedAtMs), []byte(q.Key), []byte(q.Reason), q.Value)
}

// Quarantine implements core.View.
func (v *view) Quarantine(collection, after int64, limit, maxBytes int) ([]core.QuarantineRow, error) {
	var all []core.QuarantineRow
	err := v.c.each("SELECT "+quarantineColumns+" FROM quarantine WHERE collection = ?+0 AND id > ? ORDER BY id LIMIT ?+0",
		[]any{collection, after, int64(limit)}, func(r *row) bool {
			q := quarantineOf(r)
			all = append(all, q)
			maxBytes -= len(q.Value)
			return maxBytes >= 0
		})
	if err == nil {
		err = rising(after, all, func(q core.QuarantineRow) int64 { return q.ID })
	}
	return all, wrap("list quarantine", err)
}

// QuarantineSize implements core.View.
func (v *view) QuarantineSize(collection int64) (rows, bytes int64, err error) {
	r, err := v.c.one("SELECT count(*), ifnull(sum(length(value)), 0) FROM quarantine WHERE collection = ?", collection)
	if err != nil {
		return 0, 0, wrap("measure quarantine", err)
	}
	return r.int(0), r.int(1), r.bad()
}

// AddQuarantine implements core.Tx.
func (t *tx) AddQuarantine(collection int64, q *core.QuarantineRow) error {
	r, err := t.c.one("SELECT ifnull(max(id), 0) + 1 FROM quarantine")
	if err != nil {
		return wrap("write quarantine", err)
	}
	q.ID = r.int(0) // it is in the checksum, so it must be known before
	if err := r.bad(); err != nil {
		return err
	}
	_, err = t.c.exec("INSERT INTO quarantine ("+quarantineColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
		q.ID, collection, q.Key, q.UpdatedAtMs, q.Reason, sumOfQuarantine(collection, *q), notNil(q.Value))
	if err != nil {
		return fmt.Errorf("set record %q aside: %w", q.Key, err)
	}
	return nil
}

// RemoveQuarantine implements core.Tx.
func (t *tx) RemoveQuarantine(collection, id int64) error {
	_, err := t.c.exec("DELETE FROM quarantine WHERE id = ? AND collection = ?", id, collection)
	return wrap("drop from quarantine", err)
}
