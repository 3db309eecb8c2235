package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// collection adds a collection and returns its key.
func (f *fixture) collection(name string) int64 {
	f.t.Helper()
	row := core.CollectionRow{Name: name, ClearedAtMs: -1}
	f.write(func(tx core.Tx) error { return tx.PutCollection(&row) })
	return row.Key
}

func testCollections(t *testing.T, f *fixture) {
	a := core.CollectionRow{
		Name: "a", Schema: 1, Stale: 2, Seq: 3, Position: 4, Records: 5, Bytes: 6, Tombstones: 7, ClearedAtMs: 8,
	}
	b, upper := core.CollectionRow{Name: "b", ClearedAtMs: -1}, core.CollectionRow{Name: "Z"}
	f.everywhere(func(tx core.Tx) error {
		for _, row := range []*core.CollectionRow{&b, &a, &upper} {
			if err := tx.PutCollection(row); err != nil || row.Key <= 0 {
				return fmt.Errorf("PutCollection set key %d: %w", row.Key, err)
			}
		}
		key := b.Key
		b = a
		b.Key, b.Name, b.Seq = key, "b", math.MaxInt64
		return tx.PutCollection(&b)
	}, func(v core.View) error {
		for _, want := range []core.CollectionRow{a, b, upper} {
			got, err := v.Collection(want.Name)
			if err := equal("Collection", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Collection("c")
		if err := fails("Collection of an unknown name", err, core.ErrNotFound); err != nil {
			return err
		}
		got, err := v.Collections("", 2)
		if err := equal("Collections(2)", got, err, []core.CollectionRow{upper, a}); err != nil {
			return err
		}
		got, err = v.Collections("a", 2)
		return equal("Collections after a", got, err, []core.CollectionRow{b})
	})
	err := f.store.Write(context.Background(), func(tx core.Tx) error { return tx.PutCollection(&core.CollectionRow{Key: 999, Name: "x"}) })
	if err := fails("PutCollection of an unknown key", err, core.ErrNotFound); err != nil {
		t.Error(err)
	}
}

func testRecords(t *testing.T, f *fixture) {
	c, other, ties := f.collection("c"), f.collection("other"), f.collection("ties")
	rec := func(position int64, key string, atMs int64, value string) core.RecordRow {
		return core.RecordRow{
			Position: position, Key: key, UpdatedAtMs: atMs, AgeMs: atMs, Seq: 10 * position, Schema: 1, VersionKey: "v" + key,
			Seen: []byte{1, 2}, Value: []byte(value),
		}
	}
	first, second, third := rec(1, "s:z", 30, "one"), rec(2, "n:5", 20, "two"), rec(1<<40-1, "s:a", 10, string(bytes.Repeat([]byte("3"), 100_000)))
	second.Seen, second.Value = []byte{}, []byte{}
	elsewhere := rec(1, "s:z", 1, "elsewhere")
	f.everywhere(func(tx core.Tx) error {
		if err := errors.Join(
			tx.AddRecord(c, first), tx.AddRecord(c, third), tx.AddRecord(c, second), tx.AddRecord(other, elsewhere),
			tx.AddRecord(ties, rec(1, "s:b", 20, "")), tx.AddRecord(ties, rec(2, "n:5", 20, "")), tx.AddRecord(ties, rec(3, "s:a", 20, "")),
			tx.AddRecord(c, rec(7, "s:gone", 5, "gone")), tx.RemoveRecord(c, "s:gone")); err != nil {
			return err
		}
		first.UpdatedAtMs, first.Seq, first.Schema, first.VersionKey, first.Seen, first.Value = 40, 99, 2, "new", []byte{9}, []byte("new")
		if err := tx.SetRecord(c, first); err != nil {
			return err
		}
		first.AgeMs, third.AgeMs = 35, 10
		return errors.Join(tx.SetRecordAge(c, 1, 35), tx.SetRecordAge(c, 77, 1))
	}, func(v core.View) error {
		for _, want := range []core.RecordRow{first, second, third} {
			got, err := v.Record(c, want.Key)
			if err := equal("Record", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Record(c, "s:gone")
		if err := fails("Record that was removed", err, core.ErrNotFound); err != nil {
			return err
		}
		for _, page := range []struct {
			after           int64
			limit, maxBytes int
			want            []core.RecordRow
		}{
			{0, 10, 1 << 20, []core.RecordRow{first, second, third}},
			{0, 2, 1 << 20, []core.RecordRow{first, second}},
			{0, 10, 0, []core.RecordRow{first}},
			{1, 10, 10, []core.RecordRow{second, third}},
			{third.Position, 10, 10, nil},
		} {
			got, err := v.Records(c, page.after, page.limit, page.maxBytes)
			if err := equal(fmt.Sprintf("Records(%d, %d, %d)", page.after, page.limit, page.maxBytes), got, err, page.want); err != nil {
				return err
			}
		}
		var heads []core.RecordHead
		for _, rec := range []core.RecordRow{first, second, third} {
			heads = append(heads, core.RecordHead{Position: rec.Position, Key: rec.Key, UpdatedAtMs: rec.UpdatedAtMs, Seq: rec.Seq, VersionKey: rec.VersionKey})
		}
		all, err := v.RecordHeads(c)
		if err := equal("RecordHeads", all, err, heads); err != nil {
			return err
		}
		all, err = v.RecordHeads(c + 1000)
		if err := equal("RecordHeads of nothing", all, err, []core.RecordHead(nil)); err != nil {
			return err
		}
		for until, want := range map[int64][]core.RecordRow{
			9: nil, 10: {third}, 34: {third, second}, 35: {third, second, first}, math.MaxInt64: {third, second, first},
		} {
			got, err := v.RecordsAged(c, until, 10, 1<<20)
			if err := equal(fmt.Sprintf("RecordsAged(%d)", until), got, err, want); err != nil {
				return err
			}
		}
		got, err := v.RecordsAged(ties, 20, 10, 1<<20)
		if err := equal("RecordsAged of one time", got, err, []core.RecordRow{rec(2, "n:5", 20, ""), rec(3, "s:a", 20, ""), rec(1, "s:b", 20, "")}); err != nil {
			return err
		}
		got, err = v.RecordsAged(c, 100, 1, 1<<20)
		if err := equal("RecordsAged, 1 of them", got, err, []core.RecordRow{third}); err != nil {
			return err
		}
		got, err = v.Records(other, 0, 10, 1<<20)
		return equal("Records of another collection", got, err, []core.RecordRow{elsewhere})
	})
	for what, fn := range map[string]func(core.Tx) error{
		"AddRecord at a position that is taken":   func(tx core.Tx) error { return tx.AddRecord(c, rec(1, "s:free", 1, "")) },
		"AddRecord under a key that is taken":     func(tx core.Tx) error { return tx.AddRecord(c, rec(50, "s:z", 1, "")) },
		"AddRecord at position 0":                 func(tx core.Tx) error { return tx.AddRecord(c, rec(0, "s:free", 1, "")) },
		"AddRecord at a position that is too far": func(tx core.Tx) error { return tx.AddRecord(c, rec(1<<40, "s:free", 1, "")) },
		"SetRecord where there is none":           func(tx core.Tx) error { return tx.SetRecord(c, rec(50, "s:z", 1, "")) },
	} {
		if err := f.store.Write(context.Background(), fn); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// testRemoveNothing checks that a row that is said to be there, and is not, is no success.
func testRemoveNothing(t *testing.T, f *fixture) {
	c, other := f.collection("c"), f.collection("other")
	f.write(func(tx core.Tx) error {
		return errors.Join(
			tx.AddRecord(other, core.RecordRow{Position: 1, Key: "s:a", VersionKey: "v"}), tx.PutTombstone(other, core.TombstoneRow{Key: "s:b"}))
	})
	for what, fn := range map[string]func(core.Tx) error{
		"RemoveRecord of no key":                      func(tx core.Tx) error { return tx.RemoveRecord(c, "s:never") },
		"RemoveRecord of another collection's key":    func(tx core.Tx) error { return tx.RemoveRecord(c, "s:a") },
		"RemoveTombstone of no key":                   func(tx core.Tx) error { return tx.RemoveTombstone(c, "s:never") },
		"RemoveTombstone of another collection's key": func(tx core.Tx) error { return tx.RemoveTombstone(c, "s:b") },
	} {
		if err := fails(what, f.store.Write(context.Background(), fn), core.ErrCorrupt); err != nil {
			t.Error(err)
		}
	}
}

func testTombstones(t *testing.T, f *fixture) {
	c, other := f.collection("c"), f.collection("other")
	tomb := func(key string, madeAtMs int64) core.TombstoneRow {
		return core.TombstoneRow{Key: key, UpdatedAtMs: 1, MadeAtMs: madeAtMs, Seq: 2, Seen: []byte{3}}
	}
	a, b, d := tomb("s:a", 30), tomb("s:b", 10), tomb("s:d", 10)
	f.everywhere(func(tx core.Tx) error {
		err := errors.Join(tx.PutTombstone(c, tomb("s:a", 5)), tx.PutTombstone(c, b), tx.PutTombstone(c, d), tx.PutTombstone(other, a),
			tx.PutTombstone(c, tomb("s:gone", 1)), tx.RemoveTombstone(c, "s:gone"))
		a.UpdatedAtMs, a.Seq, a.Seen = 7, 8, []byte{9, 9}
		return errors.Join(err, tx.PutTombstone(c, a))
	}, func(v core.View) error {
		for _, want := range []core.TombstoneRow{a, b} {
			got, err := v.Tombstone(c, want.Key)
			if err := equal("Tombstone", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Tombstone(c, "s:gone")
		if err := fails("Tombstone that was removed", err, core.ErrNotFound); err != nil {
			return err
		}
		for until, want := range map[int64][]core.TombstoneRow{9: nil, 10: {b, d}, 30: {b, d, a}, math.MaxInt64: {b, d, a}} {
			got, err := v.TombstonesUntil(c, until, 10)
			if err := equal(fmt.Sprintf("TombstonesUntil(%d)", until), got, err, want); err != nil {
				return err
			}
		}
		got, err := v.TombstonesUntil(c, 100, 1)
		return equal("TombstonesUntil, 1 of them", got, err, []core.TombstoneRow{b})
	})
}

func testQuarantine(t *testing.T, f *fixture) {
	c, other := f.collection("c"), f.collection("other")
	rows := []core.QuarantineRow{
		{Key: "s:a", UpdatedAtMs: 5, Reason: "reason", Value: []byte("not JSON")},
		{Key: "s:a", UpdatedAtMs: 4, Reason: "", Value: []byte{}},
		{Key: "s:b", UpdatedAtMs: 3, Reason: "x", Value: []byte{0, 255}},
	}
	elsewhere := core.QuarantineRow{Key: "s:a", Value: []byte("elsewhere")}
	f.everywhere(func(tx core.Tx) error {
		gone := core.QuarantineRow{Key: "s:gone", Value: []byte("gone")}
		for _, q := range []*core.QuarantineRow{&rows[0], &elsewhere, &gone, &rows[1], &rows[2]} {
			collection := c
			if q == &elsewhere {
				collection = other
			}
			if err := tx.AddQuarantine(collection, q); err != nil || q.ID <= 0 {
				return fmt.Errorf("AddQuarantine set ID %d: %w", q.ID, err)
			}
		}
		return errors.Join(tx.RemoveQuarantine(c, gone.ID), tx.RemoveQuarantine(c, elsewhere.ID), tx.RemoveQuarantine(c, 999))
	}, func(v core.View) error {
		got, err := v.Quarantine(c, 0, 10, 100)
		if err := equal("Quarantine", got, err, rows); err != nil {
			return err
		}
		got, err = v.Quarantine(c, rows[0].ID, 1, 100)
		if err := equal("Quarantine after the first", got, err, rows[1:2]); err != nil {
			return err
		}
		got, err = v.Quarantine(c, 0, 10, 7)
		if err := equal("Quarantine of 7 bytes", got, err, rows[:1]); err != nil {
			return err
		}
		n, size, err := v.QuarantineSize(c)
		if err := equal("QuarantineSize", [2]int64{n, size}, err, [2]int64{3, 10}); err != nil {
			return err
		}
		n, size, err = v.QuarantineSize(other)
		return equal("QuarantineSize of another", [2]int64{n, size}, err, [2]int64{1, 9})
	})
}

// testOnCommit checks that hooks run for what is committed, in order, before Write returns.
func testOnCommit(t *testing.T, f *fixture) {
	var ran []string
	for _, name := range []string{"a", "fails", "b"} {
		err := f.store.Write(context.Background(), func(tx core.Tx) error {
			tx.OnCommit(func() { ran = append(ran, name+"1") })
			tx.OnCommit(func() { ran = append(ran, name+"2") })
			tx.OnRollback(func() { ran = append(ran, "undo "+name) })
			if err := tx.SetMeta(name, []byte("v")); err != nil {
				return err
			}
			if name == "fails" {
				return core.ErrNotFound
			}
			return nil
		})
		ran = append(ran, fmt.Sprint(err == nil))
	}
	if err := equal("hooks", ran, nil, []string{"a1", "a2", "true", "undo fails", "false", "b1", "b2", "true"}); err != nil {
		t.Error(err)
	}
}
