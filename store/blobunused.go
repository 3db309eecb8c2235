package store

import (
	"github.com/soma-sdk/soma/internal/core"
)

// blobPage is a page of rows of blob_file, with the place of the last one.
type blobPage struct {
	hashes   []core.Hash
	unusedMs int64
	id       int64
}

// unusedBlobFiles returns up to limit blobs that no space has held since beforeMs, or
// for longer, the oldest first.
func (v *view) unusedBlobFiles(after blobPage, beforeMs int64, limit int) (blobPage, error) {
	return v.blobPage(`SELECT hash, unused_at_ms, id FROM blob_file WHERE unused_at_ms <> 0
		AND (unused_at_ms, id) > (?+0, ?+0) AND unused_at_ms <= ?+0 ORDER BY unused_at_ms, id LIMIT ?+0`,
		after.unusedMs, after.id, beforeMs, int64(limit))
}

// notInLog is of bytes in a row f that no entry names: they cannot come to be held because a
// damaged row of a space is made anew. It looks into each space, and does not read all ops.
const notInLog = "NOT EXISTS (SELECT 1 FROM space s CROSS JOIN blob_op o ON o.space = s.id AND o.hash = f.hash WHERE s.id > 0)"

// unnotedBlobFiles returns up to limit blobs with IDs above after that no space holds and no
// entry names, and of which the row does not say so.
func (v *view) unnotedBlobFiles(after int64, limit int) (blobPage, error) {
	return v.blobPage(`SELECT hash, unused_at_ms, id FROM blob_file f WHERE unused_at_ms = 0 AND id > ?
		AND NOT EXISTS (SELECT 1 FROM blob WHERE hash = f.hash) AND `+notInLog+` ORDER BY id LIMIT ?+0`, after, int64(limit))
}

func (v *view) blobPage(sql string, args ...any) (page blobPage, err error) {
	err = v.c.each(sql, args, func(r *row) bool {
		page.hashes = append(page.hashes, r.hash(0))
		page.unusedMs, page.id = r.int(1), r.int(2)
		return true
	})
	return page, wrap("read unused blobs", err)
}

// noteUnused is UnuseBlob for bytes that no entry names.
func (t *tx) noteUnused(hash core.Hash, nowMs int64) error {
	r, err := t.c.one("SELECT 1 FROM blob_file f WHERE hash = ? AND "+notInLog, hash[:])
	if err != nil || r == nil {
		return wrap("read ops of a blob", err)
	}
	return t.UnuseBlob(hash, nowMs)
}

// UnuseBlob implements core.BlobWrites.
func (t *tx) UnuseBlob(hash core.Hash, nowMs int64) error {
	f, held, err := t.needsFile(hash)
	if err != nil || f == nil || held || f.unusedMs != 0 {
		return err
	}
	f.unusedMs = max(nowMs, 1)
	return t.saveBlobFile(f)
}

// dropUnused removes the row of a blob that no space has held since beforeMs, and returns
// it, or nil. Of a damaged row the time counts for nothing: Scrub makes it anew.
func (t *tx) dropUnused(hash core.Hash, beforeMs int64) (*blobFile, error) {
	f, held, err := t.needsFile(hash)
	switch {
	case err != nil || f == nil || f.damaged || f.unusedMs == 0 || f.unusedMs > beforeMs:
		return nil, err
	case held: // nobody cleared the time
		f.unusedMs = 0
		return nil, t.saveBlobFile(f)
	}
	return f, t.deleteBlobFile(hash)
}

// needsFile returns the row of a blob without what can be large, or nil, and whether a
// space holds it.
func (v *view) needsFile(hash core.Hash) (f *blobFile, held bool, err error) {
	if f, err = v.blobFile(hash); err != nil {
		return nil, false, err
	}
	r, err := v.c.one("SELECT 1 FROM blob WHERE hash = ? LIMIT 1", hash[:])
	return f, r != nil, wrap("read spaces of a blob", err)
}

// missingBlobs returns up to limit blobs above after that a space holds, and that have no
// row of blob_file, in order.
func (v *view) missingBlobs(after core.Hash, limit int) (hashes []core.Hash, err error) {
	const page = `SELECT DISTINCT hash FROM blob WHERE hash > ? AND NOT EXISTS (SELECT 1 FROM blob_file WHERE hash = blob.hash)
		ORDER BY hash LIMIT ?+0`
	err = v.c.each(page, []any{after[:], int64(limit)}, func(r *row) bool {
		hashes = append(hashes, r.hash(0))
		return true
	})
	return hashes, wrap("read missing blobs", err)
}

// spaceIDsOfBlob returns which spaces hold a blob.
func (v *view) spaceIDsOfBlob(hash core.Hash) (ids []core.SpaceID, err error) {
	err = v.c.each("SELECT s.ident FROM blob b JOIN space s ON s.id = b.space WHERE b.hash = ?", []any{hash[:]}, func(r *row) bool {
		ids = append(ids, core.SpaceID(r.text(0)))
		return true
	})
	return ids, wrap("read spaces of a blob", err)
}
