package wire

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Message is what a frame holds: a struct that CBOR encodes as an array of fewer than 23.
type Message interface{ Kind() Kind }

// maxElements bounds each array of a message, and so what decoding may allocate.
const maxElements = 1 << 14

var encoding, decoding = modes()

// modes returns how messages are written and read: strictly, and within bounds.
func modes() (cbor.EncMode, cbor.DecMode) {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opts.EncMode()
	if err != nil { // unreachable: the options are constant
		panic(err)
	}
	dec, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: 8, MaxArrayElements: maxElements, MaxMapPairs: 16,
	}.DecMode()
	if err != nil { // unreachable, as above
		panic(err)
	}
	return enc, dec
}

// Encode returns the frame of a message, with its length.
func Encode(m Message) ([]byte, error) {
	body, err := encoding.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message %d: %w", m.Kind(), err)
	}
	return appendFrame(make([]byte, 0, len(body)+8), m.Kind(), body)
}

// Decode reads the message of a frame. What Encode would have written otherwise is an
// *Error, so is what the message's Check refuses, if it has one.
func Decode[T Message](f Frame) (T, error) {
	var m T
	if f.Kind != m.Kind() {
		return m, Breach("message %d came, not %d", f.Kind, m.Kind())
	}
	if err := decoding.Unmarshal(f.body, &m); err != nil {
		return m, Breach("message %d: %v", f.Kind, err)
	}
	if again, err := encoding.Marshal(m); err != nil || !bytes.Equal(again, f.body) {
		return m, Breach("message %d is not in its canonical form", f.Kind)
	}
	if c, ok := any(m).(interface{ Check() error }); ok {
		return m, c.Check()
	}
	return m, nil
}
