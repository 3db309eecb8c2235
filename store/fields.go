package store

import "github.com/soma-sdk/soma/internal/core"

// FieldWrites implements core.View.
func (v *view) FieldWrites(space int64, object, field string) ([]core.FieldWrite, error) {
	var ws []core.FieldWrite
	err := v.c.each("SELECT entry, hash, wall_ms, value FROM field WHERE space = ? AND object = ? AND field = ?",
		[]any{space, object, field}, func(r *row) bool {
			ws = append(ws, core.FieldWrite{Entry: r.int(0), Hash: r.hash(1), WallMs: r.uint(2), Value: r.blob(3)})
			return true
		})
	if err != nil {
		return nil, wrap("read field "+field, err)
	}
	return ws, nil
}

// PutFieldWrite implements core.Tx. A second write of the same entry replaces the first.
func (t *tx) PutFieldWrite(space int64, object, field string, w core.FieldWrite) error {
	// wall_ms is a remote clock: any 64 bits, kept as they are and never compared here.
	_, err := t.c.exec(`INSERT INTO field (space, object, field, entry, hash, wall_ms, value) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, object, field, entry) DO UPDATE SET hash = excluded.hash, wall_ms = excluded.wall_ms, value = excluded.value`,
		space, object, field, w.Entry, w.Hash[:], int64(w.WallMs), w.Value)
	return wrap("write field "+field, err)
}

// DeleteFieldWrite implements core.Tx.
func (t *tx) DeleteFieldWrite(space int64, object, field string, entry int64) error {
	_, err := t.c.exec("DELETE FROM field WHERE space = ? AND object = ? AND field = ? AND entry = ?", space, object, field, entry)
	return wrap("delete write of field "+field, err)
}
