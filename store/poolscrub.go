package store

import (
	"context"
	"errors"
	"io/fs"

	"github.com/soma-sdk/soma/internal/core"
)

// scrubPage is how many rows Scrub reads, and notes as checked, at a time.
const scrubPage = 64

// Scrub implements core.BlobPool. It holds no lock while it hashes what is right. Rows that
// are wrong are made anew, and bytes without a row are taken back if a space holds them,
// as after a repair of the database. Files that cannot be read are passed over, and their
// errors returned at the end.
func (p *Pool) Scrub(ctx context.Context, fn func(core.DamagedBlob) error) (core.ScrubbedBlobs, error) {
	if err := p.begin(); err != nil {
		return core.ScrubbedBlobs{}, err
	}
	defer p.end()
	p.files.look()
	s := scrubbing{pool: p, fn: fn}
	err := s.rows(ctx)
	if err == nil {
		err = s.missing(ctx)
	}
	return s.done, wrap("scrub blobs", s.failed.with(err))
}

// scrubbing is one run of Scrub.
type scrubbing struct {
	pool   *Pool
	fn     func(core.DamagedBlob) error
	done   core.ScrubbedBlobs
	failed failures
}

func (s *scrubbing) rows(ctx context.Context) error {
	for after, more := (core.Hash{}), true; more; {
		var page []*blobFile
		err := s.pool.db.Read(ctx, func(v core.View) (err error) {
			page, err = v.(*view).blobFiles(after, scrubPage)
			return err
		})
		if err != nil {
			return err
		}
		more = len(page) == scrubPage
		var right []core.Hash
		for _, row := range page {
			after = row.hash
			ok, err := s.row(ctx, row.hash)
			if err != nil {
				return err
			}
			if ok {
				right = append(right, row.hash)
			}
		}
		if err := s.pool.checked(ctx, right); err != nil {
			return err
		}
	}
	return nil
}

// row hashes bytes, and reports whether all is as their row says.
func (s *scrubbing) row(ctx context.Context, hash core.Hash) (ok bool, err error) {
	row, err := s.pool.row(ctx, hash)
	if err != nil || row == nil {
		return false, err
	}
	truth, _, err := s.pool.look(ctx, hash, row)
	if err != nil {
		return false, s.failed.addUnreadable(err)
	}
	if row.here() && !row.damaged && row.same(truth) {
		s.done.Blobs++
		s.done.Bytes += truth.size
		return true, nil
	}
	return false, s.examine(ctx, hash)
}

// examine looks at bytes that are not as they should be again, now that they stay so.
func (s *scrubbing) examine(ctx context.Context, hash core.Hash) error {
	v, err := s.pool.examine(ctx, hash, true)
	if err != nil || !v.known { // removed meanwhile
		return s.failed.addUnreadable(err)
	}
	s.done.Blobs++
	if !v.gone {
		s.done.Bytes += v.size
	}
	if v.good {
		return nil
	}
	d := core.DamagedBlob{Hash: hash, Size: v.size, Gone: v.gone}
	err = s.pool.db.Read(ctx, func(v core.View) error {
		d.Spaces, err = v.(*view).spaceIDsOfBlob(hash)
		return err
	})
	if err != nil {
		return err
	}
	s.done.Damaged++
	return s.fn(d)
}

// missing takes back files that have lost their row.
func (s *scrubbing) missing(ctx context.Context) error {
	for after, more := (core.Hash{}), true; more; {
		var page []core.Hash
		err := s.pool.db.Read(ctx, func(v core.View) (err error) {
			page, err = v.(*view).missingBlobs(after, scrubPage)
			return err
		})
		if err != nil {
			return err
		}
		more = len(page) == scrubPage
		for _, hash := range page {
			after = hash
			_, err := s.pool.files.stat(pathOf(hash))
			if errors.Is(err, fs.ErrNotExist) {
				_, err = s.pool.files.stat(damagedPathOf(hash))
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // it is elsewhere
			}
			if err != nil {
				s.failed.add(&unreadableError{hash, err})
				continue
			}
			if err := s.examine(ctx, hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// checked notes when bytes were found to be right.
func (p *Pool) checked(ctx context.Context, hashes []core.Hash) error {
	if len(hashes) == 0 {
		return nil
	}
	return p.write(ctx, func(t *tx) error {
		for _, hash := range hashes {
			f, err := t.blobFile(hash)
			if err != nil {
				return err
			}
			if f == nil || f.damaged || !f.here() {
				continue
			}
			f.checkedMs = p.nowMs()
			if err := t.saveBlobFile(f); err != nil {
				return err
			}
		}
		return nil
	})
}
