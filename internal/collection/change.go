package collection

import "encoding/json"

// ChangeKind says what happened to a collection.
type ChangeKind string

// The kinds of Change.
const (
	// Put is a value under a key, a new one or another one than before.
	Put ChangeKind = "put"
	// Deleted is a key that has no value any more.
	Deleted ChangeKind = "deleted"
	// Cleared says that all records that were updated at UpdatedAtMs or before are gone.
	Cleared ChangeKind = "cleared"
	// Reset stands for more than fitted: everything may have changed.
	Reset ChangeKind = "reset"
)

// Change is one change of a collection.
type Change struct {
	Collection  string
	Kind        ChangeKind
	Key         string          // of Put and Deleted
	Value       json.RawMessage // of Put
	UpdatedAtMs int64           // not of Reset
	Seq         int64           // its number
}
