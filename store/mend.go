package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// script runs a statement that is too rare to be kept.
func (t *tx) script(sql string) error {
	if t.c == nil {
		return errEnded
	}
	return t.c.script(sql)
}

// Mend implements core.Tx.
func (t *tx) Mend() error {
	for _, sql := range []string{
		"REINDEX",
		"UPDATE space SET creator = NULL WHERE creator NOT IN (SELECT id FROM peer)",
		"UPDATE writer SET peer = NULL WHERE peer NOT IN (SELECT id FROM peer)",
		"UPDATE doc SET created_by = NULL WHERE created_by NOT IN (SELECT id FROM peer)",
		"DELETE FROM member WHERE peer NOT IN (SELECT id FROM peer)",
		"UPDATE doc SET hidden = 1 WHERE hidden NOT IN (0, 1)",
		newKeys("space"), newKeys("writer"), newKeys("doc"), newKeys("entry"),
	} {
		if err := t.script(sql); err != nil {
			return wrap("mend database", err)
		}
	}
	for _, o := range unknownPeers {
		if err := t.script("UPDATE " + o.table + " SET " + o.column + " = 0 WHERE " + o.condition()); err != nil {
			return wrap("mend "+o.table, err)
		}
	}
	return t.dropEarly()
}

// dropEarly removes early deletions that are damaged: nobody else knows of them, and who
// made them can make them again.
func (t *tx) dropEarly() error {
	docs, err := t.damagedEarly()
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if err := t.SetDocEarly(doc, nil); err != nil {
			return err
		}
	}
	return nil
}

// newKeys moves rows away from keys that stand for none.
func newKeys(table string) string {
	return fmt.Sprintf("UPDATE %s SET id = (SELECT max(id, 0) + 1 FROM (SELECT max(id) AS id FROM %s)) WHERE id <= 0", table, table)
}

// MoveEntry implements core.Tx.
func (t *tx) MoveEntry(key int64) error {
	_, err := t.c.exec("UPDATE entry SET id = (SELECT max(id) FROM entry) + 1 WHERE id = ?", key)
	if err != nil {
		return fmt.Errorf("move entry %d: %w", key, err)
	}
	return nil
}

// Sweep implements core.Tx.
func (t *tx) Sweep() error {
	const lost = "space NOT IN (SELECT id FROM space)"
	for _, sql := range []string{
		`UPDATE OR IGNORE doc SET space = (SELECT e.space FROM doc_op o JOIN entry e ON e.id = o.entry WHERE o.doc = doc.id ORDER BY o.n LIMIT 1)
			WHERE ` + lost + ` AND EXISTS (SELECT 1 FROM doc_op o JOIN entry e ON e.id = o.entry WHERE o.doc = doc.id)`,
		"DELETE FROM doc WHERE " + lost + " AND id NOT IN (SELECT doc FROM tail)",
	} {
		if err := t.script(sql); err != nil {
			return wrap("sweep documents", err)
		}
	}
	for _, o := range orphans {
		if err := t.script("DELETE FROM " + o.table + " WHERE " + o.condition()); err != nil {
			return wrap("sweep "+o.table, err)
		}
	}
	return t.recountBlobs()
}

// ResetSpace implements core.Tx.
func (t *tx) ResetSpace(space int64) error {
	for _, table := range []string{"member", "invite", "verdict", "writer_head", "frontier", "auth_set", "field", "doc_lost", "page", "page_move", "page_put"} {
		if _, err := t.c.exec("DELETE FROM "+table+" WHERE space = ?", space); err != nil {
			return fmt.Errorf("reset %s of space %d: %w", table, space, err)
		}
	}
	if err := t.resetBlobs(space); err != nil {
		return err
	}
	_, err := t.c.exec("DELETE FROM doc_op WHERE doc IN (SELECT id FROM doc WHERE space = ?)", space)
	return wrap("reset ops", err)
}

// ClearParked implements core.Tx.
func (t *tx) ClearParked(space int64) error {
	for _, table := range []string{"parked", "parked_bytes"} {
		if _, err := t.c.exec("DELETE FROM "+table+" WHERE space = ?", space); err != nil {
			return fmt.Errorf("clear %s of space %d: %w", table, space, err)
		}
	}
	return nil
}

// DeleteDoc implements core.Tx.
func (t *tx) DeleteDoc(doc int64) error {
	if err := t.ResetDoc(doc); err != nil {
		return err
	}
	for _, sql := range []string{
		"DELETE FROM doc_op WHERE doc = ?", "DELETE FROM tail WHERE doc = ?", "DELETE FROM doc_early WHERE doc = ?", "DELETE FROM doc WHERE id = ?",
	} {
		if _, err := t.c.exec(sql, doc); err != nil {
			return fmt.Errorf("remove document %d: %w", doc, err)
		}
	}
	return nil
}

// SetEntry implements core.Tx. An unknown key is ErrNotFound.
func (t *tx) SetEntry(rec core.EntryRecord) error {
	n, err := t.c.exec("UPDATE entry SET space = ?, writer = ?, chain = ?, seq = ?, hash = ?, state = ?, auth = ?, pos = ?, gaps = ? WHERE id = ?",
		rec.Space, rec.Writer, int64(rec.Chain), int64(rec.Seq), rec.Hash[:], int64(rec.State), rec.Auth, rec.Pos, rec.Gaps, rec.Key)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("change entry %s: %w", rec.Hash, err)
	}
	return nil
}

// PutWriter implements core.Tx.
func (t *tx) PutWriter(rec core.WriterRecord) error {
	peer, err := t.ensurePeer(rec.Peer)
	if err != nil {
		return err
	}
	n, err := t.c.exec("UPDATE writer SET ident = ?, peer = ?, incarnation = ? WHERE id = ?", rec.ID[:], peerRef(peer), rec.Incarnation[:], rec.Key)
	if err == nil && n == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("change writer %d: %w", rec.Key, err)
	}
	return nil
}

// DeleteWriter implements core.Tx.
func (t *tx) DeleteWriter(key int64) error {
	const remove = "DELETE FROM writer WHERE id = ? AND NOT EXISTS (SELECT 1 FROM entry WHERE writer = ?)"
	if _, err := t.c.exec(remove, key, key); err != nil {
		return fmt.Errorf("remove writer %d: %w", key, err)
	}
	t.c.forget(remove)
	return nil
}
