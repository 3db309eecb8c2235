package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const (
	entryHeaderColumns = "SELECT id, space, writer, chain, seq, hash, state, auth, pos, gaps, header FROM entry "
	entryColumns       = "SELECT id, space, writer, chain, seq, hash, state, auth, pos, gaps, header, sig, ops FROM entry "
)

// Entry implements core.View.
func (v *view) Entry(space int64, hash core.Hash) (core.EntryRecord, error) {
	r, err := v.c.one(entryColumns+"WHERE space = ? AND hash = ?", space, hash[:])
	return foundEntry(r, err, true, "entry "+hash.String())
}

// EntryHeader implements core.View.
func (v *view) EntryHeader(space int64, hash core.Hash) (core.EntryRecord, error) {
	r, err := v.c.one(entryHeaderColumns+"WHERE space = ? AND hash = ?", space, hash[:])
	return foundEntry(r, err, false, "entry "+hash.String())
}

// EntryByKey implements core.View.
func (v *view) EntryByKey(key int64) (core.EntryRecord, error) {
	r, err := v.c.one(entryHeaderColumns+"WHERE id = ?", key)
	return foundEntry(r, err, false, fmt.Sprintf("entry %d", key))
}

// EntriesAfter implements core.View.
func (v *view) EntriesAfter(space, after int64, maxBytes int) ([]core.EntryRecord, error) {
	return v.entriesAfter("WHERE space = ?+0 AND id > ? ORDER BY id", space, after, maxBytes)
}

// MembershipAfter implements core.View.
func (v *view) MembershipAfter(space, after int64, maxBytes int) ([]core.EntryRecord, error) {
	return v.entriesAfter("WHERE space = ? AND chain = 0 AND id > ? ORDER BY id", space, after, maxBytes)
}

func (v *view) entriesAfter(where string, space, after int64, maxBytes int) ([]core.EntryRecord, error) {
	var recs []core.EntryRecord
	size := 0
	err := v.c.each(entryColumns+where, []any{space, after}, func(r *row) bool {
		rec := entryOf(r, true)
		recs = append(recs, rec)
		size += rec.Entry.Size()
		return size <= maxBytes
	})
	if err != nil {
		return nil, fmt.Errorf("list entries after %d: %w", after, err)
	}
	return recs, nil
}

// ContentAfter implements core.View.
func (v *view) ContentAfter(space, after int64, limit int) ([]core.EntryRecord, error) {
	return v.headers("WHERE space = ?+0 AND chain = 1 AND id > ? ORDER BY id LIMIT ?+0", space, after, int64(limit))
}

// ContentOf implements core.View.
func (v *view) ContentOf(space, writer int64, from uint64, after int64, limit int) ([]core.EntryRecord, error) {
	return v.headers("WHERE space = ?+0 AND writer = ?+0 AND chain = 1 AND seq >= ?+0 AND id > ?+0 ORDER BY id LIMIT ?+0",
		space, writer, int64(from), after, int64(limit))
}

func (v *view) headers(where string, args ...any) ([]core.EntryRecord, error) {
	var recs []core.EntryRecord
	err := v.c.each(entryHeaderColumns+where, args, func(r *row) bool {
		recs = append(recs, entryOf(r, false))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list content entries: %w", err)
	}
	return recs, nil
}

// ContentCount implements core.View.
func (v *view) ContentCount(space int64) (int64, error) {
	r, err := v.c.one("SELECT pos FROM entry WHERE space = ? AND chain = 1 ORDER BY id DESC LIMIT 1", space)
	if err != nil || r == nil {
		return 0, wrap("count content entries", err)
	}
	return r.int(0) + 1, r.bad()
}

// FirstFork implements core.View.
func (v *view) FirstFork(space, writer int64, chain core.Chain) (uint64, error) {
	r, err := v.c.one(`SELECT a.seq FROM entry a JOIN entry b
		ON b.space = a.space AND b.writer = a.writer AND b.chain = a.chain AND b.seq = a.seq AND b.id > a.id
		WHERE a.space = ? AND a.writer = ? AND a.chain = ? ORDER BY a.seq LIMIT 1`, space, writer, int64(chain))
	if err != nil || r == nil {
		return 0, wrap("look for forks", err)
	}
	return r.uint(0), r.bad()
}

// EntriesAt implements core.View.
func (v *view) EntriesAt(space, writer int64, chain core.Chain, seq uint64, limit int) ([]core.EntryRecord, error) {
	var recs []core.EntryRecord
	err := v.c.each(entryColumns+"WHERE space = ?+0 AND writer = ?+0 AND chain = ?+0 AND seq = ?+0 ORDER BY id LIMIT ?",
		[]any{space, writer, int64(chain), int64(seq), int64(limit)}, func(r *row) bool {
			recs = append(recs, entryOf(r, true))
			return true
		})
	if err != nil {
		return nil, fmt.Errorf("list entries of writer %d at %d: %w", writer, seq, err)
	}
	return recs, nil
}

func foundEntry(r *row, err error, whole bool, what string) (core.EntryRecord, error) {
	if err != nil {
		return core.EntryRecord{}, fmt.Errorf("read %s: %w", what, err)
	}
	if r == nil {
		return core.EntryRecord{}, fmt.Errorf("%s: %w", what, core.ErrNotFound)
	}
	rec := entryOf(r, whole)
	return rec, wrap("read "+what, r.bad())
}

func entryOf(r *row, whole bool) core.EntryRecord {
	rec := core.EntryRecord{
		Key: r.int(0), Space: r.int(1), Writer: r.int(2), Chain: core.Chain(r.int(3)), Seq: r.uint(4),
		Hash: r.hash(5), State: core.EntryState(r.int(6)), Auth: r.int(7), Pos: r.int(8), Gaps: r.blob(9),
	}
	rec.Entry.Header = r.blob(10)
	if whole {
		rec.Entry.Sig, rec.Entry.Ops = r.blob(11), r.blob(12)
	}
	return rec
}

// InsertEntry implements core.Tx. An entry that the space holds already is an error.
func (t *tx) InsertEntry(rec *core.EntryRecord) error {
	key, err := t.c.insert(`INSERT INTO entry (space, writer, chain, seq, hash, state, auth, pos, gaps, header, sig, ops)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		rec.Space, rec.Writer, int64(rec.Chain), int64(rec.Seq), rec.Hash[:], int64(rec.State), rec.Auth, rec.Pos, rec.Gaps,
		notNil(rec.Entry.Header), notNil(rec.Entry.Sig), rec.Entry.Ops)
	if err != nil {
		return fmt.Errorf("write entry %s: %w", rec.Hash, err)
	}
	rec.Key = key
	return nil
}

// Headers implements core.View.
func (v *view) Headers(after int64, limit int) ([]core.EntryRecord, error) {
	return v.headers("WHERE id > ?+0 ORDER BY id LIMIT ?+0", after, int64(limit))
}
