package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const spaceColumns = "SELECT id, ident, name, creator, created_at_ms, updated_at_ms FROM space "

// Space implements core.View.
func (v *view) Space(id core.SpaceID) (core.SpaceRecord, error) {
	r, err := v.c.one(spaceColumns+"WHERE ident = ?", string(id))
	if err != nil {
		return core.SpaceRecord{}, fmt.Errorf("read space %s: %w", id, err)
	}
	if r == nil {
		return core.SpaceRecord{}, fmt.Errorf("space %s: %w", id, core.ErrNotFound)
	}
	rec, creator := spaceOf(r)
	if err := r.bad(); err != nil {
		return core.SpaceRecord{}, err
	}
	rec.Creator, err = v.peerID(creator)
	return rec, err
}

// Spaces implements core.View.
func (v *view) Spaces(after core.SpaceID, limit int) ([]core.SpaceRecord, error) {
	var recs []core.SpaceRecord
	var creators []int64
	err := v.c.each(spaceColumns+"WHERE ident > ? ORDER BY ident LIMIT ?+0", []any{string(after), int64(limit)}, func(r *row) bool {
		rec, creator := spaceOf(r)
		recs, creators = append(recs, rec), append(creators, creator)
		return true
	})
	if err != nil {
		return nil, wrap("list spaces", err)
	}
	for i, key := range creators {
		if recs[i].Creator, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

func spaceOf(r *row) (rec core.SpaceRecord, creator int64) {
	return core.SpaceRecord{
		Key: r.int(0), ID: core.SpaceID(r.text(1)), Name: r.text(2), CreatedAtMs: r.int(4), UpdatedAtMs: r.int(5),
	}, r.int(3)
}

// PutSpace implements core.Tx. Updating an unknown key is ErrNotFound.
func (t *tx) PutSpace(rec *core.SpaceRecord) error {
	creator, err := t.ensurePeer(rec.Creator)
	if err != nil {
		return err
	}
	if rec.Key == 0 {
		rec.Key, err = t.c.insert("INSERT INTO space (ident, name, creator, created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?)",
			string(rec.ID), rec.Name, peerRef(creator), rec.CreatedAtMs, rec.UpdatedAtMs)
		return wrap("create space "+string(rec.ID), err)
	}
	n, err := t.c.exec("UPDATE space SET ident = ?, name = ?, creator = ?, created_at_ms = ?, updated_at_ms = ? WHERE id = ?",
		string(rec.ID), rec.Name, peerRef(creator), rec.CreatedAtMs, rec.UpdatedAtMs, rec.Key)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	return wrap("update space "+string(rec.ID), err)
}
