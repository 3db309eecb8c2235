package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// errChanged says that a file was written to while it was uploaded.
var errChanged = errors.New("the file has changed meanwhile")

// source is an open file that is to be uploaded. Once it is hashed, what is read of it is
// what was hashed, or an error.
type source struct {
	f    *os.File
	info fs.FileInfo
	hash core.Hash
	size int64
	seed maphash.Seed
	sums []uint64 // of blocks
}

// sourceBlock is how many bytes have one checksum. A body has that many in memory.
const sourceBlock = 256 << 10

// openSource opens a regular file, or a link to one. Anything else is core.ErrInvalidSource.
func openSource(path string) (*source, error) {
	f, info, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	return &source{f: f, info: info, seed: maphash.MakeSeed()}, nil
}

func (s *source) Close() error { return s.f.Close() }

// read hashes the file. It returns core.ErrTooLarge for more than limit bytes.
func (s *source) read(ctx context.Context, limit int64) error {
	sum, block := sha256.New(), make([]byte, sourceBlock)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := s.f.ReadAt(block, s.size)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if s.size += int64(n); s.size > limit {
			return tooLarge(s.size, limit)
		}
		if n > 0 {
			_, _ = sum.Write(block[:n]) // never fails
			s.sums = append(s.sums, maphash.Bytes(s.seed, block[:n]))
		}
		if n < len(block) {
			break
		}
	}
	sum.Sum(s.hash[:0])
	if info, err := s.f.Stat(); err != nil || !sameFile(s.info, info) || info.Size() != s.size {
		return errors.Join(err, errChanged)
	}
	return nil
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("source of %d bytes or more, at most %d are allowed: %w", size, limit, core.ErrTooLarge)
}

// sameFile reports whether a file was not written to between two looks at it.
func sameFile(a, b fs.FileInfo) bool { return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) }

// body returns the bytes that were hashed, from their beginning.
func (s *source) body() *body { return &body{source: s, loaded: -1} }

// body reads a source for a sink.
type body struct {
	source *source

	mu     sync.Mutex
	pos    int64
	block  []byte
	loaded int64 // number of the block, -1 for none
	err    error // of the source, which a sink may have hidden
}

var errBodyClosed = errors.New("the upload has ended")

// end keeps a sink from reading any further, and returns what reading failed with.
func (b *body) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.err
	if err == nil {
		b.err = errBodyClosed
	}
	return err
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	case b.pos >= b.source.size:
		return 0, io.EOF
	}
	if n := b.pos / sourceBlock; n != b.loaded {
		if b.err = b.load(n); b.err != nil {
			b.loaded = -1
			return 0, b.err
		}
	}
	n := copy(p, b.block[b.pos%sourceBlock:])
	b.pos += int64(n)
	return n, nil
}

func (b *body) load(n int64) error {
	start := n * sourceBlock
	size := min(sourceBlock, b.source.size-start)
	if cap(b.block) == 0 {
		b.block = make([]byte, min(sourceBlock, b.source.size))
	}
	b.block, b.loaded = b.block[:size], n
	switch _, err := b.source.f.ReadAt(b.block, start); {
	case errors.Is(err, io.EOF): // it was longer
		return errChanged
	case err != nil:
		return err
	case maphash.Bytes(b.source.seed, b.block) != b.source.sums[n]:
		return errChanged
	}
	return nil
}

// Seek implements io.Seeker.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += b.pos
	case io.SeekEnd:
		offset += b.source.size
	default:
		return 0, fmt.Errorf("seek from %d: %w", whence, core.ErrOutOfRange)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: %w", offset, core.ErrOutOfRange)
	}
	b.pos = offset
	return offset, nil
}
