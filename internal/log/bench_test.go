package log_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/log"
)

func benchmarkSizes(b *testing.B, run func(b *testing.B, w *world, ops []log.Op)) {
	w := newWorld(b)
	for _, size := range []int{64, 64 << 10} {
		ops := []log.Op{{ID: opID(1), Body: log.DocUpdate{Doc: "page-1", Update: bytes.Repeat([]byte{1}, size)}}}
		b.Run(fmt.Sprintf("update=%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			run(b, w, ops)
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, w *world, ops []log.Op) {
		for b.Loop() {
			if _, err := log.Seal(w.owner, w.update.Header, ops); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTakeIn is what an entry that a peer sends costs before it is stored.
func BenchmarkTakeIn(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, w *world, ops []log.Op) {
		raw := seal(b, w.owner, w.update.Header, ops...).Raw
		for b.Loop() {
			if err := judge(raw, w.past); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, w *world, ops []log.Op) {
		raw := seal(b, w.owner, w.update.Header, ops...).Raw
		for b.Loop() {
			if _, err := log.Decode(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
