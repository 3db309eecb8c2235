package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testMeta(t *testing.T, f *fixture) {
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.SetMeta("a", []byte("first")), tx.SetMeta("a", []byte{0, 255}), tx.SetMeta("empty", []byte{}),
			tx.SetMeta("gone", []byte("x")), tx.SetMeta("gone", nil), tx.SetMeta("never", nil))
	}, func(v core.View) error {
		for key, want := range map[string][]byte{"a": {0, 255}, "gone": nil, "never": nil, "unknown": nil} {
			got, err := v.Meta(key)
			if err := equal("Meta("+key+")", got, err, want); err != nil {
				return err
			}
		}
		got, err := v.Meta("empty")
		if err == nil && (got == nil || len(got) != 0) {
			err = fmt.Errorf("Meta(empty) = %v, want an empty slice", got)
		}
		return err
	})
}

func testSpaces(t *testing.T, f *fixture) {
	a := core.SpaceRecord{ID: "space-a", Name: "Notes é", Creator: peer("a"), CreatedAtMs: 1, UpdatedAtMs: 2}
	b := core.SpaceRecord{ID: "space-b", Name: "", CreatedAtMs: math.MaxInt64, UpdatedAtMs: -1}
	c := core.SpaceRecord{ID: "space-c", Name: "c", Creator: peer("a")}
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range []*core.SpaceRecord{&c, &a, &b} {
			if err := tx.PutSpace(rec); err != nil {
				return err
			}
			if rec.Key == 0 {
				return errors.New("PutSpace set no key")
			}
		}
		b.Name, b.Creator, b.CreatedAtMs, b.UpdatedAtMs = "renamed", peer("b"), 7, 8
		return tx.PutSpace(&b)
	}, func(v core.View) error {
		for _, want := range []core.SpaceRecord{a, b, c} {
			got, err := v.Space(want.ID)
			if err := equal("Space", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Space("space")
		if err := fails("Space of an unknown ID", err, core.ErrNotFound); err != nil {
			return err
		}
		got, err := v.Spaces("", 2)
		if err := equal("Spaces(\"\", 2)", got, err, []core.SpaceRecord{a, b}); err != nil {
			return err
		}
		got, err = v.Spaces("space-b", 2)
		if err := equal("Spaces after b", got, err, []core.SpaceRecord{c}); err != nil {
			return err
		}
		got, err = v.Spaces("space-c", 2)
		return equal("Spaces after c", got, err, nil)
	})
	err := f.store.Write(context.Background(), func(tx core.Tx) error {
		return tx.PutSpace(&core.SpaceRecord{Key: 999, ID: "nowhere"})
	})
	if err := fails("PutSpace of an unknown key", err, core.ErrNotFound); err != nil {
		t.Error(err)
	}
}

func testFields(t *testing.T, f *fixture) {
	s := f.space("s")
	old := core.FieldWrite{Entry: 1, Hash: hash("1"), WallMs: 1, Value: []byte("old")}
	w1 := core.FieldWrite{Entry: 1, Hash: hash("1"), WallMs: math.MaxUint64, Value: []byte("new")}
	w2 := core.FieldWrite{Entry: 2, Hash: hash("2"), WallMs: 1 << 63, Value: nil}
	w3 := core.FieldWrite{Entry: 3, Hash: hash("3"), Value: []byte{}}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.PutFieldWrite(s, "page", "title", old), tx.PutFieldWrite(s, "page", "title", w1),
			tx.PutFieldWrite(s, "page", "title", w2), tx.PutFieldWrite(s, "page", "title", w3),
			tx.PutFieldWrite(s, "page", "icon", w2), tx.PutFieldWrite(s, "other", "title", w2), tx.PutFieldWrite(s+1, "page", "title", w2),
			tx.DeleteFieldWrite(s, "page", "title", 3), tx.DeleteFieldWrite(s, "page", "title", 99))
	}, func(v core.View) error {
		got, err := v.FieldWrites(s, "page", "title")
		slices.SortFunc(got, func(a, b core.FieldWrite) int { return int(a.Entry - b.Entry) })
		if err := equal("FieldWrites", got, err, []core.FieldWrite{w1, w2}); err != nil {
			return err
		}
		got, err = v.FieldWrites(s, "page", "nothing")
		return equal("FieldWrites of nothing", got, err, nil)
	})
}

