package yjs_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// valueCases are what lib0's writeAny writes.
var valueCases = []struct {
	value   any
	encoded []byte
}{
	{yjs.Undefined{}, []byte{127}},
	{nil, []byte{126}},
	{0.0, []byte{125, 0}},
	{math.Copysign(0, -1), []byte{125, 0x40}},
	{true, []byte{120}},
	{"", []byte{119, 0}},
	{yjs.Object{}, []byte{118, 0}},
	{[]any{}, []byte{117, 0}},
	{[]byte{}, []byte{116, 0}},
}

func TestValue(t *testing.T) {
	for _, c := range valueCases {
		if got := yjs.EncodeValue(c.value); !bytes.Equal(got, c.encoded) {
			t.Errorf("EncodeValue(%v) = %x, want %x", c.value, got, c.encoded)
		}
	}
}
