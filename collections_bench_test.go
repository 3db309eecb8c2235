package soma_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
)

const benchRecords = 10_000

// benchRecord is a record of 200 bytes.
func benchRecord(i, n int) json.RawMessage {
	head := fmt.Sprintf(`{"id":"t%d","n":%d,"path":"`, i, n)
	return json.RawMessage(head + strings.Repeat("p", 200-len(head)-2) + `"}`)
}

// openRecords opens a collection of benchRecords records of 200 bytes.
func openRecords(b *testing.B, opts ...soma.Option) *soma.DB {
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
	failed := make(chan error, 64)
	for g := range cap(failed) {
		go func() {
			var err error
			for i := g; i < benchRecords && err == nil; i += cap(failed) {
				err = db.Collections().Put(context.Background(), "bench", fmt.Sprint("t", i), benchRecord(i, 0), 1)
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	return db
}

// BenchmarkCollectionPut puts one record of 200 bytes into a collection of 10,000: in the
// place of another one, spread over all of them, or a new one.
func BenchmarkCollectionPut(b *testing.B) {
	for _, mode := range []struct {
		name string
		opts []soma.Option
	}{{"durable", nil}, {"relaxed", []soma.Option{soma.WithRelaxedDurability()}}} {
		b.Run(mode.name+"/set", func(b *testing.B) {
			db := openRecords(b, mode.opts...)
			b.ReportAllocs()
			n := 1
			for b.Loop() {
				i := n * 7919 % benchRecords
				n++
				if err := db.Collections().Put(context.Background(), "bench", fmt.Sprint("t", i), benchRecord(i, n), int64(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(mode.name+"/add", func(b *testing.B) {
			db := openRecords(b, mode.opts...)
			b.ReportAllocs()
			n := benchRecords
			for b.Loop() {
				n++
				key := fmt.Sprint("t", n)
				if err := db.Collections().Put(context.Background(), "bench", key, benchRecord(n, 0), 1); err != nil {
					b.Fatal(err)
				}
				if n%benchRecords == 0 { // the collection must not grow without a bound
					b.StopTimer()
					if err := db.Collections().Clear(context.Background(), "bench", 0); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkCollectionHydrate lists a collection of 10,000 records of 200 bytes: as raw
// JSON, as a type, and as a type that is also the rule of the collection.
func BenchmarkCollectionHydrate(b *testing.B) {
	db := openRecords(b)
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range db.Collections().List(context.Background(), "bench") {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != benchRecords {
				b.Fatal(n, "records")
			}
		}
	})
	typed := func(opts ...soma.CollectionOption) func(b *testing.B) {
		return func(b *testing.B) {
			tabs := soma.NewCollection[soma.Tab](db, "bench", opts...)
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range tabs.List(context.Background()) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != benchRecords {
					b.Fatal(n, "records")
				}
			}
		}
	}
	b.Run("typed", typed())
	b.Run("ruled", typed(soma.WithKeyOf(func(t soma.Tab) string { return t.ID })))
}

// BenchmarkCollectionGet reads one record of a collection of 10,000.
func BenchmarkCollectionGet(b *testing.B) {
	db := openRecords(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if _, err := db.Collections().Get(context.Background(), "bench", fmt.Sprint("t", n*7919%benchRecords)); err != nil {
			b.Fatal(err)
		}
	}
}
