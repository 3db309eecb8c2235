//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// fileDamages are what can happen to a file behind the back of the pool.
var fileDamages = map[string]func(t *testing.T, r *rand.Rand, path string, b []byte) error{
	"flipped bit": func(_ *testing.T, r *rand.Rand, path string, b []byte) error {
		b = bytes.Clone(b)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return os.WriteFile(path, b, 0o600)
	},
	"other bytes": func(_ *testing.T, _ *rand.Rand, path string, b []byte) error {
		return os.WriteFile(path, randomBytes(99, len(b)), 0o600)
	},
	"cut": func(_ *testing.T, r *rand.Rand, path string, b []byte) error {
		return os.Truncate(path, r.Int64N(int64(len(b))))
	},
	"empty": func(_ *testing.T, _ *rand.Rand, path string, _ []byte) error { return os.Truncate(path, 0) },
	"grown": func(_ *testing.T, _ *rand.Rand, path string, b []byte) error {
		return os.WriteFile(path, append(bytes.Clone(b), 0), 0o600)
	},
	"gone": func(_ *testing.T, _ *rand.Rand, path string, _ []byte) error { return os.Remove(path) },
	"folder": func(_ *testing.T, _ *rand.Rand, path string, _ []byte) error {
		return errors.Join(os.Remove(path), os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
	},
	"link": func(t *testing.T, _ *rand.Rand, path string, b []byte) error {
		outside := filepath.Join(t.TempDir(), "outside")
		return errors.Join(os.WriteFile(outside, b, 0o600), os.Remove(path), os.Symlink(outside, path))
	},
	"link to nothing": func(_ *testing.T, _ *rand.Rand, path string, _ []byte) error {
		return errors.Join(os.Remove(path), os.Symlink("nothing", path))
	},
}

// TestPoolDamagedFiles damages files in all ways: what is read of them is right or an
// error, they are set aside, and putting the bytes again heals them.
func TestPoolDamagedFiles(t *testing.T) {
	for name, damage := range fileDamages {
		for _, size := range []int{20_000, 1 << 20, 3<<20 + 5} {
			for _, finder := range []string{"open", "scrub"} {
				t.Run(fmt.Sprintf("%s/%d/%s", name, size, finder), func(t *testing.T) {
					t.Parallel()
					seed := uint64(size)
					r := rand.New(rand.NewPCG(seed, 3))
					s := newPoolSite(t, t.TempDir())
					b := randomBytes(seed, size)
					hash, _ := s.put(b)
					other, _ := s.put(randomBytes(1, 30_000))
					s.must(damage(t, r, s.file(hash), b))
					if finder == "open" {
						got, err := s.read(hash)
						if !errors.Is(err, core.ErrCorrupt) || !bytes.HasPrefix(b, got) {
							t.Errorf("read %d bytes, right %v, %v, want ErrCorrupt", len(got), bytes.HasPrefix(b, got), err)
						}
					} else {
						done, found := s.scrub()
						if len(found) != 1 || found[0].Hash != hash || found[0].Gone != (name == "gone") || !slices.Equal(found[0].Spaces, []core.SpaceID{"space"}) || done.Blobs != 2 {
							t.Errorf("Scrub = %+v, %+v", done, found)
						}
					}
					s.wantSetAside(hash, name)
					s.reopen()
					s.wantSetAside(hash, name)
					s.wantUsage(1, 30_000)

					if _, fresh := s.put(b); !fresh {
						t.Error("put of what was damaged is not fresh")
					}
					s.wantBytes(hash, b)
					s.wantBytes(other, randomBytes(1, 30_000))
					s.wantUsage(2, int64(size)+30_000)
					s.wantSound()
					if done, found := s.scrub(); len(found) != 0 || done.Bytes != int64(size)+30_000 {
						t.Errorf("Scrub of what was healed = %+v, %+v", done, found)
					}
					s.ms.Add(1e12) // files may have a time of this machine
					s.collect()
					if _, err := os.Lstat(s.damagedFile(hash)); err == nil {
						t.Error("the damaged file is left when nobody needs it")
					}
					s.wantBytes(hash, b)
				})
			}
		}
	}
}

func (s *poolSite) wantSetAside(hash core.Hash, name string) {
	s.t.Helper()
	if s.here(hash) {
		s.t.Error("damaged bytes are here")
	}
	s.wantErr(hash, core.ErrCorrupt)
	if _, err := os.Lstat(s.file(hash)); err == nil {
		s.t.Error("the damaged file is where it was")
	}
	if _, err := os.Lstat(s.damagedFile(hash)); (err == nil) != (name != "gone") {
		s.t.Errorf("the damaged file is set aside: %v", err)
	}
	if _, found := s.scrub(); len(found) != 1 || found[0].Hash != hash || found[0].Gone != (name == "gone") {
		s.t.Errorf("Scrub of what was set aside = %+v", found)
	}
	s.wantSound()
}

// TestPoolRestoredFile puts a damaged file right by hand.
func TestPoolRestoredFile(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(1, 100_000)
	hash, _ := s.put(b)
	s.must(os.Remove(s.file(hash)))
	s.wantErr(hash, core.ErrCorrupt)
	s.must(os.WriteFile(s.file(hash), b, 0o600))
	if _, found := s.scrub(); len(found) != 0 {
		t.Errorf("Scrub = %+v", found)
	}
	s.wantBytes(hash, b)
	s.wantUsage(1, 100_000)
}

// TestPoolEveryBlock flips a bit in each block of a file, and reads that block alone, and
// others, in every way.
func TestPoolEveryBlock(t *testing.T) {
	const block, size = 64 << 10, 20*64<<10 + 7
	b := randomBytes(1, size)
	for n := range size/block + 1 {
		s := newPoolSite(t, t.TempDir())
		hash, _ := s.put(b)
		bad := bytes.Clone(b)
		at := min(n*block+n*991%block, size-1)
		bad[at] ^= 4
		s.must(os.WriteFile(s.file(hash), bad, 0o600))
		c, err := s.pool.Open(context.Background(), hash)
		s.must(err)
		one := make([]byte, 1)
		for m := range size/block + 1 {
			if m == n {
				continue
			}
			if k, err := c.ReadAt(one, int64(m*block)); k != 1 || err != nil || one[0] != b[m*block] {
				t.Errorf("ReadAt in block %d, %d is damaged = %v", m, n, err)
			}
		}
		for off := range []int{at, n * block} {
			off = n*block + off%2*(min(block, size-n*block)-1)
			if k, err := c.ReadAt(one, int64(off)); k != 0 || !errors.Is(err, core.ErrCorrupt) {
				t.Errorf("ReadAt in damaged block %d = %d, %v", n, k, err)
			}
		}
		buf := randomBytes(2, size)
		k, err := c.ReadAt(buf, 0)
		if k > n*block || !errors.Is(err, core.ErrCorrupt) || !bytes.Equal(buf[:k], b[:k]) || bytes.Contains(buf, bad[at-at%16:min(at-at%16+16, size)]) && size-at > 16 {
			t.Errorf("ReadAt of all, block %d damaged = %d, %v", n, k, err)
		}
		if s.here(hash) {
			t.Errorf("block %d: here after it was found", n)
		}
		s.must(c.Close())
	}
}

// TestPoolFoundWhileWriting finds damage while a transaction runs.
func TestPoolFoundWhileWriting(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(1, 2<<20)
	hash, _ := s.put(b)
	c, err := s.pool.Open(context.Background(), hash)
	s.must(err)
	b[100] ^= 1
	s.must(os.WriteFile(s.file(hash), b, 0o600))
	begun, end := make(chan struct{}), make(chan struct{})
	written := make(chan error)
	go func() {
		written <- s.db.Write(context.Background(), func(core.Tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	read := make(chan error)
	go func() {
		_, err := io.ReadFull(c, make([]byte, 10))
		read <- err
	}()
	for s.db.QueueLen() == 0 { // the reader waits for its turn
	}
	close(end)
	if err := <-read; !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Read = %v, want ErrCorrupt", err)
	}
	s.must(<-written)
	s.must(c.Close())
	if s.here(hash) {
		t.Error("damaged bytes are here")
	}
}

// TestPoolDamagedRows changes what rows say, but for their checksum.
func TestPoolDamagedRows(t *testing.T) {
	for _, size := range []int{0, 500, 20_000, 2<<20 + 1} {
		for _, change := range []string{
			"size = size + 1", "size = 0", "size = 1 << 40", "state = 1", "state = 7", "stored_at_ms = stored_at_ms + 8", "unused_at_ms = 1", "checked_at_ms = 0",
			"sum = sum + 1", "sum = sum - (1 << 40)", "blocks = x'01020304'", "blocks = zeroblob(length(blocks) + 4)",
		} {
			if size == 0 && change == "size = 0" {
				continue
			}
			for _, finder := range []string{"open", "scrub", "put"} {
				t.Run(fmt.Sprintf("%d/%s/%s", size, change, finder), func(t *testing.T) {
					t.Parallel()
					s := newPoolSite(t, t.TempDir())
					b := randomBytes(1, size)
					hash, _ := s.put(b)
					s.ms.Add(10)
					was := s.row()
					s.exec("UPDATE blob_file SET " + change)
					if s.row() == was {
						t.Fatal("that changes nothing")
					}
					s.wantDamage("blob_file")
					if done, err := s.pool.Collect(context.Background(), s.ms.Load()); err != nil || done.Blobs != 0 {
						t.Errorf("Collect = %+v, %v, want it kept", done, err)
					}
					switch finder {
					case "scrub":
						if _, found := s.scrub(); len(found) != 0 {
							t.Errorf("Scrub = %+v", found)
						}
					case "put":
						s.put(b)
					}
					s.wantBytes(hash, b)
					s.wantSound()
					s.wantUsage(1, int64(size))
				})
			}
		}
	}
}

// row returns all of the only row.
func (s *poolSite) row() (row string) {
	s.t.Helper()
	s.write(func(core.Tx) error {
		v, err := s.db.Query("SELECT format('%d %d %d %d %d %d ', size, state, stored_at_ms, unused_at_ms, checked_at_ms, sum) || hex(blocks) FROM blob_file")
		row = fmt.Sprint(v)
		return err
	})
	return row
}

func (s *poolSite) wantDamage(table string) {
	s.t.Helper()
	var tables []string
	s.must(s.db.Read(context.Background(), func(v core.View) error {
		return v.Check(func(d core.Damage) error {
			tables = append(tables, d.Table)
			return nil
		})
	}))
	if !slices.Equal(tables, []string{table}) {
		s.t.Errorf("Check found damage of %q, want %q", tables, table)
	}
}

// TestPoolDamagedInline flips bits of bytes that are in rows.
func TestPoolDamagedInline(t *testing.T) {
	for name, change := range map[string]string{
		"other bytes": "bytes = zeroblob(500)", "cut": "bytes = substr(bytes, 1, 499)", "none": "bytes = x''", "null": "bytes = NULL",
	} {
		for _, finder := range []string{"open", "scrub", "put"} {
			t.Run(name+"/"+finder, func(t *testing.T) {
				t.Parallel()
				s := newPoolSite(t, t.TempDir())
				b := randomBytes(1, 500)
				hash, _ := s.put(b)
				s.exec("UPDATE blob_file SET " + change)
				s.wantDamage("blob_file")
				switch finder {
				case "open":
					s.wantErr(hash, core.ErrCorrupt)
				case "scrub":
					if _, found := s.scrub(); len(found) != 1 || found[0].Hash != hash {
						t.Errorf("Scrub = %+v", found)
					}
				}
				if finder != "put" {
					if s.here(hash) {
						t.Error("damaged bytes are here")
					}
					s.wantErr(hash, core.ErrCorrupt)
					s.wantUsage(0, 0)
					s.wantSound()
				}
				s.put(b)
				s.wantBytes(hash, b)
				s.wantUsage(1, 500)
				s.wantSound()
			})
		}
	}
}

// TestPoolWrongHashes gives rows the hash of other bytes: they are found under their own.
func TestPoolWrongHashes(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	small, large := randomBytes(1, 500), randomBytes(2, 100_000)
	a, _ := s.put(small)
	b, _ := s.put(large)
	s.exec("UPDATE blob_file SET hash = CAST(zeroblob(31) || CASE size WHEN 500 THEN x'01' ELSE x'02' END AS BLOB)")
	for _, hash := range []core.Hash{a, b} {
		s.wantErr(hash, core.ErrNotHere)
	}
	if _, found := s.scrub(); len(found) != 2 {
		t.Errorf("Scrub = %+v, want the two rows", found)
	}
	s.wantBytes(a, small)
	s.wantBytes(b, large)
	s.wantUsage(2, 100_500)
	s.wantSound()
}

// TestPoolPlanted puts files under the names of others.
func TestPoolPlanted(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	wanted := hashOf([]byte("wanted"))
	s.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: s.space, Hash: wanted}) })
	s.put(randomBytes(1, 100_000))
	s.must(os.MkdirAll(filepath.Dir(s.file(wanted)), 0o700))
	s.must(os.WriteFile(s.file(wanted), []byte("planted"), 0o600))
	s.wantErr(wanted, core.ErrNotHere)
	if _, found := s.scrub(); len(found) != 1 || found[0].Hash != wanted {
		t.Errorf("Scrub = %+v", found)
	}
	if s.here(wanted) {
		t.Error("planted bytes are here")
	}
	s.wantErr(wanted, core.ErrNotHere)
	s.put([]byte("wanted"))
	s.wantBytes(wanted, []byte("wanted"))
}

