package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// sound fails unless Check finds nothing.
func sound(v core.View) error {
	return v.Check(func(d core.Damage) error { return fmt.Errorf("found %+v", d) })
}

// filled adds a bit of everything that Check looks at to a space, and returns its keys.
func (f *fixture) filled() (space, doc, key int64) {
	f.t.Helper()
	space = f.space("s")
	doc = f.doc(space, "d")
	writer := f.writer("w")
	f.write(func(tx core.Tx) error {
		auth, err := tx.EnsureAuthSet(space, []core.Hash{hash("a")})
		if err != nil {
			return err
		}
		e := core.EntryRecord{Space: space, Writer: writer, Chain: core.ChainContent, Seq: 1, Hash: hash("e"), Auth: auth, Entry: entry("e", 10)}
		err = tx.InsertEntry(&e)
		key = e.Key
		return errors.Join(
			err, tx.AddDocOp(doc, 1, e.Key, 1, 2), tx.AddTail(doc, core.TailRecord{N: 1, OpID: []byte{1}, Update: []byte{2}}),
			tx.PutDocClient(doc, core.DocClient{Client: 1, End: 2}), tx.SetDocSnapshot(doc, []byte{3}),
			tx.PutDocPending(doc, core.PendingRecord{N: 1, Update: []byte{4}}),
			tx.PutWriterHead(core.HeadRecord{Space: space, Writer: writer, Chain: core.ChainContent, Seq: 1, Entry: e.Key, Hash: e.Hash}),
			tx.AddFrontier(space, core.ChainContent, core.FrontierRecord{Entry: e.Key, Hash: e.Hash}),
			tx.PutFieldWrite(space, "", "name", core.FieldWrite{Entry: e.Key, Hash: e.Hash, Value: []byte("n")}),
			tx.SetMembers(space, []core.MemberRecord{{Peer: peer("p"), Role: 1, Kind: 1}}, []core.InviteRecord{{ID: core.InviteID{1}, By: peer("p"), Uses: 1}}),
			tx.PutVerdict(core.VerdictRecord{Space: space, Entry: e.Key, Cut: hash("cut")}),
			tx.Park(core.ParkedRecord{Space: space, Hash: hash("parked"), Author: peer("q"), Missing: hash("missing"), Entry: entry("parked", 5)}),
			tx.SetJoining("elsewhere", []byte{5}))
	})
	_, err := f.addDeleted(doc, 1, core.ClockRange{Clock: 1, Len: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	return space, doc, key
}

func (f *fixture) addDeleted(doc int64, client uint64, r core.ClockRange) (fresh []core.ClockRange, err error) {
	f.write(func(tx core.Tx) error {
		fresh, err = tx.AddDeleted(doc, client, r)
		return nil
	})
	return fresh, err
}

func testCheck(t *testing.T, f *fixture) {
	f.read(sound)
	_, doc, _ := f.filled()
	f.read(sound)
	f.reopen()
	f.read(sound)
	f.write(func(tx core.Tx) error { // rows of a document and of a space that are not there
		return errors.Join(tx.SetDocSnapshot(doc+1, []byte{1}), tx.PutVerdict(core.VerdictRecord{Space: 99, Entry: 1}))
	})
	found := map[string]bool{}
	f.read(func(v core.View) error {
		return v.Check(func(d core.Damage) error {
			if d.Lost {
				t.Errorf("Check says that %+v is lost", d)
			}
			found[d.Table] = true
			return nil
		})
	})
	if len(found) != 2 || !found["doc_snapshot"] || !found["verdict"] {
		t.Errorf("Check found damage in %v", found)
	}
	stop := errors.New("stop")
	err := f.store.Read(context.Background(), func(v core.View) error { return v.Check(func(core.Damage) error { return stop }) })
	if !errors.Is(err, stop) {
		t.Errorf("Check that is ended = %v", err)
	}
}

func testWritersInOrder(_ *testing.T, f *fixture) {
	a, b := f.writer("a"), f.writer("b")
	f.read(func(v core.View) error {
		one := core.WriterRecord{Key: a, ID: core.WriterID(hash("a")), Peer: peer("a")}
		two := core.WriterRecord{Key: b, ID: core.WriterID(hash("b")), Peer: peer("b")}
		got, err := v.Writers(0, 10)
		if err := equal("Writers", got, err, []core.WriterRecord{one, two}); err != nil {
			return err
		}
		got, err = v.Writers(math.MinInt64, 1)
		if err := equal("Writers(1)", got, err, []core.WriterRecord{one}); err != nil {
			return err
		}
		got, err = v.Writers(a, 10)
		return equal("Writers after a", got, err, []core.WriterRecord{two})
	})
}

func testHeaders(_ *testing.T, f *fixture) {
	w := f.writer("w")
	var recs []core.EntryRecord
	for i, space := range []int64{f.space("a"), f.space("b")} {
		rec := core.EntryRecord{Space: space, Writer: w, Seq: uint64(i + 1), Hash: hash(fmt.Sprint(i)), Entry: entry("e", 3)}
		f.write(func(tx core.Tx) error { return tx.InsertEntry(&rec) })
		rec.Entry.Sig, rec.Entry.Ops = nil, nil
		recs = append(recs, rec)
	}
	f.read(func(v core.View) error {
		got, err := v.Headers(math.MinInt64, 10)
		if err := equal("Headers", got, err, recs); err != nil {
			return err
		}
		got, err = v.Headers(0, 1)
		if err := equal("Headers(1)", got, err, recs[:1]); err != nil {
			return err
		}
		got, err = v.Headers(recs[0].Key, 10)
		return equal("Headers after the first", got, err, recs[1:])
	})
}

func testParkedAfter(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	var low, high core.Hash
	low[0], high[0] = 1, 2
	rec := func(space int64, h core.Hash) core.ParkedRecord {
		return core.ParkedRecord{Space: space, Hash: h, Author: peer("p"), Missing: hash("m"), Entry: entry("e", 100)}
	}
	f.write(func(tx core.Tx) error {
		return errors.Join(tx.Park(rec(s, high)), tx.Park(rec(s, low)), tx.Park(rec(other, low)))
	})
	f.read(func(v core.View) error {
		got, err := v.ParkedAfter(s, core.Hash{}, 1<<20)
		if err := equal("ParkedAfter", got, err, []core.ParkedRecord{rec(s, low), rec(s, high)}); err != nil {
			return err
		}
		got, err = v.ParkedAfter(s, core.Hash{}, 1)
		if err := equal("ParkedAfter of a byte", got, err, []core.ParkedRecord{rec(s, low)}); err != nil {
			return err
		}
		got, err = v.ParkedAfter(s, low, 1<<20)
		return equal("ParkedAfter the first", got, err, []core.ParkedRecord{rec(s, high)})
	})
	f.everywhere(func(tx core.Tx) error { return tx.ClearParked(s) }, func(v core.View) error {
		got, err := v.ParkedAfter(s, core.Hash{}, 1<<20)
		if err := equal("ParkedAfter ClearParked", got, err, nil); err != nil {
			return err
		}
		_, _, bytes, err := v.ParkedBytes(s, peer("p"))
		if err := equal("ParkedBytes", bytes, err, 0); err != nil {
			return err
		}
		kept, err := v.IsParked(other, low)
		return errors.Join(equal("IsParked elsewhere", kept, err, true), sound(v))
	})
}

func testOpRecords(_ *testing.T, f *fixture) {
	d := f.doc(f.space("s"), "d")
	f.write(func(tx core.Tx) error {
		return errors.Join(tx.AddDocOp(d, 1, 7, 3, 4), tx.AddDocOp(d, 2, 8, 0, 0), tx.AddDocOp(d+1, 1, 9, 1, 1))
	})
	one, two := core.OpRecord{N: 1, Entry: 7, Offset: 3, Length: 4}, core.OpRecord{N: 2, Entry: 8}
	f.read(func(v core.View) error {
		got, err := v.OpRecords(d, 0, 10)
		if err := equal("OpRecords", got, err, []core.OpRecord{one, two}); err != nil {
			return err
		}
		got, err = v.OpRecords(d, math.MinInt64, 1)
		if err := equal("OpRecords(1)", got, err, []core.OpRecord{one}); err != nil {
			return err
		}
		got, err = v.OpRecords(d, 1, 10)
		return equal("OpRecords after 1", got, err, []core.OpRecord{two})
	})
}

func testDocDeleted(_ *testing.T, f *fixture) {
	d := f.doc(f.space("s"), "d")
	type ranges = []core.ClockRange
	f.everywhere(func(tx core.Tx) error {
		for _, add := range []struct {
			doc    int64
			client uint64
			r      core.ClockRange
		}{
			{d, 5, core.ClockRange{Clock: 9, Len: 1}},
			{d, 5, core.ClockRange{Clock: 1, Len: 2}},
			{d, 1 << 52, core.ClockRange{Clock: 4, Len: 1}},
			{d + 1, 6, core.ClockRange{Clock: 1, Len: 1}},
		} {
			if _, err := tx.AddDeleted(add.doc, add.client, add.r); err != nil {
				return err
			}
		}
		return nil
	}, func(v core.View) error {
		got, err := v.DocDeleted(d)
		want := map[uint64][]core.ClockRange{5: ranges{{Clock: 1, Len: 2}, {Clock: 9, Len: 1}}, 1 << 52: ranges{{Clock: 4, Len: 1}}}
		return equal("DocDeleted", got, err, want)
	})
}

func testMend(t *testing.T, f *fixture) {
	space, doc, _ := f.filled()
	f.write(func(tx core.Tx) error {
		return errors.Join(tx.SetDocSnapshot(doc+1, []byte{1}), tx.PutVerdict(core.VerdictRecord{Space: 99, Entry: 1}),
			tx.AddTail(doc+1, core.TailRecord{N: 1, OpID: []byte{1}, Update: []byte{2}}))
	})
	f.everywhere(func(tx core.Tx) error { return errors.Join(tx.Mend(), tx.Sweep()) }, func(v core.View) error {
		lost := 0
		err := v.Check(func(d core.Damage) error {
			if d.Table != "tail" || !d.Lost {
				return fmt.Errorf("found %+v", d)
			}
			lost++
			return nil
		})
		if err := equal("unsealed updates that are kept", lost, err, 1); err != nil {
			return err
		}
		snapshot, err := v.DocSnapshot(doc)
		if err := equal("DocSnapshot", snapshot, err, []byte{3}); err != nil {
			return err
		}
		verdicts, err := v.Verdicts(space)
		return equal("verdicts that stay", len(verdicts), err, 1)
	})
}

func testChangedRows(t *testing.T, f *fixture) {
	space, doc, key := f.filled()
	other, lone := f.writer("other"), f.writer("lone")
	want := core.EntryRecord{
		Key: key, Space: f.space("another"), Writer: other, Chain: core.ChainMembership, Seq: 9, Hash: hash("changed"),
		State: core.EntryVoid, Auth: 77, Entry: entry("e", 10),
	}
	changed := core.WriterRecord{Key: other, ID: core.WriterID(hash("changed")), Peer: peer("changed"), Incarnation: core.Incarnation{7}}
	f.everywhere(func(tx core.Tx) error {
		rec := core.SpaceRecord{Key: space, ID: "another ID", Name: "n"}
		return errors.Join(tx.SetEntry(want), tx.PutWriter(changed), tx.DeleteWriter(lone), tx.DeleteWriter(other), tx.PutSpace(&rec), tx.DeleteDoc(doc))
	}, func(v core.View) error {
		got, err := v.Entry(want.Space, want.Hash)
		if err := equal("entry after SetEntry", got, err, want); err != nil {
			return err
		}
		writer, err := v.Writer(other)
		if err := equal("writer after PutWriter, which an entry is by", writer, err, changed); err != nil {
			return err
		}
		_, err = v.Writer(lone)
		if err := fails("writer after DeleteWriter", err, core.ErrNotFound); err != nil {
			return err
		}
		renamed, err := v.Space("another ID")
		if err := equal("space after its ID changed", renamed.Key, err, space); err != nil {
			return err
		}
		_, err = v.DocByKey(doc)
		if err := fails("document after DeleteDoc", err, core.ErrNotFound); err != nil {
			return err
		}
		tail, err := v.Tail(doc)
		if err := equal("tail after DeleteDoc", tail, err, nil); err != nil {
			return err
		}
		ops, err := v.OpRecords(doc, 0, 1)
		return equal("ops after DeleteDoc", ops, err, nil)
	})
	for call, fn := range map[string]func(core.Tx) error{
		"SetEntry": func(tx core.Tx) error {
			return tx.SetEntry(core.EntryRecord{Key: 999, Space: want.Space, Writer: other})
		},
		"PutWriter": func(tx core.Tx) error { return tx.PutWriter(core.WriterRecord{Key: 999}) },
	} {
		if err := fails(call+" of an unknown key", f.store.Write(context.Background(), fn), core.ErrNotFound); err != nil {
			t.Error(err)
		}
	}
	second := want
	second.Key, second.Hash = 0, hash("second")
	f.write(func(tx core.Tx) error { return errors.Join(tx.InsertEntry(&second), tx.MoveEntry(key)) })
	f.read(func(v core.View) error {
		got, err := v.EntryHeader(want.Space, want.Hash)
		if err == nil && got.Key <= second.Key {
			err = fmt.Errorf("key after MoveEntry = %d, want one above %d", got.Key, second.Key)
		}
		return err
	})
}

func testResetSpace(_ *testing.T, f *fixture) {
	space, doc, key := f.filled()
	f.everywhere(func(tx core.Tx) error { return tx.ResetSpace(space) }, func(v core.View) error {
		members, err := v.Members(space)
		if err := equal("members", members, err, nil); err != nil {
			return err
		}
		invites, err := v.Invites(space)
		if err := equal("invites", invites, err, nil); err != nil {
			return err
		}
		verdicts, err := v.Verdicts(space)
		if err := equal("verdicts", verdicts, err, nil); err != nil {
			return err
		}
		heads, err := v.Heads(space)
		if err := equal("heads", heads, err, nil); err != nil {
			return err
		}
		frontier, err := v.Frontier(space, core.ChainContent)
		if err := equal("frontier", frontier, err, nil); err != nil {
			return err
		}
		writes, err := v.FieldWrites(space, "", "name")
		if err := equal("field writes", writes, err, nil); err != nil {
			return err
		}
		ops, err := v.OpRecords(doc, 0, 1)
		if err := equal("ops", ops, err, nil); err != nil {
			return err
		}
		rec, err := v.EntryByKey(key)
		if err != nil {
			return err
		}
		_, err = v.AuthSet(rec.Auth)
		if err := fails("auth set", err, core.ErrNotFound); err != nil {
			return err
		}
		tail, err := v.Tail(doc)
		if err := equal("updates in the tail, which stays", len(tail), err, 1); err != nil {
			return err
		}
		snapshot, err := v.DocSnapshot(doc)
		return equal("snapshot, which stays", snapshot, err, []byte{3})
	})
}
