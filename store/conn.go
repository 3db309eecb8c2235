//go:build cgo

package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

const haveCgo = true

// conn is one connection with its prepared statements. It has one user at a
// time; nothing in it is locked.
type conn struct {
	raw   *sqlite3.SQLiteConn
	stmts map[string]*stmt
	peers peerCache
	// inTx is set while a transaction must be open. SQLite ends one by itself
	// after some errors (disk full, I/O); lost then says why, and refuses what
	// follows, which would otherwise run outside of any transaction.
	inTx bool
	lost error
}

// stmt is a prepared statement with the buffers of its arguments and its row.
type stmt struct {
	raw  *sqlite3.SQLiteStmt
	args []driver.NamedValue
	row  row
}

// openConn opens the database and sets the pragmas, in order. Then it reads each
// one back, and what the database was created with: the driver ignores what it
// does not know, and so does SQLite.
func openConn(path string, pragmas []pragma) (*conn, error) {
	raw, err := (&sqlite3.SQLiteDriver{}).Open(dsn(path))
	if err != nil {
		return nil, translate(err)
	}
	c := &conn{raw: raw.(*sqlite3.SQLiteConn), stmts: make(map[string]*stmt)}
	for _, p := range pragmas {
		if err := c.setPragma(p); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	for _, p := range append(creationPragmas(), pragmas...) {
		if err := c.checkPragma(p); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// dsn goes through net/url because a raw path with ?, # or % names another
// file. _mutex=no: a connection has one user at a time.
func dsn(path string) string {
	u := url.URL{
		Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path),
		RawQuery: "_mutex=no&_txlock=immediate&_stmt_cache_size=64&_busy_timeout=5000",
	}
	return u.String()
}

func (c *conn) setPragma(p pragma) error {
	return wrap("set pragma "+p.name, c.script("PRAGMA "+p.name+"="+p.set))
}

func (c *conn) checkPragma(p pragma) error {
	got, err := c.pragma(p.name)
	if err != nil {
		return err
	}
	if got != p.want {
		return fmt.Errorf("pragma %s is %q, want %q", p.name, got, p.want)
	}
	return nil
}

// pragma returns the value of a pragma as text.
func (c *conn) pragma(name string) (string, error) {
	r, err := c.one("PRAGMA " + name)
	if err != nil || r == nil {
		return "", wrap("read pragma "+name, err)
	}
	return fmt.Sprint(r.vals[0]), nil
}

// script runs statements that have no arguments, once: their text is not kept.
func (c *conn) script(sql string) error {
	_, err := c.raw.Exec(sql, nil)
	return translate(err)
}

// scriptContext is script that ctx interrupts.
func (c *conn) scriptContext(ctx context.Context, sql string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := c.raw.ExecContext(ctx, sql, nil)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return translate(err)
}

// exec runs a statement that returns no rows and reports how many rows it changed.
func (c *conn) exec(sql string, args ...any) (int64, error) {
	res, err := c.run(sql, args)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return n, translate(err)
}

// insert is exec for a new row of a rowid table, and returns its key.
func (c *conn) insert(sql string, args ...any) (int64, error) {
	res, err := c.run(sql, args)
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	return id, translate(err)
}

func (c *conn) run(sql string, args []any) (driver.Result, error) {
	st, err := c.prepare(sql, args)
	if err != nil {
		return nil, err
	}
	// A ctx that can be cancelled would cost a goroutine per statement.
	res, err := st.raw.ExecContext(context.Background(), st.args)
	if err != nil {
		return nil, c.failed(err)
	}
	return res, nil
}

// one returns the first row, or nil. The row is valid until the statement runs
// again; the slices in it belong to the caller, who must ask it whether it was bad.
func (c *conn) one(sql string, args ...any) (*row, error) {
	var found *row
	err := c.each(sql, args, func(r *row) bool {
		found = r
		return false
	})
	return found, err
}

// each calls fn with each row until fn returns false. fn must not run
// statements: the same one may be in use by this very loop.
func (c *conn) each(sql string, args []any, fn func(*row) bool) error {
	return c.eachContext(context.Background(), sql, args, fn)
}

// eachContext is each that ctx interrupts. One that can be cancelled costs a goroutine.
func (c *conn) eachContext(ctx context.Context, sql string, args []any, fn func(*row) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st, err := c.prepare(sql, args)
	if err != nil {
		return err
	}
	rows, err := st.raw.QueryContext(ctx, st.args)
	if err != nil {
		return c.failed(err)
	}
	if st.row.vals == nil {
		st.row.vals = make([]driver.Value, len(rows.Columns()))
	}
	for {
		err = rows.Next(st.row.vals)
		if err != nil || !fn(&st.row) {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return c.failed(err)
	}
	return st.row.bad()
}

// prepare returns the statement with its arguments in place; the driver copies
// argument slices before a call returns.
//
// One trap is behind the "?+0" in this package: for "column = ?" in a statement
// with ORDER BY or min(), and for "LIMIT ?", SQLite looks at the value when it
// plans, and then plans again for each new value, at five times the cost of the
// statement. It does not look into an expression.
func (c *conn) prepare(sql string, args []any) (*stmt, error) {
	if c == nil {
		return nil, errEnded
	}
	if c.lost != nil {
		return nil, c.lost
	}
	st := c.stmts[sql]
	if st == nil {
		raw, err := c.raw.Prepare(sql)
		if err != nil {
			return nil, c.failed(err)
		}
		st = &stmt{raw: raw.(*sqlite3.SQLiteStmt), args: make([]driver.NamedValue, len(args))}
		for i := range st.args {
			st.args[i].Ordinal = i + 1
		}
		c.stmts[sql] = st
	}
	for i, a := range args {
		st.args[i].Value = a
	}
	return st, nil
}

// failed translates a statement's error and notices when it cost the transaction.
func (c *conn) failed(err error) error {
	err = translate(err)
	if c.inTx && c.raw.AutoCommit() {
		c.lost = fmt.Errorf("transaction was rolled back: %w", err)
	}
	return err
}

// forget drops the statement of a query that is too rare, and too slow, to be kept.
func (c *conn) forget(sql string) {
	if st := c.stmts[sql]; st != nil {
		_ = st.raw.Close() // what went wrong with it has been returned
		delete(c.stmts, sql)
	}
}

// begin starts a transaction: immediate for the writer, deferred for readers.
func (c *conn) begin(sql string) error {
	if _, err := c.exec(sql); err != nil {
		return wrap("begin", err)
	}
	c.inTx = true
	return nil
}

func (c *conn) commit() error {
	c.inTx = false
	_, err := c.exec("COMMIT")
	return wrap("commit", err)
}

// rollback ends the transaction if there still is one.
func (c *conn) rollback() error {
	c.inTx, c.lost = false, nil
	if c.raw.AutoCommit() {
		return nil
	}
	_, err := c.exec("ROLLBACK")
	return wrap("roll back", err)
}

// close is what a connection's owner calls last.
func (c *conn) close() error {
	var err error
	for _, st := range c.stmts {
		err = errors.Join(err, translate(st.raw.Close()))
	}
	return errors.Join(err, translate(c.raw.Close()))
}

// row is the current row of a statement. Its getters take what a STRICT table
// guarantees; anything else is damage, which err remembers.
type row struct {
	vals []driver.Value
	err  error
}

// bad returns the damage that the getters met, once.
func (r *row) bad() error {
	err := r.err
	r.err = nil
	return err
}

func (r *row) int(i int) int64 {
	v, ok := r.vals[i].(int64)
	if !ok && r.vals[i] != nil {
		r.err = damaged("stored number")
	}
	return v
}

func (r *row) float(i int) float64 {
	v, ok := r.vals[i].(float64)
	if !ok {
		r.err = damaged("stored number")
	}
	return v
}

func (r *row) uint(i int) uint64 { return uint64(r.int(i)) }

func (r *row) text(i int) string {
	v, ok := r.vals[i].(string)
	if !ok {
		r.err = damaged("stored text")
	}
	return v
}

// blob returns nil for NULL. The caller owns the slice.
func (r *row) blob(i int) []byte {
	v, ok := r.vals[i].([]byte)
	if !ok && r.vals[i] != nil {
		r.err = damaged("stored bytes")
	}
	return v
}

// fixed fills dst, which the stored bytes must match in size.
func (r *row) fixed(i int, dst []byte) {
	if b := r.blob(i); copy(dst, b) != len(dst) || len(b) != len(dst) {
		r.err = damaged("stored bytes of fixed size")
	}
}

func (r *row) hash(i int) (h core.Hash) {
	r.fixed(i, h[:])
	return h
}

// translate turns the driver's errors into those of this module: what errors.Is
// finds never depends on the driver.
func translate(err error) error {
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code {
	case sqlite3.ErrCorrupt:
		return fmt.Errorf("%w: %s", core.ErrCorrupt, se.Error())
	case sqlite3.ErrNotADB:
		return fmt.Errorf("%w: %s", core.ErrNotDatabase, se.Error())
	case sqlite3.ErrFull:
		return fmt.Errorf("database: %w", disk.Full(syscall.ENOSPC))
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return fmt.Errorf("database cannot be written (%s): %w", se.Error(), fs.ErrPermission)
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen:
		if se.SystemErrno != 0 {
			return fmt.Errorf("disk error %d: %w", int(se.ExtendedCode), disk.Full(se.SystemErrno))
		}
		return fmt.Errorf("disk error %d: %s", int(se.ExtendedCode), se.Error())
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return errors.New("database is held by another program: " + se.Error())
	default:
		return errors.New("database: " + se.Error())
	}
}
