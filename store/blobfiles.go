package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/soma-sdk/soma/internal/core"
)

// The states of a row of blob_file.
const (
	blobHere    = 0
	blobDamaged = 1 // or gone
)

// blobFile is a row of blob_file: bytes that are, or were, on this machine.
type blobFile struct {
	hash      core.Hash
	size      int64
	state     int64
	storedMs  int64
	unusedMs  int64 // since when no space holds them, 0 while one does
	checkedMs int64 // when they were hashed last
	blocksSum uint32
	inline    bool // the row has the bytes, there is no file
	damaged   bool // the row has another checksum

	blocks []byte // CRC-32C of each block of a file, big endian
	bytes  []byte
}

// sum has the checksum of blocks in its upper half, so that the rest of a row can be
// changed without them.
func (f *blobFile) sum() int64 {
	var numbers []byte
	for _, n := range []int64{f.size, f.state, f.storedMs, f.unusedMs, f.checkedMs} {
		numbers = binary.BigEndian.AppendUint64(numbers, uint64(n))
	}
	if f.inline {
		numbers = append(numbers, 1)
	}
	sum := sumOf(numbers, f.hash[:]) | int64(f.blocksSum)<<32
	if f.damaged {
		sum ^= 1 // it stays so
	}
	return sum
}

func (f *blobFile) here() bool { return f.state == blobHere }

// same reports whether two rows say the same of the bytes.
func (f *blobFile) same(o *blobFile) bool {
	return f.size == o.size && f.state == o.state && f.inline == o.inline && bytes.Equal(f.blocks, o.blocks) && bytes.Equal(f.bytes, o.bytes)
}

const (
	blobFileColumns = "hash, size, state, stored_at_ms, unused_at_ms, checked_at_ms, sum, bytes IS NOT NULL"
	blobFileBody    = blobFileColumns + ", blocks, bytes"
)

// blobFileOf reads a row of blobFileColumns. Its first column is at from.
func blobFileOf(r *row, from int) *blobFile {
	f := &blobFile{
		hash: r.hash(from), size: r.int(from + 1), state: r.int(from + 2), storedMs: r.int(from + 3), unusedMs: r.int(from + 4),
		checkedMs: r.int(from + 5), inline: r.int(from+7) != 0,
	}
	sum := r.int(from + 6)
	f.blocksSum = uint32(sum >> 32)
	f.damaged = f.sum() != sum
	return f
}

// blobFileBodyOf reads a row of blobFileBody.
func blobFileBodyOf(r *row, from int) *blobFile {
	f := blobFileOf(r, from)
	f.blocks, f.bytes = r.blob(from+8), r.blob(from+9)
	if f.inline && f.bytes == nil {
		f.bytes = []byte{}
	}
	f.damaged = f.damaged || crc32.Checksum(f.blocks, castagnoli) != f.blocksSum
	return f
}

// blobFile returns a row without what can be large, or nil.
func (v *view) blobFile(hash core.Hash) (*blobFile, error) {
	return v.oneBlobFile("SELECT "+blobFileColumns+" FROM blob_file WHERE hash = ?", hash, blobFileOf)
}

// blobFileBody returns a whole row, or nil.
func (v *view) blobFileBody(hash core.Hash) (*blobFile, error) {
	return v.oneBlobFile("SELECT "+blobFileBody+" FROM blob_file WHERE hash = ?", hash, blobFileBodyOf)
}

func (v *view) oneBlobFile(sql string, hash core.Hash, of func(*row, int) *blobFile) (*blobFile, error) {
	r, err := v.c.one(sql, hash[:])
	if err != nil || r == nil {
		return nil, wrap("read row of blob", err)
	}
	f := of(r, 0)
	return f, wrap("read row of blob", r.bad())
}

// blobFiles returns up to limit rows without what can be large, with hashes above after.
func (v *view) blobFiles(after core.Hash, limit int) (files []*blobFile, err error) {
	const page = "SELECT " + blobFileColumns + " FROM blob_file WHERE hash > ? ORDER BY hash LIMIT ?+0"
	err = v.c.each(page, []any{after[:], int64(limit)}, func(r *row) bool {
		files = append(files, blobFileOf(r, 0))
		return true
	})
	return files, wrap("read rows of blobs", err)
}