func testWriters(t *testing.T, f *fixture) {
	a := core.WriterRecord{ID: core.WriterID(hash("a")), Peer: peer("p"), Incarnation: core.Incarnation{1, 2, 3}}
	b := core.WriterRecord{ID: core.WriterID(hash("b")), Peer: peer("p"), Incarnation: core.Incarnation{4}}
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range []*core.WriterRecord{&a, &b} {
			key, err := tx.EnsureWriter(*rec)
			if err != nil || key == 0 {
				return fmt.Errorf("EnsureWriter() = %d, %w", key, err)
			}
			rec.Key = key
			again, err := tx.EnsureWriter(*rec)
			if err := equal("EnsureWriter again", again, err, key); err != nil {
				return err
			}
		}
		return nil
	}, func(v core.View) error {
		for _, want := range []core.WriterRecord{a, b} {
			got, err := v.Writer(want.Key)
			if err := equal("Writer", got, err, want); err != nil {
				return err
			}
			got, err = v.WriterByID(want.ID)
			if err := equal("WriterByID", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Writer(a.Key + b.Key)
		_, err2 := v.WriterByID(core.WriterID(hash("c")))
		return errors.Join(fails("Writer of an unknown key", err, core.ErrNotFound), fails("WriterByID of an unknown ID", err2, core.ErrNotFound))
	})
}

func testEntries(t *testing.T, f *fixture) {
	s, other, w := f.space("s"), f.space("other"), f.writer("w")
	recs := []core.EntryRecord{
		{Space: s, Writer: w, Chain: core.ChainMembership, Seq: 1, Hash: hash("a"), Auth: 0, Entry: entry("a", 10)},
		{Space: s, Writer: w, Chain: core.ChainContent, Seq: 1, Hash: hash("b"), Auth: 7, State: 3, Entry: entry("b", 1<<20)},
		{Space: s, Writer: w, Chain: core.ChainContent, Seq: 2, Hash: hash("c"), Auth: 7, Entry: entry("c", 0)},
		{Space: s, Writer: w, Chain: core.ChainContent, Seq: 2, Hash: hash("fork"), Auth: 7, Entry: entry("f", 5)},
		{Space: other, Writer: w, Chain: core.ChainContent, Seq: 2, Hash: hash("o"), Auth: 7, Entry: entry("o", 5)},
	}
	f.everywhere(func(tx core.Tx) error {
		last := int64(0)
		for i := range recs {
			if err := tx.InsertEntry(&recs[i]); err != nil {
				return err
			}
			if recs[i].Key <= last {
				return fmt.Errorf("InsertEntry set key %d after %d", recs[i].Key, last)
			}
			last = recs[i].Key
		}
		return nil
	}, func(v core.View) error {
		for _, want := range recs {
			got, err := v.Entry(want.Space, want.Hash)
			if err := equal("Entry", got, err, want); err != nil {
				return err
			}
			want.Entry.Ops, want.Entry.Sig = nil, nil
			got, err = v.EntryHeader(want.Space, want.Hash)
			if err := equal("EntryHeader", got, err, want); err != nil {
				return err
			}
			got, err = v.EntryByKey(want.Key)
			if err := equal("EntryByKey", got, err, want); err != nil {
				return err
			}
		}
		got, err := v.EntriesAt(s, w, core.ChainContent, 2, 1)
		if err := equal("EntriesAt a fork, the first", got, err, recs[2:3]); err != nil {
			return err
		}
		got, err = v.EntriesAt(s, w, core.ChainContent, 2, 10)
		if err := equal("EntriesAt a fork", got, err, recs[2:4]); err != nil {
			return err
		}
		got, err = v.EntriesAt(s, w, core.ChainContent, 3, 10)
		if err := equal("EntriesAt nothing", got, err, nil); err != nil {
			return err
		}
		_, err = v.Entry(other, hash("a"))
		_, err2 := v.EntryHeader(s, hash("o"))
		_, err3 := v.EntryByKey(1 << 40)
		return errors.Join(fails("Entry in another space", err, core.ErrNotFound),
			fails("EntryHeader in another space", err2, core.ErrNotFound), fails("EntryByKey of nothing", err3, core.ErrNotFound))
	})
	err := f.store.Write(context.Background(), func(tx core.Tx) error {
		again := recs[0]
		return tx.InsertEntry(&again)
	})
	if err == nil {
		t.Error("InsertEntry of an entry that is there = nil, want an error")
	}
}

