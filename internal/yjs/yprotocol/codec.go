package yprotocol

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// reader decodes the integers, bytes and strings of lib0
// (https://github.com/dmonad/lib0). The first error sticks: later reads return zero
// values, so callers check err once.
type reader struct {
	buf []byte
	pos int
	err error
}

func (r *reader) fail(sentinel error, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s: %w", r.pos, fmt.Sprintf(format, args...), sentinel)
		r.pos = len(r.buf)
	}
}

// read decodes all of the bytes.
func read[T any](b []byte, decode func(*reader) T) (T, error) {
	var zero T
	r := &reader{buf: b}
	if len(b) > MaxMessage {
		r.fail(ErrLimit, "%d bytes", len(b))
	}
	v := decode(r)
	if r.rest() > 0 {
		r.fail(ErrInvalid, "%d bytes after the end", r.rest())
	}
	if r.err != nil {
		return zero, r.err
	}
	return v, nil
}

func (r *reader) rest() int { return len(r.buf) - r.pos }

// uint reads a varUint of at most maxSafe.
func (r *reader) uint() uint64 {
	var n uint64
	for shift := 0; shift < 56; shift += 7 {
		if r.pos >= len(r.buf) {
			r.fail(ErrInvalid, "unexpected end")
			return 0
		}
		b := r.buf[r.pos]
		r.pos++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > maxSafe {
				break
			}
			return n
		}
	}
	r.fail(ErrInvalid, "integer out of range")
	return 0
}

// bytes reads a length and that many bytes, which alias the input. They are not nil.
func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(r.rest()) {
		r.fail(ErrInvalid, "length %d exceeds the input", n)
	}
	if r.err != nil {
		return []byte{}
	}
	b := r.buf[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// text reads a string of at most limit bytes, as bytes that alias the input.
func (r *reader) text(limit int) []byte {
	b := r.bytes()
	switch {
	case len(b) > limit:
		r.fail(ErrLimit, "string of %d bytes", len(b))
	case !utf8.Valid(b):
		r.fail(ErrInvalid, "string is not UTF-8")
	default:
		return b
	}
	return nil
}

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func appendBytes(b, value []byte) []byte { return append(appendUint(b, uint64(len(value))), value...) }
