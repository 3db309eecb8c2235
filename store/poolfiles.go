package store

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// The folders of a pool. Bytes are in <last two characters of the CID>/<CID>, in 256
// folders at most.
const (
	poolName    = "blobs"
	tempName    = "tmp"     // what is not complete
	damagedName = "damaged" // what is known to be damaged, for whoever wants to salvage it
)

// poolFiles are the files of a pool. No path leaves the folder, whatever links are in it.
// There is none before the first file. Folders that somebody removed are made again when a
// file needs them. Errors name paths below the directory of the store.
type poolFiles struct {
	dir  string
	root atomic.Pointer[os.Root] // nil without a folder

	mu       sync.Mutex
	lost     []*os.Root         // of folders that were removed; calls may have them still
	made     map[string]bool    // folders whose names are durable
	unplaced map[*tempFile]bool // what is not complete, or was not moved yet

	fault func(op string) error // of tests: what an operation on files fails with
}

func openPoolFiles(dir string) (*poolFiles, error) {
	f := &poolFiles{dir: filepath.Join(dir, poolName), made: map[string]bool{}, unplaced: map[*tempFile]bool{}}
	if _, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	f.root.Store(root)
	return f, nil
}

// close removes what is unfinished: nobody may do so later, when the directory can be that
// of another store.
func (f *poolFiles) close() error {
	for t := range f.unplaced {
		t.discard()
	}
	var err error
	for _, root := range append(f.lost, f.root.Load()) {
		if root != nil {
			err = errors.Join(err, root.Close())
		}
	}
	return err
}

// look finds out whether the folder of the pool is still where it was, and forgets it if
// not. It returns what there is now.
func (f *poolFiles) look() *os.Root {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookLocked()
}

func (f *poolFiles) lookLocked() *os.Root {
	root := f.root.Load()
	if root == nil {
		return nil
	}
	is, err := os.Stat(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return root
	}
	if err == nil {
		if was, err := root.Stat("."); err != nil || os.SameFile(is, was) {
			return root
		}
	}
	f.lost = append(f.lost, root)
	clear(f.made)
	root, _ = os.OpenRoot(f.dir)
	f.root.Store(root)
	return root
}

// sweep removes unfinished files. The lock on the directory says that nobody writes them.
// Those that stay are in nobody's way.
func (f *poolFiles) sweep() error {
	names, err := f.list(tempName)
	for _, name := range names {
		err = errors.Join(err, f.remove(filepath.Join(tempName, name)))
	}
	return wrap("sweep unfinished blobs", err)
}

func (f *poolFiles) failing(op string) error {
	if f.fault == nil {
		return nil
	}
	return f.fault(op)
}

