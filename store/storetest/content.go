package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// content inserts content entries at positions from 0 on, each with two letters as its ops.
func (f *fixture) content(space, writer int64, n int) []int64 {
	f.t.Helper()
	keys := make([]int64, n)
	f.write(func(tx core.Tx) error {
		for i := range keys {
			e := core.EntryRecord{
				Space: space, Writer: writer, Chain: core.ChainContent, Seq: uint64(i + 1), Hash: hash(fmt.Sprint(space, i)),
				Pos: int64(i), Entry: core.Entry{Header: []byte("h"), Ops: fmt.Appendf(nil, "%02d", i)},
			}
			if i%2 == 1 {
				e.Gaps = []byte{0, byte(i)}
			}
			if err := tx.InsertEntry(&e); err != nil {
				return err
			}
			keys[i] = e.Key
		}
		return nil
	})
	return keys
}

// testPlaces has the positions of content entries, and what is not in their past.
func testPlaces(_ *testing.T, f *fixture) {
	s, other, w := f.space("s"), f.space("other"), f.writer("w")
	keys := f.content(s, w, 3)
	f.content(other, w, 5)
	f.everywhere(func(tx core.Tx) error {
		return tx.InsertEntry(&core.EntryRecord{Space: s, Writer: w, Seq: 1, Hash: hash("m"), Entry: core.Entry{Header: []byte("h")}})
	}, func(v core.View) error {
		n, err := v.ContentCount(s)
		if err := equal("ContentCount", n, err, 3); err != nil {
			return err
		}
		n, err = v.ContentCount(1 << 40)
		if err := equal("ContentCount of nothing", n, err, 0); err != nil {
			return err
		}
		for i, key := range keys {
			e, err := v.EntryByKey(key)
			var gaps []byte
			if i%2 == 1 {
				gaps = []byte{0, byte(i)}
			}
			if err := equal("position and gaps", fmt.Sprintf("%d %x", e.Pos, e.Gaps), err, fmt.Sprintf("%d %x", i, gaps)); err != nil {
				return err
			}
		}
		return nil
	})
}

func testDocOpsSince(_ *testing.T, f *fixture) {
	s, w := f.space("s"), f.writer("w")
	d := f.doc(s, "d")
	const entries = 50
	keys := f.content(s, w, entries)
	f.everywhere(func(tx core.Tx) error {
		for i, key := range keys {
			if err := errors.Join(tx.AddDocOp(d, int64(2*i+1), key, 0, 2), tx.AddDocOp(d, int64(2*i+2), key, 0, 0)); err != nil {
				return err
			}
		}
		return errors.Join(tx.AddDocOp(d+1, 1, keys[entries-1], 0, 2), tx.SetEntryState(keys[entries-2], core.EntryVoid))
	}, func(v core.View) error {
		for _, since := range []int64{0, 7, entries - 3, entries - 1, entries} {
			var want []string
			for i := int64(entries - 1); i >= since; i-- {
				if i != entries-2 {
					want = append(want, fmt.Sprintf("%d %d %d %02d", 2*i+1, keys[i], i, i))
				}
			}
			ops, err := v.DocOpsSince(d, since)
			var got []string
			for _, op := range ops {
				got = append(got, fmt.Sprintf("%d %d %d %s", op.N, op.Entry, op.Pos, op.Update))
			}
			if err := equal(fmt.Sprintf("DocOpsSince(%d)", since), got, err, want); err != nil {
				return err
			}
		}
		for writer, want := range map[int64]bool{w: false, w + 1: true} {
			others, err := v.DocHasOthers(d, writer)
			if err := equal("DocHasOthers", others, err, want); err != nil {
				return err
			}
		}
		others, err := v.DocHasOthers(d+2, w)
		return equal("DocHasOthers of nothing", others, err, false)
	})
}

func testLost(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	d, e, elsewhere := f.doc(s, "d"), f.doc(s, "e"), f.doc(other, "d")
	lost := func(doc, entry int64, client, clock uint64) core.LostRecord {
		return core.LostRecord{Doc: doc, Entry: entry, Client: client, Range: core.ClockRange{Clock: clock, Len: 2}}
	}
	check := func(want ...core.LostRecord) func(core.View) error {
		return func(v core.View) error {
			got, err := v.Lost(s)
			return equal("Lost", got, err, want)
		}
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.SetDocLost(s, d, []core.LostRecord{lost(d, 9, 1, 0), lost(d, 3, 2, 0), lost(d, 3, 1, 5)}),
			tx.SetDocLost(s, e, []core.LostRecord{lost(e, 3, 1<<53-1, 0)}), tx.SetDocLost(other, elsewhere, []core.LostRecord{lost(elsewhere, 1, 1, 1)}))
	}, check(lost(d, 3, 1, 5), lost(d, 3, 2, 0), lost(d, 9, 1, 0), lost(e, 3, 1<<53-1, 0)))
	f.everywhere(func(tx core.Tx) error { return tx.SetDocLost(s, d, nil) }, check(lost(e, 3, 1<<53-1, 0)))
}

func testEarly(_ *testing.T, f *fixture) {
	s := f.space("s")
	d, other := f.doc(s, "d"), f.doc(s, "other")
	check := func(want string, waits bool) func(core.View) error {
		return func(v core.View) error {
			got, err := v.DocEarly(d)
			if err := equal("DocEarly", string(got), err, want); err != nil {
				return err
			}
			pending, err := v.DocIsPending(d)
			return equal("DocIsPending", pending, err, waits)
		}
	}
	f.everywhere(func(tx core.Tx) error { return tx.SetDocEarly(other, []byte("o")) }, check("", false))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetDocEarly(d, []byte("a")), tx.SetDocEarly(d, []byte("b")))
	}, check("b", true))
	f.everywhere(func(tx core.Tx) error { return tx.SetDocEarly(d, nil) }, check("", false))
}
