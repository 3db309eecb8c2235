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
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/store/blobtest"
)

func TestPoolConformance(t *testing.T) {
	for name, opts := range map[string]store.Options{"full": {}, "relaxed": {Relaxed: true}, "one reader": {Readers: 1}} {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T, dir string, now func() time.Time) (core.Store, core.BlobPool) {
				db := openIn(t, dir, opts)
				pool, err := db.OpenPool(now)
				if err != nil {
					t.Fatal(err)
				}
				return &planned{db, t}, pool
			})
		})
	}
}

// poolSite is a store with its pool, and one space.
type poolSite struct {
	t     testing.TB
	dir   string
	db    *store.DB
	pool  *store.Pool
	space int64
	ms    atomic.Int64 // the clock
}

func newPoolSite(t testing.TB, dir string) *poolSite {
	t.Helper()
	s := &poolSite{t: t, dir: dir}
	s.ms.Store(1_700_000_000_000)
	s.open()
	t.Cleanup(func() { mustClose(t, s.db) })
	rec := core.SpaceRecord{ID: "space"}
	s.write(func(tx core.Tx) error { return tx.PutSpace(&rec) })
	s.space = rec.Key
	return s
}

func (s *poolSite) open() {
	s.t.Helper()
	s.db = openIn(s.t, s.dir, store.Options{})
	var err error
	if s.pool, err = s.db.OpenPool(func() time.Time { return time.UnixMilli(s.ms.Load()) }); err != nil {
		s.t.Fatalf("OpenPool = %v", err)
	}
}

func (s *poolSite) reopen() {
	s.t.Helper()
	mustClose(s.t, s.db)
	s.open()
}

func (s *poolSite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *poolSite) write(fn func(core.Tx) error) {
	s.t.Helper()
	s.must(s.db.Write(context.Background(), fn))
}

func (s *poolSite) exec(sql string) {
	s.t.Helper()
	s.write(func(core.Tx) error { return s.db.Exec(sql) })
}

func putBlob(db core.Store, pool core.BlobPool, space int64, r io.Reader) (hash core.Hash, fresh bool, err error) {
	ctx := context.Background()
	staged, err := pool.Stage(ctx, r, core.StageOptions{Limit: 1 << 40, Size: -1})
	if err != nil {
		return hash, false, err
	}
	defer staged.Discard()
	err = staged.Commit(ctx, func(record func(core.Tx) (bool, error)) error {
		return db.Write(ctx, func(tx core.Tx) error {
			err := tx.PutBlob(core.BlobRecord{Space: space, Hash: staged.Hash(), Size: staged.Size()})
			if err == nil {
				fresh, err = record(tx)
			}
			return err
		})
	})
	return staged.Hash(), fresh, err
}

func (s *poolSite) tryPut(r io.Reader) (core.Hash, bool, error) {
	return putBlob(s.db, s.pool, s.space, r)
}

func (s *poolSite) put(b []byte) (core.Hash, bool) {
	s.t.Helper()
	hash, fresh, err := s.tryPut(bytes.NewReader(b))
	if err != nil {
		s.t.Fatalf("put of %d bytes = %v", len(b), err)
	}
	return hash, fresh
}

func (s *poolSite) remove(hash core.Hash) {
	s.t.Helper()
	s.write(func(tx core.Tx) error { return tx.DeleteBlob(s.space, hash, s.ms.Load()) })
}

// read opens bytes and reads them all, as far as that goes.
func (s *poolSite) read(hash core.Hash) ([]byte, error) {
	c, err := s.pool.Open(context.Background(), hash)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(c)
	return b, errors.Join(err, c.Close())
}

func (s *poolSite) wantBytes(hash core.Hash, want []byte) {
	s.t.Helper()
	if got, err := s.read(hash); err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("read %d bytes, %v, want the %d that were put", len(got), err, len(want))
	}
}

func (s *poolSite) wantErr(hash core.Hash, want error) {
	s.t.Helper()
	if got, err := s.read(hash); !errors.Is(err, want) {
		s.t.Errorf("read %d bytes, %v, want %v", len(got), err, want)
	}
}

func (s *poolSite) here(hash core.Hash) (here bool) {
	s.t.Helper()
	s.must(s.db.Read(context.Background(), func(v core.View) error {
		rec, err := v.Blob(s.space, hash)
		here = rec.Here
		return err
	}))
	return here
}

