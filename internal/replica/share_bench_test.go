package replica_test

import (
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// BenchmarkShared measures what a sync node asks for, of a space of 10,000 entries by 100
// writers.
func BenchmarkShared(b *testing.B) {
	s, space := forest(b, 100, 100)
	ctx := s.ctx()
	rows := s.rows(space)
	check := func(b *testing.B, err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	var all, few []core.Range
	entries, bytes := 0, int64(0)
	for i, row := range rows {
		all = append(all, core.Range{Writer: row.Writer, Chain: row.Chain, From: 1, To: 100})
		if i%10 == 0 {
			few = append(few, core.Range{Writer: row.Writer, Chain: row.Chain, From: 95, To: 100})
		}
	}
	behind := make([]core.LogRow, len(rows)) // of a peer that has one more of each chain
	for i, row := range rows {
		behind[i] = core.LogRow{Writer: row.Writer, Chain: row.Chain, Tips: []core.Tip{{Seq: row.Tips[0].Seq + 1, Hash: core.Hash{1}}}}
	}
	for _, e := range s.entries(space) {
		entries, bytes = entries+1, bytes+int64(e.Size())
	}
	b.Run("SummaryUnchanged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := s.Summary(ctx, space)
			check(b, err)
		}
	})
	b.Run("SummaryAfterAnEntry", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			s.rename(space, fmt.Sprint("name ", n))
			b.StartTimer()
			_, err := s.Summary(ctx, space)
			check(b, err)
		}
	})
	b.Run("SummaryCold", func(b *testing.B) {
		for b.Loop() {
			s.ForgetLogs()
			_, err := s.Summary(ctx, space)
			check(b, err)
		}
	})
	b.Run("IsShared", func(b *testing.B) {
		b.ReportAllocs()
		peer := peerOf(stranger(1))
		for b.Loop() {
			_, err := s.IsShared(ctx, space, peer)
			check(b, err)
		}
	})
	b.Run("MissingSame", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Missing(ctx, space, rows)
			check(b, err)
		}
	})
	b.Run("MissingOneOfEach", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Missing(ctx, space, behind)
			check(b, err)
		}
	})
	read := func(b *testing.B, ranges []core.Range) {
		n := 0
		for b.Loop() {
			n = len(s.read(space, ranges, 256<<10))
		}
		b.ReportMetric(float64(n), "entries")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
	}
	b.Run("EntriesAll", func(b *testing.B) {
		b.SetBytes(bytes)
		read(b, all)
	})
	b.Run("EntriesFew", func(b *testing.B) { read(b, few) })
	b.Run("OnlyHere", func(b *testing.B) {
		for b.Loop() {
			_, _, err := s.OnlyHere(ctx, space)
			check(b, err)
		}
	})
	b.Run("TakeKnown", func(b *testing.B) {
		page := s.entries(space)[:256]
		for b.Loop() {
			_, err := s.Take(ctx, space, page)
			check(b, err)
		}
	})
}

// BenchmarkSummaries measures what it costs to learn that nothing changed in 1,000 spaces.
func BenchmarkSummaries(b *testing.B) {
	s := openSite(b, siteOptions{noVerify: true})
	peer := peerOf(stranger(1))
	var spaces []core.SpaceID
	for range 1000 {
		space := s.create("space")
		if err := s.AddMember(s.ctx(), space, peer, log.RoleEditor, log.KindDevice); err != nil {
			b.Fatal(err)
		}
		spaces = append(spaces, space)
	}
	b.Run("Summary", func(b *testing.B) {
		for b.Loop() {
			for _, space := range spaces {
				s.summary(space)
			}
		}
	})
	b.Run("AcknowledgeAll", func(b *testing.B) {
		for b.Loop() {
			for _, space := range spaces {
				if err := s.AcknowledgeAll(s.ctx(), space, peer, s.summary(space)); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("Shared", func(b *testing.B) {
		for b.Loop() {
			if n := len(s.shared(peer)); n != len(spaces) {
				b.Fatalf("%d spaces, want %d", n, len(spaces))
			}
		}
	})
}
