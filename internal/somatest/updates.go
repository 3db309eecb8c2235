package somatest

import (
	"encoding/binary"
	"testing"
	"unicode/utf16"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Root is the name of the text that the updates of this package write to.
const Root = "text"

// The kinds of content used here, https://github.com/yjs/yjs/blob/main/INTERNALS.md.
const (
	contentBinary = 3
	contentString = 4
	withOrigin    = 0x80
)

// Typed returns the Yjs v1 update of a client that types text behind what it
// typed before: clock UTF-16 units so far.
func Typed(client, clock uint64, text string) []byte {
	b := item(client, clock, contentString)
	b = appendString(b, text)
	return append(b, 0) // no deletions
}

// Units returns how far Typed moves a client's clock.
func Units(text string) uint64 { return uint64(len(utf16.Encode([]rune(text)))) }

// Binary returns the update of a client that puts one binary value, which no
// update can hold in parts, behind what it wrote before.
func Binary(client, clock uint64, value []byte) []byte {
	b := item(client, clock, contentBinary)
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, value...)
	return append(b, 0)
}

// Deletion returns the update that deletes length units of a client's content.
func Deletion(client, clock, length uint64) []byte {
	b := []byte{0, 1} // no content; deletions of one client
	b = binary.AppendUvarint(b, client)
	b = append(b, 1) // one range
	b = binary.AppendUvarint(b, clock)
	return binary.AppendUvarint(b, length)
}

// item begins an update of one struct.
func item(client, clock uint64, kind byte) []byte {
	b := []byte{1, 1} // one client, one struct
	b = binary.AppendUvarint(b, client)
	b = binary.AppendUvarint(b, clock)
	if clock == 0 {
		b = append(b, kind, 1) // the parent is a root
		return appendString(b, Root)
	}
	b = append(b, kind|withOrigin)
	b = binary.AppendUvarint(b, client)
	return binary.AppendUvarint(b, clock-1)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// WithoutEarly returns a canonical state without the deletions of content that it does
// not hold: a store keeps those to itself until the content comes.
func WithoutEarly(tb testing.TB, state []byte) []byte {
	tb.Helper()
	u, err := yjs.ParseUpdate(state)
	if err != nil {
		tb.Fatal(err)
	}
	early := yjs.Without(u.Deleted(), u.Content())
	if len(early) == 0 {
		return state
	}
	u.SetDeletes(yjs.Without(u.Deleted(), early))
	if state, err = yjs.Compact(u.Encode()); err != nil {
		tb.Fatal(err)
	}
	return state
}
