package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testMembers(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	ann := core.MemberRecord{Peer: peer("ann"), Role: 1, Kind: 1, By: peer("ann"), Since: hash("1")}
	bob := core.MemberRecord{Peer: peer("bob"), Role: 2, Kind: 2, By: peer("ann"), Since: hash("2")}
	cid := core.MemberRecord{Peer: peer("cid"), Role: 3, Kind: 3, By: peer("bob"), Since: hash("3")}
	one := core.InviteRecord{ID: core.InviteID(hash("one")), Role: 2, By: peer("ann"), Uses: 3, ExpiresMs: 1 << 52}
	two := core.InviteRecord{ID: core.InviteID(hash("two")), Role: 4, By: peer("new"), Uses: 1}
	check := func(members []core.MemberRecord, invites []core.InviteRecord) func(core.View) error {
		return func(v core.View) error {
			got, err := v.Members(s)
			slices.SortFunc(got, func(a, b core.MemberRecord) int { return a.Peer.Compare(b.Peer) })
			slices.SortFunc(members, func(a, b core.MemberRecord) int { return a.Peer.Compare(b.Peer) })
			if err := equal("Members", got, err, members); err != nil {
				return err
			}
			for _, want := range members {
				m, err := v.Member(s, want.Peer)
				if err := equal("Member", m, err, want); err != nil {
					return err
				}
			}
			slices.SortFunc(invites, func(a, b core.InviteRecord) int { return slices.Compare(a.ID[:], b.ID[:]) })
			open, err := v.Invites(s)
			if err := equal("Invites", open, err, invites); err != nil {
				return err
			}
			_, err = v.Member(other, ann.Peer)
			_, err2 := v.Member(s, peer("nobody"))
			return errors.Join(fails("Member of another space", err, core.ErrNotFound), fails("Member who is none", err2, core.ErrNotFound))
		}
	}
	f.everywhere(func(tx core.Tx) error {
		return tx.SetMembers(s, []core.MemberRecord{ann, bob}, []core.InviteRecord{one})
	}, check([]core.MemberRecord{ann, bob}, []core.InviteRecord{one}))
	bob.Role, one.Uses = 3, 1
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.SetMembers(other, []core.MemberRecord{cid}, []core.InviteRecord{two}),
			tx.SetMembers(s, []core.MemberRecord{cid, bob}, []core.InviteRecord{two, one}))
	}, check([]core.MemberRecord{cid, bob}, []core.InviteRecord{two, one}))
	f.everywhere(func(tx core.Tx) error { return tx.SetMembers(s, nil, nil) }, check(nil, nil))
}

func testJoining(_ *testing.T, f *fixture) {
	check := func(want []byte) func(core.View) error {
		return func(v core.View) error {
			got, err := v.Joining("space")
			if err := equal("Joining", got, err, want); err != nil {
				return err
			}
			got, err = v.Joining("other")
			return equal("Joining another", got, err, nil)
		}
	}
	f.read(check(nil))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetJoining("space", []byte("first")), tx.SetJoining("space", []byte("second")))
	}, check([]byte("second")))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetJoining("space", nil), tx.SetJoining("other", nil))
	}, check(nil))
}

func testVerdicts(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	void := core.VerdictRecord{Space: s, Entry: 9, Cut: hash("cut")}
	kept := core.VerdictRecord{Space: s, Entry: 3, Voucher: 12}
	check := func(want ...core.VerdictRecord) func(core.View) error {
		return func(v core.View) error {
			got, err := v.Verdicts(s)
			return equal("Verdicts", got, err, want)
		}
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.PutVerdict(void), tx.PutVerdict(core.VerdictRecord{Space: s, Entry: 3}), tx.PutVerdict(kept),
			tx.PutVerdict(core.VerdictRecord{Space: other, Entry: 9}))
	}, check(kept, void))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.DeleteVerdict(s, 3), tx.DeleteVerdict(s, 77))
	}, check(void))
}

