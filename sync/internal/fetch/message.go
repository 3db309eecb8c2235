package fetch

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// The messages of /soma/blob/1.
const (
	kindGet      wire.Kind = 64
	kindFound    wire.Kind = 65
	kindNotFound wire.Kind = 66
)

// Limits of these messages.
const (
	maxGetFrame   = 96
	maxFoundFrame = 16
	// maxSize is more than any blob has.
	maxSize = 1 << 50
)

var (
	requests = wire.Limits{kindGet: maxGetFrame}
	answers  = wire.Limits{kindFound: maxFoundFrame, kindNotFound: maxFoundFrame}
)

// get asks for a blob of a space, from an offset on.
type get struct {
	_      struct{} `cbor:",toarray"`
	Tag    wire.Tag
	Hash   core.Hash
	Offset uint64
}

// Kind implements wire.Message.
func (get) Kind() wire.Kind { return kindGet }

// Check refuses what no blob has.
func (g get) Check() error {
	if g.Offset > maxSize {
		return wire.Excess("an offset of %d bytes", g.Offset)
	}
	return nil
}

// found says how many bytes a blob has. Those after the offset follow the frame.
type found struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
}

// Kind implements wire.Message.
func (found) Kind() wire.Kind { return kindFound }

// Check refuses what no blob has.
func (f found) Check() error {
	if f.Size > maxSize {
		return wire.Excess("a blob of %d bytes", f.Size)
	}
	return nil
}

// notFound says that there is no such blob, or that its bytes are not to be had here.
type notFound struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements wire.Message.
func (notFound) Kind() wire.Kind { return kindNotFound }
