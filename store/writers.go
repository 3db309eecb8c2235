package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const writerColumns = "SELECT id, ident, peer, incarnation FROM writer "

// Writer implements core.View.
func (v *view) Writer(key int64) (core.WriterRecord, error) {
	rec, err := v.writerOf(v.c.one(writerColumns+"WHERE id = ?", key))
	if err != nil {
		return rec, fmt.Errorf("read writer %d: %w", key, err)
	}
	return rec, nil
}

// WriterByID implements core.View.
func (v *view) WriterByID(id core.WriterID) (core.WriterRecord, error) {
	rec, err := v.writerOf(v.c.one(writerColumns+"WHERE ident = ?", id[:]))
	if err != nil {
		return rec, fmt.Errorf("read writer %s: %w", id, err)
	}
	return rec, nil
}

// WritersOf implements core.View.
func (v *view) WritersOf(peer core.PeerID) ([]core.WriterRecord, error) {
	key, err := v.peerKey(peer)
	if err != nil || key == 0 {
		return nil, err
	}
	var recs []core.WriterRecord
	err = v.c.each(writerColumns+"WHERE peer = ?", []any{key}, func(r *row) bool {
		rec := core.WriterRecord{Key: r.int(0), Peer: peer}
		r.fixed(1, rec.ID[:])
		r.fixed(3, rec.Incarnation[:])
		recs = append(recs, rec)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list writers of %s: %w", peer, err)
	}
	return recs, nil
}

func (v *view) writerOf(r *row, err error) (core.WriterRecord, error) {
	if err != nil {
		return core.WriterRecord{}, err
	}
	if r == nil {
		return core.WriterRecord{}, core.ErrNotFound
	}
	rec := core.WriterRecord{Key: r.int(0)}
	r.fixed(1, rec.ID[:])
	r.fixed(3, rec.Incarnation[:])
	peer := r.int(2)
	if err := r.bad(); err != nil {
		return core.WriterRecord{}, err
	}
	rec.Peer, err = v.peerID(peer)
	return rec, err
}

// EnsureWriter implements core.Tx. It ignores rec.Key.
func (t *tx) EnsureWriter(rec core.WriterRecord) (int64, error) {
	r, err := t.c.one("SELECT id FROM writer WHERE ident = ?", rec.ID[:])
	if err != nil {
		return 0, fmt.Errorf("read writer %s: %w", rec.ID, err)
	}
	if r != nil {
		return r.int(0), r.bad()
	}
	peer, err := t.ensurePeer(rec.Peer)
	if err != nil {
		return 0, err
	}
	key, err := t.c.insert("INSERT INTO writer (ident, peer, incarnation) VALUES (?, ?, ?)", rec.ID[:], peerRef(peer), rec.Incarnation[:])
	if err != nil {
		return 0, fmt.Errorf("write writer %s: %w", rec.ID, err)
	}
	return key, nil
}

// Writers implements core.View.
func (v *view) Writers(after int64, limit int) ([]core.WriterRecord, error) {
	var recs []core.WriterRecord
	var peers []int64
	err := v.c.each(writerColumns+"WHERE id > ?+0 ORDER BY id LIMIT ?+0", []any{after, int64(limit)}, func(r *row) bool {
		rec := core.WriterRecord{Key: r.int(0)}
		r.fixed(1, rec.ID[:])
		r.fixed(3, rec.Incarnation[:])
		recs, peers = append(recs, rec), append(peers, r.int(2))
		return true
	})
	if err != nil {
		return nil, wrap("list writers", err)
	}
	for i, key := range peers {
		if recs[i].Peer, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}