func testEntriesAfter(t *testing.T, f *fixture) {
	s, other, w := f.space("s"), f.space("other"), f.writer("w")
	var recs []core.EntryRecord
	f.write(func(tx core.Tx) error {
		for i := range 20 {
			name := fmt.Sprintf("entry %02d", i)
			rec := core.EntryRecord{Space: s, Writer: w, Chain: core.ChainContent, Seq: uint64(i), Hash: hash(name), Entry: entry(name, 1000)}
			if i%3 == 0 {
				rec.Space = other
			}
			if err := tx.InsertEntry(&rec); err != nil {
				return err
			}
			if rec.Space == s {
				recs = append(recs, rec)
			}
		}
		return nil
	})
	f.read(func(v core.View) error {
		one := recs[0].Entry.Size()
		for _, c := range []struct {
			after    int64
			maxBytes int
			want     []core.EntryRecord
		}{
			{0, math.MaxInt, recs},
			{0, 0, recs[:1]},
			{0, one - 1, recs[:1]},
			{0, one, recs[:2]}, // stops after the one with which the sizes exceed the limit
			{0, 3*one - 1, recs[:3]},
			{recs[3].Key, 1, recs[4:5]},
			{recs[len(recs)-1].Key, 1, nil},
		} {
			got, err := v.EntriesAfter(s, c.after, c.maxBytes)
			if err := equal(fmt.Sprintf("EntriesAfter(%d, %d)", c.after, c.maxBytes), got, err, c.want); err != nil {
				return err
			}
		}
		return nil
	})
}

func testHeads(t *testing.T, f *fixture) {
	s, w1, w2 := f.space("s"), f.writer("1"), f.writer("2")
	h := func(w int64, c core.Chain, seq uint64) core.HeadRecord {
		return core.HeadRecord{Space: s, Writer: w, Chain: c, Seq: seq, Entry: int64(seq) * 10, Hash: hash(fmt.Sprint(w, c, seq))}
	}
	f.everywhere(func(tx core.Tx) error {
		elsewhere := h(w1, core.ChainContent, 9)
		elsewhere.Space++
		return errors.Join(tx.PutWriterHead(h(w2, core.ChainContent, 1)), tx.PutWriterHead(h(w1, core.ChainContent, 1)),
			tx.PutWriterHead(h(w1, core.ChainMembership, 5)), tx.PutWriterHead(h(w1, core.ChainContent, 2)), tx.PutWriterHead(elsewhere))
	}, func(v core.View) error {
		got, err := v.WriterHead(s, w1, core.ChainContent)
		if err := equal("WriterHead", got, err, h(w1, core.ChainContent, 2)); err != nil {
			return err
		}
		_, err = v.WriterHead(s, w2, core.ChainMembership)
		if err := fails("WriterHead of an empty chain", err, core.ErrNotFound); err != nil {
			return err
		}
		all, err := v.Heads(s)
		return equal("Heads", all, err, []core.HeadRecord{h(w1, core.ChainMembership, 5), h(w1, core.ChainContent, 2), h(w2, core.ChainContent, 1)})
	})
}

