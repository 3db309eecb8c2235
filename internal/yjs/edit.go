package yjs

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of edits. An operation that fails has changed nothing.
var (
	ErrRange      = errors.New("yjs: index out of range")
	ErrClosed     = errors.New("yjs: transaction has ended")
	ErrValue      = errors.New("yjs: value has no Yjs form")
	ErrIntegrated = errors.New("yjs: type is part of a document already")
	ErrDeleted    = errors.New("yjs: type was deleted")
	ErrForeign    = errors.New("yjs: type of another document")
	ErrClock      = errors.New("yjs: client has no clocks left")
)

// maxClock bounds what one client writes: past it an edit is ErrClock. No operation is
// long enough to get from there to the largest clock that yjs can count to.
const maxClock = 1 << 52

// edits reports whether an operation on the type can go on: that the transaction is
// open and of the same document, that the type is there, and of one of the kinds.
func (t *Type) edits(tx *Transaction, kinds ...Kind) error {
	if err := t.is(kinds...); err != nil {
		return err
	}
	switch {
	case !tx.open():
		return ErrClosed
	case t.doc != tx.doc:
		return ErrForeign
	case t.item != nil && t.item.deleted():
		return ErrDeleted
	case tx.doc.ClientID() > maxSafe || tx.doc.state(tx.doc.ClientID()) > maxClock:
		return ErrClock
	}
	return nil
}

// is returns ErrKind if the type is of none of the kinds.
func (t *Type) is(kinds ...Kind) error {
	if !slices.Contains(kinds, t.kind) {
		return fmt.Errorf("%s: %w", t.kind, ErrKind)
	}
	return nil
}

// free reports whether the type is free-standing: not part of a document yet.
func (t *Type) free() bool { return t.draft != nil }

// insert places new content of this client between two neighbours.
func (d *Doc) insert(left, right *item, parent *Type, key *string, c content, length uint64) *item {
	client := d.ClientID()
	it := &item{
		left: left, right: right, parent: parent, parentSub: key,
		id: ID{client, d.state(client)}, content: c, length: length,
	}
	if left != nil {
		it.setOrigin(left.lastID())
	}
	if right != nil {
		it.rightOrigin = right.id
		it.bits |= flagRightOrigin
	}
	d.judge(it)
	d.integrate(it, 0)
	return it
}

// Delete deletes units of a text, values of an array or children of an XML node.
// Errors: ErrRange, and those of every edit: ErrKind, ErrClosed, ErrForeign, ErrDeleted,
// ErrClock.
func (t *Type) Delete(tx *Transaction, index, length uint64) error {
	if t.free() {
		return t.draft.delete(t, index, length)
	}
	if err := t.edits(tx, KindText, KindXMLText, KindArray, KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	if err := t.within(index, length); err != nil {
		return err
	}
	switch {
	case length == 0:
	case t.isText():
		t.deleteAt(tx.doc, index, length)
	default:
		return tx.doc.deleteList(t, index, length)
	}
	return nil
}

// within returns ErrRange if a range does not lie in the sequence.
func (t *Type) within(index, length uint64) error {
	if n := t.Len(); index > n || length > n-index {
		return fmt.Errorf("%d units at %d of %d: %w", length, index, n, ErrRange)
	}
	return nil
}
