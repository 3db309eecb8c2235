//go:build cgo

package store

import (
	"errors"
	"fmt"
	"strings"
)

// OpenWithSteps is Open for a program whose newest schema is the given one.
func OpenWithSteps(dir string, opts Options, steps []string) (*DB, error) {
	return open(dir, opts, steps)
}

// Steps returns the released migrations.
func Steps() []string { return migrations }

// CheckPragmas reads back every pragma of every connection.
func (db *DB) CheckPragmas(relaxed bool) error {
	err := check(db.writer.conn, writerPragmas(relaxed))
	for range cap(db.readers.free) {
		c := <-db.readers.free
		err = errors.Join(err, check(c, readerPragmas()))
		defer func() { db.readers.free <- c }()
	}
	return err
}

func check(c *conn, pragmas []pragma) error {
	var err error
	for _, p := range append(creationPragmas(), pragmas...) {
		got, perr := c.pragma(p.name)
		if err = errors.Join(err, perr); got != p.want {
			err = errors.Join(err, fmt.Errorf("%s = %s, want %s", p.name, got, p.want))
		}
	}
	return err
}

// Synchronous returns the writer's level. It may be called in a job only.
func (db *DB) Synchronous() (string, error) { return db.writer.conn.pragma("synchronous") }

// Exec runs SQL in the writer's transaction. It may be called in a job only.
func (db *DB) Exec(sql string) error {
	_, err := db.writer.conn.exec(sql)
	return err
}

// Query returns the first value of the first row. It may be called in a job only.
func (db *DB) Query(sql string) (any, error) {
	r, err := db.writer.conn.one(sql)
	if err != nil || r == nil {
		return nil, err
	}
	return r.vals[0], nil
}

// ExecReader runs SQL on a reader's connection.
func (db *DB) ExecReader(sql string) error {
	c := <-db.readers.free
	defer func() { db.readers.free <- c }()
	_, err := c.exec(sql)
	return err
}

// QueueLen returns how many jobs wait for the writer.
func (db *DB) QueueLen() int { return len(db.writer.jobs) }

// CheckPlans reports statements of the writer that read a whole table or sort.
// It may be called in a job only.
func (db *DB) CheckPlans() error {
	var bad error
	for sql, n := range db.writer.conn.statements() {
		var details []string
		err := db.writer.conn.each("EXPLAIN QUERY PLAN "+sql, make([]any, n), func(r *row) bool {
			details = append(details, r.text(3))
			return true
		})
		if err != nil {
			return fmt.Errorf("explain %s: %w", sql, err)
		}
		for _, d := range details {
			if strings.HasPrefix(d, "SCAN") && d != "SCAN hop" && d != "SCAN up" && d != "SCAN CONSTANT ROW" || strings.Contains(d, "TEMP B-TREE") {
				bad = errors.Join(bad, fmt.Errorf("%s: plan has %s", sql, d))
			}
		}
	}
	return bad
}

// LeftoverGrace is how long leftovers are kept.
const LeftoverGrace = leftoverGrace

// SetInline sets up to where bytes are kept in rows.
func (p *Pool) SetInline(n int) { p.inline = n }

// SetFault sets what operations on files fail with: mkdir, syncdir, create, write, sync
// and rename.
func (p *Pool) SetFault(fault func(op string) error) { p.files.fault = fault }

// SetDiskFree sets what the pool takes for the room on its disk.
func (p *Pool) SetDiskFree(free func() (free, total int64, err error)) { p.diskFree = free }
