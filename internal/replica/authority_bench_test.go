package replica_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// BenchmarkRemoval takes 100,000 entries in 1,000 documents into an empty replica, and
// then has it learn of the removal of a member who wrote 1,000 of them, in 10 of the
// documents. It reports entries per second of the one, and milliseconds of the other.
func BenchmarkRemoval(b *testing.B) {
	const total, void, docs = 100_000, 1_000, 1_000
	owner := openSite(b, siteOptions{noVerify: true})
	space := owner.create("bench")
	bob := stranger(7)
	peer := core.PeerIDFromKey(bob.Public().(ed25519.PublicKey))
	if err := owner.AddMember(owner.ctx(), space, peer, log.RoleEditor, log.KindDevice); err != nil {
		b.Fatal(err)
	}
	first := owner.entries(space)
	var added core.Hash
	for _, e := range owner.decoded(space) {
		if e.Chain == core.ChainMembership && !e.IsGenesis() {
			added = e.Hash
		}
	}
	all := make([]core.Entry, 0, total)
	ann, eve := newAuthor(b, owner.id.Key(), space, 9), newAuthor(b, bob, space, 1)
	clocks := map[string]uint64{}
	for n := range total {
		a, client, doc := ann, uint64(1), fmt.Sprint("doc-", n%docs)
		if n%(total/void) == 0 {
			a, client, doc = eve, 2, fmt.Sprint("doc-", n/(total/void)%10)
		}
		h := a.header()
		if h.Seq == 1 {
			h.Auth, h.Lamport = []core.Hash{added}, 3
		}
		key := fmt.Sprint(client, doc)
		a.last = a.sign(h, update(doc, insert(client, clocks[key], "some words to read ")))
		clocks[key] += uint64(len("some words to read "))
		all = append(all, a.last.Raw)
	}
	if err := owner.RemoveMember(owner.ctx(), space, peer, false); err != nil {
		b.Fatal(err)
	}
	removal := owner.entries(space)[len(first):]

	var replay, learn time.Duration
	for b.Loop() {
		s := openSite(b, siteOptions{noVerify: true})
		if err := s.importFrom(archive(b, space, first...)); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		for at := 0; at < total; at += 256 {
			s.accept(space, all[at:min(at+256, total)]...)
		}
		replay += time.Since(start)
		start = time.Now()
		s.accept(space, removal...)
		learn += time.Since(start)
		rejected, err := s.Rejected(s.ctx(), space)
		if err != nil || len(rejected) != void {
			b.Fatalf("%d entries are rejected, %v, want %d", len(rejected), err, void)
		}
		s.close()
	}
	b.ReportMetric(float64(total)*float64(b.N)/replay.Seconds(), "entries/s")
	b.ReportMetric(learn.Seconds()*1000/float64(b.N), "ms/removal")
}
