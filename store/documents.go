package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const docColumns = `SELECT id, space, ident, created_by, created_at_ms, updated_at_ms, hidden, epoch,
	last_n, through_n, op_bytes, snap_bytes, tail_count, tail_bytes, logged_at_ms FROM doc `

// Doc implements core.View.
func (v *view) Doc(space int64, id core.DocumentID) (core.DocRecord, error) {
	r, err := v.c.one(docColumns+"WHERE space = ? AND ident = ?", space, id)
	return v.foundDoc(r, err, "document "+id)
}

// DocByKey implements core.View.
func (v *view) DocByKey(key int64) (core.DocRecord, error) {
	r, err := v.c.one(docColumns+"WHERE id = ?", key)
	return v.foundDoc(r, err, fmt.Sprintf("document %d", key))
}

func (v *view) foundDoc(r *row, err error, what string) (core.DocRecord, error) {
	if err != nil {
		return core.DocRecord{}, fmt.Errorf("read %s: %w", what, err)
	}
	if r == nil {
		return core.DocRecord{}, fmt.Errorf("%s: %w", what, core.ErrNotFound)
	}
	rec, creator := docOf(r)
	if err := r.bad(); err != nil {
		return core.DocRecord{}, fmt.Errorf("read %s: %w", what, err)
	}
	rec.CreatedBy, err = v.peerID(creator)
	return rec, err
}

// Docs implements core.View.
func (v *view) Docs(space int64, after core.DocumentID, limit int) ([]core.DocRecord, error) {
	var recs []core.DocRecord
	var creators []int64
	err := v.c.each(docColumns+"WHERE space = ?+0 AND ident > ? ORDER BY ident LIMIT ?+0", []any{space, after, int64(limit)}, func(r *row) bool {
		rec, creator := docOf(r)
		recs, creators = append(recs, rec), append(creators, creator)
		return true
	})
	if err != nil {
		return nil, wrap("list documents", err)
	}
	for i, key := range creators {
		if recs[i].CreatedBy, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

func docOf(r *row) (rec core.DocRecord, creator int64) {
	return core.DocRecord{
		Key: r.int(0), Space: r.int(1), ID: r.text(2), CreatedAtMs: r.int(4), UpdatedAtMs: r.int(5),
		Hidden: r.int(6) != 0, Epoch: r.blob(7), LastN: r.int(8), ThroughN: r.int(9), OpBytes: r.int(10),
		SnapBytes: r.int(11), TailCount: r.int(12), TailBytes: r.int(13), LoggedAtMs: r.int(14),
	}, r.int(3)
}

// PutDoc implements core.Tx. Space and ID of a document never change; updating
// an unknown key is ErrNotFound.
func (t *tx) PutDoc(rec *core.DocRecord) error {
	creator, err := t.ensurePeer(rec.CreatedBy)
	if err != nil {
		return err
	}
	if rec.Key == 0 {
		rec.Key, err = t.c.insert(`INSERT INTO doc (space, ident, created_by, created_at_ms, updated_at_ms, hidden, epoch,
			last_n, through_n, op_bytes, snap_bytes, tail_count, tail_bytes, logged_at_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			rec.Space, rec.ID, peerRef(creator), rec.CreatedAtMs, rec.UpdatedAtMs, rec.Hidden, rec.Epoch,
			rec.LastN, rec.ThroughN, rec.OpBytes, rec.SnapBytes, rec.TailCount, rec.TailBytes, rec.LoggedAtMs)
		return wrap("create document "+rec.ID, err)
	}
	n, err := t.c.exec(`UPDATE doc SET created_by = ?, created_at_ms = ?, updated_at_ms = ?, hidden = ?, epoch = ?,
		last_n = ?, through_n = ?, op_bytes = ?, snap_bytes = ?, tail_count = ?, tail_bytes = ?, logged_at_ms = ? WHERE id = ?`,
		peerRef(creator), rec.CreatedAtMs, rec.UpdatedAtMs, rec.Hidden, rec.Epoch,
		rec.LastN, rec.ThroughN, rec.OpBytes, rec.SnapBytes, rec.TailCount, rec.TailBytes, rec.LoggedAtMs, rec.Key)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	return wrap("update document "+rec.ID, err)
}

// DocPending implements core.View.
func (v *view) DocPending(doc int64) ([]core.PendingRecord, error) {
	var parts []core.PendingRecord
	err := v.c.each("SELECT n, body FROM doc_pending WHERE doc = ?+0 ORDER BY n", []any{doc}, func(r *row) bool {
		parts = append(parts, core.PendingRecord{N: r.int(0), Update: r.blob(1)})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read pending updates of document %d: %w", doc, err)
	}
	return parts, nil
}

// DocIsPending implements core.View.
func (v *view) DocIsPending(doc int64) (bool, error) {
	r, err := v.c.one("SELECT 1 FROM doc_pending WHERE doc = ?1 UNION ALL SELECT 1 FROM doc_early WHERE doc = ?1 LIMIT 1", doc)
	return r != nil, wrap("look for pending updates", err)
}

// DocSnapshot implements core.View.
func (v *view) DocSnapshot(doc int64) ([]byte, error) {
	return v.body("SELECT body FROM doc_snapshot WHERE doc = ?", "read snapshot", doc)
}

func (v *view) body(sql, what string, doc int64) ([]byte, error) {
	r, err := v.c.one(sql, doc)
	if err != nil {
		return nil, fmt.Errorf("%s of document %d: %w", what, doc, err)
	}
	if r == nil {
		return nil, nil
	}
	return r.blob(0), r.bad()
}

// PutDocPending implements core.Tx.
func (t *tx) PutDocPending(doc int64, part core.PendingRecord) error {
	_, err := t.c.exec("INSERT INTO doc_pending (doc, n, body) VALUES (?, ?, ?) ON CONFLICT (doc, n) DO UPDATE SET body = excluded.body",
		doc, part.N, part.Update)
	if err != nil {
		return fmt.Errorf("write pending update of document %d: %w", doc, err)
	}
	return nil
}

// TrimDocPending implements core.Tx.
func (t *tx) TrimDocPending(doc, n int64) error {
	if _, err := t.c.exec("DELETE FROM doc_pending WHERE doc = ? AND n >= ?", doc, n); err != nil {
		return fmt.Errorf("remove pending updates of document %d: %w", doc, err)
	}
	return nil
}

// SetDocSnapshot implements core.Tx. A nil update removes the snapshot.
func (t *tx) SetDocSnapshot(doc int64, update []byte) error {
	var err error
	if update == nil {
		_, err = t.c.exec("DELETE FROM doc_snapshot WHERE doc = ?", doc)
	} else {
		_, err = t.c.exec("INSERT INTO doc_snapshot (doc, body) VALUES (?, ?) ON CONFLICT (doc) DO UPDATE SET body = excluded.body", doc, update)
	}
	if err != nil {
		return fmt.Errorf("write snapshot of document %d: %w", doc, err)
	}
	return nil
}

// ResetDoc implements core.Tx.
func (t *tx) ResetDoc(doc int64) error {
	for _, table := range []string{"doc_client", "doc_deleted", "doc_pending", "doc_snapshot"} {
		if _, err := t.c.exec("DELETE FROM "+table+" WHERE doc = ?", doc); err != nil {
			return fmt.Errorf("reset document %d: %w", doc, err)
		}
	}
	return nil
}
