//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// BenchmarkSmallBlobs compares files with rows: what docs/decisions/0014-small-blobs.md
// is about. One Put is one transaction, with an entry and a row for the blob.
func BenchmarkSmallBlobs(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		for _, kind := range []string{"file", "row"} {
			inline := 0
			if kind == "row" {
				inline = size
			}
			name := fmt.Sprintf("%s/%dKB", kind, size>>10)
			b.Run("put/"+name, func(b *testing.B) {
				w := openBench(b, inline)
				w.putAll(b, size, 1)
			})
			b.Run("put16/"+name, func(b *testing.B) {
				w := openBench(b, inline)
				w.putAll(b, size, 16)
			})
			b.Run("read/"+name, func(b *testing.B) {
				w := openBench(b, inline)
				hashes := make([]core.Hash, 200)
				for i := range hashes {
					hashes[i] = w.put(b, size)
				}
				buf := make([]byte, size)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					c, err := w.pool.Open(context.Background(), hashes[i%len(hashes)])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(c, buf); err != nil {
						b.Fatal(err)
					}
					_ = c.Close()
				}
			})
		}
	}
}

type benchPool struct {
	db    *store.DB
	pool  *store.Pool
	space core.SpaceRecord
	n     atomic.Int64
	w     int64
}

func openBench(b *testing.B, inline int) *benchPool {
	db, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	p := &benchPool{db: db, space: core.SpaceRecord{ID: "space"}}
	if p.pool, err = db.OpenPool(time.Now); err != nil {
		b.Fatal(err)
	}
	p.pool.SetInline(inline)
	err = db.Write(context.Background(), func(tx core.Tx) (err error) {
		if err := tx.PutSpace(&p.space); err != nil {
			return err
		}
		p.w, err = tx.EnsureWriter(core.WriterRecord{ID: core.WriterID{1}})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (p *benchPool) putAll(b *testing.B, size, goroutines int) {
	b.SetBytes(int64(size))
	b.SetParallelism((goroutines + 1) / 2) // of two cores
	b.ResetTimer()
	if goroutines == 1 {
		for b.Loop() {
			p.put(b, size)
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.put(b, size)
		}
	})
}

// put stores bytes that nobody stored before.
func (p *benchPool) put(b *testing.B, size int) core.Hash {
	ctx := context.Background()
	data := bytes.Repeat([]byte{7}, size)
	n := p.n.Add(1)
	binary.BigEndian.PutUint64(data, uint64(n))
	s, err := p.pool.Stage(ctx, bytes.NewReader(data), core.StageOptions{Limit: 1 << 30, Size: -1})
	if err != nil {
		b.Fatal(err)
	}
	err = s.Commit(ctx, func(record func(core.Tx) (bool, error)) error {
		return p.db.Write(ctx, func(tx core.Tx) error {
			hash := s.Hash()
			hash[0] ^= 1
			e := core.EntryRecord{
				Space: p.space.Key, Writer: p.w, Seq: uint64(n), Hash: hash,
				Entry: core.Entry{Header: data[:200:200], Sig: data[:64:64], Ops: data[:120:120]},
			}
			if err := tx.InsertEntry(&e); err != nil {
				return err
			}
			if err := tx.PutBlob(core.BlobRecord{Space: p.space.Key, Hash: s.Hash(), Size: int64(size), MIME: "text/plain"}); err != nil {
				return err
			}
			_, err := record(tx)
			return err
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return s.Hash()
}