// TestPoolLinkedFolder has a folder of the pool lead out of it.
func TestPoolLinkedFolder(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(1, 100_000)
	hash, _ := s.put(b)
	shard, outside := filepath.Dir(s.file(hash)), filepath.Join(t.TempDir(), "outside")
	s.must(os.Rename(shard, outside))
	s.must(os.Symlink(outside, shard))
	if got, err := s.read(hash); err == nil {
		t.Errorf("read %d bytes through a link that leads out", len(got))
	}
	if _, _, err := s.tryPut(bytes.NewReader(b)); err == nil {
		t.Error("put through a link that leads out = nil")
	}
	s.must(os.Remove(shard))
	s.must(os.Rename(outside, shard))
	s.wantBytes(hash, b)
}

// TestPoolRemovedFolder removes folders of the pool while it is open.
func TestPoolRemovedFolder(t *testing.T) {
	for _, name := range []string{"shard", "tmp", "damaged", "blobs"} {
		if name == "blobs" && runtime.GOOS == "windows" {
			continue // where open folders stay
		}
		for _, next := range []string{"put", "collect", "scrub"} {
			t.Run(name+"/"+next, func(t *testing.T) {
				s := newPoolSite(t, t.TempDir())
				b, rotten := randomBytes(1, 100_000), randomBytes(2, 50_000)
				hash, _ := s.put(b)
				bad, _ := s.put(rotten)
				s.must(os.Truncate(s.file(bad), 7))
				s.wantErr(bad, core.ErrCorrupt)
				dir := filepath.Join(s.dir, "blobs", name)
				switch name {
				case "shard":
					dir = filepath.Dir(s.file(hash))
				case "blobs":
					dir = filepath.Dir(dir)
				}
				s.must(os.RemoveAll(dir))
				gone := name == "shard" || name == "blobs"
				switch next {
				case "collect":
					if done := s.collect(); done.Blobs != 0 {
						t.Errorf("Collect = %+v", done)
					}
				case "scrub":
					if _, found := s.scrub(); len(found) == 2 != gone {
						t.Errorf("Scrub = %+v", found)
					}
				}
				other, _ := s.put(randomBytes(3, 70_000))
				s.put(b)
				s.must(os.Truncate(s.file(other), 7))
				s.wantErr(other, core.ErrCorrupt)
				if _, err := os.Stat(s.damagedFile(other)); err != nil {
					t.Errorf("damaged file: %v", err)
				}
				s.reopen()
				s.wantBytes(hash, b)
				s.wantUsage(1, 100_000)
				s.wantSound()
			})
		}
	}
}

