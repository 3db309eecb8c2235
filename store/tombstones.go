package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const tombstoneColumns = "collection, key, updated_at_ms, made_at_ms, seq, seen, sum"

func tombstoneOf(r *row) core.TombstoneRow {
	t := core.TombstoneRow{Key: r.text(1), UpdatedAtMs: r.int(2), MadeAtMs: r.int(3), Seq: r.int(4), Seen: r.blob(5)}
	t.Damaged = sumOfTombstone(r.int(0), t) != r.int(6)
	return t
}

func sumOfTombstone(collection int64, t core.TombstoneRow) int64 {
	return sumOf(numbers(collection, t.UpdatedAtMs, t.MadeAtMs, t.Seq), []byte(t.Key), t.Seen)
}

// Tombstone implements core.View.
func (v *view) Tombstone(collection int64, key string) (core.TombstoneRow, error) {
	r, err := v.c.one("SELECT "+tombstoneColumns+" FROM tombstone WHERE collection = ? AND key = ?", collection, key)
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.TombstoneRow{}, fmt.Errorf("read tombstone %q: %w", key, err)
	}
	return tombstoneOf(r), r.bad()
}

// TombstonesUntil implements core.View.
func (v *view) TombstonesUntil(collection, untilMs int64, limit int) ([]core.TombstoneRow, error) {
	var all []core.TombstoneRow
	err := v.c.each("SELECT "+tombstoneColumns+" FROM tombstone WHERE collection = ?+0 AND made_at_ms <= ? ORDER BY made_at_ms, id LIMIT ?+0",
		[]any{collection, untilMs, int64(limit)}, func(r *row) bool {
			all = append(all, tombstoneOf(r))
			return true
		})
	return all, wrap("list tombstones", err)
}

// PutTombstone implements core.Tx.
func (t *tx) PutTombstone(collection int64, rec core.TombstoneRow) error {
	_, err := t.c.exec("INSERT INTO tombstone ("+tombstoneColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, key) DO UPDATE SET
			updated_at_ms = excluded.updated_at_ms, made_at_ms = excluded.made_at_ms, seq = excluded.seq, seen = excluded.seen, sum = excluded.sum`,
		collection, rec.Key, rec.UpdatedAtMs, rec.MadeAtMs, rec.Seq, notNil(rec.Seen), sumOfTombstone(collection, rec))
	if err != nil {
		return fmt.Errorf("write tombstone %q: %w", rec.Key, err)
	}
	return nil
}

// RemoveTombstone implements core.Tx.
func (t *tx) RemoveTombstone(collection int64, key string) error {
	return t.removeKey("tombstone", collection, key)
}