func testFrontier(t *testing.T, f *fixture) {
	s := f.space("s")
	var recs []core.FrontierRecord
	for i := range 5 {
		recs = append(recs, core.FrontierRecord{Entry: int64(i), Hash: hash(fmt.Sprint(i))})
	}
	want := slices.Clone(recs[1:])
	slices.SortFunc(want, func(a, b core.FrontierRecord) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range recs {
			if err := tx.AddFrontier(s, core.ChainContent, rec); err != nil {
				return err
			}
		}
		return errors.Join(tx.AddFrontier(s, core.ChainContent, recs[2]), tx.AddFrontier(s, core.ChainMembership, recs[0]),
			tx.RemoveFrontier(s, core.ChainContent, recs[0].Hash), tx.RemoveFrontier(s, core.ChainContent, hash("absent")))
	}, func(v core.View) error {
		got, err := v.Frontier(s, core.ChainContent)
		if err := equal("Frontier of content", got, err, want); err != nil {
			return err
		}
		got, err = v.Frontier(s, core.ChainMembership)
		if err := equal("Frontier of membership", got, err, recs[:1]); err != nil {
			return err
		}
		got, err = v.Frontier(s+1, core.ChainContent)
		return equal("Frontier of nothing", got, err, nil)
	})
}

func testAuthSets(t *testing.T, f *fixture) {
	s := f.space("s")
	sets := [][]core.Hash{{hash("a")}, {hash("a"), hash("b")}, {hash("b")}, {}}
	var keys []int64
	f.everywhere(func(tx core.Tx) error {
		for _, set := range sets {
			slices.SortFunc(set, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
			key, err := tx.EnsureAuthSet(s, set)
			if err != nil || key == 0 || slices.Contains(keys, key) {
				return fmt.Errorf("EnsureAuthSet() = %d after %v, %w", key, keys, err)
			}
			keys = append(keys, key)
			again, err := tx.EnsureAuthSet(s, set)
			if err := equal("EnsureAuthSet again", again, err, key); err != nil {
				return err
			}
		}
		return nil
	}, func(v core.View) error {
		for i, key := range keys {
			got, err := v.AuthSet(key)
			if err := equal("AuthSet", got, err, sets[i]); err != nil {
				return err
			}
		}
		_, err := v.AuthSet(0)
		return fails("AuthSet(0)", err, core.ErrNotFound)
	})
}

func testParked(t *testing.T, f *fixture) {
	s := f.space("s")
	rec := func(name, author, missing string, size int) core.ParkedRecord {
		return core.ParkedRecord{Space: s, Hash: hash(name), Author: peer(author), Missing: hash(missing), Entry: entry(name, size)}
	}
	z, a, b := rec("z", "p", "m", 100), rec("a", "p", "m", 50), rec("b", "q", "m", 10)
	moved := rec("moved", "p", "n", 5)
	elsewhere := rec("e", "p", "m", 1000)
	elsewhere.Space++
	f.everywhere(func(tx core.Tx) error {
		first := moved
		first.Missing = hash("m")
		return errors.Join(tx.Park(z), tx.Park(first), tx.Park(a), tx.Park(b), tx.Park(elsewhere), tx.Park(moved), tx.Park(z),
			tx.Park(rec("gone", "q", "m", 77)), tx.Unpark(s, hash("gone")), tx.Unpark(s, hash("gone")), tx.Unpark(s, hash("never")),
			tx.SetMembers(s, []core.MemberRecord{{Peer: peer("q"), Role: 1, Kind: 1, By: peer("q")}, {Peer: peer("idle"), Role: 1, Kind: 1, By: peer("q")}}, nil))
	}, func(v core.View) error {
		got, err := v.Parked(s, hash("m"))
		if err := equal("Parked", got, err, []core.ParkedRecord{z, a, b}); err != nil {
			return err
		}
		got, err = v.Parked(s, hash("n"))
		if err := equal("Parked after a second Park", got, err, []core.ParkedRecord{moved}); err != nil {
			return err
		}
		for name, want := range map[string]bool{"z": true, "moved": true, "gone": false, "never": false, "e": false} {
			got, err := v.IsParked(s, hash(name))
			if err := equal("IsParked("+name+")", got, err, want); err != nil {
				return err
			}
		}
		sizes := func(recs ...core.ParkedRecord) (n int64) {
			for _, rec := range recs {
				n += int64(rec.Entry.Size())
			}
			return n
		}
		for author, want := range map[string]int64{"p": sizes(z, a, moved), "q": sizes(b), "nobody": 0} {
			ofAuthor, ofMembers, ofSpace, err := v.ParkedBytes(s, peer(author))
			sum := [3]int64{want, sizes(b), sizes(z, a, moved, b)}
			if err := equal("ParkedBytes("+author+")", [3]int64{ofAuthor, ofMembers, ofSpace}, err, sum); err != nil {
				return err
			}
		}
		return nil
	})
	f.write(func(tx core.Tx) error {
		for _, name := range []string{"z", "a", "b", "moved"} {
			if err := tx.Unpark(s, hash(name)); err != nil {
				return err
			}
		}
		ofAuthor, ofMembers, ofSpace, err := tx.ParkedBytes(s, peer("p"))
		return equal("ParkedBytes of nothing", [3]int64{ofAuthor, ofMembers, ofSpace}, err, [3]int64{})
	})
}

func testDocs(t *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	full := core.DocRecord{
		Space: s, ID: "b", CreatedBy: peer("p"), CreatedAtMs: 1, UpdatedAtMs: 2, Hidden: true, Epoch: []byte{9},
		LastN: 3, ThroughN: 4, OpBytes: 5, SnapBytes: 6, TailCount: 7, TailBytes: 8, LoggedAtMs: 9,
	}
	a := core.DocRecord{Space: s, ID: "a"}
	upper := core.DocRecord{Space: s, ID: "Z"} // before "a" bytewise
	accent := core.DocRecord{Space: s, ID: "é"}
	elsewhere := core.DocRecord{Space: other, ID: "a", CreatedBy: peer("p")}
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range []*core.DocRecord{&full, &accent, &a, &upper, &elsewhere} {
			if err := tx.PutDoc(rec); err != nil || rec.Key == 0 {
				return fmt.Errorf("PutDoc set key %d: %w", rec.Key, err)
			}
		}
		key := a.Key
		a = full
		a.Key, a.ID, a.CreatedBy, a.Hidden, a.Epoch, a.LastN, a.LoggedAtMs = key, "a", peer("q"), false, nil, 1<<40, 1<<41
		full.Epoch, full.CreatedBy = []byte{1, 2}, core.PeerID{}
		return errors.Join(tx.PutDoc(&a), tx.PutDoc(&full))
	}, func(v core.View) error {
		for _, want := range []core.DocRecord{full, a, upper, accent, elsewhere} {
			got, err := v.Doc(want.Space, want.ID)
			if err := equal("Doc", got, err, want); err != nil {
				return err
			}
			got, err = v.DocByKey(want.Key)
			if err := equal("DocByKey", got, err, want); err != nil {
				return err
			}
		}
		got, err := v.Docs(s, "", 3)
		if err := equal("Docs(3)", got, err, []core.DocRecord{upper, a, full}); err != nil {
			return err
		}
		got, err = v.Docs(s, "b", 3)
		if err := equal("Docs after b", got, err, []core.DocRecord{accent}); err != nil {
			return err
		}
		_, err = v.Doc(other, "b")
		_, err2 := v.DocByKey(1 << 40)
		return errors.Join(fails("Doc in another space", err, core.ErrNotFound), fails("DocByKey of nothing", err2, core.ErrNotFound))
	})
	err := f.store.Write(context.Background(), func(tx core.Tx) error {
		return tx.PutDoc(&core.DocRecord{Key: 999, Space: s, ID: "nowhere"})
	})
	if err := fails("PutDoc of an unknown key", err, core.ErrNotFound); err != nil {
		t.Error(err)
	}
}