// TestPoolMovedFolder moves the folder of the pool away and back.
func TestPoolMovedFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open folders cannot be moved")
	}
	s := newPoolSite(t, t.TempDir())
	b, other := randomBytes(1, 100_000), randomBytes(2, 100_000)
	hash, _ := s.put(b)
	dir, away := filepath.Join(s.dir, "blobs"), filepath.Join(s.dir, "away")
	s.must(os.Rename(dir, away))
	s.put(other)
	s.wantBytes(hashOf(other), other)
	s.wantErr(hash, core.ErrCorrupt)
	s.must(os.RemoveAll(dir))
	s.must(os.Rename(away, dir))
	s.scrub()
	s.wantBytes(hash, b)
	s.wantErr(hashOf(other), core.ErrCorrupt)
	s.wantUsage(1, 100_000)
}

// TestPoolRemovedWhileStaging removes folders under bytes that are not complete.
func TestPoolRemovedWhileStaging(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files cannot be removed")
	}
	for _, name := range []string{"blobs/tmp", "blobs"} {
		s := newPoolSite(t, t.TempDir())
		b := randomBytes(1, 100_000)
		_, _, err := s.tryPut(io.MultiReader(bytes.NewReader(b), readerOf(func([]byte) (int, error) {
			return 0, errors.Join(os.RemoveAll(filepath.Join(s.dir, name)), io.EOF)
		})))
		if err == nil {
			t.Errorf("put without %s = nil", name)
		}
		s.wantErr(hashOf(b), core.ErrNotHere)
		s.put(b)
		s.wantBytes(hashOf(b), b)
		s.wantSound()
	}
}

