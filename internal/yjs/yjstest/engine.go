package yjstest

import "errors"

// ErrNotOffered says that an engine lacks an optional part. Sessions that need it are
// counted as not compared.
var ErrNotOffered = errors.New("not offered by this engine")

// Kind is the type of a root, as a session declares it.
type Kind string

// The kinds of roots that sessions declare.
const (
	KindText        Kind = "text"
	KindArray       Kind = "array"
	KindMap         Kind = "map"
	KindXMLFragment Kind = "xmlfragment"
	KindXMLElement  Kind = "xmlelement"
	KindXMLText     Kind = "xmltext"
)

// Engine is an implementation of Yjs. Updates and state vectors are in the
// format v1. Arguments stay the caller's; results are the caller's too.
type Engine interface {
	NewDoc() Doc

	// Merge, Diff and StateVector are Y.mergeUpdates, Y.diffUpdate and
	// Y.encodeStateVectorFromUpdate.
	Merge(updates ...[]byte) ([]byte, error)
	Diff(update, stateVector []byte) ([]byte, error)
	StateVector(update []byte) ([]byte, error)

	// Validate returns an error for bytes that Apply and Merge would refuse.
	Validate(update []byte) error

	// Compact merges updates into a canonical form: the same bytes for the same
	// updates in any order and number, without deleted content.
	Compact(updates ...[]byte) ([]byte, error)
}

// Doc is a document that integrates updates and drops deleted content (gc).
type Doc interface {
	// Declare fixes the type of a root. Sessions declare before the first Apply,
	// or just before Content.
	Declare(root string, kind Kind)

	// Apply is Y.applyUpdate. A failed Apply changes nothing.
	Apply(update []byte) error

	// Encode is Y.encodeStateAsUpdate; a nil vector asks for everything.
	Encode(stateVector []byte) ([]byte, error)

	StateVector() []byte

	// Pending reports whether structs or deletions wait for missing updates.
	Pending() bool

	// Content returns the value of every declared root, in the types of this
	// package ([Text], [Map], ...).
	Content() (map[string]any, error)
}

// JSONDoc is a Doc that also has toJSON.
type JSONDoc interface {
	Doc

	// JSON returns toJSON of every declared root: plain values only.
	JSON() (map[string]any, error)
}

// V2Engine is an Engine that converts between the two update formats.
type V2Engine interface {
	Engine

	// ToV2 and ToV1 are Y.convertUpdateFormatV1ToV2 and V2ToV1.
	ToV2(update []byte) ([]byte, error)
	ToV1(update []byte) ([]byte, error)
}

// V2Doc is a Doc that encodes itself in the format v2.
type V2Doc interface {
	Doc

	// EncodeV2 is Y.encodeStateAsUpdateV2.
	EncodeV2(stateVector []byte) ([]byte, error)
}

// EditingEngine is an Engine whose documents can be edited.
type EditingEngine interface {
	Engine

	// NewClient returns a document that edits under a client ID. With undo, it has an
	// undo manager over all of the roots, whose steps end only at StopCapturing; an
	// engine without one returns ErrNotOffered.
	NewClient(id uint64, roots []Root, undo bool) (Client, error)
}

// Client is a document that is edited. It emits what yjs's 'update' event would
// give for its own transactions, those of its undo manager and the formatting
// clean-up that received updates cause; not the received updates themselves.
type Client interface {
	JSONDoc

	// Do performs operations in one transaction.
	Do(ops []Op) error
	Undo() error
	Redo() error
	StopCapturing()

	// Emitted returns the updates since the last call, in order.
	Emitted() [][]byte

	// Announced returns the updates that yjs's 'update' event gives because of received
	// ones, since the last call.
	Announced() [][]byte
}

// WatchedClient is a Client whose roots can be observed.
type WatchedClient interface {
	Client

	// Watch observes every declared root, with what is inside it.
	Watch()

	// Observed returns the calls of the observers since the last call of it, in order.
	Observed() ([]Observation, error)
}

// Root names a root and its type.
type Root struct {
	Name string
	Kind Kind
}
