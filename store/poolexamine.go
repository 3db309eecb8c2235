package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// verdict is what bytes turned out to be.
type verdict struct {
	known bool // there is a row, or a file for a row
	good  bool
	gone  bool // there are none
	size  int64
}

// suspect examines bytes of which a reader found that they are damaged. It waits for the
// writer, and for as long as it takes to hash them.
func (p *Pool) suspect(hash core.Hash) {
	err := p.begin()
	if err == nil {
		defer p.end()
		_, err = p.examine(context.Background(), hash, false)
	}
	if err != nil && !errors.Is(err, core.ErrClosed) {
		p.log.Error("damaged blob not set aside", "cid", core.CIDFromHash(hash), "err", err)
	}
}

// examine hashes bytes and makes their row say what it found. Damaged ones it sets aside,
// those that are right again, or whose row was wrong, can be read from now on.
// With rescue, it also looks at what was set aside earlier.
func (p *Pool) examine(ctx context.Context, hash core.Hash, rescue bool) (verdict, error) {
	unlock, err := p.locks.lock(ctx, hash)
	if err != nil {
		return verdict{}, err
	}
	defer unlock()
	row, err := p.row(ctx, hash)
	if err != nil {
		return verdict{}, err
	}
	truth, found, err := p.look(ctx, hash, row)
	if err != nil {
		return verdict{}, err
	}
	if rescue && !truth.here() {
		other, err := p.rescue(ctx, hash)
		if err != nil {
			return verdict{}, err
		}
		if other != nil {
			truth, found = other, true
		}
	}
	v := verdict{known: row != nil || found, good: truth.here(), gone: !found, size: truth.size}
	if v.gone && row != nil && !row.here() { // it was set aside, unless somebody removed it
		_, err := p.files.stat(damagedPathOf(hash))
		v.gone = err != nil
	}
	if row == nil && !v.good {
		if found {
			p.setAside(hash)
		}
		return v, nil
	}
	if row == nil || row.damaged || !row.same(truth) {
		if err := p.settle(ctx, truth, row == nil); err != nil {
			return verdict{}, err
		}
	}
	if row != nil && row.damaged && row.inline && !v.good { // its hash may be what is wrong
		other := blobFile{hash: sha256.Sum256(row.bytes), size: int64(len(row.bytes)), inline: true, bytes: row.bytes}
		if err := p.settle(ctx, &other, true); err != nil {
			return verdict{}, err
		}
	}
	if found && !v.good && !truth.inline {
		p.setAside(hash)
	}
	return v, nil
}

func (p *Pool) setAside(hash core.Hash) {
	if err := p.files.setAside(hash); err != nil {
		p.log.Error("damaged blob not set aside", "cid", core.CIDFromHash(hash), "err", err)
		return
	}
	p.log.Warn("damaged blob set aside", "cid", core.CIDFromHash(hash))
}

// rescue puts bytes back that were set aside and are right, as after a fault of the disk
// that has passed. It returns the row that they should have, or nil.
func (p *Pool) rescue(ctx context.Context, hash core.Hash) (*blobFile, error) {
	truth, _, err := p.lookAtFile(ctx, hash, damagedPathOf(hash))
	if err != nil || !truth.here() {
		return nil, err
	}
	if err := p.files.putBack(hash); err != nil {
		return nil, &unreadableError{hash, err}
	}
	p.log.Info("blob that was set aside is right", "cid", core.CIDFromHash(hash))
	return truth, nil
}

// settle writes the row of bytes. Those without one are wanted only if a space holds them.
func (p *Pool) settle(ctx context.Context, truth *blobFile, adopt bool) error {
	return p.write(ctx, func(t *tx) error {
		if adopt {
			if spaces, err := t.spacesOfBlob(truth.hash); err != nil || len(spaces) == 0 {
				return err
			}
		}
		_, err := t.storeBlobFile(truth, p.nowMs())
		return err
	})
}

// look returns the row that bytes should have, and whether there is anything at all.
func (p *Pool) look(ctx context.Context, hash core.Hash, row *blobFile) (truth *blobFile, found bool, err error) {
	if row != nil && row.inline && sha256.Sum256(row.bytes) == hash {
		return &blobFile{hash: hash, size: int64(len(row.bytes)), inline: true, bytes: row.bytes}, true, nil
	}
	truth, found, err = p.lookAtFile(ctx, hash, pathOf(hash))
	if err != nil || truth.here() || row == nil {
		return truth, found, err
	}
	truth.size, truth.inline, truth.blocks, truth.bytes = row.size, row.inline, row.blocks, row.bytes
	return truth, found || row.inline, nil
}

// lookAtFile is look for bytes without a row, at a path. Only bytes that could be read to
// their end can be damaged.
func (p *Pool) lookAtFile(ctx context.Context, hash core.Hash, path string) (truth *blobFile, found bool, err error) {
	bad := &blobFile{hash: hash, state: blobDamaged}
	file, info, err := p.files.open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad, false, nil
	case errors.Is(err, errNotRegular):
		return bad, true, nil
	case err != nil:
		return bad, false, &unreadableError{hash, err}
	}
	bad.size = info.Size()
	d := newDigest()
	if err = p.files.failing("read"); err == nil {
		err = p.digest(ctx, d, file, info.Size())
	}
	err = closing(file, err)
	switch {
	case isCancelled(err) || errors.Is(err, core.ErrClosed):
		return bad, true, err
	case err != nil:
		return bad, true, &unreadableError{hash, p.files.failed(err)}
	case d.hash() != hash:
		return bad, true, nil
	}
	return &blobFile{hash: hash, size: info.Size(), blocks: d.sums()}, true, nil
}

func (p *Pool) digest(ctx context.Context, d *digest, r io.Reader, size int64) error {
	buf := copyBuffers.Get().(*[copyBytes]byte)
	defer copyBuffers.Put(buf)
	src := source{StageOptions: core.StageOptions{Limit: math.MaxInt64, Size: -1}, ctx: ctx, closing: p.db.closing, r: r}
	for {
		n, err := src.fill(buf[:])
		_, _ = d.Write(buf[:n])
		if err == io.EOF && src.read < size { //nolint:errorlint // as readers return it
			return io.ErrUnexpectedEOF
		}
		if err == io.EOF { //nolint:errorlint // as readers return it
			return nil
		}
		if err != nil {
			return err
		}
	}
}
