package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testJoinings(_ *testing.T, f *fixture) {
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.SetJoining("b", []byte("of b")), tx.SetJoining("a", []byte("of a")), tx.SetJoining("c", []byte{0}), tx.SetJoining("gone", []byte{1}),
			tx.SetJoining("gone", nil))
	}, func(v core.View) error {
		got, err := v.Joinings("", 2)
		if err := equal("Joinings", got, err, []core.JoiningRecord{{Space: "a", Ticket: []byte("of a")}, {Space: "b", Ticket: []byte("of b")}}); err != nil {
			return err
		}
		got, err = v.Joinings("b", 2)
		return equal("Joinings after b", got, err, []core.JoiningRecord{{Space: "c", Ticket: []byte{0}}})
	})
}

// testChainRows reads the entries of two writers, of whom one has forked.
func testChainRows(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	var writers [2]int64
	keys := map[string]int64{}
	put := func(tx core.Tx, space, writer int64, chain core.Chain, seq uint64, name string) error {
		rec := core.EntryRecord{Space: space, Writer: writer, Chain: chain, Seq: seq, Hash: hash(name), Entry: entry(name, 100)}
		err := tx.InsertEntry(&rec)
		keys[name] = rec.Key
		return err
	}
	f.everywhere(func(tx core.Tx) error {
		for i := range writers {
			var err error
			if writers[i], err = tx.EnsureWriter(core.WriterRecord{ID: core.WriterID(hash(fmt.Sprint(i))), Peer: peer("p")}); err != nil {
				return err
			}
		}
		return errors.Join(
			put(tx, s, writers[1], core.ChainMembership, 1, "m1"), put(tx, s, writers[0], core.ChainContent, 1, "a1"),
			put(tx, s, writers[0], core.ChainContent, 2, "a2"), put(tx, s, writers[0], core.ChainContent, 3, "a3"),
			put(tx, s, writers[0], core.ChainContent, 2, "x2"), put(tx, other, writers[0], core.ChainContent, 1, "o1"))
	}, func(v core.View) error {
		chains, err := v.Chains(s)
		slices.SortFunc(chains, func(a, b core.ChainRecord) int { return int(a.Writer - b.Writer) })
		want := []core.ChainRecord{{Writer: writers[0], Chain: core.ChainContent, Count: 4}, {Writer: writers[1], Chain: core.ChainMembership, Count: 1}}
		if err := equal("Chains", chains, err, want); err != nil {
			return err
		}
		for _, test := range []struct {
			seq   uint64
			limit int
			want  []core.Hash
		}{{1, 9, []core.Hash{hash("a1")}}, {2, 9, []core.Hash{hash("a2"), hash("x2")}}, {2, 1, []core.Hash{hash("a2")}}, {4, 9, nil}} {
			hashes, err := v.ChainHashes(s, writers[0], core.ChainContent, test.seq, test.limit)
			if err := equal("ChainHashes", hashes, err, test.want); err != nil {
				return err
			}
		}
		for _, test := range []struct {
			from, to uint64
			want     []int64
		}{
			{1, math.MaxInt64, []int64{keys["a1"], keys["a2"], keys["x2"], keys["a3"]}},
			{2, 2, []int64{keys["a2"], keys["x2"]}},
			{3, 2, nil},
		} {
			found, err := v.ChainKeys(s, writers[0], core.ChainContent, test.from, test.to)
			if err := equal("ChainKeys", found, err, test.want); err != nil {
				return err
			}
		}
		for name, want := range map[string]uint64{"m1": 0, "a1": 1, "a2": 2, "a3": 3, "x2": 3} {
			seq, err := v.SeqUntil(s, writers[0], core.ChainContent, keys[name])
			if err := equal("SeqUntil "+name, seq, err, want); err != nil {
				return err
			}
		}
		names := func(max int, keys ...int64) (hashes []core.Hash, err error) {
			recs, err := v.EntriesByKey(keys, max)
			for _, rec := range recs {
				if len(rec.Entry.Ops) == 0 {
					err = errors.New("an entry lacks its ops")
				}
				hashes = append(hashes, rec.Hash)
			}
			return hashes, err
		}
		got, err := names(1000, keys["x2"], keys["a1"], keys["m1"])
		if err := equal("EntriesByKey", got, err, []core.Hash{hash("x2"), hash("a1"), hash("m1")}); err != nil {
			return err
		}
		got, err = names(0, keys["x2"], keys["a1"])
		if err := equal("EntriesByKey of no size", got, err, []core.Hash{hash("x2")}); err != nil {
			return err
		}
		_, err = names(1, 99)
		return fails("EntriesByKey of nothing", err, core.ErrNotFound)
	})
}

