package soma

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/soma-sdk/soma/internal/collection"
)

// ChangeKind says what happened to a collection.
type ChangeKind = collection.ChangeKind

// The kinds of Change.
const (
	// ChangePut says that Key has the Value.
	ChangePut = collection.Put
	// ChangeDeleted says that Key has no value that can be read any more.
	ChangeDeleted = collection.Deleted
	// ChangeCleared says that all records that were updated at UpdatedAtMs or before are
	// gone, as by Clear.
	ChangeCleared = collection.Cleared
	// ChangeReset says that everything may have changed: List again.
	ChangeReset = collection.Reset
)

// What waits for one Watch at most. Past it, all of it becomes one ChangeReset.
const (
	// MaxPendingChanges is how many changes wait.
	MaxPendingChanges = collection.MaxPendingChanges
	// MaxPendingChangeBytes is how long their values are together.
	MaxPendingChangeBytes = collection.MaxPendingBytes
)

// Change is one change of a collection.
type Change[T any] struct {
	Kind        ChangeKind
	Key         string // of ChangePut and ChangeDeleted
	Value       T      // of ChangePut
	UpdatedAtMs int64  // of all but ChangeReset
	Seq         int64  // its number in the collection, as that of StorageSnapshot
}

// RawChange is a Change whose value is JSON as it was written.
type RawChange = Change[json.RawMessage]

// Watch returns a channel of the changes of the collection from now on: it is registered
// before it returns, and a change is sent once it is committed. A slow reader makes no
// writer wait: of each key only the newest state waits for it, and past MaxPendingChanges
// or MaxPendingChangeBytes everything that waits becomes one ChangeReset. Writes that change
// nothing are not told. Records that expire are told as deleted when they are removed, by a
// later write or by Prune.
//
// The channel closes when ctx ends, which is how to unsubscribe, and on Close. It is closed
// from the start after Close, and where each call is an error.
func (c *Collection[T]) Watch(ctx context.Context) <-chan Change[T] {
	if c.err != nil {
		none := make(chan Change[T])
		close(none)
		return none
	}
	return watch(ctx, c.all, c.name, c.change)
}

// change returns a change as T. A value that does not fit is not there.
func (c *Collection[T]) change(raw rawChange) Change[T] {
	change := Change[T]{Kind: raw.Kind, Key: raw.Key, UpdatedAtMs: raw.UpdatedAtMs, Seq: raw.Seq}
	if raw.Kind != ChangePut {
		return change
	}
	d, err := c.decode(raw.Key, bytes.Clone(raw.Value))
	if err != nil {
		change.Kind = ChangeDeleted
		return change
	}
	change.Value = d.value
	return change
}