func (s *poolSite) wantUsage(blobs, bytes int64) {
	s.t.Helper()
	for _, space := range []int64{s.space, 0} {
		s.must(s.db.Read(context.Background(), func(v core.View) error {
			got, err := v.BlobUsage(space)
			if want := (core.BlobUsage{Blobs: blobs, Bytes: bytes}); got != want {
				s.t.Errorf("usage of space %d is %+v, want %+v", space, got, want)
			}
			return err
		}))
	}
}

func (s *poolSite) wantSound() {
	s.t.Helper()
	s.must(s.db.Read(context.Background(), func(v core.View) error {
		return v.Check(func(d core.Damage) error {
			s.t.Errorf("Check found %+v", d)
			return nil
		})
	}))
}

func (s *poolSite) scrub() (core.ScrubbedBlobs, []core.DamagedBlob) {
	s.t.Helper()
	var all []core.DamagedBlob
	done, err := s.pool.Scrub(context.Background(), func(d core.DamagedBlob) error {
		all = append(all, d)
		return nil
	})
	if err != nil || done.Damaged != len(all) {
		s.t.Fatalf("Scrub = %+v, %v, told of %d", done, err, len(all))
	}
	return done, all
}

func (s *poolSite) collect() core.CollectedBlobs {
	s.t.Helper()
	done, err := s.pool.Collect(context.Background(), s.ms.Load())
	s.must(err)
	return done
}

// collectLeftovers collects twice, with a week between.
func (s *poolSite) collectLeftovers() core.CollectedBlobs {
	s.t.Helper()
	if done := s.collect(); done.Blobs > 0 {
		s.t.Errorf("Collect = %+v at first", done)
	}
	s.ms.Add(store.LeftoverGrace.Milliseconds() - 1)
	if done := s.collect(); done.Blobs > 0 {
		s.t.Errorf("Collect = %+v before a week is over", done)
	}
	s.ms.Add(1)
	return s.collect()
}

func (s *poolSite) file(hash core.Hash) string {
	cid := string(core.CIDFromHash(hash))
	return filepath.Join(s.dir, "blobs", cid[len(cid)-2:], cid)
}

func (s *poolSite) damagedFile(hash core.Hash) string {
	return filepath.Join(s.dir, "blobs", "damaged", string(core.CIDFromHash(hash)))
}

// files returns all files of the pool, by their paths in it.
func (s *poolSite) files() (all []string) {
	s.t.Helper()
	root := filepath.Join(s.dir, "blobs")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(root, path)
			all = append(all, path)
		}
		return err
	})
	if !errors.Is(err, fs.ErrNotExist) {
		s.must(err)
	}
	return all
}