// testChains lists entries by what authority asks for.
func testChains(_ *testing.T, f *fixture) {
	s, other, a, b := f.space("s"), f.space("other"), f.writer("a"), f.writer("b")
	var membership, content, ofA []core.EntryRecord
	f.everywhere(func(tx core.Tx) error {
		for i := range 40 {
			name := fmt.Sprintf("entry %02d", i)
			rec := core.EntryRecord{
				Space: s, Writer: a, Chain: core.Chain(i % 2), Seq: uint64(1 + i/4), Hash: hash(name), Auth: 5, Entry: entry(name, 100),
			}
			if i%4 >= 2 {
				rec.Writer = b
			}
			if i%10 == 9 {
				rec.Space = other
			}
			if err := tx.InsertEntry(&rec); err != nil {
				return err
			}
			if rec.Space != s {
				continue
			}
			if rec.Chain == core.ChainMembership {
				membership = append(membership, rec)
				continue
			}
			rec.Entry.Ops, rec.Entry.Sig = nil, nil
			content = append(content, rec)
			if rec.Writer == a {
				ofA = append(ofA, rec)
			}
		}
		return nil
	}, func(v core.View) error {
		got, err := v.MembershipAfter(s, 0, 1<<20)
		if err := equal("MembershipAfter(0)", got, err, membership); err != nil {
			return err
		}
		got, err = v.MembershipAfter(s, membership[4].Key, 1)
		if err := equal("MembershipAfter in a small page", got, err, membership[5:6]); err != nil {
			return err
		}
		got, err = v.ContentAfter(s, 0, 100)
		if err := equal("ContentAfter(0)", got, err, content); err != nil {
			return err
		}
		got, err = v.ContentAfter(s, content[2].Key, 3)
		if err := equal("ContentAfter in a small page", got, err, content[3:6]); err != nil {
			return err
		}
		got, err = v.ContentOf(s, a, 0, 0, 100)
		if err := equal("ContentOf", got, err, ofA); err != nil {
			return err
		}
		got, err = v.ContentOf(s, a, ofA[3].Seq, ofA[3].Key, 2)
		return equal("ContentOf from a seq on", got, err, ofA[4:6])
	})
}

func testForks(_ *testing.T, f *fixture) {
	s, w := f.space("s"), f.writer("w")
	put := func(tx core.Tx, chain core.Chain, seqs ...uint64) error {
		for i, seq := range seqs {
			rec := core.EntryRecord{Space: s, Writer: w, Chain: chain, Seq: seq, Hash: hash(fmt.Sprint(chain, seq, i)), Entry: entry("e", 1)}
			if err := tx.InsertEntry(&rec); err != nil {
				return err
			}
		}
		return nil
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(put(tx, core.ChainContent, 1, 2, 3, 4), put(tx, core.ChainMembership, 1, 1))
	}, func(v core.View) error {
		got, err := v.FirstFork(s, w, core.ChainContent)
		return equal("FirstFork of a straight chain", got, err, 0)
	})
	f.everywhere(func(tx core.Tx) error { return put(tx, core.ChainContent, 9, 9, 9, 9, 3) }, func(v core.View) error {
		got, err := v.FirstFork(s, w, core.ChainContent)
		if err := equal("FirstFork", got, err, 3); err != nil {
			return err
		}
		got, err = v.FirstFork(s+1, w, core.ChainContent)
		return equal("FirstFork in another space", got, err, 0)
	})
}

func testWritersOf(_ *testing.T, f *fixture) {
	var want []core.WriterRecord
	f.everywhere(func(tx core.Tx) error {
		for _, name := range []string{"one", "two"} {
			rec := core.WriterRecord{ID: core.WriterID(hash(name)), Peer: peer("p"), Incarnation: core.Incarnation{name[0]}}
			key, err := tx.EnsureWriter(rec)
			if err != nil {
				return err
			}
			rec.Key = key
			want = append(want, rec)
		}
		_, err := tx.EnsureWriter(core.WriterRecord{ID: core.WriterID(hash("other")), Peer: peer("q")})
		return err
	}, func(v core.View) error {
		got, err := v.WritersOf(peer("p"))
		slices.SortFunc(got, func(a, b core.WriterRecord) int { return int(a.Key - b.Key) })
		if err := equal("WritersOf", got, err, want); err != nil {
			return err
		}
		got, err = v.WritersOf(peer("nobody"))
		return equal("WritersOf nobody", got, err, nil)
	})
}

