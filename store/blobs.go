package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const selectBlob = `SELECT b.space, b.hash, b.size, b.mime, b.name, b.created_by, b.created_at_ms, b.updated_at_ms,
	(SELECT size FROM blob_file WHERE hash = b.hash AND state = 0) AS here FROM blob b `

func (v *view) blobs(sql string, args ...any) ([]core.BlobRecord, error) {
	var recs []core.BlobRecord
	var creators []int64
	err := v.c.each(selectBlob+sql, args, func(r *row) bool {
		recs = append(recs, core.BlobRecord{
			Space: r.int(0), Hash: r.hash(1), Size: r.int(2), MIME: r.text(3), Name: r.text(4),
			CreatedAtMs: r.int(6), UpdatedAtMs: r.int(7), Here: r.vals[8] != nil, HereSize: r.int(8),
		})
		creators = append(creators, r.int(5))
		return true
	})
	if err != nil {
		return nil, wrap("read blobs", err)
	}
	for i, key := range creators { // now that no statement is open
		if recs[i].CreatedBy, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// Blob implements core.BlobView.
func (v *view) Blob(space int64, hash core.Hash) (core.BlobRecord, error) {
	recs, err := v.blobs("WHERE b.space = ? AND b.hash = ?", space, hash[:])
	if err == nil && len(recs) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.BlobRecord{}, fmt.Errorf("blob %s: %w", core.CIDFromHash(hash), err)
	}
	return recs[0], nil
}

// Blobs implements core.BlobView.
func (v *view) Blobs(space int64, after core.Hash, limit int) ([]core.BlobRecord, error) {
	return v.blobs("WHERE b.space = ?+0 AND b.hash > ? ORDER BY b.hash LIMIT ?+0", space, after[:], int64(limit))
}

// BlobSpaces implements core.BlobView.
func (v *view) BlobSpaces(hash core.Hash) ([]core.SpaceID, error) { return v.spaceIDsOfBlob(hash) }

// BlobOps implements core.BlobView.
func (v *view) BlobOps(space int64, hash core.Hash) ([]int64, error) {
	var entries []int64
	err := v.c.each("SELECT entry FROM blob_op WHERE space = ?+0 AND hash = ? ORDER BY entry", []any{space, hash[:]}, func(r *row) bool {
		entries = append(entries, r.int(0))
		return true
	})
	return entries, wrap("read ops of a blob", err)
}

// PutBlob implements core.BlobWrites.
func (t *tx) PutBlob(rec core.BlobRecord) error {
	by, err := t.ensurePeer(rec.CreatedBy)
	if err != nil {
		return err
	}
	held, err := t.c.one("SELECT 1 FROM blob WHERE space = ? AND hash = ?", rec.Space, rec.Hash[:])
	if err != nil {
		return wrap("read blob", err)
	}
	_, err = t.c.exec(`INSERT INTO blob (space, hash, size, mime, name, created_by, created_at_ms, updated_at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, hash) DO UPDATE SET size = excluded.size, mime = excluded.mime, name = excluded.name,
		created_by = excluded.created_by, created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms`,
		rec.Space, rec.Hash[:], rec.Size, rec.MIME, rec.Name, by, rec.CreatedAtMs, rec.UpdatedAtMs)
	if err != nil || held != nil {
		return wrap("write blob", err)
	}
	return t.blobHeld(rec.Space, rec.Hash)
}

// DeleteBlob implements core.BlobWrites.
func (t *tx) DeleteBlob(space int64, hash core.Hash, nowMs int64) error {
	n, err := t.c.exec("DELETE FROM blob WHERE space = ? AND hash = ?", space, hash[:])
	if err != nil || n == 0 {
		return wrap("remove blob", err)
	}
	return t.blobLeft(space, hash, nowMs)
}

// AddBlobOp implements core.BlobWrites.
func (t *tx) AddBlobOp(space int64, hash core.Hash, entry int64) error {
	_, err := t.c.exec("INSERT OR IGNORE INTO blob_op (space, hash, entry) VALUES (?, ?, ?)", space, hash[:], entry)
	return wrap("note op of a blob", err)
}

// DeleteBlobOp implements core.BlobWrites.
func (t *tx) DeleteBlobOp(space int64, hash core.Hash, entry int64) error {
	_, err := t.c.exec("DELETE FROM blob_op WHERE space = ? AND hash = ? AND entry = ?", space, hash[:], entry)
	return wrap("remove op of a blob", err)
}