type readerOf func([]byte) (int, error)

func (r readerOf) Read(b []byte) (int, error) { return r(b) }

// TestPoolErrorPaths has errors name what there is below the directory of the store.
func TestPoolErrorPaths(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	hash, _ := s.put(randomBytes(1, 100_000))
	want := func(what string, err error, path string) {
		t.Helper()
		var perr *fs.PathError
		if !errors.As(err, &perr) || !strings.HasPrefix(perr.Path, filepath.FromSlash(path)) {
			t.Errorf("%s = %v, want the path %s", what, err, path)
		}
	}
	shard := filepath.Dir(s.file(hash))
	s.must(os.RemoveAll(shard))
	s.must(os.WriteFile(shard, nil, 0o600))
	cid := string(core.CIDFromHash(hash))
	if _, err := s.pool.Open(context.Background(), hash); runtime.GOOS != "windows" { // where such a path does not exist
		want("Open", err, "blobs/"+cid[len(cid)-2:]+"/"+cid)
	}

	tmp := filepath.Join(s.dir, "blobs", "tmp")
	s.must(os.RemoveAll(tmp))
	s.must(os.WriteFile(tmp, nil, 0o600))
	_, _, err := s.tryPut(bytes.NewReader(randomBytes(2, 100_000)))
	want("put", err, "blobs/tmp/")
}

