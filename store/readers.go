package store

import (
	"context"
	"errors"

	"github.com/soma-sdk/soma/internal/core"
)

// Read implements core.Store. It waits for a free connection as long as ctx
// lasts; a read that runs is not interrupted.
func (db *DB) Read(ctx context.Context, fn func(core.View) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if db.isClosing() {
		return core.ErrClosed
	}
	select {
	case c := <-db.readers.free:
		defer func() { db.readers.free <- c }()
		return read(c, fn)
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return core.ErrClosed
	}
}

// read runs fn in a transaction that sees the newest commit and none after it.
func read(c *conn, fn func(core.View) error) (err error) {
	if err := c.begin("BEGIN"); err != nil {
		return err
	}
	v := &view{c: c}
	defer func() { // fn may panic
		v.c = nil
		if rerr := c.rollback(); err == nil {
			err = rerr
		}
	}()
	return fn(v)
}

// readers is a pool of connections that cannot change anything.
type readers struct{ free chan *conn }

func openReaders(path string, n int, pragmas []pragma) (*readers, error) {
	r := &readers{free: make(chan *conn, n)}
	for range n {
		c, err := openConn(path, pragmas)
		if err != nil {
			return nil, errors.Join(err, r.closeFree())
		}
		r.free <- c
	}
	return r, nil
}

// close waits for the reads that run and closes their connections.
func (r *readers) close() error {
	var err error
	for range cap(r.free) {
		err = errors.Join(err, (<-r.free).close())
	}
	return err
}

func (r *readers) closeFree() error {
	var err error
	for len(r.free) > 0 {
		err = errors.Join(err, (<-r.free).close())
	}
	return err
}
