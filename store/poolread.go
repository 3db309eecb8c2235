package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// wholeBytes is up to where Open hashes bytes. Of larger ones each block is checked when
// it is read.
const wholeBytes = 1 << 20

// Open implements core.BlobPool.
func (p *Pool) Open(ctx context.Context, hash core.Hash) (core.BlobContent, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.end()
	content, err := p.open(ctx, hash)
	if errors.Is(err, core.ErrCorrupt) { // or it changed meanwhile, or only its row is wrong
		if _, xerr := p.examine(ctx, hash, false); xerr != nil {
			err = fmt.Errorf("%w; not set aside: %w", err, xerr)
		} else {
			content, err = p.open(ctx, hash)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", core.CIDFromHash(hash), err)
	}
	return content, nil
}

func (p *Pool) open(ctx context.Context, hash core.Hash) (core.BlobContent, error) {
	f, err := p.row(ctx, hash)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return nil, core.ErrNotHere
	case f.damaged:
		return nil, damaged("row")
	case !f.here():
		return nil, damaged("known to be damaged")
	case f.inline:
		return p.memory(f, f.bytes)
	}
	return p.openFile(f)
}

func (p *Pool) openFile(f *blobFile) (core.BlobContent, error) {
	file, info, err := p.files.open(pathOf(f.hash))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotRegular):
		return nil, fmt.Errorf("%w: %w", core.ErrCorrupt, err)
	case err != nil:
		return nil, err
	case info.Size() != f.size || int64(len(f.blocks)) != 4*((f.size+blockBytes-1)/blockBytes):
		return nil, closing(file, fmt.Errorf("%d bytes, %d were stored: %w", info.Size(), f.size, core.ErrCorrupt))
	case f.size > wholeBytes:
		return &blockContent{pool: p, hash: f.hash, file: file, size: f.size, blocks: f.blocks, has: -1}, nil
	}
	b := make([]byte, f.size)
	_, err = io.ReadFull(file, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = damaged("file was cut")
	}
	if err := closing(file, err); err != nil {
		return nil, err
	}
	return p.memory(f, b)
}

// memory checks bytes as a whole.
func (p *Pool) memory(f *blobFile, b []byte) (core.BlobContent, error) {
	if sha256.Sum256(b) != f.hash {
		return nil, damaged("bytes")
	}
	return &memoryContent{pool: p, Reader: *bytes.NewReader(b)}, nil
}

// usable says whether open bytes can be read.
func (p *Pool) usable(closed bool) error {
	switch {
	case p.db.isClosing():
		return core.ErrClosed
	case closed:
		return fs.ErrClosed
	}
	return nil
}

// memoryContent is bytes that were checked when they were opened.
type memoryContent struct {
	pool   *Pool
	closed bool
	bytes.Reader
}

// Read implements io.Reader.
func (c *memoryContent) Read(p []byte) (int, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// ReadAt implements io.ReaderAt.
func (c *memoryContent) ReadAt(p []byte, off int64) (int, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	return c.Reader.ReadAt(p, off)
}

// WriteTo implements io.WriterTo.
func (c *memoryContent) WriteTo(w io.Writer) (int64, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	return c.Reader.WriteTo(w)
}

// Seek implements io.Seeker.
func (c *memoryContent) Seek(offset int64, whence int) (int64, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	return c.Reader.Seek(offset, whence)
}

// Close implements io.Closer.
func (c *memoryContent) Close() error {
	c.closed = true
	return nil
}

// blockContent is a file of which each block is checked before anybody sees it.
type blockContent struct {
	pool   *Pool
	hash   core.Hash
	file   *os.File
	size   int64
	blocks []byte
	closed bool

	pos int64
	buf *block // of Read, nil before it needs one
	has int64  // which block is in it, -1 for none
}

type block [blockBytes]byte

var blockBuffers = sync.Pool{New: func() any { return new(block) }}

// Size implements core.BlobContent.
func (c *blockContent) Size() int64 { return c.size }

// Read implements io.Reader.
func (c *blockContent) Read(p []byte) (int, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	if c.pos >= c.size {
		return 0, io.EOF
	}
	if whole := c.wholeAt(c.pos, len(p)); whole > 0 {
		n, err := c.readWhole(p[:whole], c.pos)
		c.pos += int64(n)
		return n, err
	}
	if c.buf == nil {
		c.buf = blockBuffers.Get().(*block)
	}
	if at := c.pos / blockBytes; c.has != at {
		c.has = -1
		if _, err := c.readWhole(c.buf[:c.lenOf(at)], at*blockBytes); err != nil {
			return 0, err
		}
		c.has = at
	}
	n := copy(p, c.buf[c.pos%blockBytes:c.lenOf(c.has)])
	c.pos += int64(n)
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (c *blockContent) ReadAt(p []byte, off int64) (n int, err error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, errors.New("store: negative offset")
	}
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		m := c.wholeAt(off, len(p)-n)
		if m > 0 {
			m, err = c.readWhole(p[n:n+m], off)
		} else {
			m, err = c.readPart(p[n:], off)
		}
		n, off = n+m, off+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readPart reads what is in one block.
func (c *blockContent) readPart(p []byte, off int64) (int, error) {
	buf := blockBuffers.Get().(*block)
	defer blockBuffers.Put(buf)
	at := off / blockBytes
	if _, err := c.readWhole(buf[:c.lenOf(at)], at*blockBytes); err != nil {
		return 0, err
	}
	return copy(p, buf[off%blockBytes:c.lenOf(at)]), nil
}

// wholeAt returns how many bytes from off on are whole blocks, and no more than n.
func (c *blockContent) wholeAt(off int64, n int) int {
	switch {
	case off%blockBytes != 0:
		return 0
	case int64(n) >= c.size-off:
		return int(c.size - off)
	}
	return n / blockBytes * blockBytes
}

func (c *blockContent) lenOf(at int64) int64 { return min(blockBytes, c.size-at*blockBytes) }

// readWhole reads whole blocks, and returns how many bytes of them are right. p holds
// nothing else afterwards.
func (c *blockContent) readWhole(p []byte, off int64) (int, error) {
	n, err := c.file.ReadAt(p, off)
	if n == len(p) {
		err = nil
	} else if errors.Is(err, io.EOF) {
		err = damaged("file was cut")
	}
	good := 0
	for at := off / blockBytes; good < n; at++ {
		part := p[good:min(good+blockBytes, n)]
		if int64(len(part)) != c.lenOf(at) {
			break
		}
		if crc32.Checksum(part, castagnoli) != binary.BigEndian.Uint32(c.blocks[4*at:]) {
			err = damaged("block of the file")
			break
		}
		good += len(part)
	}
	if err == nil {
		return good, nil
	}
	clear(p[good:])
	if errors.Is(err, core.ErrCorrupt) {
		c.pool.suspect(c.hash)
	}
	return good, fmt.Errorf("read blob %s: %w", core.CIDFromHash(c.hash), err)
}

// Seek implements io.Seeker.
func (c *blockContent) Seek(offset int64, whence int) (int64, error) {
	if err := c.pool.usable(c.closed); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.size
	default:
		return 0, errors.New("store: invalid whence")
	}
	if offset < 0 {
		return 0, errors.New("store: negative position")
	}
	c.pos = offset
	return offset, nil
}

// Close implements io.Closer.
func (c *blockContent) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.buf != nil {
		blockBuffers.Put(c.buf)
		c.buf, c.has = nil, -1
	}
	return c.file.Close()
}
