package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/soma-sdk/soma/internal/core"
)

// inlineBytes is up to where bytes are kept in their row rather than in a file:
// docs/decisions/0014-small-blobs.md.
const inlineBytes = 16 << 10

// headBytes is what tells the media type.
const headBytes = 4 << 10

// staged is bytes that are complete: in memory, or in a file.
type staged struct {
	pool   *Pool
	hash   core.Hash
	size   int64
	head   []byte
	blocks []byte
	inline []byte    // nil for a file
	temp   *tempFile // nil for bytes in memory, and when it was moved or removed
}

// Stage implements core.BlobPool. A reader that gives neither bytes nor an error for
// maxEmptyReads times is io.ErrNoProgress. Closing the pool does not wait for the reader:
// Stage returns core.ErrClosed once that does.
func (p *Pool) Stage(ctx context.Context, r io.Reader, opts core.StageOptions) (core.StagedBlob, error) {
	call := &call{pool: p}
	if err := call.enter(); err != nil {
		return nil, err
	}
	defer call.leave()
	if opts.Size > opts.Limit {
		return nil, fmt.Errorf("%d bytes were announced, at most %d are allowed: %w", opts.Size, opts.Limit, core.ErrTooLarge)
	}
	src := &source{StageOptions: opts, ctx: ctx, closing: p.db.closing, call: call, r: r}
	buf := copyBuffers.Get().(*[copyBytes]byte)
	defer copyBuffers.Put(buf)
	n, err := src.fill(buf[:p.inline+1])
	switch {
	case err == nil:
		return p.stageFile(src, buf[:n])
	case err != io.EOF: //nolint:errorlint // as readers return it
		return nil, wrap("read blob", err)
	}
	s := &staged{pool: p, hash: sha256.Sum256(buf[:n]), size: int64(n), inline: append([]byte{}, buf[:n]...)}
	s.head = s.inline[:min(n, headBytes)]
	return s, nil
}

// stageFile copies what began with start to a file.
func (p *Pool) stageFile(src *source, start []byte) (_ *staged, err error) {
	temp, err := p.files.createTemp(p.now())
	if err != nil {
		return nil, wrap("write blob", err)
	}
	whole := false
	defer func() { // the reader may panic
		if !whole && src.call.enter() == nil {
			temp.discard()
		}
	}()
	s := &staged{pool: p, temp: temp, head: bytes.Clone(start[:min(len(start), headBytes)])}
	d := newDigest()
	_, _ = d.Write(start)
	if _, err := temp.Write(start); err != nil {
		return nil, wrap("write blob", err)
	}
	if err := src.copyTo(temp, d); err != nil {
		return nil, wrap("copy blob", err)
	}
	if err := temp.finish(); err != nil {
		return nil, wrap("write blob", err)
	}
	s.hash, s.size, s.blocks, whole = d.hash(), src.read, d.sums(), true
	return s, nil
}

// Hash implements core.StagedBlob.
func (s *staged) Hash() core.Hash { return s.hash }

// Size implements core.StagedBlob.
func (s *staged) Size() int64 { return s.size }

// Head implements core.StagedBlob.
func (s *staged) Head() []byte { return s.head }

// Discard implements core.StagedBlob.
func (s *staged) Discard() {
	if s.temp == nil || s.pool.begin() != nil {
		return // closing has removed it
	}
	defer s.pool.end()
	s.temp.discard()
	s.temp = nil
}

// Commit implements core.StagedBlob.
func (s *staged) Commit(ctx context.Context, write func(record func(core.Tx) (bool, error)) error) error {
	if s.inline == nil && s.temp == nil {
		return errors.New("store: the blob was committed or discarded")
	}
	if err := s.pool.begin(); err != nil {
		return err
	}
	defer s.pool.end()
	unlock, err := s.pool.locks.lock(ctx, s.hash)
	if err != nil {
		return err
	}
	defer unlock()
	stored := false
	if s.temp != nil {
		isNew, err := s.pool.isNew(ctx, s.hash)
		if err != nil {
			return fmt.Errorf("store blob %s: %w", core.CIDFromHash(s.hash), err)
		}
		defer func() { // write may panic
			if !stored && isNew {
				s.pool.takeBack(s.hash)
			}
		}()
		if err := s.pool.files.place(s.temp, s.hash); err != nil {
			return fmt.Errorf("store blob %s: %w", core.CIDFromHash(s.hash), err)
		}
		s.temp = nil
	}
	err = write(s.record)
	stored = err == nil
	return err
}

// record writes the row, in the transaction that says what the bytes are for.
func (s *staged) record(in core.Tx) (fresh bool, err error) {
	t, ok := in.(*tx)
	if !ok {
		return false, errors.New("store: the transaction is that of another store")
	}
	return t.storeBlobFile(&blobFile{
		hash: s.hash, size: s.size, blocks: s.blocks, bytes: s.inline, inline: s.inline != nil,
	}, s.pool.nowMs())
}

// isNew reports whether there is neither a file nor a row for one. What waits for its row
// to come back, or to be mended, is not this Commit's to remove.
func (p *Pool) isNew(ctx context.Context, hash core.Hash) (bool, error) {
	if _, err := p.files.stat(pathOf(hash)); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	f, err := p.row(ctx, hash)
	return f == nil || f.inline && f.here() && !f.damaged, err
}

// takeBack removes a new file whose row was not written. If that cannot be told, Collect
// does it later.
func (p *Pool) takeBack(hash core.Hash) {
	f, err := p.row(context.Background(), hash)
	if err == nil && (f == nil || f.inline) {
		err = p.files.remove(pathOf(hash))
	}
	if err != nil && !errors.Is(err, core.ErrClosed) {
		p.log.Warn("unused blob not removed", "cid", core.CIDFromHash(hash), "err", err)
	}
}
