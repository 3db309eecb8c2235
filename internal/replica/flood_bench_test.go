package replica_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// BenchmarkVoidFlood has a removed member write on, as if not knowing: into one document
// or one for each entry, handed in one by one or in batches. It reports what an entry
// costs on disk beyond its own size, and in time, at the start and at the end.
func BenchmarkVoidFlood(b *testing.B) {
	for _, c := range []struct{ docs, batch, total int }{{1, 1, 2_000}, {1, 256, 20_480}, {1 << 20, 1, 2_000}, {1 << 20, 256, 20_480}} {
		b.Run(fmt.Sprintf("docs=%d/batch=%d", min(c.docs, c.total), c.batch), func(b *testing.B) {
			var spent [4]time.Duration // by quarter
			var added, size int64
			for b.Loop() {
				s := openSite(b, siteOptions{noVerify: true})
				space, bob := s.create("bench"), stranger(7)
				s.addEditor(space, bob)
				s.upsert(space, "doc-0", insert(1, 0, "an honest word "))
				s.seal()
				eve := newAuthor(b, bob, space, 1)
				h := eve.header()
				for _, e := range s.decoded(space) {
					if e.Chain == core.ChainMembership && !e.IsGenesis() {
						h.Auth, h.Lamport = []core.Hash{e.Hash}, e.Lamport+1
					}
				}
				if err := s.RemoveMember(s.ctx(), space, eve.peer(), false); err != nil {
					b.Fatal(err)
				}
				var all []core.Entry
				added = 0
				for n := range c.total {
					doc, clock := fmt.Sprint("doc-", n%c.docs), uint64(n/c.docs*10)
					eve.last = eve.sign(h, update(doc, insert(2, clock, "ten bytes ")))
					all = append(all, eve.last.Raw)
					added += int64(eve.last.Raw.Size())
					h = eve.header()
				}
				s.close()
				before := fileSize(b, s.database)
				s = s.reopen()
				for at := 0; at < len(all); at += c.batch {
					start := time.Now()
					s.accept(space, all[at:min(at+c.batch, len(all))]...)
					spent[at*4/len(all)] += time.Since(start)
				}
				rejected, err := s.Rejected(s.ctx(), space)
				if err != nil || len(rejected) != c.total {
					b.Fatalf("%d entries are rejected, %v, want %d", len(rejected), err, c.total)
				}
				s.close()
				size = fileSize(b, s.database) - before
			}
			b.ReportMetric(float64(added)/float64(c.total), "B/entry")
			b.ReportMetric(float64(size)/float64(c.total), "diskB/entry")
			for i, name := range map[int]string{0: "µs/first", 3: "µs/last"} {
				b.ReportMetric(float64(spent[i].Microseconds())*4/float64(c.total*b.N), name)
			}
		})
	}
}
