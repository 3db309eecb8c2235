package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const headColumns = "SELECT space, writer, chain, seq, entry, hash FROM writer_head "

// WriterHead implements core.View.
func (v *view) WriterHead(space, writer int64, chain core.Chain) (core.HeadRecord, error) {
	r, err := v.c.one(headColumns+"WHERE space = ? AND writer = ? AND chain = ?", space, writer, int64(chain))
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.HeadRecord{}, fmt.Errorf("read head of writer %d: %w", writer, err)
	}
	rec := headOf(r)
	return rec, r.bad()
}

// Heads implements core.View.
func (v *view) Heads(space int64) ([]core.HeadRecord, error) {
	var recs []core.HeadRecord
	err := v.c.each(headColumns+"WHERE space = ?+0 ORDER BY writer, chain", []any{space}, func(r *row) bool {
		recs = append(recs, headOf(r))
		return true
	})
	if err != nil {
		return nil, wrap("list heads", err)
	}
	return recs, nil
}

func headOf(r *row) core.HeadRecord {
	return core.HeadRecord{
		Space: r.int(0), Writer: r.int(1), Chain: core.Chain(r.int(2)), Seq: r.uint(3), Entry: r.int(4), Hash: r.hash(5),
	}
}

// PutWriterHead implements core.Tx.
func (t *tx) PutWriterHead(h core.HeadRecord) error {
	_, err := t.c.exec(`INSERT INTO writer_head (space, writer, chain, seq, entry, hash) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, writer, chain) DO UPDATE SET seq = excluded.seq, entry = excluded.entry, hash = excluded.hash`,
		h.Space, h.Writer, int64(h.Chain), int64(h.Seq), h.Entry, h.Hash[:])
	if err != nil {
		return fmt.Errorf("write head of writer %d: %w", h.Writer, err)
	}
	return nil
}

// Frontier implements core.View.
func (v *view) Frontier(space int64, chain core.Chain) ([]core.FrontierRecord, error) {
	var recs []core.FrontierRecord
	err := v.c.each("SELECT entry, hash FROM frontier WHERE space = ?+0 AND chain = ?+0 ORDER BY hash", []any{space, int64(chain)}, func(r *row) bool {
		recs = append(recs, core.FrontierRecord{Entry: r.int(0), Hash: r.hash(1)})
		return true
	})
	if err != nil {
		return nil, wrap("list frontier", err)
	}
	return recs, nil
}

// AddFrontier implements core.Tx. Adding an entry again does nothing.
func (t *tx) AddFrontier(space int64, chain core.Chain, f core.FrontierRecord) error {
	_, err := t.c.exec(`INSERT INTO frontier (space, chain, hash, entry) VALUES (?, ?, ?, ?)
		ON CONFLICT (space, chain, hash) DO UPDATE SET entry = excluded.entry`, space, int64(chain), f.Hash[:], f.Entry)
	return wrap("add to frontier", err)
}

// RemoveFrontier implements core.Tx.
func (t *tx) RemoveFrontier(space int64, chain core.Chain, hash core.Hash) error {
	_, err := t.c.exec("DELETE FROM frontier WHERE space = ? AND chain = ? AND hash = ?", space, int64(chain), hash[:])
	return wrap("remove from frontier", err)
}
