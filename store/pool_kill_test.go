//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// putter puts blobs of mixed sizes from several goroutines, and prints the hash of each
// once it is acknowledged. Now and then it removes some, and collects them.
func putter(dir string) int {
	failed := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		failed(err)
	}
	pool, err := db.OpenPool(time.Now)
	if err != nil {
		failed(err)
	}
	rec := core.SpaceRecord{ID: "space"}
	err = db.Write(context.Background(), func(tx core.Tx) (err error) {
		if found, err := tx.Space(rec.ID); err == nil {
			rec = found
			return nil
		}
		return tx.PutSpace(&rec)
	})
	if err != nil {
		failed(err)
	}
	fmt.Println("open")
	sizes := []int{0, 4 << 10, 4 << 10, 100 << 10, 100 << 10, 100 << 10, 1<<20 + 1, 5 << 20}
	var out sync.Mutex
	for g := range 3 {
		go func() {
			r := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(g)))
			for {
				b := randomBytes(r.Uint64(), sizes[r.IntN(len(sizes))])
				hash, _, err := putBlob(db, pool, rec.Key, bytes.NewReader(b))
				if err != nil {
					failed(err)
				}
				if len(b) > 0 && r.IntN(4) == 0 { // nobody else puts it, and it is not acknowledged
					if err := db.Write(context.Background(), func(tx core.Tx) error { return tx.DeleteBlob(rec.Key, hash, 1) }); err != nil {
						failed(err)
					}
					if _, err := pool.Collect(context.Background(), 1); err != nil {
						failed(err)
					}
					continue
				}
				out.Lock()
				fmt.Println(len(b), hex.EncodeToString(hash[:]))
				out.Unlock()
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestPoolKill kills a process that puts blobs at seeded moments. What was acknowledged is
// there and whole, what is there is whole, and nothing else is left.
func TestPoolKill(t *testing.T) {
	const seed, kills = 20260714, 100
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := map[core.Hash]bool{}
	unseen := 0 // kills that left something to sweep, or to collect
	for range kills {
		fresh := killPutter(t, r, dir)
		temps, _ := filepath.Glob(filepath.Join(dir, "blobs", "tmp", "*"))
		s := &poolSite{t: t, dir: dir}
		s.ms.Store(time.Now().UnixMilli())
		s.open()
		for hash := range fresh {
			acked[hash] = true
		}
		s.wantOnlyWhole(acked)
		s.ms.Add(1e9)
		found := s.collect().Blobs
		s.ms.Add(store.LeftoverGrace.Milliseconds())
		if found+s.collect().Blobs > 0 || len(temps) > 0 {
			unseen++
		}
		s.wantOnlyWhole(acked)
		s.wantNoLeftovers()
		s.keepFew(acked)
		mustClose(t, s.db)
	}
	t.Logf("%d kills left something behind", unseen)
	if unseen < kills/10 {
		t.Error("hardly a kill met a Put: the test tests nothing")
	}
}

// killPutter returns what was acknowledged.
func killPutter(t *testing.T, r *rand.Rand, dir string) map[core.Hash]bool {
	t.Helper()
	p := launch(t, "putter", dir)
	var lines []string
	for range r.IntN(12) {
		if !p.out.Scan() {
			break
		}
		lines = append(lines, p.out.Text())
	}
	time.Sleep(time.Duration(r.IntN(30_000)) * time.Microsecond)
	lines = append(lines, p.kill(t)...)
	acked := map[core.Hash]bool{}
	for _, line := range lines {
		if strings.HasPrefix(line, "error") {
			t.Fatalf("putter: %s", line)
		}
		var size int
		var text string
		if n, _ := fmt.Sscan(line, &size, &text); n == 2 && len(text) == 64 {
			var hash core.Hash
			if _, err := hex.Decode(hash[:], []byte(text)); err != nil {
				t.Fatal(err)
			}
			acked[hash] = true
		}
	}
	return acked
}

func (s *poolSite) blobs() (all []core.BlobRecord) {
	s.t.Helper()
	s.must(s.db.Read(context.Background(), func(v core.View) error {
		rec, err := v.Space("space")
		if errors.Is(err, core.ErrNotFound) { // it was killed before
			return nil
		}
		if err != nil {
			return err
		}
		s.space = rec.Key
		all, err = v.Blobs(rec.Key, core.Hash{}, 1<<20)
		return err
	}))
	return all
}

// wantOnlyWhole hashes all blobs.
func (s *poolSite) wantOnlyWhole(acked map[core.Hash]bool) {
	s.t.Helper()
	found := map[core.Hash]bool{}
	for _, rec := range s.blobs() {
		b, err := s.read(rec.Hash)
		if err != nil || hashOf(b) != rec.Hash || !rec.Here || int64(len(b)) != rec.Size {
			s.t.Errorf("%s, here %v: %d bytes, %v, want %d", rec.Hash, rec.Here, len(b), err, rec.Size)
		}
		found[rec.Hash] = true
	}
	for hash := range acked {
		if !found[hash] {
			s.t.Errorf("acknowledged blob %s is lost", hash)
		}
	}
	if _, damaged := s.scrub(); len(damaged) != 0 {
		s.t.Errorf("Scrub found %+v", damaged)
	}
	s.wantSound()
}

// wantNoLeftovers fails for a file that no row is for.
func (s *poolSite) wantNoLeftovers() {
	s.t.Helper()
	wanted := map[string]bool{}
	for _, rec := range s.blobs() {
		wanted[s.file(rec.Hash)] = true
	}
	for _, file := range s.files() {
		if !wanted[filepath.Join(s.dir, "blobs", file)] {
			s.t.Errorf("file %s is left", file)
		}
	}
}

// keepFew removes large blobs, so that the disk does not fill.
func (s *poolSite) keepFew(acked map[core.Hash]bool) {
	s.t.Helper()
	for _, rec := range s.blobs() {
		if rec.Size > 200<<10 || len(acked) > 100 {
			s.remove(rec.Hash)
			delete(acked, rec.Hash)
		}
	}
	s.ms.Add(1)
	s.collect()
}
