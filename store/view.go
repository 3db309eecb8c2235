package store

import (
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// view reads through a connection that is inside a transaction. Its connection
// is taken away when the function it was made for has returned.
type view struct{ c *conn }

var _ core.View = (*view)(nil)

// tx is a view of the writer's connection that can change rows.
type tx struct {
	view
	hooks     []func() // of a rollback
	committed []func()
}

var _ core.Tx = (*tx)(nil)

// OnRollback implements core.Tx.
func (t *tx) OnRollback(fn func()) { t.hooks = append(t.hooks, fn) }

// OnCommit implements core.Tx.
func (t *tx) OnCommit(fn func()) { t.committed = append(t.committed, fn) }

// undo runs the hooks, latest first.
func (t *tx) undo() {
	for _, hook := range slices.Backward(t.hooks) {
		hook()
	}
	t.hooks = nil
}

// notNil stores a nil slice as an empty one where a column takes no NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
