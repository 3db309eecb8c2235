package soma_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

const (
	benchLarge = 1 << 30
	benchSmall = 4 << 10
	benchFiles = 10_000
)

// BenchmarkBlobsLarge puts one file, beside what else can be done with it. bench/blobs runs
// it, and the following.
func BenchmarkBlobsLarge(b *testing.B) {
	large := filepath.Join(b.TempDir(), "large")
	writeRandom(b, large, benchLarge)
	takeTurns(b, []side{
		{"put", func() { putFiles(b, []string{large}, 1) }},
		{"write", func() { writeFile(b, large) }},
		{"cp", func() { copyFiles(b, large) }},
		{"sha256", func() { hashFiles(b, []string{large}) }},
	})
}

// BenchmarkBlobsSmall is BenchmarkBlobsLarge for many small files.
func BenchmarkBlobsSmall(b *testing.B) {
	dir, files := smallFiles(b, benchFiles)
	takeTurns(b, []side{
		{"put16", func() { putFiles(b, files, 16) }},
		{"put", func() { putFiles(b, files, 1) }},
		{"cp", func() { copyFiles(b, dir) }},
		{"sha256", func() { hashFiles(b, files) }},
	})
}

func smallFiles(b *testing.B, n int) (dir string, files []string) {
	dir, files = b.TempDir(), make([]string, n)
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprintf("%05d", i))
		writeRandom(b, files[i], benchSmall)
	}
	return dir, files
}

// side is something that others are compared with.
type side struct {
	name string
	run  func()
}

// takeTurns runs all sides b.N times, another one first each time, since who runs first or
// last pays for others. It reports the median of each, and that of how many times longer
// the first side of the list takes than each other, in the same round.
func takeTurns(b *testing.B, sides []side) {
	times, ratios := map[string][]float64{}, map[string][]float64{}
	for round := range b.N {
		took := map[string]float64{}
		for i := range sides {
			s := sides[(round+i)%len(sides)]
			settle(b)
			start := time.Now()
			s.run()
			took[s.name] = time.Since(start).Seconds()
		}
		for _, s := range sides {
			times[s.name] = append(times[s.name], took[s.name]*1000)
			ratios[s.name] = append(ratios[s.name], took[sides[0].name]/took[s.name])
		}
	}
	for i, s := range sides {
		b.ReportMetric(median(times[s.name]), s.name+"-ms")
		if i > 0 {
			b.ReportMetric(median(ratios[s.name]), sides[0].name+"/"+s.name)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// settle waits until the disk has done what it was asked for before, such as removing what
// others wrote.
func settle(b *testing.B) {
	if out, err := exec.Command("sync", "-f", b.TempDir()).CombinedOutput(); err != nil {
		b.Skipf("sync -f: %s", out)
	}
}

func writeRandom(b *testing.B, path string, size int64) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	var seed [32]byte
	copy(seed[:], filepath.Base(path))
	_, err = io.Copy(f, io.LimitReader(rand.NewChaCha8(seed), size))
	if cerr := f.Close(); err != nil || cerr != nil {
		b.Fatal(err, cerr)
	}
}

// putFiles puts files into an empty directory.
func putFiles(b *testing.B, files []string, goroutines int) {
	ctx := context.Background()
	db := somatest.Open(b)
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "files"})
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var work sync.WaitGroup
	for range goroutines {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				if _, err := db.Blobs().PutFile(ctx, space.ID, files[i], soma.PutOptions{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	work.Wait()
}

// writeFile reads and writes a file as Put does, but for the hash.
func writeFile(b *testing.B, from string) {
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	dst, err := os.Create(filepath.Join(b.TempDir(), "copy"))
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
	if err := errors.Join(err, dst.Sync(), dst.Close(), src.Close()); err != nil {
		b.Fatal(err)
	}
}

// copyFiles copies a file or folder and waits until the copy is on the disk.
func copyFiles(b *testing.B, from string) {
	to := filepath.Join(b.TempDir(), "copy")
	if out, err := exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
		b.Fatalf("cp: %s", out)
	}
	if out, err := exec.Command("sync", "-f", to).CombinedOutput(); err != nil {
		b.Fatalf("sync: %s", out)
	}
}

func hashFiles(b *testing.B, files []string) {
	buf := make([]byte, 256<<10)
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(sha256.New(), struct{ io.Reader }{f}, buf); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}

// BenchmarkBlobsRead reads small blobs, and the files that they were.
func BenchmarkBlobsRead(b *testing.B) {
	ctx := context.Background()
	_, files := smallFiles(b, 1000)
	db := somatest.Open(b)
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "files"})
	if err != nil {
		b.Fatal(err)
	}
	cids := make([]soma.CID, len(files))
	for i, path := range files {
		info, err := db.Blobs().PutFile(ctx, space.ID, path, soma.PutOptions{})
		if err != nil {
			b.Fatal(err)
		}
		cids[i] = info.CID
	}
	takeTurns(b, []side{{"blob", func() {
		for _, cid := range cids {
			blob, err := db.Blobs().Open(ctx, space.ID, cid)
			if err != nil {
				b.Fatal(err)
			}
			if got, err := io.ReadAll(blob); err != nil || len(got) != benchSmall {
				b.Fatal(len(got), err)
			}
			_ = blob.Close()
		}
	}}, {"file", func() {
		for _, path := range files {
			if got, err := os.ReadFile(path); err != nil || len(got) != benchSmall {
				b.Fatal(len(got), err)
			}
		}
	}}})
}
