package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// positionBits is how much of the id of a record its position takes.
const positionBits = 40

func recordID(collection, position int64) int64 { return collection<<positionBits | position }

const recordColumns = "id, collection, key, updated_at_ms, age_ms, seq, version, version_key, seen, sum, value"

// recordOf reads a row that was found by the id of the given collection.
func recordOf(r *row, collection int64) core.RecordRow {
	id := r.int(0)
	rec := core.RecordRow{
		Position: id & (1<<positionBits - 1), Key: r.text(2), UpdatedAtMs: r.int(3), AgeMs: r.int(4), Seq: r.int(5),
		Schema: r.int(6), VersionKey: r.text(7), Seen: r.blob(8), Value: notNil(r.blob(10)),
	}
	rec.Damaged = id != recordID(collection, rec.Position) || r.int(1) != collection || rec.AgeMs > rec.UpdatedAtMs || sumOfRecord(id, rec) != r.int(9)
	return rec
}

// sumOfRecord leaves the age out, which changes alone and only says where to look.
func sumOfRecord(id int64, rec core.RecordRow) int64 {
	return sumOf(numbers(id, rec.UpdatedAtMs, rec.Seq, rec.Schema), []byte(rec.Key), []byte(rec.VersionKey), rec.Seen, rec.Value)
}

// Record implements core.View.
func (v *view) Record(collection int64, key string) (core.RecordRow, error) {
	r, err := v.c.one("SELECT "+recordColumns+" FROM record WHERE collection = ? AND key = ?", collection, key)
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.RecordRow{}, fmt.Errorf("read record %q: %w", key, err)
	}
	return recordOf(r, collection), r.bad()
}

// Records implements core.View.
func (v *view) Records(collection, after int64, limit, maxBytes int) ([]core.RecordRow, error) {
	var recs []core.RecordRow
	from, to := recordID(collection, after), recordID(collection+1, 0)
	err := v.c.each("SELECT "+recordColumns+" FROM record WHERE id > ? AND id < ? ORDER BY id LIMIT ?+0", []any{from, to, int64(limit)}, func(r *row) bool {
		rec := recordOf(r, collection)
		recs = append(recs, rec)
		maxBytes -= len(rec.Value)
		return maxBytes >= 0
	})
	if err == nil {
		err = rising(after, recs, func(rec core.RecordRow) int64 { return rec.Position })
	}
	return recs, wrap("list records", err)
}

// rising refuses a page that goes back, because what comes after it would be the same again.
func rising[R any](after int64, page []R, id func(R) int64) error {
	for _, rec := range page {
		if id(rec) <= after {
			return damaged("order of rows")
		}
		after = id(rec)
	}
	return nil
}

// RecordHeads implements core.View.
func (v *view) RecordHeads(collection int64) ([]core.RecordHead, error) {
	var heads []core.RecordHead
	from, to := recordID(collection, 0), recordID(collection+1, 0)
	err := v.c.each("SELECT id, key, updated_at_ms, seq, version_key FROM record WHERE id > ? AND id < ? ORDER BY id", []any{from, to}, func(r *row) bool {
		heads = append(heads, core.RecordHead{
			Position: r.int(0) & (1<<positionBits - 1), Key: r.text(1), UpdatedAtMs: r.int(2), Seq: r.int(3), VersionKey: r.text(4),
		})
		return true
	})
	return heads, wrap("list heads of records", err)
}

// RecordsAged implements core.View.
func (v *view) RecordsAged(collection, untilMs int64, limit, maxBytes int) ([]core.RecordRow, error) {
	var recs []core.RecordRow
	err := v.c.each("SELECT "+recordColumns+" FROM record WHERE collection = ?+0 AND age_ms <= ? ORDER BY age_ms, key LIMIT ?+0",
		[]any{collection, untilMs, int64(limit)}, func(r *row) bool {
			rec := recordOf(r, collection)
			recs = append(recs, rec)
			maxBytes -= len(rec.Value)
			return maxBytes >= 0
		})
	return recs, wrap("list old records", err)
}

// AddRecord implements core.Tx.
func (t *tx) AddRecord(collection int64, rec core.RecordRow) error {
	if rec.Position <= 0 || rec.Position >= 1<<positionBits {
		return fmt.Errorf("position %d of record %q: %w", rec.Position, rec.Key, core.ErrTooLarge)
	}
	id := recordID(collection, rec.Position)
	_, err := t.c.exec("INSERT INTO record ("+recordColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		id, collection, rec.Key, rec.UpdatedAtMs, rec.UpdatedAtMs, rec.Seq, rec.Schema, rec.VersionKey, notNil(rec.Seen), sumOfRecord(id, rec), notNil(rec.Value))
	if err != nil {
		return fmt.Errorf("write record %q: %w", rec.Key, err)
	}
	return nil
}

// SetRecord implements core.Tx. A position without a value is ErrNotFound. The age stays.
func (t *tx) SetRecord(collection int64, rec core.RecordRow) error {
	id := recordID(collection, rec.Position)
	n, err := t.c.exec("UPDATE record SET updated_at_ms = ?, seq = ?, version = ?, version_key = ?, seen = ?, sum = ?, value = ? WHERE id = ?",
		rec.UpdatedAtMs, rec.Seq, rec.Schema, rec.VersionKey, notNil(rec.Seen), sumOfRecord(id, rec), notNil(rec.Value), id)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("write record %q: %w", rec.Key, err)
	}
	return nil
}

// SetRecordAge implements core.Tx.
func (t *tx) SetRecordAge(collection, position, ageMs int64) error {
	_, err := t.c.exec("UPDATE record SET age_ms = ? WHERE id = ?", ageMs, recordID(collection, position))
	return wrap("age record", err)
}

// RemoveRecord implements core.Tx.
func (t *tx) RemoveRecord(collection int64, key string) error {
	return t.removeKey("record", collection, key)
}

// removeKey deletes a row that is there. If none goes, the index says another key than the
// row does: who goes by that would delete the same row for ever.
func (t *tx) removeKey(table string, collection int64, key string) error {
	n, err := t.c.exec("DELETE FROM "+table+" WHERE collection = ? AND key = ?", collection, key)
	if err == nil && n == 0 {
		err = core.ErrCorrupt
	}
	if err != nil {
		return fmt.Errorf("remove %s %q: %w", table, key, err)
	}
	return nil
}
