//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// hold has the space hold a blob that is wanted, and whose bytes are not here.
func (s *poolSite) hold(b []byte) core.Hash {
	s.t.Helper()
	hash := hashOf(b)
	s.write(func(tx core.Tx) error {
		return errors.Join(tx.PutBlob(core.BlobRecord{Space: s.space, Hash: hash, Size: int64(len(b))}), tx.WantBlob("space", hash))
	})
	return hash
}

func came(db core.Store, c core.ComingBlob) error {
	ctx := context.Background()
	return c.Commit(ctx, func(record func(core.Tx) (bool, error)) error {
		return db.Write(ctx, func(tx core.Tx) error {
			_, err := record(tx)
			return err
		})
	})
}

// bring brings what is missing of a blob, and closes it halfway once.
func (s *poolSite) bring(b []byte) error {
	hash := hashOf(b)
	for _, end := range []int{len(b) / 2, len(b)} {
		c, err := s.pool.Resume(context.Background(), hash, int64(len(b)))
		if err != nil {
			return err
		}
		for at := int(c.Offset()); at < end; at = int(c.Offset()) {
			if _, err := c.Write(b[at:min(end, at+300_000)]); err != nil {
				return errors.Join(err, c.Close())
			}
		}
		if end < len(b) {
			err = c.Close()
		} else {
			err = came(s.db, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *poolSite) part(hash core.Hash) string {
	return filepath.Join(s.dir, "blobs", "part", string(core.CIDFromHash(hash)))
}

// TestComingFaults lets each operation on files fail in turn: once, and as if the process
// had been killed at it. Then the blob comes all the same, and nothing is left.
func TestComingFaults(t *testing.T) {
	const size = 2 << 20
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			var ops []string
			for k := 0; ; k++ {
				s := newPoolSite(t, t.TempDir())
				b := randomBytes(1, size)
				hash := s.hold(b)
				n, failed := 0, ""
				s.pool.SetFault(func(op string) error {
					if n++; n == k+1 || kill && failed != "" {
						failed = cmpOr(failed, op)
						return syscall.ENOSPC
					}
					return nil
				})
				err := s.bring(b)
				s.pool.SetFault(nil)
				if failed == "" {
					s.must(err)
					break
				}
				ops = append(ops, failed)
				if !errors.Is(err, core.ErrDiskFull) {
					t.Errorf("%s fails: bring = %v, want ErrDiskFull", failed, err)
				}
				s.wantErr(hash, core.ErrNotHere)
				s.wantUsage(0, 0)
				if kill {
					s.reopen()
				}
				if err := s.bring(b); err != nil {
					t.Errorf("after a failing %s: bring = %v", failed, err)
				}
				s.wantBytes(hash, b)
				s.collect()
				if got, want := s.files(), []string{filepath.Join(filepath.Base(filepath.Dir(s.file(hash))), filepath.Base(s.file(hash)))}; !slices.Equal(got, want) {
					t.Errorf("after a failing %s: files %q, want %q", failed, got, want)
				}
				s.wantSound()
			}
			for _, op := range []string{"mkdir", "syncdir", "create", "write", "sync", "rename"} {
				if !slices.Contains(ops, op) {
					t.Errorf("%s never failed, only %q", op, ops)
				}
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// bringer brings a blob in small pieces, as often as it can before it is killed.
func bringer(dir string) int {
	failed := func(err error) int {
		fmt.Println("error", err)
		return 1
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		return failed(err)
	}
	pool, err := db.OpenPool(time.Now)
	if err != nil {
		return failed(err)
	}
	fmt.Println("open")
	b := randomBytes(1, killedBytes)
	c, err := pool.Resume(context.Background(), hashOf(b), killedBytes)
	if err != nil {
		return failed(err)
	}
	for at := c.Offset(); at < killedBytes; at = c.Offset() {
		if _, err := c.Write(b[at:min(killedBytes, at+50_000)]); err != nil {
			return failed(err)
		}
		time.Sleep(time.Millisecond / 2)
	}
	if err := came(db, c); err != nil {
		return failed(err)
	}
	fmt.Println("whole")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

const killedBytes = 4 << 20

// TestComingKill kills a process that brings a blob, until it is whole, several times. Each
// process goes on about where the last one was.
func TestComingKill(t *testing.T) {
	r := rand.New(rand.NewPCG(20261126, 0))
	kept := 0
	for range 5 {
		dir := t.TempDir()
		s := newPoolSite(t, dir)
		b := randomBytes(1, killedBytes)
		hash := s.hold(b)
		mustClose(t, s.db)
		whole := false
		for tries := 1; !whole; tries++ {
			p := launch(t, "bringer", dir)
			time.Sleep(time.Duration(r.IntN(20_000*tries)) * time.Microsecond) // it comes to its end
			for _, line := range p.kill(t) {
				if line != "open" && line != "whole" {
					t.Fatalf("bringer: %s", line)
				}
				whole = whole || line == "whole"
			}
			s.open()
			if got, err := s.read(hash); err == nil && !bytes.Equal(got, b) || err != nil && (whole || !errors.Is(err, core.ErrNotHere)) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			} else if whole = whole || err == nil; !whole {
				came, err := s.pool.Coming()
				s.must(err)
				if came > 0 {
					kept++
				}
			}
			s.wantSound()
			mustClose(t, s.db)
		}
		s.open()
		s.wantBytes(hash, b)
		if came, err := s.pool.Coming(); came != 0 || err != nil {
			t.Errorf("Coming() = %d, %v, want 0", came, err)
		}
	}
	if kept < 5 {
		t.Errorf("%d kills left a part: the test tests nothing", kept)
	}
}

// TestComingDamaged damages what has come in every way: it is begun anew, at the latest
// when it is whole.
func TestComingDamaged(t *testing.T) {
	const size = 400_000
	b := randomBytes(1, size)
	for name, damage := range map[string]func(s *poolSite, path string){
		"a bit": func(s *poolSite, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			s.must(err)
			_, err = f.WriteAt([]byte{b[1000] ^ 1}, 1000)
			s.must(errors.Join(err, f.Close()))
		},
		"cut":    func(s *poolSite, path string) { s.must(os.Truncate(path, 1000)) },
		"longer": func(s *poolSite, path string) { s.must(os.Truncate(path, size+1)) },
		"zeros":  func(s *poolSite, path string) { s.must(errors.Join(os.Truncate(path, 0), os.Truncate(path, size/2))) },
		"gone":   func(s *poolSite, path string) { s.must(os.Remove(path)) },
		"folder": func(s *poolSite, path string) {
			s.must(errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)))
		},
		"link": func(s *poolSite, path string) {
			other := filepath.Join(s.t.TempDir(), "other")
			s.must(os.WriteFile(other, []byte("other"), 0o600))
			s.must(errors.Join(os.Remove(path), os.Symlink(other, path)))
			s.t.Cleanup(func() {
				if got, err := os.ReadFile(other); string(got) != "other" || err != nil {
					s.t.Errorf("the link's target is %d bytes, %v", len(got), err)
				}
			})
		},
		"part is no folder": func(s *poolSite, path string) {
			s.must(errors.Join(os.RemoveAll(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPoolSite(t, t.TempDir())
			hash := s.hold(b)
			c, err := s.pool.Resume(context.Background(), hash, size)
			s.must(err)
			_, err = c.Write(b[:size/2])
			s.must(errors.Join(err, c.Close()))
			s.reopen()
			damage(s, s.part(hash))
			err = s.bring(b)
			if name == "part is no folder" {
				if err == nil {
					t.Error("bring = nil")
				}
				s.must(os.Remove(filepath.Dir(s.part(hash))))
				s.reopen()
			} else if wrong := name == "a bit" || name == "zeros"; errors.Is(err, core.ErrCIDMismatch) != wrong || err != nil && !wrong {
				t.Errorf("bring = %v, want ErrCIDMismatch: %v", err, wrong)
			}
			if err != nil {
				s.wantErr(hash, core.ErrNotHere)
				s.must(s.bring(b))
			}
			s.wantBytes(hash, b)
			s.wantSound()
		})
	}
}

// TestComingRoom has a disk of which a reserve stays free, whatever comes.
func TestComingRoom(t *testing.T) {
	const mb = 1 << 20
	s := newPoolSite(t, t.TempDir())
	free := int64(100 * mb)
	s.pool.SetDiskFree(func() (int64, int64, error) { return free, 320 * mb, nil }) // 20 are the reserve
	resume := func(n byte, size int64) (core.ComingBlob, error) {
		return s.pool.Resume(context.Background(), core.Hash{n}, size)
	}
	if _, err := resume(1, 80*mb+1); !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("Resume of too much = %v, want ErrDiskFull", err)
	}
	a, err := resume(1, 50*mb)
	s.must(err)
	if _, err := resume(2, 31*mb); !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("Resume beside another = %v, want ErrDiskFull", err)
	}
	b, err := resume(2, 30*mb)
	s.must(err)
	_, err = a.Write(make([]byte, mb))
	s.must(err)
	free = 25 * mb // somebody else has filled it
	if _, err = a.Write(make([]byte, 5*mb)); !errors.Is(err, core.ErrDiskFull) || a.Offset() != mb {
		t.Errorf("Write = %v at %d, want ErrDiskFull", err, a.Offset())
	}
	s.must(b.Drop())
	free = 70 * mb
	_, err = a.Write(make([]byte, 5*mb)) // there is room again
	s.must(err)
	s.must(a.Drop())
	free = 20*mb + 100
	if _, err = resume(3, 101); !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("Resume of little = %v, want ErrDiskFull", err)
	}
	s.pool.SetDiskFree(func() (int64, int64, error) { return 2000 * mb, 1 << 50, nil }) // 64 are the reserve
	if _, err = resume(4, 1936*mb+1); !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("Resume = %v, want ErrDiskFull", err)
	}
	c, err := resume(4, 1936*mb)
	s.must(err)
	s.must(c.Drop())
	s.pool.SetDiskFree(func() (int64, int64, error) { return 0, 0, errors.ErrUnsupported })
	c, err = resume(4, 1936*mb) // nobody knows
	s.must(err)
	s.must(c.Drop())
	s.must(s.pool.Forget(core.Hash{1}))
}

// TestComingOnSmallDisk lets a blob come that does not fit: it keeps nobody from writing.
func TestComingOnSmallDisk(t *testing.T) {
	dir := smallDisk(t, "16m")
	s := newPoolSite(t, dir)
	b := randomBytes(1, 31<<19)
	hash := s.hold(b)
	if err := s.bring(b); !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("bring = %v, want ErrDiskFull", err)
	}
	// One whose size is a lie fills what it may.
	c, err := s.pool.Resume(context.Background(), core.Hash{1}, 9<<20)
	s.must(err)
	ballast := filepath.Join(dir, "ballast")
	s.must(os.WriteFile(ballast, make([]byte, 8<<20), 0o600))
	for err == nil {
		_, err = c.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, core.ErrDiskFull) {
		t.Errorf("Write = %v, want ErrDiskFull", err)
	}
	small := randomBytes(2, 30_000)
	s.put(small)
	for range 20 {
		s.write(func(tx core.Tx) error { return tx.SetMeta("key", randomBytes(3, 10_000)) })
	}
	s.must(c.Drop())
	s.must(os.Remove(ballast))
	s.wantErr(hash, core.ErrNotHere)
	s.wantBytes(hashOf(small), small)
}