// storeBlobFile writes a row that says the truth of bytes, with what follows from it, and
// reports whether they are here now and were not before.
func (t *tx) storeBlobFile(f *blobFile, nowMs int64) (fresh bool, err error) {
	was, err := t.blobFileBody(f.hash)
	if err != nil {
		return false, err
	}
	spaces, err := t.spacesOfBlob(f.hash)
	if err != nil {
		return false, err
	}
	f.storedMs, f.checkedMs = nowMs, nowMs
	if len(spaces) == 0 {
		f.unusedMs = nowMs
	}
	f.blocksSum, f.damaged = crc32.Checksum(f.blocks, castagnoli), false
	if was == nil || was.damaged || !was.same(f) {
		err = t.putBlobFile(f)
	} else if was.unusedMs != f.unusedMs {
		f.storedMs = was.storedMs
		err = t.saveBlobFile(f)
	}
	if err != nil {
		return false, err
	}
	if f.here() {
		if err := t.wantsEnd(f.hash); err != nil {
			return false, err
		}
	}
	fresh = f.here() && (was == nil || !was.here())
	if was != nil && was.damaged { // what was counted for it, nobody knows
		return fresh, t.recountBlobs()
	}
	return fresh, t.countBlobFile(spaces, was, f)
}

func (t *tx) putBlobFile(f *blobFile) error {
	var inline any
	if f.inline {
		inline = notNil(f.bytes)
	}
	_, err := t.c.exec(`INSERT INTO blob_file (hash, size, state, stored_at_ms, unused_at_ms, checked_at_ms, sum, blocks, bytes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (hash) DO UPDATE SET size = excluded.size, state = excluded.state, stored_at_ms = excluded.stored_at_ms,
		unused_at_ms = excluded.unused_at_ms, checked_at_ms = excluded.checked_at_ms, sum = excluded.sum, blocks = excluded.blocks,
		bytes = excluded.bytes`,
		f.hash[:], f.size, f.state, f.storedMs, f.unusedMs, f.checkedMs, f.sum(), notNil(f.blocks), inline)
	return wrap("write row of blob", err)
}

// saveBlobFile changes what is not large in a row.
func (t *tx) saveBlobFile(f *blobFile) error {
	_, err := t.c.exec("UPDATE blob_file SET size = ?, state = ?, stored_at_ms = ?, unused_at_ms = ?, checked_at_ms = ?, sum = ? WHERE hash = ?",
		f.size, f.state, f.storedMs, f.unusedMs, f.checkedMs, f.sum(), f.hash[:])
	return wrap("change row of blob", err)
}

func (t *tx) deleteBlobFile(hash core.Hash) error {
	_, err := t.c.exec("DELETE FROM blob_file WHERE hash = ?", hash[:])
	return wrap("remove row of blob", err)
}

// checkBlobFiles looks at what the rows say of themselves, and at the bytes in them.
// Files are for Scrub. What is wrong cannot be made anew from the log.
func (v *view) checkBlobFiles(fn func(core.Damage) error) error {
	const page = "SELECT id, " + blobFileBody + " FROM blob_file WHERE id > ? ORDER BY id LIMIT ?+0"
	found := false
	err := v.eachPage(fn, page, func(r *row) (core.Damage, bool) {
		f := blobFileBodyOf(r, 1)
		d := core.Damage{Table: "blob_file", Lost: true}
		switch {
		case f.damaged:
			d.Detail = fmt.Sprintf("row of %s has another checksum", core.CIDFromHash(f.hash))
		case f.inline && f.here() && sha256.Sum256(f.bytes) != f.hash:
			d.Detail = fmt.Sprintf("bytes of %s are damaged", core.CIDFromHash(f.hash))
		default:
			return d, false
		}
		found = true
		return d, true
	})
	if err != nil || found { // of damaged rows, nobody can say how to count them
		return err
	}
	return v.checkBlobUsage(fn)
}