func testDocClients(t *testing.T, f *fixture) {
	d := f.doc(f.space("s"), "d")
	const maxYjs = 1<<53 - 1
	low := core.DocClient{Client: 1, End: maxYjs}
	mid := core.DocClient{Client: 1 << 32, End: 10}
	high := core.DocClient{Client: maxYjs, End: 0}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.PutDocClient(d, core.DocClient{Client: 1, End: 1}), tx.PutDocClient(d, low),
			tx.PutDocClient(d, high), tx.PutDocClient(d, mid), tx.PutDocClient(d+1, core.DocClient{Client: 2}))
	}, func(v core.View) error {
		got, err := v.DocClient(d, 1)
		if err := equal("DocClient", got, err, low); err != nil {
			return err
		}
		_, err = v.DocClient(d, 2)
		if err := fails("DocClient of another document", err, core.ErrNotFound); err != nil {
			return err
		}
		all, err := v.DocClients(d)
		return equal("DocClients", all, err, []core.DocClient{high, mid, low})
	})
}

func testDeleted(t *testing.T, f *fixture) {
	d := f.doc(f.space("s"), "d")
	type ranges = []core.ClockRange
	f.everywhere(func(tx core.Tx) error {
		for _, c := range []struct {
			add  core.ClockRange
			want ranges
		}{
			{core.ClockRange{Clock: 10, Len: 5}, ranges{{Clock: 10, Len: 5}}},
			{core.ClockRange{Clock: 10, Len: 5}, nil},
			{core.ClockRange{Clock: 11, Len: 2}, nil},
			{core.ClockRange{Clock: 20, Len: 0}, nil},
			{core.ClockRange{Clock: 15, Len: 1}, ranges{{Clock: 15, Len: 1}}}, // touches from the right
			{core.ClockRange{Clock: 9, Len: 1}, ranges{{Clock: 9, Len: 1}}},   // touches from the left
			{core.ClockRange{Clock: 30, Len: 10}, ranges{{Clock: 30, Len: 10}}},
			{core.ClockRange{Clock: 50, Len: 10}, ranges{{Clock: 50, Len: 10}}},
			{core.ClockRange{Clock: 0, Len: 55}, ranges{{Clock: 0, Len: 9}, {Clock: 16, Len: 14}, {Clock: 40, Len: 10}}},
			{core.ClockRange{Clock: 70, Len: 1}, ranges{{Clock: 70, Len: 1}}},
			{core.ClockRange{Clock: 1 << 52, Len: 1 << 52}, ranges{{Clock: 1 << 52, Len: 1 << 52}}},
		} {
			got, err := tx.AddDeleted(d, 1, c.add)
			if err := equal(fmt.Sprintf("AddDeleted(%v)", c.add), got, err, c.want); err != nil {
				return err
			}
		}
		_, err := tx.AddDeleted(d, 2, core.ClockRange{Clock: 60, Len: 20})
		_, err2 := tx.AddDeleted(d+1, 1, core.ClockRange{Clock: 60, Len: 20})
		_, err3 := tx.AddDeleted(d, 1, core.ClockRange{Clock: math.MaxUint64, Len: 2})
		return errors.Join(err, err2, fails("AddDeleted past 64 bits", err3, core.ErrTooLarge))
	}, func(v core.View) error {
		merged, single, far := core.ClockRange{Clock: 0, Len: 60}, core.ClockRange{Clock: 70, Len: 1}, core.ClockRange{Clock: 1 << 52, Len: 1 << 52}
		for _, c := range []struct {
			from, to uint64
			want     ranges
		}{
			{0, math.MaxUint64, ranges{merged, single, far}},
			{60, 60, ranges{merged}}, // touches
			{61, 69, nil},
			{61, 70, ranges{single}},
			{71, 71, ranges{single}},
			{72, 80, nil},
			{60, 70, ranges{merged, single}},
		} {
			got, err := v.DeletedRanges(d, 1, c.from, c.to)
			if err := equal(fmt.Sprintf("DeletedRanges(%d, %d)", c.from, c.to), got, err, c.want); err != nil {
				return err
			}
		}
		return nil
	})
}