func randomBytes(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func TestPoolLayout(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	s.put(randomBytes(1, 1000))
	if _, err := os.Stat(filepath.Join(s.dir, "blobs")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a folder without files: %v", err)
	}
	hash, _ := s.put(randomBytes(2, 100_000))
	if all := s.files(); len(all) != 1 || filepath.Join(s.dir, "blobs", all[0]) != s.file(hash) {
		t.Errorf("files are %q, want %q", all, s.file(hash))
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]fs.FileMode{
		s.file(hash): 0o600, filepath.Dir(s.file(hash)): fs.ModeDir | 0o700, filepath.Join(s.dir, "blobs", "tmp"): fs.ModeDir | 0o700,
		filepath.Join(s.dir, "blobs"): fs.ModeDir | 0o700,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("mode of %s is %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestPoolOnce(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	if _, err := s.db.OpenPool(time.Now); err == nil {
		t.Error("second OpenPool = nil")
	}
	db := openIn(t, t.TempDir(), store.Options{})
	mustClose(t, db)
	if _, err := db.OpenPool(time.Now); !errors.Is(err, core.ErrClosed) {
		t.Errorf("OpenPool after Close = %v, want ErrClosed", err)
	}
}

// TestPoolLeavesNothing puts with readers that fail.
func TestPoolLeavesNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	s := newPoolSite(t, t.TempDir())
	failed := errors.New("failed")
	for _, size := range []int{0, 20_000, 300_000, 3 << 20} {
		if _, _, err := s.tryPut(io.MultiReader(bytes.NewReader(make([]byte, size)), failing{failed})); !errors.Is(err, failed) {
			t.Errorf("put = %v, want %v", err, failed)
		}
		if _, err := s.pool.Stage(context.Background(), bytes.NewReader(make([]byte, size+1)), core.StageOptions{Limit: int64(size), Size: -1}); !errors.Is(err, core.ErrTooLarge) {
			t.Errorf("Stage = %v, want ErrTooLarge", err)
		}
		staged, err := s.pool.Stage(context.Background(), bytes.NewReader(make([]byte, size)), core.StageOptions{Limit: int64(size), Size: -1})
		s.must(err)
		if err := staged.Commit(context.Background(), func(func(core.Tx) (bool, error)) error { return failed }); !errors.Is(err, failed) {
			t.Errorf("Commit = %v, want %v", err, failed)
		}
		if all := s.files(); len(all) != 0 {
			t.Errorf("%d: left are %q", size, all)
		}
	}
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("github.com/soma-sdk/soma/store.(*writer).loop"))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestPoolSweepsUnfinished opens a pool with what a crash left.
func TestPoolSweepsUnfinished(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	hash, _ := s.put(randomBytes(1, 100_000))
	staged, err := s.pool.Stage(context.Background(), bytes.NewReader(make([]byte, 50_000)), core.StageOptions{Limit: 1 << 20, Size: -1})
	s.must(err)
	s.must(os.Mkdir(filepath.Join(s.dir, "blobs", "tmp", "folder"), 0o700))
	s.reopen()
	staged.Discard()
	if all := s.files(); len(all) != 1 {
		t.Errorf("files are %q, want one", all)
	}
	s.wantBytes(hash, randomBytes(1, 100_000))
}

// TestPoolCannotSweep opens a pool with something unfinished that cannot be removed.
func TestPoolCannotSweep(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	hash, _ := s.put(randomBytes(1, 100_000))
	tmp := filepath.Join(s.dir, "blobs", "tmp")
	stays := filepath.Join(tmp, "stays")
	s.must(os.Mkdir(stays, 0o700))
	mountDisk(t, stays, "1m")
	s.must(os.WriteFile(filepath.Join(tmp, "goes"), nil, 0o600))
	s.reopen()
	for i := range uint64(20) {
		s.put(randomBytes(i, 50_000))
	}
	s.wantBytes(hash, randomBytes(1, 100_000))
	names, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(names) != 1 || names[0] != stays {
		t.Errorf("left are %q, %v, want what cannot be removed", names, err)
	}
}

// TestPoolMemory puts and reads what does not fit in what it may allocate.
func TestPoolMemory(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	allocated := func(size int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		hash, _, err := s.tryPut(io.LimitReader(rand.NewChaCha8([32]byte{byte(size >> 20)}), size))
		s.must(err)
		c, err := s.pool.Open(context.Background(), hash)
		s.must(err)
		n, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		if n != size || err != nil {
			t.Errorf("read %d bytes, %v, want %d", n, err, size)
		}
		s.must(c.Close())
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(2 << 20) // fills the pools of buffers
	if small, large := allocated(4<<20), allocated(68<<20); large > small+2<<20 {
		t.Errorf("4 MB allocate %d bytes, 68 MB %d", small, large)
	}
}

// TestPoolReadsWithoutAllocating reads into a buffer of the caller.
func TestPoolReadsWithoutAllocating(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	hash, _ := s.put(randomBytes(1, 4<<20))
	c, err := s.pool.Open(context.Background(), hash)
	s.must(err)
	buf := make([]byte, 1<<20)
	if n := testing.AllocsPerRun(10, func() {
		_, _ = c.Seek(0, io.SeekStart)
		for range 4 {
			if n, err := c.Read(buf); n != len(buf) || err != nil {
				t.Errorf("Read = %d, %v, want all", n, err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s.must(c.Close())
}

// TestPoolLeftovers has files of which the store knows nothing.
func TestPoolLeftovers(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	kept, _ := s.put(randomBytes(1, 100_000))
	orphan, young := randomBytes(2, 50_000), randomBytes(3, 60_000) // young is so for more than a week
	inline, _ := s.put(randomBytes(4, 10))
	plant := func(b []byte, age time.Duration) core.Hash {
		hash := hashOf(b)
		at := time.UnixMilli(s.ms.Load()).Add(-age)
		s.must(os.MkdirAll(filepath.Dir(s.file(hash)), 0o700))
		s.must(os.WriteFile(s.file(hash), b, 0o600))
		s.must(os.Chtimes(s.file(hash), at, at))
		return hash
	}
	plant(orphan, time.Hour)
	plant(young, -30*24*time.Hour)
	plant(randomBytes(4, 10), time.Hour) // is in its row
	wrong := plant(randomBytes(6, 30_000), time.Hour)
	s.must(os.WriteFile(s.file(wrong), []byte("planted"), 0o600))
	s.must(os.Chtimes(s.file(wrong), time.UnixMilli(0), time.UnixMilli(0)))
	wanted := plant(randomBytes(5, 70_000), time.Hour)
	s.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: s.space, Hash: wanted}) })
	note := filepath.Join(filepath.Dir(s.file(kept)), "note.txt")
	s.must(os.WriteFile(note, nil, 0o600))

	s.wantErr(hashOf(orphan), core.ErrNotHere)
	if done := s.collect(); done != (core.CollectedBlobs{Blobs: 2, Bytes: 7 + 10}) { // the wrong ones
		t.Errorf("Collect = %+v", done)
	}
	s.wantBytes(wanted, randomBytes(5, 70_000))
	s.ms.Add(store.LeftoverGrace.Milliseconds())
	if done := s.collect(); done != (core.CollectedBlobs{Blobs: 1, Bytes: 50_000}) {
		t.Errorf("Collect after a week = %+v", done)
	}
	for path, want := range map[string]bool{
		s.file(hashOf(orphan)): false, s.file(inline): false, s.file(wrong): false, s.file(hashOf(young)): true, s.file(wanted): true, note: true, s.file(kept): true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
	if done, damaged := s.scrub(); done.Blobs != 3 || len(damaged) != 0 {
		t.Errorf("Scrub = %+v, %+v", done, damaged)
	}
	s.wantBytes(wanted, randomBytes(5, 70_000))
	s.wantUsage(3, 170_010)
	s.wantSound()
}

// TestPoolStrayNames has names in its folder that are not its own.
func TestPoolStrayNames(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	b := randomBytes(1, 100_000)
	hash, _ := s.put(b)
	s.remove(hash)
	dir := filepath.Join(s.dir, "blobs")
	for _, name := range []string{"zz", "damaged", "file"} {
		s.must(os.WriteFile(filepath.Join(dir, name), []byte("stray"), 0o600))
	}
	makeFIFO(t, filepath.Join(dir, "xx")) // opening it would wait
	s.must(os.Mkdir(filepath.Join(dir, "yy"), 0o700))
	s.must(os.Mkdir(filepath.Join(dir, "yy", "folder"), 0o700))
	s.ms.Add(1)
	if done := s.collect(); done != (core.CollectedBlobs{Blobs: 1, Bytes: 100_000}) {
		t.Errorf("Collect = %+v", done)
	}
	for _, name := range []string{"zz", "damaged", "file", "yy/folder"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.put(b)
	s.reopen()
	s.wantBytes(hash, b)
}

// TestPoolRemovesWhatItCan has files that cannot be removed for a while.
func TestPoolRemovesWhatItCan(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	var size int64
	const n = 200 // more than a page
	for i := range n {
		size += int64(20_000 + i)
		hash, _ := s.put(randomBytes(uint64(i), 20_000+i))
		s.remove(hash)
	}
	s.ms.Add(1)
	collect := func(fails func(k int) bool) core.CollectedBlobs {
		t.Helper()
		k := 0
		s.pool.SetFault(func(op string) error {
			if op != "remove" {
				return nil
			}
			if k++; fails(k) {
				return syscall.EACCES
			}
			return nil
		})
		defer s.pool.SetFault(nil)
		done, err := s.pool.Collect(context.Background(), s.ms.Load())
		if !errors.Is(err, syscall.EACCES) {
			t.Errorf("Collect = %v, want EACCES", err)
		}
		return done
	}
	done := collect(func(k int) bool { return k%3 == 0 })
	if left := s.files(); done.Blobs != n-n/3 || len(left) != n/3 || done.Bytes != size-s.bytesIn(left) {
		t.Errorf("Collect = %+v, %d files are left", done, len(left))
	}
	s.wantUsage(0, 0)
	left := s.bytesIn(s.files())
	s.collect() // takes them back
	s.ms.Add(store.LeftoverGrace.Milliseconds())
	again := collect(func(k int) bool { return k == 1 })
	if again.Blobs != n/3-1 || again.Bytes != left-s.bytesIn(s.files()) || len(s.files()) != 1 {
		t.Errorf("second Collect = %+v, %q are left", again, s.files())
	}
	if last := s.collectLeftovers(); done.Bytes+again.Bytes+last.Bytes != size || last.Blobs != 1 || len(s.files()) != 0 {
		t.Errorf("last Collect = %+v, %q are left", last, s.files())
	}
	s.wantSound()
}

// bytesIn returns how large files of the pool are.
func (s *poolSite) bytesIn(paths []string) (size int64) {
	s.t.Helper()
	for _, path := range paths {
		info, err := os.Stat(filepath.Join(s.dir, "blobs", path))
		s.must(err)
		size += info.Size()
	}
	return size
}

// TestPoolLeftoverIsNamedAgain loses a row, as when an older database is put back, and has a
// space hold the bytes again after Collect has met them.
func TestPoolLeftoverIsNamedAgain(t *testing.T) {
	for _, size := range []int{20_000, 2 << 20} {
		s := newPoolSite(t, t.TempDir())
		b := randomBytes(1, size)
		hash, _ := s.put(b)
		s.exec("DELETE FROM blob_file")
		s.exec("DELETE FROM blob")
		s.exec("DELETE FROM blob_usage")
		for range 3 {
			s.ms.Add(24 * time.Hour.Milliseconds())
			if done := s.collect(); done.Blobs != 0 {
				t.Errorf("Collect = %+v", done)
			}
		}
		s.wantUsage(0, 0)
		s.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: s.space, Hash: hash}) })
		if !s.here(hash) {
			t.Error("what was left is not here once a space holds it")
		}
		s.wantBytes(hash, b)
		s.wantUsage(1, int64(size))
		s.wantSound()
		s.ms.Add(10 * store.LeftoverGrace.Milliseconds())
		if done := s.collect(); done.Blobs != 0 {
			t.Errorf("Collect = %+v", done)
		}
		s.wantBytes(hash, b)
	}
}

// TestPoolAgesByItsClock has a clock that is years away from that of the files.
func TestPoolAgesByItsClock(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	hash, _ := s.put(randomBytes(1, 100_000))
	s.exec("DELETE FROM blob_file")
	s.exec("DELETE FROM blob")
	if done, err := s.pool.Collect(context.Background(), s.ms.Load()-1); err != nil || done.Blobs != 0 {
		t.Errorf("Collect of a young file = %+v, %v", done, err)
	}
	s.ms.Add(1)
	if done := s.collectLeftovers(); done.Blobs != 1 {
		t.Errorf("Collect = %+v, want the file removed", done)
	}
	s.wantErr(hash, core.ErrNotHere)
}

func hashOf(b []byte) core.Hash { return core.Entry{Header: b}.Hash() }

// TestPoolManyFiles takes more blobs than a page of any loop.
func TestPoolManyFiles(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	const n = 300
	for i := range n {
		s.put(fmt.Appendf(nil, "blob %d %s", i, strings.Repeat("x", i%2*17000)))
	}
	if done, damaged := s.scrub(); done.Blobs != n || len(damaged) != 0 {
		t.Errorf("Scrub = %+v, %+v", done, damaged)
	}
	s.exec("DELETE FROM blob_file WHERE bytes IS NULL") // as after a repair
	s.must(s.db.Write(context.Background(), func(tx core.Tx) error { return tx.Sweep() }))
	if done, damaged := s.scrub(); done.Blobs != n || len(damaged) != 0 {
		t.Errorf("Scrub that takes files back = %+v, %+v", done, damaged)
	}
	s.wantSound()
	s.write(func(tx core.Tx) error { return tx.ResetSpace(s.space) })
	s.ms.Add(1)
	if done := s.collect(); done.Blobs != n {
		t.Errorf("Collect = %+v, want %d", done, n)
	}
	s.wantUsage(0, 0)
	if all := s.files(); len(all) != 0 {
		t.Errorf("left are %q", all)
	}
}