// testVoidOps has ops of entries that do not count, and deletes.
func testVoidOps(_ *testing.T, f *fixture) {
	s, w := f.space("s"), f.writer("w")
	d := f.doc(s, "d")
	keys := make([]int64, 4)
	ops := func(list func(doc, after int64, fn func(core.DocOp) error) error) (got []string, err error) {
		err = list(d, 0, func(op core.DocOp) error {
			got = append(got, fmt.Sprint(op.N, string(op.Update)))
			return nil
		})
		return got, err
	}
	check := func(kept, void []string, deletes []int64) func(core.View) error {
		return func(v core.View) error {
			got, err := ops(v.DocOps)
			if err := equal("DocOps", got, err, kept); err != nil {
				return err
			}
			got, err = ops(v.DocVoidOps)
			if err := equal("DocVoidOps", got, err, void); err != nil {
				return err
			}
			in, err := v.DocDeletes(d)
			return equal("DocDeletes", in, err, deletes)
		}
	}
	f.write(func(tx core.Tx) error {
		for i := range keys {
			e := core.EntryRecord{Space: s, Writer: w, Seq: uint64(i), Hash: hash(fmt.Sprint(i)), Entry: core.Entry{Header: []byte("h"), Ops: []byte("abcdefgh")}}
			if err := tx.InsertEntry(&e); err != nil {
				return err
			}
			keys[i] = e.Key
		}
		return errors.Join(
			tx.AddDocOp(d, 1, keys[0], 0, 2), tx.AddDocOp(d, 2, keys[1], 2, 2), tx.AddDocOp(d, 3, keys[2], 0, 0),
			tx.AddDocOp(d, 4, keys[1], 4, 1), tx.AddDocOp(d, 5, keys[3], 0, 0), tx.AddDocOp(d, 6, keys[3], 6, 2))
	})
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetEntryState(keys[1], core.EntryVoid), tx.SetEntryState(keys[2], core.EntryVoid))
	}, check([]string{"1ab", "6gh"}, []string{"2cd", "4e"}, []int64{keys[3]}))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetEntryState(keys[1], core.EntryKept), tx.SetEntryState(keys[2], core.EntryKept))
	}, check([]string{"1ab", "2cd", "4e", "6gh"}, nil, []int64{keys[2], keys[3]}))
}

func testResetDoc(_ *testing.T, f *fixture) {
	s := f.space("s")
	d, other := f.doc(s, "d"), f.doc(s, "other")
	f.everywhere(func(tx core.Tx) error {
		for _, doc := range []int64{d, other} {
			_, err := tx.AddDeleted(doc, 1, core.ClockRange{Clock: 3, Len: 2})
			err = errors.Join(err, tx.PutDocClient(doc, core.DocClient{Client: 1, End: 9}),
				tx.PutDocPending(doc, core.PendingRecord{N: 1, Update: []byte("p")}), tx.SetDocSnapshot(doc, []byte("s")))
			if err != nil {
				return err
			}
		}
		return tx.ResetDoc(d)
	}, func(v core.View) error {
		for doc, want := range map[int64]int{d: 0, other: 1} {
			clients, err := v.DocClients(doc)
			deleted, err2 := v.DeletedRanges(doc, 1, 0, 100)
			pending, err3 := v.DocPending(doc)
			snapshot, err4 := v.DocSnapshot(doc)
			if err := errors.Join(err, err2, err3, err4); err != nil {
				return err
			}
			if len(clients) != want || len(deleted) != want || len(pending) != want || len(snapshot) != want {
				return fmt.Errorf("document %d has %v, %v, %v, %q, want %d of each", doc, clients, deleted, pending, snapshot, want)
			}
		}
		return nil
	})
}