func testDocBodies(t *testing.T, f *fixture) {
	space := f.space("s")
	d, other := f.doc(space, "d"), f.doc(space, "other")
	big := bytes.Repeat([]byte("x"), 3<<20)
	part := func(n int64, update string) core.PendingRecord {
		return core.PendingRecord{N: n, Update: []byte(update)}
	}
	check := func(snapshot []byte, pending ...core.PendingRecord) func(core.View) error {
		return func(v core.View) error {
			got, err := v.DocPending(d)
			if err := equal("DocPending", got, err, pending); err != nil {
				return err
			}
			is, err := v.DocIsPending(d)
			if err := equal("DocIsPending", is, err, len(pending) > 0); err != nil {
				return err
			}
			body, err := v.DocSnapshot(d)
			return equal("DocSnapshot", body, err, snapshot)
		}
	}
	f.read(check(nil))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.PutDocPending(d, part(2, "two")), tx.PutDocPending(d, part(0, "zero")), tx.PutDocPending(d, part(2, "second")),
			tx.PutDocPending(d, part(3, "third")), tx.PutDocPending(other, part(9, "other")), tx.SetDocSnapshot(d, big))
	}, check(big, part(0, "zero"), part(2, "second"), part(3, "third")))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.TrimDocPending(d, 2), tx.SetDocSnapshot(d, []byte("small")))
	}, check([]byte("small"), part(0, "zero")))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.TrimDocPending(d, 0), tx.SetDocSnapshot(d, nil))
	}, check(nil))
	f.read(func(v core.View) error {
		got, err := v.DocPending(other)
		return equal("DocPending of another", got, err, []core.PendingRecord{part(9, "other")})
	})
}

