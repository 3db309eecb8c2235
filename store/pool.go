package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// Pool keeps the bytes of blobs: small ones in rows of blob_file, large ones in files
// with a row each. A row is written after its file is durable, and removed before it, so
// that what has a row is whole; a file without one is a leftover.
type Pool struct {
	db    *DB
	files *poolFiles
	locks hashLocks
	now   func() time.Time
	log   *slog.Logger

	inline int // bytes of the largest that are kept in their row

	comingMu sync.Mutex
	coming   map[core.Hash]*coming                 // bytes that somebody brings now
	diskFree func() (free, total int64, err error) // of tests, nil for the disk

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

var _ core.BlobPool = (*Pool)(nil)

// OpenPool opens the blob pool of an open store, once. It removes what crashes left of
// unfinished bytes. The pool ends with the store: what is called afterwards, or read of
// open bytes, is core.ErrClosed.
func (db *DB) OpenPool(now func() time.Time) (*Pool, error) {
	db.poolMu.Lock()
	defer db.poolMu.Unlock()
	switch {
	case db.isClosing():
		return nil, core.ErrClosed
	case db.pool != nil:
		return nil, errors.New("store: the pool is open")
	}
	files, err := openPoolFiles(db.dir)
	if err != nil {
		return nil, fmt.Errorf("open blob pool: %w", err)
	}
	if err := files.sweep(); err != nil {
		db.log.Warn("unfinished blobs not removed", "err", err)
	}
	db.pool = &Pool{db: db, files: files, locks: hashLocks{held: map[core.Hash]*hashLock{}}, now: now, log: db.log, inline: inlineBytes, coming: map[core.Hash]*coming{}}
	return db.pool, nil
}

// closePool waits for the calls that run, but not for readers that they copy.
func (db *DB) closePool() error {
	db.poolMu.Lock()
	defer db.poolMu.Unlock()
	if db.pool == nil {
		return nil
	}
	db.pool.mu.Lock()
	db.pool.closed = true
	db.pool.mu.Unlock()
	db.pool.calls.Wait()
	db.pool.closeComing()
	return db.pool.files.close()
}

// begin admits a call, which must call end when it is done.
func (p *Pool) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.db.isClosing() {
		return core.ErrClosed
	}
	p.calls.Add(1)
	return nil
}

func (p *Pool) end() { p.calls.Done() }

// call is one that can be left while code of others runs, for which closing the pool does
// not wait. It is for one goroutine.
type call struct {
	pool *Pool
	in   bool
}

// enter goes on, unless the pool was closed: then nothing of its files may be touched.
func (c *call) enter() error {
	if c.in {
		return nil
	}
	err := c.pool.begin()
	c.in = err == nil
	return err
}

func (c *call) leave() {
	if c.in {
		c.in = false
		c.pool.end()
	}
}

// nowMs is never 0, which stands for no time.
func (p *Pool) nowMs() int64 { return max(p.now().UnixMilli(), 1) }

// row returns what the store says of bytes, or nil.
func (p *Pool) row(ctx context.Context, hash core.Hash) (f *blobFile, err error) {
	err = p.db.Read(ctx, func(v core.View) error {
		f, err = v.(*view).blobFileBody(hash)
		return err
	})
	return f, err
}

// write is DB.Write for the rows of the pool.
func (p *Pool) write(ctx context.Context, fn func(*tx) error) error {
	return p.db.Write(ctx, func(t core.Tx) error { return fn(t.(*tx)) })
}
