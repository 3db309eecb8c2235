package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma"
)

// BenchmarkStorageSetItem writes a snapshot of 10,000 records of 200 bytes in which one has
// changed, beside what it takes to read the same bytes as JSON. Two windows that take turns
// do not find what the bridge remembers of a collection.
func BenchmarkStorageSetItem(b *testing.B) {
	ctx := context.Background()
	for _, mode := range []struct {
		name  string
		opts  []soma.Option
		typed bool
	}{
		{"durable", nil, false},
		{"relaxed", []soma.Option{soma.WithRelaxedDurability()}, false},
		{"relaxed/typed", []soma.Option{soma.WithRelaxedDurability()}, true},
	} {
		b.Run(mode.name, func(b *testing.B) {
			db := openRecords(b, mode.opts...)
			if mode.typed {
				soma.NewCollection[soma.Tab](db, "bench", soma.WithKeyOf(func(t soma.Tab) string { return t.ID }))
			}
			s, err := db.Collections().Snapshot(ctx, "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(s.Value)))
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				newVersion(b, s.Value, fmt.Sprint("t", n*7919%benchRecords), n)
				result, err := db.Collections().SetItem(ctx, "bench", s.Value, s.Seq, soma.WithWindow("w"))
				if err != nil || !result.Same {
					b.Fatal(result, err)
				}
				s.Seq = result.Seq
			}
		})
	}
	s, err := openRecords(b, soma.WithRelaxedDurability()).Collections().Snapshot(ctx, "bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(s.Value)))
		for b.Loop() {
			if !json.Valid(s.Value) {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("json.Unmarshal", func(b *testing.B) {
		b.SetBytes(int64(len(s.Value)))
		for b.Loop() {
			var rows map[string]struct {
				VersionKey string
				Data       json.RawMessage
			}
			if err := json.Unmarshal(s.Value, &rows); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// newVersion gives a row of a snapshot another versionKey, in place.
func newVersion(b *testing.B, value []byte, key string, n int) {
	b.Helper()
	head := []byte(`"s:` + key + `":{"versionKey":"`)
	at := bytes.Index(value, head)
	if at < 0 {
		b.Fatal("no row", key)
	}
	copy(value[at+len(head):], fmt.Sprintf("%08x", n))
}

// BenchmarkStorageSnapshot reads a collection of 10,000 records as one snapshot.
func BenchmarkStorageSnapshot(b *testing.B) {
	db := openRecords(b, soma.WithRelaxedDurability())
	b.ReportAllocs()
	for b.Loop() {
		s, err := db.Collections().Snapshot(context.Background(), "bench")
		if err != nil || len(s.Value) < benchRecords*200 {
			b.Fatal(len(s.Value), err)
		}
	}
}