func testDocOps(t *testing.T, f *fixture) {
	s, w := f.space("s"), f.writer("w")
	d := f.doc(s, "d")
	type op struct {
		n      int64
		update string
	}
	var want []op
	var entries []int64
	f.everywhere(func(tx core.Tx) error {
		for i := range 30 { // 100 ops in each of 30 entries: more than one page of any reader
			ops := bytes.Repeat([]byte(fmt.Sprintf("%05d", i)), 1000)
			e := core.EntryRecord{Space: s, Writer: w, Seq: uint64(i), Hash: hash(fmt.Sprint(i)), Entry: core.Entry{Header: []byte("h"), Ops: ops}}
			if err := tx.InsertEntry(&e); err != nil {
				return err
			}
			entries = append(entries, e.Key)
			for j := range 100 {
				n := int64(i*100 + j + 1)
				if err := tx.AddDocOp(d, n, e.Key, j*50, 50); err != nil {
					return err
				}
				want = append(want, op{n, string(ops[j*50 : j*50+50])})
			}
		}
		// An entry may have ops that do not follow each other.
		if err := tx.AddDocOp(d, 3001, entries[0], 0, 1); err != nil {
			return err
		}
		want = append(want, op{3001, "0"})
		return tx.AddDocOp(d+1, 1, entries[0], 0, 1)
	}, func(v core.View) error {
		for _, after := range []int64{0, 1, 1024, 2999, 3000} {
			var got []op
			err := v.DocOps(d, after, func(o core.DocOp) error {
				got = append(got, op{o.N, string(o.Update)})
				// The view stays usable, for the same listing too.
				_, err := v.DocByKey(d)
				if o.N%1000 == 0 {
					err = errors.Join(err, v.DocOps(d, 2999, func(core.DocOp) error { return nil }))
				}
				return err
			})
			if err := equal(fmt.Sprintf("DocOps(%d)", after), got, err, want[after:]); err != nil {
				return err
			}
		}
		stop, calls := errors.New("stop"), 0
		err := v.DocOps(d, 0, func(core.DocOp) error { calls++; return stop })
		if err := fails("DocOps", err, stop); err != nil {
			return err
		}
		return equal("calls after an error", calls, nil, 1)
	})
	err := f.store.Write(context.Background(), func(tx core.Tx) error {
		if err := tx.AddDocOp(d, 5000, 1<<40, 0, 10); err != nil {
			return err
		}
		return tx.DocOps(d, 4999, func(core.DocOp) error { return nil })
	})
	if err := fails("DocOps of an entry that is not there", err, core.ErrCorrupt); err != nil {
		t.Error(err)
	}
}