// TestPoolUnreadable has Scrub meet files that cannot be read: it tells of all damage, and
// they are no damage.
func TestPoolUnreadable(t *testing.T) {
	for _, op := range []string{"open", "read"} {
		s := newPoolSite(t, t.TempDir())
		var hashes []core.Hash
		for i := range uint64(150) {
			hash, _ := s.put(randomBytes(i, 20_000))
			hashes = append(hashes, hash)
		}
		slices.SortFunc(hashes, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
		var bad []core.Hash
		for i := 0; i < len(hashes); i += 10 {
			s.must(os.Truncate(s.file(hashes[i]), 7))
			bad = append(bad, hashes[i])
		}
		s.pool.SetFault(func(at string) error {
			if at == op {
				return syscall.EIO
			}
			return nil
		})
		count := func() (done core.ScrubbedBlobs, found []core.Hash, err error) {
			done, err = s.pool.Scrub(context.Background(), func(d core.DamagedBlob) error {
				found = append(found, d.Hash)
				return nil
			})
			return done, found, err
		}
		done, found, err := count()
		if !errors.Is(err, syscall.EIO) || strings.Count(err.Error(), "cannot be read") != 100 || !strings.HasSuffix(err.Error(), "and 50 more") {
			t.Errorf("%s: Scrub = %v, want 100 errors and a number", op, err)
		}
		if done.Blobs != 0 || len(found) != 0 {
			t.Errorf("%s: Scrub = %+v, %q", op, done, found)
		}

		// Two fail, all others are looked at.
		n := 0
		s.pool.SetFault(func(at string) error {
			if at != op {
				return nil
			}
			if n++; n == 4 || n == 9 {
				return syscall.EMFILE
			}
			return nil
		})
		done, found, err = count()
		if !errors.Is(err, syscall.EMFILE) || strings.Count(err.Error(), "cannot be read") != 2 || !slices.Equal(found, bad) || done.Blobs != 148 {
			t.Errorf("%s: Scrub = %+v, %v, told of %d damaged, want %d", op, done, err, len(found), len(bad))
		}
		s.pool.SetFault(nil)
		if done, found, err = count(); err != nil || len(found) != len(bad) || done.Blobs != 150 {
			t.Errorf("%s: Scrub = %+v, %v, told of %d damaged, want %d", op, done, err, len(found), len(bad))
		}
		if _, err := os.Stat(s.file(hashes[1])); err != nil {
			t.Errorf("%s: what could not be read was set aside: %v", op, err)
		}
		s.wantSound()

		failed := errors.New("failed")
		n = 0
		s.pool.SetFault(func(at string) error {
			if n++; n == 1 {
				return syscall.EIO
			}
			return nil
		})
		_, err = s.pool.Scrub(context.Background(), func(d core.DamagedBlob) error {
			if d.Hash == bad[1] {
				return failed
			}
			return nil
		})
		if !errors.Is(err, failed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: Scrub = %v, want %v and EIO", op, err, failed)
		}
	}
}

// failPut stages b and commits with a failing write.
func (s *poolSite) failPut(b []byte) {
	s.t.Helper()
	ctx := context.Background()
	staged, err := s.pool.Stage(ctx, bytes.NewReader(b), core.StageOptions{Limit: 1 << 40, Size: -1})
	s.must(err)
	defer staged.Discard()
	want := errors.New("forbidden")
	if err := staged.Commit(ctx, func(func(core.Tx) (bool, error)) error { return want }); !errors.Is(err, want) {
		s.t.Fatalf("Commit = %v", err)
	}
}

// TestPoolFailedPutKeepsWaiting has a file that waits for Scrub (its row was lost, a space holds it), and a Put that fails.
func TestPoolFailedPutKeepsWaiting(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(7, 50_000)
	hash, _ := s.put(b)
	s.exec("DELETE FROM blob_file")
	s.failPut(b)
	if _, err := os.Lstat(s.file(hash)); err != nil {
		t.Errorf("after a failed Put the file that waited for Scrub is gone: %v", err)
	}
	s.scrub()
	s.wantBytes(hash, b)
}

// TestPoolFailedPutKeepsDamagedRow has a row that is damaged in its state.
func TestPoolFailedPutKeepsDamagedRow(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(7, 50_000)
	hash, _ := s.put(b)
	s.exec("UPDATE blob_file SET state = 1") // another checksum: Open would look at the file, and heal
	s.failPut(b)
	s.wantBytes(hash, b)
}

// TestPoolFailedSyncKeepsDamagedRow has the sync of a folder fail.
func TestPoolFailedSyncKeepsDamagedRow(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(7, 50_000)
	hash, _ := s.put(b)
	s.exec("UPDATE blob_file SET state = 1")
	s.reopen()
	s.pool.SetFault(func(op string) error {
		if op == "syncdir" {
			return errors.New("io")
		}
		return nil
	})
	if _, _, err := s.tryPut(bytes.NewReader(b)); err == nil {
		t.Fatal("put succeeds")
	}
	s.pool.SetFault(nil)
	s.wantBytes(hash, b)
}

// TestPoolRescue has bytes set aside that are right, as after a fault of a disk that passed.
func TestPoolRescue(t *testing.T) {
	for _, lost := range []string{"nothing", "row", "row and space"} {
		for _, size := range []int{20_000, 2 << 20} {
			s := newPoolSite(t, t.TempDir())
			b := randomBytes(1, size)
			hash, _ := s.put(b)
			s.must(os.Truncate(s.file(hash), 7))
			s.wantErr(hash, core.ErrCorrupt)
			s.must(os.WriteFile(s.damagedFile(hash), b, 0o600))
			s.must(os.Chtimes(s.damagedFile(hash), time.UnixMilli(0), time.UnixMilli(0)))
			if lost != "nothing" {
				s.exec("DELETE FROM blob_file")
			}
			if lost == "row and space" {
				s.exec("DELETE FROM blob")
				if done := s.collect(); done.Blobs != 0 {
					t.Errorf("%s: Collect = %+v", lost, done)
				}
				s.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: s.space, Hash: hash}) })
			} else if done, found := s.scrub(); done.Blobs != 1 || len(found) != 0 {
				t.Errorf("%s: Scrub = %+v, %+v", lost, done, found)
			}
			if !s.here(hash) {
				t.Errorf("%s: not here", lost)
			}
			s.wantBytes(hash, b)
			s.wantUsage(1, int64(size))
			if all := s.files(); len(all) != 1 {
				t.Errorf("%s: files are %q", lost, all)
			}
		}
	}
}

