package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// notHere is of the blobs of a table b whose bytes are not on this machine.
const notHere = "NOT EXISTS (SELECT 1 FROM blob_file f WHERE f.hash = b.hash AND f.state = 0)"

// Pin implements core.FetchView. A damaged row is as good as none: it must not bring bytes.
func (v *view) Pin(space core.SpaceID) (core.PinPolicy, error) {
	r, err := v.c.one("SELECT policy, sum FROM blob_pin WHERE space = ?", string(space))
	if err != nil || r == nil {
		return core.PinOnDemand, wrap("read pin policy", err)
	}
	policy, sum := r.int(0), r.int(1)
	if err := r.bad(); err != nil {
		return core.PinOnDemand, wrap("read pin policy", err)
	}
	if sumOfPin(string(space), policy) != sum {
		return core.PinOnDemand, nil
	}
	return core.PinPolicy(policy), nil
}

// SetPin implements core.FetchWrites.
func (t *tx) SetPin(space core.SpaceID, policy core.PinPolicy) error {
	if policy == core.PinOnDemand {
		_, err := t.c.exec("DELETE FROM blob_pin WHERE space = ?", string(space))
		return wrap("remove pin policy", err)
	}
	_, err := t.c.exec(`INSERT INTO blob_pin (space, policy, sum) VALUES (?, ?, ?)
		ON CONFLICT (space) DO UPDATE SET policy = excluded.policy, sum = excluded.sum`,
		string(space), int64(policy), sumOfPin(string(space), int64(policy)))
	return wrap("write pin policy", err)
}

// WantBlob implements core.FetchWrites.
func (t *tx) WantBlob(space core.SpaceID, hash core.Hash) error {
	_, err := t.c.exec(`INSERT INTO blob_want (space, hash, sum) VALUES (?, ?, ?)
		ON CONFLICT (space, hash) DO UPDATE SET sum = excluded.sum WHERE sum <> excluded.sum`,
		string(space), hash[:], sumOfWant(string(space), hash[:]))
	return wrap("note wanted blob", err)
}

// UnwantBlob implements core.FetchWrites.
func (t *tx) UnwantBlob(space core.SpaceID, hash core.Hash) error {
	_, err := t.c.exec("DELETE FROM blob_want WHERE space = ? AND hash = ?", string(space), hash[:])
	return wrap("remove wanted blob", err)
}

// wantsEnd is for bytes that have come.
func (t *tx) wantsEnd(hash core.Hash) error {
	_, err := t.c.exec("DELETE FROM blob_want INDEXED BY blob_want_of_hash WHERE hash = ?", hash[:])
	return wrap("remove wanted blob", err)
}

// WantedBlobs implements core.FetchView. With PinAll it costs as much as the blobs that it
// passes over because they are here, unless all are.
func (v *view) WantedBlobs(space core.SpaceID, after core.Hash, limit int) ([]core.WantedBlob, error) {
	rec, policy, err := v.pinned(space)
	if err != nil || limit <= 0 {
		return nil, err
	}
	switch policy {
	case core.PinNone:
		return nil, nil
	case core.PinAll:
		if missing, err := v.missingOf(rec.Key); err != nil || missing == 0 {
			return nil, err
		}
		return v.wanted(space, "SELECT b.hash, b.size FROM blob b WHERE b.space = ?+0 AND b.hash > ? AND "+notHere+" ORDER BY b.hash LIMIT ?+0",
			rec.Key, after[:], int64(limit))
	default:
		return v.wanted(space, "SELECT w.hash, b.size FROM blob_want w CROSS JOIN blob b ON b.space = ?+0 AND b.hash = w.hash "+
			"WHERE w.space = ? AND w.hash > ? AND "+notHere+" ORDER BY w.hash LIMIT ?+0",
			rec.Key, string(space), after[:], int64(limit))
	}
}

func (v *view) wanted(space core.SpaceID, sql string, args ...any) (wanted []core.WantedBlob, err error) {
	err = v.c.each(sql, args, func(r *row) bool {
		wanted = append(wanted, core.WantedBlob{Space: space, Hash: r.hash(0), Size: r.int(1)})
		return true
	})
	return wanted, wrap("read wanted blobs", err)
}

