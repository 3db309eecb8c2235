package benchsync

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/soma-sdk/soma"
)

// BenchmarkBlob brings a blob of 1 GB from one device to another, beside a bare stream over
// the same connection: into nothing, and into a file that is then synced. A blob is checked
// and durable when it is there.
func BenchmarkBlob(b *testing.B) {
	size := int64(scaled(1<<10)) << 20
	a, c, space := pair(b, 4)
	bare := newBareStream(b, a, c)
	times := map[string][]time.Duration{}
	var ratios []float64
	var most int64
	for i := range b.N {
		path := filepath.Join(b.TempDir(), "large")
		writeRandom(b, path, size)
		info := putFile(b, a.db, space, path)
		took := map[string]time.Duration{}
		sides := []struct {
			name string
			run  func()
		}{
			{"stream", func() { bare.copy(b, path, "") }},
			{"stream-to-file", func() { bare.copy(b, path, filepath.Join(b.TempDir(), "copy")) }},
			{"blob", func() { most = max(most, extraMemory(func() { c.fetch(b, space, info) })) }},
		}
		for j := range sides { // who is first or last pays for others
			s := sides[(i+j)%len(sides)]
			start := time.Now()
			s.run()
			took[s.name] = time.Since(start)
			times[s.name] = append(times[s.name], took[s.name])
		}
		ratios = append(ratios, took["stream"].Seconds()/took["blob"].Seconds())
		must(b, os.Remove(path))
	}
	for name, t := range times {
		b.ReportMetric(float64(size)/1e6/percentile(t, 0.5).Seconds(), name+"-MB/s")
	}
	b.ReportMetric(median(ratios), "of-stream")
	b.ReportMetric(float64(most)/1e6, "memory-MB")
}

func writeRandom(b *testing.B, path string, size int64) {
	b.Helper()
	f, err := os.Create(path)
	must(b, err)
	defer f.Close()
	_, err = io.Copy(f, io.LimitReader(rand.Reader, size))
	must(b, err)
	must(b, f.Sync())
}

func putFile(b *testing.B, db *soma.DB, space soma.SpaceID, path string) soma.BlobInfo {
	b.Helper()
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	info, err := db.Blobs().Put(b.Context(), space, f, soma.PutOptions{})
	must(b, err)
	return info
}

// fetch brings the bytes of a blob of which it may not have heard yet.
func (a device) fetch(b *testing.B, space soma.SpaceID, info soma.BlobInfo) {
	b.Helper()
	a.await(b, "blob", func() bool {
		_, err := a.db.Blobs().Stat(b.Context(), space, info.CID)
		return !notFound(err)
	})
	hash, err := info.CID.Hash()
	must(b, err)
	must(b, a.node.Fetch(b.Context(), space, hash, nil))
}

// bareStream copies files from one host to another.
type bareStream struct {
	from, to device
	done     chan error
	target   chan string
}

const bareProtocol = "/bench/copy"

func newBareStream(b *testing.B, from, to device) *bareStream {
	b.Helper()
	s := &bareStream{from, to, make(chan error), make(chan string, 1)}
	to.host.SetStreamHandler(bareProtocol, func(st network.Stream) { s.done <- receive(st, <-s.target) })
	return s
}

// copy sends a file, into nothing if target is empty.
func (s *bareStream) copy(b *testing.B, path, target string) {
	b.Helper()
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	s.target <- target
	st, err := s.from.host.NewStream(b.Context(), s.to.host.ID(), bareProtocol)
	must(b, err)
	_, err = io.CopyBuffer(struct{ io.Writer }{st}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	must(b, err)
	must(b, st.CloseWrite())
	must(b, <-s.done)
}

func receive(st network.Stream, target string) (err error) {
	defer st.Close()
	w := io.Discard
	if target != "" {
		f, err := os.Create(target)
		if err != nil {
			return err
		}
		defer os.Remove(target)
		defer f.Close()
		w = f
		defer func() {
			if err == nil {
				err = f.Sync()
			}
		}()
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{st}, make([]byte, 1<<20))
	return err
}

// extraMemory returns by how much what the process holds of the system's memory grew while
// fn ran, at most.
func extraMemory(fn func()) int64 {
	runtime.GC()
	before := held()
	ctx, cancel := context.WithCancel(context.Background())
	most := before
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			most = max(most, held())
			time.Sleep(5 * time.Millisecond)
		}
	})
	fn()
	cancel()
	wg.Wait()
	return most - before
}

// held is what Go's runtime holds and uses.
func held() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64() - s[2].Value.Uint64())
}