// TestPoolFaultIsNoDamage has one read fail, after a block looked wrong.
func TestPoolFaultIsNoDamage(t *testing.T) {
	for _, fault := range []error{syscall.EIO, io.ErrUnexpectedEOF} {
		s := newPoolSite(t, t.TempDir())
		b := randomBytes(1, 100_000)
		hash, _ := s.put(b)
		s.exec("UPDATE blob_file SET checked_at_ms = checked_at_ms + 1") // another checksum: Open looks at the file
		s.pool.SetFault(func(op string) error {
			if op == "read" {
				return fault
			}
			return nil
		})
		s.wantErr(hash, fault)
		s.pool.SetFault(nil)
		if !s.here(hash) {
			t.Errorf("%v: not here", fault)
		}
		s.wantBytes(hash, b)
		s.wantSound()
	}
}

// TestPoolSetAsideAgain removes the folder of what was set aside, each time.
func TestPoolSetAsideAgain(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	for i := range uint64(3) {
		hash, _ := s.put(randomBytes(i, 50_000))
		s.must(os.Truncate(s.file(hash), 7))
		s.wantErr(hash, core.ErrCorrupt)
		if _, err := os.Lstat(s.damagedFile(hash)); err != nil {
			t.Errorf("%d: not set aside: %v", i, err)
		}
		s.must(os.RemoveAll(filepath.Join(s.dir, "blobs", "damaged")))
	}
}

// TestUsageIsRecounted changes the counters.
func TestUsageIsRecounted(t *testing.T) {
	for _, change := range []string{"UPDATE blob_usage SET blobs = 7", "UPDATE blob_usage SET bytes = bytes - 1 WHERE space = 0", "DELETE FROM blob_usage", "INSERT INTO blob_usage VALUES (99, 1, 1)"} {
		s := newPoolSite(t, t.TempDir())
		s.put(randomBytes(1, 500))
		s.put(randomBytes(2, 50_000))
		s.exec(change)
		s.wantDamage("blob_usage")
		s.write(func(tx core.Tx) error { return errors.Join(tx.Mend(), tx.Sweep()) })
		s.wantUsage(2, 50_500)
		s.wantSound()
	}
}
