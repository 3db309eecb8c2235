//go:build cgo

package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// TestPoolFaults lets each operation on files fail in turn, until none is left.
func TestPoolFaults(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		for _, size := range []int{20_000, 2 << 20} {
			t.Run(fmt.Sprintf("%v/%d", fault, size), func(t *testing.T) {
				var ops []string
				for k := 0; ; k++ {
					s := newPoolSite(t, t.TempDir())
					n, failed := 0, ""
					s.pool.SetFault(func(op string) error {
						if n++; n == k+1 {
							failed = op
							return fault
						}
						return nil
					})
					b := randomBytes(1, size)
					_, _, err := s.tryPut(bytes.NewReader(b))
					s.pool.SetFault(nil)
					if failed == "" {
						s.must(err)
						break
					}
					ops = append(ops, failed)
					if full := !errors.Is(fault, syscall.EIO); !errors.Is(err, fault) || errors.Is(err, core.ErrDiskFull) != full {
						t.Errorf("%s fails with %v: put = %v", failed, fault, err)
					}
					if all := s.files(); len(all) != 0 {
						t.Errorf("%s fails: left are %q", failed, all)
					}
					s.wantErr(hashOf(b), core.ErrNotHere)
					s.wantUsage(0, 0)
					s.put(b)
					s.wantBytes(hashOf(b), b)
				}
				for _, op := range []string{"mkdir", "syncdir", "create", "write", "sync", "rename"} {
					if !slices.Contains(ops, op) {
						t.Errorf("%s never failed, only %q", op, ops)
					}
				}
			})
		}
	}
}

// TestPoolDiskFull fills a small disk with blobs of several sizes, frees some of it, and
// goes on.
func TestPoolDiskFull(t *testing.T) {
	for _, size := range []int{10_000, 300_000, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := smallDisk(t, "12m")
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			s := newPoolSite(t, dir)
			var kept []core.Hash
			r := rand.New(rand.NewPCG(uint64(size), 0))
			full := 0
			for n := uint64(0); full < 3; n++ {
				hash, _, err := s.tryPut(bytes.NewReader(randomBytes(n, size)))
				if err == nil {
					kept = append(kept, hash)
					if len(kept) > 5000 {
						t.Fatal("the disk is never full")
					}
					continue
				}
				if !errors.Is(err, core.ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("put %d = %v, want ErrDiskFull", n, err)
				}
				if strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), " /") {
					t.Errorf("put %d = %v, which has a path that is not below the store's", n, err)
				}
				full++
				s.wantErr(hashOf(randomBytes(n, size)), core.ErrNotHere)
			}
			s.wantKept(kept)
			s.must(os.Remove(ballast))
			for range len(kept)/2 + 1 {
				i := r.IntN(len(kept))
				s.remove(kept[i])
				kept = slices.Delete(kept, i, i+1)
			}
			s.ms.Add(1)
			s.collect()
			hash, _ := s.put(randomBytes(1e6, size))
			s.wantKept(append(kept, hash))
		})
	}
}

func (s *poolSite) wantKept(kept []core.Hash) {
	s.t.Helper()
	for _, hash := range kept {
		if b, err := s.read(hash); err != nil || hashOf(b) != hash {
			s.t.Errorf("kept blob: %d bytes, %v", len(b), err)
		}
	}
	if got := s.blobs(); len(got) != len(kept) {
		s.t.Errorf("%d blobs, want %d", len(got), len(kept))
	}
	if _, found := s.scrub(); len(found) != 0 {
		s.t.Errorf("Scrub = %+v", found)
	}
}
