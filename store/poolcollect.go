package store

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

const (
	// collectPage is how many blobs one transaction of Collect takes.
	collectPage = 128
	// leftoverGrace is how long Collect keeps right bytes that it finds without a row: after
	// an older database was put back, the entries that name them may come again.
	leftoverGrace = 7 * 24 * time.Hour
)

// Collect implements core.BlobPool. It also notes which bytes no space holds, and no entry
// names, though nobody said so, as after a repair: their time begins now.
func (p *Pool) Collect(ctx context.Context, beforeMs int64) (done core.CollectedBlobs, err error) {
	if err := p.begin(); err != nil {
		return done, err
	}
	defer p.end()
	p.files.look()
	c := collecting{pool: p, beforeMs: beforeMs}
	for _, step := range []func(context.Context) error{c.note, c.rows, c.leftovers, c.damaged, c.parts} {
		if err := step(ctx); err != nil {
			return c.done, wrap("collect blobs", c.failed.with(err))
		}
	}
	return c.done, wrap("collect blobs", c.failed.with(nil))
}

// collecting is one run of Collect.
type collecting struct {
	pool     *Pool
	beforeMs int64
	done     core.CollectedBlobs // what went
	failed   failures
}

// note stamps the rows of bytes that became unused without a time.
func (c *collecting) note(ctx context.Context) error {
	for after, more := int64(0), true; more; {
		page, err := c.page(ctx, func(v *view) (blobPage, error) { return v.unnotedBlobFiles(after, collectPage) })
		if err != nil || len(page.hashes) == 0 {
			return err
		}
		after, more = page.id, len(page.hashes) == collectPage
		err = c.pool.write(ctx, func(t *tx) error {
			for _, hash := range page.hashes {
				if err := t.noteUnused(hash, c.pool.nowMs()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rows removes bytes that were unused for long enough.
func (c *collecting) rows(ctx context.Context) error {
	for after, more := (blobPage{}), true; more; {
		page, err := c.page(ctx, func(v *view) (blobPage, error) { return v.unusedBlobFiles(after, c.beforeMs, collectPage) })
		if err != nil || len(page.hashes) == 0 {
			return err
		}
		after, more = page, len(page.hashes) == collectPage
		if err := c.remove(ctx, page.hashes); err != nil {
			return err
		}
	}
	return nil
}

func (c *collecting) page(ctx context.Context, read func(*view) (blobPage, error)) (page blobPage, err error) {
	err = c.pool.db.Read(ctx, func(v core.View) error {
		page, err = read(v.(*view))
		return err
	})
	return page, err
}

// remove removes those that still are unused, under the locks of all. A file that stays is
// a leftover for a later run.
func (c *collecting) remove(ctx context.Context, hashes []core.Hash) error {
	slices.SortFunc(hashes, func(a, b core.Hash) int { return slices.Compare(a[:], b[:]) })
	for _, hash := range hashes {
		unlock, err := c.pool.locks.lock(ctx, hash)
		if err != nil {
			return err
		}
		defer unlock()
	}
	var removed []*blobFile
	err := c.pool.write(ctx, func(t *tx) error {
		removed = nil
		for _, hash := range hashes {
			f, err := t.dropUnused(hash, c.beforeMs)
			if err != nil {
				return err
			}
			if f != nil {
				removed = append(removed, f)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range removed {
		c.went(f.size, c.pool.files.removeAll(f))
	}
	return nil
}

// went counts bytes that were removed, unless that failed.
func (c *collecting) went(size int64, err error) {
	if err != nil {
		c.failed.add(err)
		return
	}
	c.done.Blobs++
	c.done.Bytes += size
}

// leftovers takes back files without a row, at first as unused bytes unless a space holds
// them, and removes those that are wrong.
func (c *collecting) leftovers(ctx context.Context) error {
	shards, err := c.pool.files.list(".")
	c.failed.add(err)
	for _, shard := range shards {
		if len(shard) != 2 {
			continue
		}
		err := c.leftoversIn(ctx, shard, pathOf, func(row *blobFile, held bool) bool {
			return row == nil || row.inline && row.here() && !row.damaged
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// damaged removes files that were set aside and that nobody needs any more.
func (c *collecting) damaged(ctx context.Context) error {
	return c.leftoversIn(ctx, damagedName, damagedPathOf, func(row *blobFile, held bool) bool {
		return row == nil && !held || row != nil && row.here() && !row.damaged
	})
}

// leftoversIn removes the files of a folder that are old enough, and useless by what the
// store says. Names that are not of the pool are left alone, as is what is no folder.
func (c *collecting) leftoversIn(ctx context.Context, dir string, pathOf func(core.Hash) string, useless func(row *blobFile, held bool) bool) error {
	names, err := c.pool.files.list(dir)
	c.failed.add(err)
	for page := range slices.Chunk(names, collectPage) {
		var found []core.Hash
		err := c.pool.db.Read(ctx, func(v core.View) error {
			for _, name := range page {
				hash, err := core.CID(name).Hash()
				if err != nil || pathOf(hash) != filepath.Join(dir, name) {
					continue
				}
				row, held, err := v.(*view).needsFile(hash)
				if err != nil {
					return err
				}
				if useless(row, held) {
					found = append(found, hash)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, hash := range found {
			if err := c.leftover(ctx, hash, pathOf(hash), useless); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt gives right bytes a row. If no space holds them, they are unused from the end of
// leftoverGrace on; what comes to hold them before finds them here.
func (c *collecting) adopt(ctx context.Context, truth *blobFile, path string) error {
	if path != pathOf(truth.hash) {
		if err := c.pool.files.putBack(truth.hash); err != nil {
			c.failed.add(err)
			return nil
		}
	}
	nowMs := c.pool.nowMs()
	return c.pool.write(ctx, func(t *tx) error {
		truth.unusedMs = 0
		if _, err := t.storeBlobFile(truth, nowMs); err != nil || truth.unusedMs == 0 {
			return err
		}
		truth.unusedMs = nowMs + leftoverGrace.Milliseconds()
		return t.saveBlobFile(truth)
	})
}

// leftover looks again, now that nobody can store the bytes.
func (c *collecting) leftover(ctx context.Context, hash core.Hash, path string, useless func(row *blobFile, held bool) bool) error {
	unlock, err := c.pool.locks.lock(ctx, hash)
	if err != nil {
		return err
	}
	defer unlock()
	info, err := c.pool.files.stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.ModTime().After(time.UnixMilli(c.beforeMs)) {
		return nil
	}
	if err != nil {
		c.failed.add(err)
		return nil
	}
	var row *blobFile
	var held bool
	err = c.pool.db.Read(ctx, func(v core.View) error {
		row, held, err = v.(*view).needsFile(hash)
		return err
	})
	if err != nil || !useless(row, held) {
		return err
	}
	if row == nil {
		truth, _, err := c.pool.lookAtFile(ctx, hash, path)
		if err != nil {
			return c.failed.addUnreadable(err)
		}
		if truth.here() {
			return c.adopt(ctx, truth, path)
		}
		if held {
			c.pool.setAside(hash)
			return nil
		}
	}
	c.went(info.Size(), c.pool.files.remove(path))
	return nil
}
