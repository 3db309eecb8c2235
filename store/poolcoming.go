package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// partName is the folder of bytes that are not whole: what has come of a blob is in
// part/<CID>.
const partName = "part"

const (
	// maxReserve is how much of the disk bytes that come from others leave free: a sixteenth, but
	// no more than this. So none of them keeps the database from being written.
	maxReserve   = 64 << 20
	reserveShare = 16
	// roomEvery is how many bytes are written between two looks at the disk.
	roomEvery = 4 << 20
)

func partPathOf(hash core.Hash) string {
	return filepath.Join(partName, string(core.CIDFromHash(hash)))
}

// coming is bytes that are not whole yet: in memory if they fit into a row, else in a file.
type coming struct {
	pool   *Pool
	hash   core.Hash
	size   int64
	offset atomic.Int64
	forgot atomic.Bool

	memory []byte
	temp   *tempFile // nil for memory
	digest *digest
	beside besideDigest
	looked int64 // the offset at which there was room
	failed error // of a write: nothing can be appended any more
	ended  bool

	admitted bool // counts in room, guarded by Pool.comingMu
}

// Resume implements core.BlobPool.
func (p *Pool) Resume(ctx context.Context, hash core.Hash, size int64) (core.ComingBlob, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.end()
	c := &coming{pool: p, hash: hash, size: size, digest: newDigest(), beside: besideDigest{free: make(chan *[copyBytes]byte, copyAhead)}}
	c.beside.digest = c.digest
	if !p.enlist(c) {
		return nil, fmt.Errorf("blob %s is coming: %w", core.CIDFromHash(hash), core.ErrExists)
	}
	err := c.open(ctx)
	if err == nil {
		err = p.room(c)
	}
	if err != nil {
		_ = c.closeFile()
		p.delist(c)
		return nil, fmt.Errorf("resume blob %s: %w", core.CIDFromHash(hash), err)
	}
	return c, nil
}

// enlist says that bytes are coming, unless they are already.
func (p *Pool) enlist(c *coming) bool {
	p.comingMu.Lock()
	defer p.comingMu.Unlock()
	if p.coming[c.hash] != nil {
		return false
	}
	p.coming[c.hash] = c
	return true
}

func (p *Pool) delist(c *coming) {
	p.comingMu.Lock()
	defer p.comingMu.Unlock()
	delete(p.coming, c.hash)
}

// closeComing closes the files of what is coming, and keeps them.
func (p *Pool) closeComing() {
	p.comingMu.Lock()
	defer p.comingMu.Unlock()
	for _, c := range p.coming {
		_ = c.closeFile()
	}
}

// room returns core.ErrDiskFull unless the disk has it for the rest of bytes, for the rest of
// all that were admitted before, and for the reserve. Then it admits them.
func (p *Pool) room(c *coming) error {
	free, total, err := p.free()
	if err != nil { // then writing tells
		return nil // not all systems say
	}
	free -= min(total/reserveShare, maxReserve)
	p.comingMu.Lock()
	defer p.comingMu.Unlock()
	for _, other := range p.coming {
		if other != c && other.admitted {
			free -= other.size - other.offset.Load()
		}
	}
	if rest := c.size - c.offset.Load(); free < rest {
		return fmt.Errorf("no room for %d bytes beside the reserve: %w", rest, core.ErrDiskFull)
	}
	c.admitted = true
	return nil
}

func (p *Pool) free() (free, total int64, err error) {
	if p.diskFree != nil {
		return p.diskFree()
	}
	return disk.Free(filepath.Dir(p.files.dir))
}

// open looks for what came before, and hashes it.
func (c *coming) open(ctx context.Context) error {
	path := partPathOf(c.hash)
	file, info, err := c.pool.files.open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.create()
	case err == nil && info.Size() <= c.size:
		err = c.pool.digest(ctx, c.digest, file, info.Size())
		c.offset.Store(info.Size())
		if err = closing(file, err); err != nil {
			return err
		}
		return c.append(info.Size())
	case err == nil: // more than the space says
		_ = file.Close()
	case !errors.Is(err, errNotRegular):
		return err
	}
	if err := c.pool.files.remove(path); err != nil {
		return err
	}
	return c.create()
}

func (c *coming) create() error {
	if c.size <= int64(c.pool.inline) {
		return nil // all of it comes at once
	}
	return c.append(0)
}

