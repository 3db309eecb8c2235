// Package yjs is a Yjs engine: documents that merge without conflict, in the
// update format v1 and with the merge results of yjs 13.6
// (https://github.com/yjs/yjs). It imports nothing else of this module.
//
// There are two halves. The functions that work on bytes (Validate, Merge,
// Diff, StateVector, Coalesce, Split and the type Update) never build a
// document, so their cost depends on the update alone. Doc integrates updates
// by the YATA algorithm and is read, and inside Transact edited, through Type.
//
// Equality with yjs: under the same sequence of Apply calls and the same
// declared roots, Encode returns the bytes of Y.encodeStateAsUpdate; Merge, Diff
// and StateVector return those of Y.mergeUpdates, Y.diffUpdate and
// Y.encodeStateVectorFromUpdate. For the same operations under the same client ID, a
// Doc that is Live emits the updates that a Y.Doc emits. Compact returns a canonical
// form that depends only on the set of structs and deletions: runs fully merged,
// deleted content dropped.
//
// Bytes from outside are decoded completely and checked before anything is
// applied, so every function either succeeds or returns an error wrapping
// ErrInvalid and changes nothing. Nothing here panics on, loops over, or
// allocates more than a small multiple of what it was given.
//
// A Doc is not safe for concurrent use; the functions are.
package yjs

import "errors"

// ErrInvalid is wrapped by every error about bytes that are no Yjs update or
// state vector.
var ErrInvalid = errors.New("yjs: invalid encoding")

// maxSafe is JavaScript's Number.MAX_SAFE_INTEGER. Clients, clocks and lengths
// never exceed it.
const maxSafe = 1<<53 - 1

// ID names one unit of content: the clock-th unit that a client wrote.
type ID struct {
	Client uint64
	Clock  uint64
}

// Range is a run of clocks of one client.
type Range struct {
	Clock uint64
	Len   uint64
}

// end is the first clock after the range.
func (r Range) end() uint64 { return r.Clock + r.Len }
