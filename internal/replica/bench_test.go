package replica_test

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/replica"
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