// append opens the file for writing after what was hashed.
func (c *coming) append(size int64) error {
	t := &tempFile{files: c.pool.files, name: partPathOf(c.hash), now: c.pool.now()}
	err := t.files.inDir(partName, func(root *os.Root) (err error) {
		if err := t.files.failing("create"); err != nil {
			return err
		}
		t.root = root
		t.file, err = root.OpenFile(t.name, os.O_CREATE|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	c.temp, c.looked = t, size
	if n, err := t.file.Seek(0, io.SeekEnd); err != nil || n != size {
		return fmt.Errorf("%d bytes after %d were hashed: %w", n, size, errors.Join(err, core.ErrCorrupt))
	}
	return nil
}

// Offset implements core.ComingBlob.
func (c *coming) Offset() int64 { return c.offset.Load() }

// Size implements core.ComingBlob.
func (c *coming) Size() int64 { return c.size }

// Write implements core.ComingBlob.
func (c *coming) Write(b []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	defer c.pool.end()
	at := c.offset.Load()
	if int64(len(b)) > c.size-at {
		return 0, fmt.Errorf("more than the %d bytes that were announced: %w", c.size, core.ErrSizeMismatch)
	}
	if at+int64(len(b)) > c.looked+roomEvery {
		if err := c.pool.room(c); err != nil {
			return 0, err
		}
		c.looked = at
	}
	if c.temp == nil {
		c.memory = append(c.memory, b...)
		c.offset.Add(int64(len(b)))
		return len(b), nil
	}
	return c.writeFile(b)
}

func (c *coming) writeFile(b []byte) (n int, err error) {
	for n < len(b) {
		buf := c.beside.buffer()
		m := copy(buf[:], b[n:])
		if _, err := c.temp.Write(buf[:m]); err != nil {
			c.beside.write(buf, 0)
			c.failed = err // what it left of them are the next bytes all the same
			return n, err
		}
		if c.offset.Add(int64(m)) > parallelBytes {
			c.beside.start()
		}
		c.beside.write(buf, m)
		n += m
	}
	return n, nil
}

// begin admits a call that changes something.
func (c *coming) begin() error {
	switch {
	case c.ended:
		return errors.New("store: the blob was committed, dropped or closed")
	case c.failed != nil:
		return c.failed
	case c.forgot.Load():
		return fmt.Errorf("blob %s is not wanted any more: %w", core.CIDFromHash(c.hash), core.ErrNotFound)
	}
	return c.pool.begin()
}

// Commit implements core.ComingBlob.
func (c *coming) Commit(ctx context.Context, write func(record func(core.Tx) (bool, error)) error) error {
	if err := c.begin(); err != nil {
		_ = c.Close()
		return err
	}
	defer c.pool.end()
	c.ended = true
	defer c.pool.delist(c)
	c.beside.wait()
	if c.temp == nil {
		_, _ = c.digest.Write(c.memory)
	}
	if got := c.digest.hash(); got != c.hash {
		return errors.Join(
			fmt.Errorf("%s is expected, the bytes are %s: %w", core.CIDFromHash(c.hash), core.CIDFromHash(got), core.ErrCIDMismatch), c.remove())
	}
	s := &staged{pool: c.pool, hash: c.hash, size: c.offset.Load(), temp: c.temp}
	if c.temp == nil {
		s.inline = append([]byte{}, c.memory...)
	} else {
		s.blocks = c.digest.sums()
		if err := c.temp.finish(); err != nil {
			return wrap("write blob", err)
		}
	}
	return s.Commit(ctx, write)
}

// Drop implements core.ComingBlob.
func (c *coming) Drop() error { return c.end(true) }

// Close implements core.ComingBlob.
func (c *coming) Close() error { return c.end(false) }

func (c *coming) end(drop bool) error {
	if c.ended {
		return nil
	}
	c.ended = true
	c.beside.wait()
	if err := c.pool.begin(); err != nil {
		return nil // closing the pool has closed the file
	}
	defer c.pool.end()
	defer c.pool.delist(c)
	if drop || c.forgot.Load() {
		return c.remove()
	}
	return c.closeFile()
}

func (c *coming) remove() error {
	err := c.closeFile()
	if c.temp == nil {
		return err
	}
	return errors.Join(err, c.pool.files.remove(c.temp.name))
}

func (c *coming) closeFile() error {
	if c.temp == nil || c.temp.file == nil {
		return nil
	}
	file := c.temp.file
	c.temp.file = nil
	return c.pool.files.failed(file.Close())
}

// Forget implements core.BlobPool.
func (p *Pool) Forget(hash core.Hash) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	return p.forget(hash)
}

func (p *Pool) forget(hash core.Hash) error {
	p.comingMu.Lock()
	defer p.comingMu.Unlock()
	if c := p.coming[hash]; c != nil {
		c.forgot.Store(true)
		return nil
	}
	return p.files.remove(partPathOf(hash))
}

// Coming implements core.BlobPool.
func (p *Pool) Coming() (int64, error) {
	if err := p.begin(); err != nil {
		return 0, err
	}
	defer p.end()
	names, err := p.files.list(partName)
	if err != nil {
		return 0, wrap("list coming blobs", err)
	}
	var sum int64
	for _, name := range names {
		info, err := p.files.stat(filepath.Join(partName, name))
		if err == nil {
			sum += info.Size()
		}
	}
	return sum, nil
}

// parts forgets what came of bytes that are not wanted any more.
func (c *collecting) parts(ctx context.Context) error {
	names, err := c.pool.files.list(partName)
	c.failed.add(err)
	for _, name := range names {
		hash, err := core.CID(name).Hash()
		if err != nil {
			continue
		}
		var wanted bool
		err = c.pool.db.Read(ctx, func(v core.View) error {
			wanted, err = v.IsWanted(hash)
			return err
		})
		if err != nil {
			return err
		}
		if !wanted {
			c.failed.add(c.pool.forget(hash))
		}
	}
	return nil
}
