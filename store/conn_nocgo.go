//go:build !cgo

package store

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
)

// Without cgo there is no SQLite: Open says so before it touches the disk, and
// nothing below is ever reached.
const haveCgo = false

type conn struct {
	peers peerCache
	lost  error
}

type row struct {
	vals []any
	err  error
}

func openConn(string, []pragma) (*conn, error)              { return nil, core.ErrNoCgo }
func (c *conn) pragma(string) (string, error)               { return "", core.ErrNoCgo }
func (c *conn) setPragma(pragma) error                      { return core.ErrNoCgo }
func (c *conn) script(string) error                         { return core.ErrNoCgo }
func (c *conn) scriptContext(context.Context, string) error { return core.ErrNoCgo }
func (c *conn) exec(string, ...any) (int64, error)          { return 0, core.ErrNoCgo }
func (c *conn) insert(string, ...any) (int64, error)        { return 0, core.ErrNoCgo }
func (c *conn) one(string, ...any) (*row, error)            { return nil, core.ErrNoCgo }
func (c *conn) each(string, []any, func(*row) bool) error   { return core.ErrNoCgo }
func (c *conn) eachContext(context.Context, string, []any, func(*row) bool) error {
	return core.ErrNoCgo
}
func (c *conn) checkPragma(pragma) error { return core.ErrNoCgo }
func (c *conn) forget(string)            {}
func (c *conn) begin(string) error       { return core.ErrNoCgo }
func (c *conn) commit() error            { return core.ErrNoCgo }
func (c *conn) rollback() error          { return core.ErrNoCgo }
func (c *conn) close() error             { return core.ErrNoCgo }

func (r *row) bad() error             { return core.ErrNoCgo }
func (r *row) int(int) int64          { return 0 }
func (r *row) float(int) float64      { return 0 }
func (r *row) uint(int) uint64        { return 0 }
func (r *row) text(int) string        { return "" }
func (r *row) blob(int) []byte        { return nil }
func (r *row) fixed(int, []byte)      {}
func (r *row) hash(int) (h core.Hash) { return h }
