package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Parked implements core.View.
func (v *view) Parked(space int64, missing core.Hash) ([]core.ParkedRecord, error) {
	var recs []core.ParkedRecord
	var authors []int64
	err := v.c.each("SELECT hash, author, header, sig, ops FROM parked WHERE space = ?+0 AND missing = (SELECT ?) ORDER BY id",
		[]any{space, missing[:]}, func(r *row) bool {
			recs = append(recs, core.ParkedRecord{
				Space: space, Hash: r.hash(0), Missing: missing,
				Entry: core.Entry{Header: r.blob(2), Sig: r.blob(3), Ops: r.blob(4)},
			})
			authors = append(authors, r.int(1))
			return true
		})
	if err != nil {
		return nil, wrap("list parked entries", err)
	}
	for i, key := range authors {
		if recs[i].Author, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// ParkedAfter implements core.View.
func (v *view) ParkedAfter(space int64, after core.Hash, maxBytes int) ([]core.ParkedRecord, error) {
	var recs []core.ParkedRecord
	var authors []int64
	size := 0
	err := v.c.each("SELECT hash, author, missing, header, sig, ops FROM parked WHERE space = ?+0 AND hash > ? ORDER BY hash",
		[]any{space, after[:]}, func(r *row) bool {
			rec := core.ParkedRecord{
				Space: space, Hash: r.hash(0), Missing: r.hash(2),
				Entry: core.Entry{Header: r.blob(3), Sig: r.blob(4), Ops: r.blob(5)},
			}
			recs, authors = append(recs, rec), append(authors, r.int(1))
			size += rec.Entry.Size()
			return size <= maxBytes
		})
	if err != nil {
		return nil, wrap("list parked entries", err)
	}
	for i, key := range authors {
		if recs[i].Author, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// IsParked implements core.View.
func (v *view) IsParked(space int64, hash core.Hash) (bool, error) {
	r, err := v.c.one("SELECT 1 FROM parked WHERE space = ? AND hash = ?", space, hash[:])
	return r != nil, wrap("read parked entry", err)
}

// ParkedBytes implements core.View. It reads counters, two and one for each member:
// what waits is bounded by these numbers on every arrival, so they cannot cost a scan of
// what strangers sent.
func (v *view) ParkedBytes(space int64, author core.PeerID) (ofAuthor, ofMembers, ofSpace int64, err error) {
	key, err := v.peerKey(author)
	if err != nil {
		return 0, 0, 0, err
	}
	err = v.c.each("SELECT author, bytes FROM parked_bytes WHERE space = ? AND author IN (?, ?)", []any{space, key, wholeSpace}, func(r *row) bool {
		if r.int(0) == wholeSpace {
			ofSpace = r.int(1)
		} else {
			ofAuthor = r.int(1)
		}
		return true
	})
	if err != nil || ofSpace == 0 {
		return 0, 0, 0, wrap("read size of parked entries", err)
	}
	r, err := v.c.one(`SELECT coalesce(sum(b.bytes), 0) FROM member m CROSS JOIN parked_bytes b
		ON b.space = m.space AND b.author = m.peer WHERE m.space = ?`, space)
	if err != nil {
		return 0, 0, 0, wrap("read size of parked entries of members", err)
	}
	return ofAuthor, r.int(0), ofSpace, r.bad()
}

// wholeSpace is the author under which parked_bytes counts all authors; 0 is
// the zero peer.
const wholeSpace = int64(-1)

// Park implements core.Tx.
func (t *tx) Park(rec core.ParkedRecord) error {
	n, err := t.c.exec("UPDATE parked SET missing = ? WHERE space = ? AND hash = ?", rec.Missing[:], rec.Space, rec.Hash[:])
	if err != nil || n > 0 {
		return wrap("park entry "+rec.Hash.String(), err)
	}
	author, err := t.ensurePeer(rec.Author)
	if err != nil {
		return err
	}
	size := int64(rec.Entry.Size())
	_, err = t.c.exec("INSERT INTO parked (space, hash, author, missing, size, header, sig, ops) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		rec.Space, rec.Hash[:], author, rec.Missing[:], size, notNil(rec.Entry.Header), notNil(rec.Entry.Sig), rec.Entry.Ops)
	if err != nil {
		return fmt.Errorf("park entry %s: %w", rec.Hash, err)
	}
	return t.addParkedBytes(rec.Space, author, size)
}

// Unpark implements core.Tx. An entry that does not wait is no error.
func (t *tx) Unpark(space int64, hash core.Hash) error {
	r, err := t.c.one("SELECT id, author, size FROM parked WHERE space = ? AND hash = ?", space, hash[:])
	if err != nil || r == nil {
		return wrap("unpark entry "+hash.String(), err)
	}
	id, author, size := r.int(0), r.int(1), r.int(2)
	if err := r.bad(); err != nil {
		return err
	}
	if _, err := t.c.exec("DELETE FROM parked WHERE id = ?", id); err != nil {
		return fmt.Errorf("unpark entry %s: %w", hash, err)
	}
	return t.addParkedBytes(space, author, -size)
}

func (t *tx) addParkedBytes(space, author, bytes int64) error {
	for _, key := range [...]int64{author, wholeSpace} {
		_, err := t.c.exec(`INSERT INTO parked_bytes (space, author, bytes) VALUES (?, ?, ?)
			ON CONFLICT (space, author) DO UPDATE SET bytes = bytes + excluded.bytes`, space, key, bytes)
		if err != nil {
			return wrap("count parked bytes", err)
		}
	}
	if bytes > 0 {
		return nil
	}
	_, err := t.c.exec("DELETE FROM parked_bytes WHERE space = ? AND author IN (?, ?) AND bytes = 0", space, author, wholeSpace)
	return wrap("count parked bytes", err)
}
