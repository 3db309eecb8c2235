package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// BlobUsage implements core.BlobView.
func (v *view) BlobUsage(space int64) (core.BlobUsage, error) {
	r, err := v.c.one("SELECT blobs, bytes FROM blob_usage WHERE space = ?", space)
	if err != nil || r == nil {
		return core.BlobUsage{}, wrap("read usage of blobs", err)
	}
	return core.BlobUsage{Blobs: r.int(0), Bytes: r.int(1)}, wrap("read usage of blobs", r.bad())
}

func (t *tx) addBlobUsage(space, blobs, bytes int64) error {
	_, err := t.c.exec(`INSERT INTO blob_usage (space, blobs, bytes) VALUES (?, ?, ?)
		ON CONFLICT (space) DO UPDATE SET blobs = blobs + excluded.blobs, bytes = bytes + excluded.bytes`, space, blobs, bytes)
	return wrap("count blob", err)
}

func (v *view) spacesOfBlob(hash core.Hash) (spaces []int64, err error) {
	err = v.c.each("SELECT space FROM blob WHERE hash = ?", []any{hash[:]}, func(r *row) bool {
		spaces = append(spaces, r.int(0))
		return true
	})
	return spaces, wrap("read spaces of a blob", err)
}

// countBlobFile counts that bytes which spaces hold came, went, or have another size.
func (t *tx) countBlobFile(spaces []int64, was, is *blobFile) error {
	var blobs, bytes int64
	if was != nil && was.here() {
		blobs, bytes = -1, -was.size
	}
	if is.here() {
		blobs, bytes = blobs+1, bytes+is.size
	}
	if len(spaces) == 0 || blobs == 0 && bytes == 0 {
		return nil
	}
	for _, space := range append(spaces, 0) {
		if err := t.addBlobUsage(space, blobs, bytes); err != nil {
			return err
		}
	}
	return nil
}

// blobHeld notes that a space holds a blob now.
func (t *tx) blobHeld(space int64, hash core.Hash) error {
	f, err := t.blobFile(hash)
	if err != nil || f == nil {
		return err
	}
	if f.unusedMs != 0 {
		f.unusedMs = 0
		if err := t.saveBlobFile(f); err != nil {
			return err
		}
	}
	return t.countHolder(space, f, 1)
}

// blobLeft notes that a space holds a blob no more.
func (t *tx) blobLeft(space int64, hash core.Hash, nowMs int64) error {
	f, err := t.blobFile(hash)
	if err != nil || f == nil {
		return err
	}
	if err := t.countHolder(space, f, -1); err != nil {
		return err
	}
	spaces, err := t.spacesOfBlob(hash)
	if err != nil || len(spaces) > 0 {
		return err
	}
	f.unusedMs = max(nowMs, 1)
	return t.saveBlobFile(f)
}

// countHolder counts a blob for a space, and in all if no other space holds it.
func (t *tx) countHolder(space int64, f *blobFile, by int64) error {
	if !f.here() {
		return nil
	}
	if err := t.addBlobUsage(space, by, by*f.size); err != nil {
		return err
	}
	r, err := t.c.one("SELECT 1 FROM blob WHERE hash = ? AND space <> ? LIMIT 1", f.hash[:], space)
	if err != nil || r != nil {
		return wrap("read spaces of a blob", err)
	}
	return t.addBlobUsage(0, by, by*f.size)
}

// resetBlobs removes the blobs that a space holds, so that they can be put again. Of those that
// are not UnuseBlob has to tell.
func (t *tx) resetBlobs(space int64) error {
	r, err := t.c.one(`SELECT count(*), ifnull(sum(f.size), 0) FROM blob b JOIN blob_file f ON f.hash = b.hash
		WHERE b.space = ?+0 AND f.state = 0 AND NOT EXISTS (SELECT 1 FROM blob o WHERE o.hash = b.hash AND o.space <> b.space)`, space)
	if err != nil {
		return wrap("reset blobs", err)
	}
	blobs, bytes := r.int(0), r.int(1)
	if err := t.addBlobUsage(0, -blobs, -bytes); err != nil {
		return err
	}
	for _, table := range []string{"blob_usage", "blob_op", "blob"} {
		if _, err := t.c.exec("DELETE FROM "+table+" WHERE space = ?", space); err != nil {
			return fmt.Errorf("reset %s of space %d: %w", table, space, err)
		}
	}
	return nil
}

// blobCounts counts what blob_usage should.
const blobCounts = `SELECT b.space AS space, count(*) AS blobs, sum(f.size) AS bytes FROM blob b JOIN blob_file f ON f.hash = b.hash
		WHERE f.state = 0 GROUP BY b.space
	UNION ALL SELECT 0, count(*), ifnull(sum(f.size), 0) FROM blob_file f
		WHERE f.state = 0 AND EXISTS (SELECT 1 FROM blob WHERE hash = f.hash)`

// recountBlobs makes blob_usage anew.
func (t *tx) recountBlobs() error {
	for _, sql := range []string{"DELETE FROM blob_usage", "INSERT INTO blob_usage (space, blobs, bytes) " + blobCounts} {
		if err := t.script(sql); err != nil {
			return wrap("count blobs", err)
		}
	}
	return nil
}

func (v *view) checkBlobUsage(fn func(core.Damage) error) error {
	const some, kept = " WHERE blobs <> 0 OR bytes <> 0", "SELECT space, blobs, bytes FROM blob_usage"
	const counted = "SELECT space, blobs, bytes FROM (" + blobCounts + ")"
	return v.found(fn, "SELECT (SELECT count(*) FROM ("+counted+some+" EXCEPT "+kept+")) + (SELECT count(*) FROM ("+kept+some+" EXCEPT "+counted+"))", nil,
		func(r *row) (core.Damage, bool) {
			return core.Damage{Table: "blob_usage", Detail: fmt.Sprintf("%d counts are wrong or missing", r.int(0))}, r.int(0) > 0
		})
}
