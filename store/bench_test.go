//go:build cgo

package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// BenchmarkWrite measures jobs of one insert each, as callers see them.
func BenchmarkWrite(b *testing.B) {
	for _, relaxed := range []bool{false, true} {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("relaxed=%v/callers=%d", relaxed, callers), func(b *testing.B) {
				db := open(b, store.Options{Relaxed: relaxed})
				update := make([]byte, 200)
				var n atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							err := db.Write(context.Background(), func(tx core.Tx) error {
								return tx.AddTail(1, core.TailRecord{N: i, OpID: []byte("0123456789abcdef"), Update: update})
							})
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			})
		}
	}
}

// BenchmarkStatement measures single statements inside one long job or read.
func BenchmarkStatement(b *testing.B) {
	db := open(b, store.Options{Relaxed: true})
	ctx := context.Background()
	doc := core.DocRecord{ID: "page-1", CreatedBy: core.PeerIDFromKey(make([]byte, 32))}
	err := db.Write(ctx, func(tx core.Tx) error {
		s := core.SpaceRecord{ID: "s"}
		if err := tx.PutSpace(&s); err != nil {
			return err
		}
		doc.Space = s.Key
		if err := tx.PutDoc(&doc); err != nil {
			return err
		}
		for i := range 1000 {
			if err := tx.PutDocClient(doc.Key, core.DocClient{Client: uint64(i) << 20, End: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		run  func(tx core.Tx, i int) error
	}{
		{"Doc", func(tx core.Tx, _ int) error { _, err := tx.Doc(doc.Space, doc.ID); return err }},
		{"DocClient", func(tx core.Tx, i int) error { _, err := tx.DocClient(doc.Key, uint64(i%1000)<<20); return err }},
		{"PutDoc", func(tx core.Tx, i int) error { doc.UpdatedAtMs = int64(i); return tx.PutDoc(&doc) }},
		{"PutDocClient", func(tx core.Tx, i int) error {
			return tx.PutDocClient(doc.Key, core.DocClient{Client: uint64(i%1000) << 20, End: uint64(i)})
		}},
		{"AddDeleted", func(tx core.Tx, i int) error {
			_, err := tx.AddDeleted(doc.Key, uint64(i), core.ClockRange{Clock: 5, Len: 3})
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			err := db.Write(ctx, func(tx core.Tx) error {
				for i := range b.N {
					if err := bench.run(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
	b.Run("Read", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			err := db.Read(ctx, func(v core.View) error { _, err := v.DocClient(doc.Key, uint64(i%1000)<<20); return err })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkInsertEntry measures the largest row, in jobs of 100.
func BenchmarkInsertEntry(b *testing.B) {
	db := open(b, store.Options{})
	ctx := context.Background()
	var space, writer int64
	err := db.Write(ctx, func(tx core.Tx) (err error) {
		s := core.SpaceRecord{ID: "s"}
		if err := tx.PutSpace(&s); err != nil {
			return err
		}
		space = s.Key
		writer, err = tx.EnsureWriter(core.WriterRecord{})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	rec := core.EntryRecord{Space: space, Writer: writer, Entry: core.Entry{Header: make([]byte, 250), Sig: make([]byte, 64), Ops: make([]byte, 200)}}
	b.ReportAllocs()
	for i := 0; i < b.N; {
		err := db.Write(ctx, func(tx core.Tx) error {
			for range 100 {
				i++
				rec.Seq = uint64(i)
				binary.BigEndian.PutUint64(rec.Hash[:], uint64(i)*0x9e3779b97f4a7c15)
				if err := tx.InsertEntry(&rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen measures opening and closing a store that exists.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		mustClose(b, openIn(b, dir, store.Options{}))
	}
}