func testTail(t *testing.T, f *fixture) {
	s := f.space("s")
	d, e := f.doc(s, "d"), f.doc(s, "e")
	recs := []core.TailRecord{
		{N: 4, OpID: []byte("id4"), Update: []byte("four")},
		{N: 5, OpID: []byte("id5"), Update: bytes.Repeat([]byte("5"), 100_000)},
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.AddTail(d, recs[1]), tx.AddTail(d, recs[0]), tx.AddTail(e, recs[0]), tx.ClearTail(e), tx.ClearTail(e))
	}, func(v core.View) error {
		got, err := v.Tail(d)
		if err := equal("Tail", got, err, recs); err != nil {
			return err
		}
		got, err = v.Tail(e)
		return equal("Tail after ClearTail", got, err, nil)
	})
}

func testTailDocs(t *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	var mine, all []int64
	for i := range 12 {
		space := s
		if i%3 == 2 {
			space = other
		}
		d := f.doc(space, fmt.Sprint("doc ", i))
		if i%4 == 0 {
			continue // no tail
		}
		f.write(func(tx core.Tx) error {
			for n := range 20 {
				if err := tx.AddTail(d, core.TailRecord{N: int64(n), OpID: []byte("id"), Update: []byte("u")}); err != nil {
					return err
				}
			}
			return nil
		})
		all = append(all, d)
		if space == s {
			mine = append(mine, d)
		}
	}
	f.read(func(v core.View) error {
		for _, c := range []struct {
			space, after int64
			limit        int
			want         []int64
		}{
			{0, 0, 100, all},
			{0, 0, 3, all[:3]},
			{0, all[2], 3, all[3:6]},
			{s, 0, 100, mine},
			{s, mine[1], 2, mine[2:4]},
			{s, mine[len(mine)-1], 2, nil},
		} {
			got, err := v.TailDocs(c.space, c.after, c.limit)
			if err := equal(fmt.Sprintf("TailDocs(%d, %d, %d)", c.space, c.after, c.limit), got, err, c.want); err != nil {
				return err
			}
		}
		return nil
	})
}

// testSlices checks that neither side keeps the other's slices.
func testSlices(t *testing.T, f *fixture) {
	in := []byte("original")
	f.write(func(tx core.Tx) error {
		if err := tx.SetMeta("k", in); err != nil {
			return err
		}
		in[0] = 'X'
		got, err := tx.Meta("k")
		if err != nil {
			return err
		}
		got[1] = 'X'
		return nil
	})
	f.read(func(v core.View) error {
		first, err := v.Meta("k")
		if err := equal("Meta", string(first), err, "original"); err != nil {
			return err
		}
		first[0] = 'X'
		second, err := v.Meta("k")
		return equal("Meta", string(second), err, "original")
	})
}
