package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

const (
	// blockBytes is what one checksum of a file covers. A change of it needs one of the rows.
	blockBytes = 64 << 10
	// copyBytes is what is read, written and hashed at a time: whole blocks.
	copyBytes = 4 * blockBytes
	// parallelBytes is from where on hashing beside writing is worth a goroutine.
	parallelBytes = 1 << 20
	// copyAhead is how many buffers may wait for the hash.
	copyAhead = 4
	// maxEmptyReads is how often a reader may give nothing.
	maxEmptyReads = 100
)

// digest hashes bytes, and makes the checksums of their blocks.
type digest struct {
	sha    hash.Hash
	blocks []byte
	block  uint32 // of the last block, which is not complete
	filled int    // of it
}

func newDigest() *digest { return &digest{sha: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.sha.Write(p)
	for rest := p; len(rest) > 0; {
		n := min(blockBytes-d.filled, len(rest))
		d.block, d.filled, rest = crc32.Update(d.block, castagnoli, rest[:n]), d.filled+n, rest[n:]
		if d.filled == blockBytes {
			d.endBlock()
		}
	}
	return len(p), nil
}

func (d *digest) endBlock() {
	d.blocks = binary.BigEndian.AppendUint32(d.blocks, d.block)
	d.block, d.filled = 0, 0
}

func (d *digest) hash() (h core.Hash) {
	d.sha.Sum(h[:0])
	return h
}

// sums returns the checksums of all blocks. Nothing may be written afterwards.
func (d *digest) sums() []byte {
	if d.filled > 0 {
		d.endBlock()
	}
	return d.blocks
}

var copyBuffers = sync.Pool{New: func() any { return new([copyBytes]byte) }}

// source reads all of a reader, and takes neither more nor less than it may.
type source struct {
	core.StageOptions
	ctx     context.Context //nolint:containedctx // a source lives as long as one call
	closing <-chan struct{}
	call    *call // is left while r and Progress run, if there is one
	r       io.Reader
	read    int64
}

// most is how many bytes there may be.
func (s *source) most() int64 {
	if s.Size >= 0 {
		return s.Size
	}
	return s.Limit
}

// tooMany is the error of more.
func (s *source) tooMany() error {
	if s.Size >= 0 {
		return fmt.Errorf("more than the %d bytes that were announced: %w", s.Size, core.ErrSizeMismatch)
	}
	return fmt.Errorf("more than %d bytes: %w", s.Limit, core.ErrTooLarge)
}

// fill reads until b is full, or returns io.EOF with what came before.
func (s *source) fill(b []byte) (n int, err error) {
	if left := s.most() - s.read; left < int64(len(b)) {
		b = b[:left+1]
	}
	for empty := 0; n < len(b); {
		if err := s.alive(); err != nil {
			return n, err
		}
		m, err := s.readSome(b[n:])
		n += m
		if err == io.EOF && s.read < s.Size { //nolint:errorlint // as readers return it
			return n, fmt.Errorf("%d bytes, %d were announced: %w", s.read, s.Size, core.ErrSizeMismatch)
		}
		if err != nil {
			return n, err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// readSome is one Read of the reader.
func (s *source) readSome(b []byte) (n int, err error) {
	if s.call != nil {
		s.call.leave()
		defer func() {
			if cerr := s.call.enter(); cerr != nil {
				err = cerr
			}
		}()
	}
	n, err = s.r.Read(b)
	if n < 0 || n > len(b) {
		return 0, fmt.Errorf("reader says that it read %d of %d bytes: %w", n, len(b), io.ErrShortBuffer)
	}
	s.read += int64(n)
	switch {
	case s.read > s.most():
		return n, s.tooMany()
	case n > 0 && s.Progress != nil:
		s.Progress(s.read)
	}
	return n, err
}

func (s *source) alive() error {
	select {
	case <-s.closing:
		return core.ErrClosed
	default:
		return s.ctx.Err()
	}
}

// copyTo copies the rest of a source, of which digest has had what comes before. Files of
// some size are hashed beside being written.
func (s *source) copyTo(w io.Writer, d *digest) error {
	beside := besideDigest{digest: d, free: make(chan *[copyBytes]byte, copyAhead)}
	defer beside.wait()
	for {
		buf := beside.buffer()
		n, err := s.fill(buf[:])
		if err != nil && err != io.EOF { //nolint:errorlint // as readers return it
			return err
		}
		if s.read > parallelBytes {
			beside.start()
		}
		_, werr := w.Write(buf[:n])
		beside.write(buf, n)
		if werr != nil || err != nil {
			return werr
		}
	}
}

// besideDigest writes to a digest, in a goroutine of its own once it was started. It has
// copyAhead buffers at most.
type besideDigest struct {
	digest *digest
	free   chan *[copyBytes]byte
	taken  []*[copyBytes]byte // all that there are
	full   chan filled        // nil before the start
	done   chan struct{}
}

type filled struct {
	buf *[copyBytes]byte
	n   int
}

// buffer waits for one that the digest has had, if there are enough.
func (b *besideDigest) buffer() *[copyBytes]byte {
	select {
	case buf := <-b.free:
		return buf
	default:
	}
	if len(b.taken) == copyAhead {
		return <-b.free
	}
	buf := copyBuffers.Get().(*[copyBytes]byte)
	b.taken = append(b.taken, buf)
	return buf
}

func (b *besideDigest) start() {
	if b.full != nil {
		return
	}
	b.full, b.done = make(chan filled, copyAhead), make(chan struct{})
	go func() {
		defer close(b.done)
		for f := range b.full {
			_, _ = b.digest.Write(f.buf[:f.n])
			b.free <- f.buf
		}
	}()
}

func (b *besideDigest) write(buf *[copyBytes]byte, n int) {
	if b.full != nil {
		b.full <- filled{buf, n}
		return
	}
	_, _ = b.digest.Write(buf[:n])
	b.free <- buf
}

// wait ends the goroutine, once it had all.
func (b *besideDigest) wait() {
	if b.full != nil {
		close(b.full)
		<-b.done
	}
	for _, buf := range b.taken {
		copyBuffers.Put(buf)
	}
}