// CountWantedBlobs implements core.FetchView.
func (v *view) CountWantedBlobs(space core.SpaceID) (int, error) {
	rec, policy, err := v.pinned(space)
	if err != nil {
		return 0, err
	}
	switch policy {
	case core.PinNone:
		return 0, nil
	case core.PinAll:
		missing, err := v.missingOf(rec.Key)
		return int(missing), err
	default:
		return v.count("SELECT count(*) FROM blob_want w CROSS JOIN blob b ON b.space = ?+0 AND b.hash = w.hash WHERE w.space = ? AND "+notHere,
			rec.Key, string(space))
	}
}

func (v *view) pinned(space core.SpaceID) (rec core.SpaceRecord, policy core.PinPolicy, err error) {
	if rec, err = v.Space(space); err != nil {
		return rec, 0, err
	}
	policy, err = v.Pin(space)
	return rec, policy, err
}

// missingOf returns how many blobs of a space are not here.
func (v *view) missingOf(space int64) (int64, error) {
	held, err := v.count("SELECT count(*) FROM blob WHERE space = ?+0", space)
	if err != nil {
		return 0, err
	}
	here, err := v.BlobUsage(space)
	return int64(held) - here.Blobs, err
}

func (v *view) count(sql string, args ...any) (int, error) {
	r, err := v.c.one(sql, args...)
	if err != nil {
		return 0, wrap("count wanted blobs", err)
	}
	return int(r.int(0)), wrap("count wanted blobs", r.bad())
}

// NextWanting implements core.FetchView.
func (v *view) NextWanting(after core.SpaceID) (next core.SpaceID, err error) {
	for _, sql := range []string{
		"SELECT space FROM blob_want WHERE space > ? ORDER BY space LIMIT 1",
		"SELECT space FROM blob_pin WHERE space > ? AND policy = 1 ORDER BY space LIMIT 1",
	} {
		r, err := v.c.one(sql, string(after))
		if err != nil {
			return "", wrap("read spaces that want blobs", err)
		}
		if r == nil {
			continue
		}
		space := core.SpaceID(r.text(0))
		if err := r.bad(); err != nil {
			return "", wrap("read spaces that want blobs", err)
		}
		if next == "" || space < next {
			next = space
		}
	}
	return next, nil
}

// IsWanted implements core.FetchView.
func (v *view) IsWanted(hash core.Hash) (bool, error) {
	f, err := v.blobFile(hash)
	if err != nil || f != nil && f.here() {
		return false, err
	}
	for _, sql := range []string{
		"SELECT 1 FROM blob_want w INDEXED BY blob_want_of_hash CROSS JOIN space s ON s.ident = w.space CROSS JOIN blob b ON b.space = s.id AND b.hash = w.hash " +
			"WHERE w.hash = ? LIMIT 1",
		"SELECT 1 FROM blob b CROSS JOIN space s ON s.id = b.space CROSS JOIN blob_pin p ON p.space = s.ident WHERE b.hash = ? AND p.policy = 1 LIMIT 1",
	} {
		if r, err := v.c.one(sql, hash[:]); err != nil || r != nil {
			return r != nil, wrap("read wanted blob", err)
		}
	}
	return false, nil
}

func sumOfWant(space string, hash []byte) int64 { return sumOf([]byte(space), hash) }

func sumOfPin(space string, policy int64) int64 { return sumOf([]byte(space), numbers(policy)) }

func (v *view) checkFetch(fn func(core.Damage) error) error {
	err := v.eachPage(fn, "SELECT id, space, hash, sum FROM blob_want WHERE id > ? ORDER BY id LIMIT ?+0", func(r *row) (core.Damage, bool) {
		hash := r.blob(2)
		d := core.Damage{Table: "blob_want", Detail: fmt.Sprintf("the wish for %x in space %q has another checksum", hash, r.text(1)), Lost: true}
		return d, len(hash) != len(core.Hash{}) || sumOfWant(r.text(1), hash) != r.int(3)
	})
	if err != nil {
		return err
	}
	return v.eachPage(fn, "SELECT id, space, policy, sum FROM blob_pin WHERE id > ? ORDER BY id LIMIT ?+0", func(r *row) (core.Damage, bool) {
		d := core.Damage{Table: "blob_pin", Detail: fmt.Sprintf("the pin policy of space %q has another checksum", r.text(1)), Lost: true}
		return d, sumOfPin(r.text(1), r.int(2)) != r.int(3)
	})
}
