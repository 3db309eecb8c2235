package soma_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/yjs"
)

// typing builds updates as yjs emits them while one client types words: text at the
// end of the root "text", of about size bytes each.
type typing struct {
	client uint64
	clock  uint64
}

func (ty *typing) next(size int) []byte {
	b := []byte{1, 1}
	b = binary.AppendUvarint(b, ty.client)
	b = binary.AppendUvarint(b, ty.clock)
	if ty.clock == 0 {
		b = append(b, 4, 1, 4)
		b = append(b, "text"...)
	} else {
		b = append(b, 0x84)
		b = binary.AppendUvarint(b, ty.client)
		b = binary.AppendUvarint(b, ty.clock-1)
	}
	n := max(1, size-len(b)-2)
	b = append(b, byte(n))
	for i := range n {
		b = append(b, 'a'+byte(i%26))
	}
	ty.clock += uint64(n)
	return append(b, 0)
}

func openBench(b *testing.B, opts ...soma.Option) (*soma.DB, soma.SpaceID) {
	b.Helper()
	db, err := soma.Open(b.TempDir(), opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	space, err := db.Spaces().Create(context.Background(), soma.NewSpace{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	return db, space.ID
}

// BenchmarkUpsert writes updates of 60 bytes, durable, each goroutine to a
// document of its own.
func BenchmarkUpsert(b *testing.B) {
	for _, goroutines := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			db, space := openBench(b)
			var id atomic.Int64
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
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

func benchUpsert(b *testing.B, db *soma.DB, space soma.SpaceID, doc string, update []byte) {
	b.Helper()
	if _, err := db.Documents().Upsert(context.Background(), space, doc, update); err != nil {
		b.Fatal(err)
	}
}

func benchGet(b *testing.B, db *soma.DB, space soma.SpaceID, doc string) soma.Document {
	b.Helper()
	d, err := db.Documents().Get(context.Background(), space, doc)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkEdit types one letter into a document of 100 kB, durable, beside an Upsert of
// the update that does the same.
func BenchmarkEdit(b *testing.B) {
	ctx := context.Background()
	prepare := func(b *testing.B) (*soma.DB, soma.SpaceID, *typing) {
		db, space := openBench(b)
		clients := []*typing{{client: 7}, {client: 8}} // in turn, so that there are many structs
		for i := 0; clients[0].clock+clients[1].clock < 100_000; i++ {
			benchUpsert(b, db, space, "doc", clients[i%2].next(120))
		}
		benchGet(b, db, space, "doc")
		return db, space, &typing{client: 9}
	}
	b.Run("upsert", func(b *testing.B) {
		db, space, ty := prepare(b)
		b.ReportAllocs()
		for b.Loop() {
			benchUpsert(b, db, space, "doc", ty.next(1))
		}
	})
	b.Run("edit", func(b *testing.B) {
		db, space, _ := prepare(b)
		b.ReportAllocs()
		for b.Loop() {
			_, err := db.Documents().Edit(ctx, space, "doc", func(tx *soma.EditTx) error {
				text := tx.Text("text")
				return text.Insert(text.Len(), "x", nil)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkView looks into a document that is in memory.
func BenchmarkView(b *testing.B) {
	db, space := openBench(b)
	benchUpsert(b, db, space, "doc", (&typing{client: 7}).next(100))
	b.ReportAllocs()
	for b.Loop() {
		err := db.Documents().View(context.Background(), space, "doc", func(tx *soma.ViewTx) error {
			if tx.Text("text").Len() == 0 {
				return soma.ErrNotFound
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads a document with 100,000 small updates behind it, after
// reopening, beside one that got the same state in one update.
func BenchmarkGet(b *testing.B) {
	const updates = 100_000
	dir := b.TempDir()
	db, err := soma.Open(dir, soma.WithRelaxedDurability())
	if err != nil {
		b.Fatal(err)
	}
	space, err := db.Spaces().Create(context.Background(), soma.NewSpace{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	// Two clients in turn, so that runs stay short and the state is no single run.
	clients := []typing{{client: 1}, {client: 2}}
	for i := range updates {
		benchUpsert(b, db, space.ID, "long", clients[i/10%2].next(30))
	}
	state := benchGet(b, db, space.ID, "long").Update
	benchUpsert(b, db, space.ID, "short", state)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if db, err = soma.Open(dir); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	for _, doc := range []string{"long", "short"} {
		b.Run("history="+doc, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchGet(b, db, space.ID, doc)
			}
			b.SetBytes(int64(len(state)))
		})
	}
}

// BenchmarkUpsertFullState hands in the whole state of a document of 100 kB with 20
// new bytes, beside those 20 bytes alone, and beside parsing the state.
func BenchmarkUpsertFullState(b *testing.B) {
	prepare := func(b *testing.B) (*soma.DB, soma.SpaceID, *typing, []byte) {
		db, space := openBench(b, soma.WithRelaxedDurability())
		clients := []*typing{{client: 7}, {client: 8}} // in turn, so that there are many structs
		for i := 0; clients[0].clock+clients[1].clock < 100_000; i++ {
			benchUpsert(b, db, space, "doc", clients[i%2].next(120))
		}
		return db, space, clients[0], benchGet(b, db, space, "doc").Update
	}
	b.Run("20-bytes", func(b *testing.B) {
		db, space, ty, _ := prepare(b)
		b.ReportAllocs()
		for b.Loop() {
			benchUpsert(b, db, space, "doc", ty.next(38))
		}
	})
	b.Run("full-state", func(b *testing.B) {
		db, space, ty, state := prepare(b)
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			full, err := yjs.Compact(state, ty.next(38))
			if err != nil {
				b.Fatal(err)
			}
			state = full
			b.StartTimer()
			benchUpsert(b, db, space, "doc", full)
		}
	})
	b.Run("parse", func(b *testing.B) {
		_, _, _, state := prepare(b)
		b.ReportAllocs()
		for b.Loop() {
			if err := yjs.Validate(state); err != nil {
				b.Fatal(err)
			}
		}
	})
}
