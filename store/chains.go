package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Chains implements core.View.
func (v *view) Chains(space int64) ([]core.ChainRecord, error) {
	var recs []core.ChainRecord
	err := v.c.each("SELECT writer, chain, count(*) FROM entry INDEXED BY entry_in_chain WHERE space = ?+0 GROUP BY writer, chain", []any{space}, func(r *row) bool {
		recs = append(recs, core.ChainRecord{Writer: r.int(0), Chain: core.Chain(r.int(1)), Count: r.uint(2)})
		return true
	})
	return recs, wrap("count entries of chains", err)
}

// ChainHashes implements core.View.
func (v *view) ChainHashes(space, writer int64, chain core.Chain, seq uint64, limit int) ([]core.Hash, error) {
	var hashes []core.Hash
	err := v.c.each("SELECT hash FROM entry WHERE space = ?+0 AND writer = ?+0 AND chain = ?+0 AND seq = ?+0 ORDER BY id LIMIT ?+0",
		[]any{space, writer, int64(chain), int64(seq), int64(limit)}, func(r *row) bool {
			hashes = append(hashes, r.hash(0))
			return true
		})
	return hashes, wrap("list hashes of a chain", err)
}

// ChainKeys implements core.View.
func (v *view) ChainKeys(space, writer int64, chain core.Chain, from, to uint64) ([]int64, error) {
	var keys []int64
	err := v.c.each(`SELECT id FROM entry INDEXED BY entry_in_chain
			WHERE space = ?+0 AND writer = ?+0 AND chain = ?+0 AND seq BETWEEN ?+0 AND ?+0 ORDER BY seq, id`,
		[]any{space, writer, int64(chain), int64(from), int64(to)}, func(r *row) bool {
			keys = append(keys, r.int(0))
			return true
		})
	return keys, wrap("list entries of a chain", err)
}

// SeqUntil implements core.View.
func (v *view) SeqUntil(space, writer int64, chain core.Chain, key int64) (uint64, error) {
	r, err := v.c.one(`SELECT seq FROM entry INDEXED BY entry_in_chain
			WHERE space = ?+0 AND writer = ?+0 AND chain = ?+0 AND id <= ?+0 ORDER BY seq DESC LIMIT 1`,
		space, writer, int64(chain), key)
	if err != nil || r == nil {
		return 0, wrap("look for an entry of a chain", err)
	}
	return r.uint(0), r.bad()
}

// EntriesByKey implements core.View.
func (v *view) EntriesByKey(keys []int64, maxBytes int) ([]core.EntryRecord, error) {
	var recs []core.EntryRecord
	size := 0
	for _, key := range keys {
		r, err := v.c.one(entryColumns+"WHERE id = ?", key)
		rec, err := foundEntry(r, err, true, fmt.Sprintf("entry %d", key))
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
		if size += rec.Entry.Size(); size > maxBytes {
			break
		}
	}
	return recs, nil
}
