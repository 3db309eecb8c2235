package soma

import "github.com/soma-sdk/soma/internal/yjs"

// ArrayReader reads an array (Y.Array).
type ArrayReader interface {
	Content
	// Len returns the number of values.
	Len() int
	// Get returns one value; content in it is a handle. Errors: ErrOutOfRange, those of Err.
	Get(index int) (any, error)
	// Values returns all values.
	Values() []any
}

// Array edits an array. Errors: as Text. It takes all values but Undefined and BigInt,
// which yjs refuses in lists.
type Array interface {
	ArrayReader
	// Insert inserts values at an index.
	Insert(index int, values ...any) error
	// Push inserts values at the end.
	Push(values ...any) error
	// Delete deletes length values.
	Delete(index, length int) error
}

// NewArray returns a free-standing array. What is wrong with the values, Err returns, and
// who inserts it.
func NewArray(values ...any) Array {
	a := array{arrayReader{free(yjs.NewArray())}}
	if err := a.Push(values...); err != nil {
		a.err = err
	}
	return a
}

type arrayReader struct{ *node }

func (a arrayReader) Len() int                   { return a.length() }
func (a arrayReader) Get(index int) (any, error) { return a.at(index) }
func (a arrayReader) Values() []any              { return a.values() }

type array struct{ arrayReader }

func (a array) Insert(index int, values ...any) error { return a.insertAt(index, values) }
func (a array) Push(values ...any) error              { return a.push(values) }
func (a array) Delete(index, length int) error        { return a.delete(index, length) }

func (n *node) insertAt(index int, values []any) error {
	at, err := units(index)
	if err != nil {
		return err
	}
	return n.insert(values, func(tx *yjs.Transaction, t *yjs.Type, values []any) error {
		return t.Insert(tx, at, values...)
	})
}

func (n *node) push(values []any) error {
	return n.insert(values, func(tx *yjs.Transaction, t *yjs.Type, values []any) error {
		return t.Push(tx, values...)
	})
}
