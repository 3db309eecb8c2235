package soma_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// prose returns text of so many words, of 20,000 that are as rare as words are.
func prose(zipf *rand.Zipf, words int) string {
	var b strings.Builder
	for i := range words {
		if i%15 == 14 {
			b.WriteByte('\n')
		}
		n := zipf.Uint64()
		for range 2 + n%3 {
			b.WriteString([]string{"ka", "lo", "mi", "ter", "sun", "ber", "dra", "eth", "ing", "on"}[n%10])
			n = n/10 + 7
		}
		fmt.Fprintf(&b, "%d ", n%20)
	}
	return b.String()
}

// searchable opens a directory with so many documents of 300 words, not indexed yet.
func searchable(b *testing.B, docs int) (*soma.DB, soma.SpaceID, string) {
	b.Helper()
	dir := b.TempDir()
	db, err := soma.Open(dir, soma.WithRelaxedDurability())
	if err != nil {
		b.Fatal(err)
	}
	space, err := db.Spaces().Create(context.Background(), soma.NewSpace{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 10, 19_999)
	for i := range docs {
		text := prose(zipf, 300)
		if i%1000 == 0 {
			text += "needle"
		}
		benchUpsert(b, db, space.ID, fmt.Sprintf("doc%05d", i), somatest.Typed(uint64(i+1), 0, text))
	}
	return db, space.ID, dir
}

func benchSearch(b *testing.B, db *soma.DB, space soma.SpaceID, query string, opts ...soma.SearchOption) int {
	b.Helper()
	hits, err := db.Documents().Search(context.Background(), space, query, opts...)
	if err != nil {
		b.Fatal(err)
	}
	return len(hits)
}

// BenchmarkSearch indexes 10,000 documents of 300 words, and asks for what is in few, in
// many and in nearly all of them.
func BenchmarkSearch(b *testing.B) {
	db, space, dir := searchable(b, 10_000)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	b.Run("index-10000", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			for _, name := range []string{"search.db", "search.db.sum"} {
				_ = os.Remove(filepath.Join(dir, name)) // not there the first time
			}
			var err error
			if db, err = soma.Open(dir); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			benchSearch(b, db, space, "needle")
		}
		if info, err := os.Stat(filepath.Join(dir, "search.db")); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, "MB")
		}
	})
	b.Run("compare-10000", func(b *testing.B) { // opening, with nothing to index
		for b.Loop() {
			b.StopTimer()
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			var err error
			if db, err = soma.Open(dir); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			benchSearch(b, db, space, "needle", soma.WithFresh())
		}
	})
	for _, query := range []string{"needle", "sunka", "k", "kalo lomi", `"kalo 7"`, "k l m s b"} {
		b.Run(fmt.Sprintf("query=%s", query), func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = benchSearch(b, db, space, query)
			}
			b.ReportMetric(float64(n), "hits")
		})
	}
	b.Run("delete-one", func(b *testing.B) { // until its words have left the files
		i := 0
		for b.Loop() {
			i++
			if err := db.Documents().Delete(context.Background(), space, fmt.Sprintf("doc%05d", i)); err != nil {
				b.Fatal(err)
			}
			benchSearch(b, db, space, "needle", soma.WithFresh())
			benchSearch(b, db, space, "needle", soma.WithFresh()) // after the purge
		}
	})
}

// BenchmarkUpsertIndexed is BenchmarkUpsert with and without an index to keep up to date.
func BenchmarkUpsertIndexed(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		for _, indexed := range []bool{false, true} {
			b.Run(fmt.Sprintf("goroutines=%d/indexed=%v", goroutines, indexed), func(b *testing.B) {
				db, space := openBench(b)
				if indexed {
					benchSearch(b, db, space, "x")
				}
				var id, left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				done := make(chan error, goroutines)
				for range goroutines {
					go func() {
						ty := typing{client: 1000 + uint64(id.Add(1))}
						doc := fmt.Sprintf("doc-%d", ty.client)
						for left.Add(-1) >= 0 {
							if _, err := db.Documents().Upsert(context.Background(), space, doc, ty.next(60)); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range goroutines {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "upserts/s")
			})
		}
	}
}
