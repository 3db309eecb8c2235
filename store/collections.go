package store

import (
	"encoding/binary"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const collectionColumns = "id, name, version, stale, seq, position, records, bytes, tombstones, cleared_at_ms, sum"

func collectionOf(r *row) core.CollectionRow {
	rec := core.CollectionRow{
		Key: r.int(0), Name: r.text(1), Schema: r.int(2), Stale: r.int(3), Seq: r.int(4), Position: r.int(5),
		Records: r.int(6), Bytes: r.int(7), Tombstones: r.int(8), ClearedAtMs: r.int(9),
	}
	rec.Damaged = sumOfCollection(rec) != r.int(10)
	return rec
}

func sumOfCollection(rec core.CollectionRow) int64 {
	return sumOf(numbers(rec.Key, rec.Schema, rec.Stale, rec.Seq, rec.Position, rec.Records, rec.Bytes, rec.Tombstones, rec.ClearedAtMs), []byte(rec.Name))
}

// numbers puts numbers of a row into one field of its checksum.
func numbers(all ...int64) []byte {
	b := make([]byte, 0, 8*len(all))
	for _, n := range all {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// Collection implements core.View.
func (v *view) Collection(name string) (core.CollectionRow, error) {
	r, err := v.c.one("SELECT "+collectionColumns+" FROM collection WHERE name = ?", name)
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.CollectionRow{}, fmt.Errorf("read collection %q: %w", name, err)
	}
	return collectionOf(r), r.bad()
}

// Collections implements core.View.
func (v *view) Collections(after string, limit int) ([]core.CollectionRow, error) {
	var recs []core.CollectionRow
	err := v.c.each("SELECT "+collectionColumns+" FROM collection WHERE name > ? ORDER BY name LIMIT ?+0", []any{after, int64(limit)}, func(r *row) bool {
		recs = append(recs, collectionOf(r))
		return true
	})
	return recs, wrap("list collections", err)
}

// PutCollection implements core.Tx. An unknown key is ErrNotFound.
func (t *tx) PutCollection(rec *core.CollectionRow) error {
	if rec.Key == 0 {
		r, err := t.c.one("SELECT ifnull(max(id), 0) + 1 FROM collection")
		if err != nil {
			return wrap("write collection", err)
		}
		rec.Key = r.int(0) // it is in the checksum, so it must be known before
		if err := r.bad(); err != nil {
			return err
		}
		_, err = t.c.exec("INSERT INTO collection ("+collectionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			rec.Key, rec.Name, rec.Schema, rec.Stale, rec.Seq, rec.Position, rec.Records, rec.Bytes, rec.Tombstones, rec.ClearedAtMs, sumOfCollection(*rec))
		if err != nil {
			rec.Key = 0
			return fmt.Errorf("write collection %q: %w", rec.Name, err)
		}
		return nil
	}
	n, err := t.c.exec(`UPDATE collection SET version = ?, stale = ?, seq = ?, position = ?, records = ?, bytes = ?, tombstones = ?,
			cleared_at_ms = ?, sum = ? WHERE id = ?`,
		rec.Schema, rec.Stale, rec.Seq, rec.Position, rec.Records, rec.Bytes, rec.Tombstones, rec.ClearedAtMs, sumOfCollection(*rec), rec.Key)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("write collection %q: %w", rec.Name, err)
	}
	return nil
}
