package replica_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/store"
)

// keystroke is the update that yjs emits for the nth letter that a client types.
func keystroke(client, n uint64) []byte {
	b := binary.AppendUvarint([]byte{1, 1}, client)
	b = binary.AppendUvarint(b, n)
	if n == 0 {
		b = append(b, 4, 1, 4, 't', 'e', 'x', 't')
	} else {
		b = append(b, 0x84)
		b = binary.AppendUvarint(b, client)
		b = binary.AppendUvarint(b, n-1)
	}
	return append(b, 1, 'a'+byte(n%26), 0)
}

// BenchmarkTyping types at 8 keys a second for ten minutes, in simulated time, and
// reports what that leaves on disk, with sealing as it is by default (a document at
// most once per 5 s) and with an entry for every keystroke.
func BenchmarkTyping(b *testing.B) {
	const keys, perSecond = 4800, 8
	for name, every := range map[string]int{"sealed=5s": 5 * perSecond, "sealed=each-key": 1} {
		b.Run(name, func(b *testing.B) {
			var database, log int64
			for b.Loop() {
				database, log = typeKeys(b, keys, every, time.Second/perSecond)
			}
			b.ReportMetric(float64(database)/keys, "db-B/key")
			b.ReportMetric(float64(log)/keys, "export-B/key")
		})
	}
}

// typeKeys returns the growth of the database and the size of the exported log.
func typeKeys(b *testing.B, keys, every int, pause time.Duration) (database, log int64) {
	b.Helper()
	dir := b.TempDir()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	id, err := identity.LoadOrCreate(dir)
	if err != nil {
		b.Fatal(err)
	}
	clock, hub := newClock(), events.NewHub()
	r, err := replica.Open(b.Context(), replica.Config{
		Store: st, Identity: id, Dir: dir, Database: st.Path(), Hub: hub,
		Logger: slog.New(slog.DiscardHandler), Now: clock.now, Timing: replica.Timing{Every: time.Hour},
	})
	if err != nil {
		b.Fatal(err)
	}
	space, err := r.CreateSpace(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	empty := fileSize(b, st.Path())
	for n := range keys {
		if _, err := r.Upsert(b.Context(), space.ID, "page", keystroke(1<<31, uint64(n)), replica.WriteOptions{Source: events.SourceRenderer}); err != nil {
			b.Fatal(err)
		}
		if clock.advance(pause); n%every == every-1 {
			if err := r.Seal(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	archive, err := os.Create(filepath.Join(dir, "archive"))
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Export(b.Context(), space.ID, archive); err != nil {
		b.Fatal(err)
	}
	for _, closer := range []func() error{archive.Close, r.Close, st.Close} {
		if err := closer(); err != nil {
			b.Fatal(err)
		}
	}
	hub.Close()
	return fileSize(b, st.Path()) - empty, fileSize(b, archive.Name())
}

func fileSize(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// BenchmarkLiveMemory reports what documents of 100,000 units take in memory after they
// were edited, and what that is estimated to be: texts typed in pieces by two clients in
// turn, and a list of numbers.
func BenchmarkLiveMemory(b *testing.B) {
	const size, docs = 100_000, 20
	states := map[string][]byte{"numbers": numbers(b, size)}
	for _, piece := range []int{1000, 100, 10, 2} {
		states[fmt.Sprintf("pieces=%d", piece)] = typedInTurn(b, size, piece)
	}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		b.Run(name, func(b *testing.B) {
			a := openSite(b, siteOptions{noVerify: true})
			space := a.create("space")
			for doc := range docs {
				a.upsert(space, fmt.Sprint(doc), states[name])
			}
			nothing := func(*yjs.Transaction) error { return nil }
			for b.Loop() {
				a.BoundLive(0, 0)
				a.edit(space, "none", nothing)
				a.BoundLive(1<<40, 1<<20)
				before := heap()
				for doc := range docs {
					a.edit(space, fmt.Sprint(doc), nothing)
				}
				_, _, estimated := a.LiveDocs()
				b.ReportMetric(float64(heap()-before)/docs, "heap-B/doc")
				b.ReportMetric(float64(estimated)/docs, "estimated-B/doc")
			}
		})
	}
}

// typedInTurn is the state after two clients typed pieces, each behind the other's last.
func typedInTurn(b *testing.B, size, piece int) []byte {
	b.Helper()
	var updates [][]byte
	for n := range size / piece {
		u := binary.AppendUvarint([]byte{1, 1}, uint64(1000+n%2))
		u = binary.AppendUvarint(u, uint64(n/2*piece))
		if n == 0 {
			u = append(u, 4, 1, 4, 't', 'e', 'x', 't')
		} else {
			u = binary.AppendUvarint(append(u, 0x84), uint64(1000+(n+1)%2))
			u = binary.AppendUvarint(u, uint64((n-1)/2*piece+piece-1))
		}
		u = binary.AppendUvarint(u, uint64(piece))
		updates = append(updates, append(append(u, bytes.Repeat([]byte("x"), piece)...), 0))
	}
	state, err := yjs.Compact(updates...)
	if err != nil {
		b.Fatal(err)
	}
	return state
}

func numbers(b *testing.B, n int) (update []byte) {
	b.Helper()
	d := yjs.NewDoc(yjs.Options{})
	defer d.OnUpdate(func(e yjs.Emission) { update = e.Update })()
	err := d.Transact(func(tx *yjs.Transaction) error {
		list, err := d.As("list", yjs.KindArray)
		values := make([]any, n)
		for i := range values {
			values[i] = i
		}
		return errors.Join(err, list.Insert(tx, 0, values...))
	})
	if err != nil {
		b.Fatal(err)
	}
	return update
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