// list returns the names in a folder, none of one that does not exist, or that is none.
func (f *poolFiles) list(dir string) ([]string, error) {
	root := f.root.Load()
	if root == nil {
		return nil, nil
	}
	names, err := listIn(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, f.failed(err)
}

func listIn(root *os.Root, dir string) ([]string, error) {
	info, err := root.Lstat(dir) // opening a pipe would wait
	if err != nil || !info.IsDir() {
		return nil, err
	}
	d, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, closing(d, err)
}

// stat says what is at a path. It follows no link.
func (f *poolFiles) stat(path string) (fs.FileInfo, error) {
	root := f.root.Load()
	if root == nil {
		return nil, &fs.PathError{Op: "stat", Path: filepath.Join(poolName, path), Err: fs.ErrNotExist}
	}
	info, err := root.Lstat(path)
	return info, f.failed(err)
}

// makeDir makes a folder with a durable name, unless it did so already.
func (f *poolFiles) makeDir(dir string) (*os.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root := f.lookLocked()
	if f.made[dir] {
		return root, nil
	}
	err := f.failing("mkdir")
	if err == nil && root == nil {
		if err = makeDir(f.dir); err == nil {
			root, err = os.OpenRoot(f.dir)
		}
		if err == nil {
			f.root.Store(root)
		}
	}
	if err == nil {
		if err = root.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err == nil {
		err = f.syncDir(root, ".")
	}
	if err != nil {
		return nil, f.failed(err)
	}
	f.made[dir] = true
	return root, nil
}

// inDir calls fn once there is a folder, and again if somebody removes that meanwhile.
func (f *poolFiles) inDir(dir string, fn func(*os.Root) error) error {
	for again := true; ; again = false {
		root, err := f.makeDir(dir)
		if err != nil {
			return err
		}
		if err = fn(root); !again || !errors.Is(err, fs.ErrNotExist) {
			return f.failed(err)
		}
		f.mu.Lock()
		delete(f.made, dir)
		f.mu.Unlock()
	}
}

// syncDir makes the names in a folder durable.
func (f *poolFiles) syncDir(root *os.Root, dir string) error {
	if err := f.failing("syncdir"); err != nil {
		return err
	}
	return disk.SyncOpened(root.Open, dir)
}

func shardOf(cid core.CID) string { return string(cid[len(cid)-2:]) }

func pathOf(hash core.Hash) string {
	cid := core.CIDFromHash(hash)
	return filepath.Join(shardOf(cid), string(cid))
}

func damagedPathOf(hash core.Hash) string {
	return filepath.Join(damagedName, string(core.CIDFromHash(hash)))
}

// createTemp makes an unfinished file. It ages by the clock of the pool.
func (f *poolFiles) createTemp(now time.Time) (*tempFile, error) {
	t := &tempFile{files: f, name: filepath.Join(tempName, rand.Text()), now: now}
	err := f.inDir(tempName, func(root *os.Root) (err error) {
		if err := f.failing("create"); err != nil {
			return err
		}
		t.root = root
		t.file, err = root.OpenFile(t.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unplaced[t] = true
	return t, nil
}

// forget is for one that has become a blob, or was removed.
func (f *poolFiles) forget(t *tempFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.unplaced, t)
}

// tempFile is a file that is not complete yet.
type tempFile struct {
	files *poolFiles
	root  *os.Root
	name  string
	file  *os.File // nil once it is complete
	now   time.Time
}

func (t *tempFile) Write(p []byte) (int, error) {
	if err := t.files.failing("write"); err != nil {
		return 0, t.files.failed(err)
	}
	n, err := t.file.Write(p)
	return n, t.files.failed(err)
}

// finish makes the bytes durable, and closes the file: an open one cannot be renamed
// everywhere.
func (t *tempFile) finish() error {
	err := t.files.failing("sync")
	if err == nil {
		err = t.root.Chtimes(t.name, t.now, t.now)
	}
	if err == nil {
		err = t.file.Sync()
	}
	err = closing(t.file, err)
	t.file = nil
	return t.files.failed(err)
}

// discard removes the file. What fails is left for sweep.
func (t *tempFile) discard() {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
	_ = t.root.Remove(t.name)
	t.files.forget(t)
}

// place moves a complete file to where the bytes with its hash belong, in place of what is
// there, durably.
func (f *poolFiles) place(t *tempFile, hash core.Hash) error {
	shard := shardOf(core.CIDFromHash(hash))
	return f.inDir(shard, func(root *os.Root) error {
		if err := f.rename(root, t.name, hash); err != nil {
			return err
		}
		f.forget(t)
		return f.syncDir(root, shard)
	})
}

func (f *poolFiles) rename(root *os.Root, temp string, hash core.Hash) error {
	if err := f.failing("rename"); err != nil {
		return err
	}
	path := pathOf(hash)
	err := root.Rename(temp, path)
	if err == nil {
		return nil
	}
	info, serr := root.Lstat(path)
	switch {
	case serr != nil:
		return err
	case !info.Mode().IsRegular(): // a folder is in the way
		_ = f.setAside(hash)
		return root.Rename(temp, path)
	case runtime.GOOS == "windows" && f.isWhole(hash): // somebody reads it
		return root.Remove(temp)
	}
	return err
}

// isWhole reports whether the bytes are there and have their hash.
func (f *poolFiles) isWhole(hash core.Hash) bool {
	file, _, err := f.open(pathOf(hash))
	if err != nil {
		return false
	}
	d := newDigest()
	_, err = io.Copy(d, file)
	return closing(file, err) == nil && d.hash() == hash
}

// errNotRegular is what open says of a link, a folder or the like.
var errNotRegular = errors.New("not a regular file")

// open opens bytes for reading. It follows no link.
func (f *poolFiles) open(path string) (*os.File, fs.FileInfo, error) {
	root := f.root.Load()
	file, info, err := f.openIn(root, path)
	if errors.Is(err, fs.ErrNotExist) && f.look() != root { // somebody put the folder back
		file, info, err = f.openIn(f.root.Load(), path)
	}
	return file, info, f.failed(err)
}

func (f *poolFiles) openIn(root *os.Root, path string) (*os.File, fs.FileInfo, error) {
	if root == nil {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	info, err := root.Lstat(path) // opening a pipe would wait
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := f.failing("open"); err != nil {
		return nil, nil, err
	}
	file, err := root.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// remove removes what is at a path. Only their row says that bytes are there, so it need
// not be durable.
func (f *poolFiles) remove(path string) error {
	root := f.root.Load()
	if root == nil {
		return nil
	}
	err := f.failing("remove")
	if err == nil {
		err = root.RemoveAll(path)
	}
	return wrap("remove blob", f.failed(err))
}

// removeAll removes all that there is of a blob whose row was removed.
func (f *poolFiles) removeAll(row *blobFile) error {
	if !row.inline {
		if err := f.remove(pathOf(row.hash)); err != nil {
			return err
		}
	}
	if !row.here() {
		return f.remove(damagedPathOf(row.hash))
	}
	return nil
}

// setAside keeps what is damaged where nobody looks for bytes.
func (f *poolFiles) setAside(hash core.Hash) error {
	return f.inDir(damagedName, func(root *os.Root) error {
		to := damagedPathOf(hash)
		_ = root.RemoveAll(to)
		return root.Rename(pathOf(hash), to)
	})
}

// putBack is for what was set aside and is right after all.
func (f *poolFiles) putBack(hash core.Hash) error {
	shard := shardOf(core.CIDFromHash(hash))
	return f.inDir(shard, func(root *os.Root) error {
		_ = root.RemoveAll(pathOf(hash))
		if err := root.Rename(damagedPathOf(hash), pathOf(hash)); err != nil {
			return err
		}
		return f.syncDir(root, shard)
	})
}

// failed is what an operation on a file of the pool returns: its path is that below the
// directory of the store, whether the system says it whole or below the pool, and a full
// disk is core.ErrDiskFull too.
func (f *poolFiles) failed(err error) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // as files return it
		path := strings.TrimPrefix(e.Path, filepath.Dir(f.dir)+string(filepath.Separator))
		if path != poolName && !strings.HasPrefix(path, poolName+string(filepath.Separator)) {
			path = filepath.Join(poolName, path)
		}
		err = &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	return disk.Full(err)
}