func testAcks(_ *testing.T, f *fixture) {
	w := core.WriterID(hash("w"))
	tips := []core.Tip{{Seq: 1, Hash: hash("1")}, {Seq: math.MaxInt64, Hash: hash("2")}}
	ann, bob := core.AckRecord{Peer: peer("ann"), Writer: w, Chain: core.ChainContent, Tips: tips}, core.AckRecord{Peer: peer("bob"), Writer: w, Tips: tips[1:]}
	want := []core.AckRecord{ann, bob}
	slices.SortFunc(want, func(a, b core.AckRecord) int { return a.Peer.Compare(b.Peer) })
	f.everywhere(func(tx core.Tx) error {
		first, gone := ann, bob
		first.Tips, gone.Chain = tips[:1], core.ChainContent
		err := errors.Join(tx.PutAck("s", first), tx.PutAck("s", ann), tx.PutAck("s", bob), tx.PutAck("s", gone), tx.PutAck("other", bob))
		gone.Tips = nil
		return errors.Join(err, tx.PutAck("s", gone))
	}, func(v core.View) error {
		got, err := v.Acks("s")
		return equal("Acks", got, err, want)
	})
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.PutExchange("s", core.ExchangeRecord{Peer: bob.Peer, AtMs: 1}), tx.ForgetPeer("s", bob.Peer))
	}, func(v core.View) error {
		got, err := v.Acks("s")
		if err := equal("Acks without bob", got, err, []core.AckRecord{ann}); err != nil {
			return err
		}
		exchanges, err := v.Exchanges("s")
		if err := equal("Exchanges without bob", exchanges, err, nil); err != nil {
			return err
		}
		got, err = v.Acks("other")
		return equal("Acks of another space", got, err, []core.AckRecord{bob})
	})
}

func testExchanges(_ *testing.T, f *fixture) {
	ann := core.ExchangeRecord{Peer: peer("ann"), Mark: core.Mark{Epoch: core.Incarnation{1, 2}, Row: math.MaxInt64}, AtMs: 5}
	bob := core.ExchangeRecord{Peer: peer("bob")}
	want := []core.ExchangeRecord{ann, bob}
	slices.SortFunc(want, func(a, b core.ExchangeRecord) int { return a.Peer.Compare(b.Peer) })
	f.everywhere(func(tx core.Tx) error {
		first := ann
		first.AtMs = 4
		return errors.Join(tx.PutExchange("s", first), tx.PutExchange("s", ann), tx.PutExchange("s", bob))
	}, func(v core.View) error {
		got, err := v.Exchanges("s")
		if err := equal("Exchanges", got, err, want); err != nil {
			return err
		}
		got, err = v.Exchanges("other")
		return equal("Exchanges of another space", got, err, nil)
	})
}

func testPeerAddresses(_ *testing.T, f *fixture) {
	ann := core.PeerAddresses{Peer: peer("ann"), Addresses: []string{"/ip4/1.2.3.4/tcp/1", "", "é"}, SeenMs: 7}
	bob := core.PeerAddresses{Peer: peer("bob"), Blocked: true}
	want := []core.PeerAddresses{ann, bob}
	slices.SortFunc(want, func(a, b core.PeerAddresses) int { return a.Peer.Compare(b.Peer) })
	f.everywhere(func(tx core.Tx) error {
		first := ann
		first.Addresses = nil
		return errors.Join(
			tx.PutPeerAddresses(first), tx.PutPeerAddresses(ann), tx.PutPeerAddresses(bob),
			tx.PutPeerAddresses(core.PeerAddresses{Peer: peer("gone")}), tx.DeletePeerAddresses(peer("gone")))
	}, func(v core.View) error {
		got, err := v.PeerAddresses()
		return equal("PeerAddresses", got, err, want)
	})
}
