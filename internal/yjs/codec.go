package yjs

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// reader decodes lib0's encoding (https://github.com/dmonad/lib0). The first
// error sticks: later reads return zero values, so callers check err once.
type reader struct {
	buf []byte
	pos int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s: %w", r.pos, fmt.Sprintf(format, args...), ErrInvalid)
		r.pos = len(r.buf)
	}
}

// rest is how many bytes are left. It bounds every count read from the input.
func (r *reader) rest() int { return len(r.buf) - r.pos }

func (r *reader) byte() byte {
	if r.pos >= len(r.buf) {
		r.fail("unexpected end")
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

// uint reads a varUint of at most maxSafe.
func (r *reader) uint() uint64 {
	if r.pos < len(r.buf) && r.buf[r.pos] < 0x80 {
		b := r.buf[r.pos]
		r.pos++
		return uint64(b)
	}
	var n uint64
	for shift := 0; shift < 56; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > maxSafe {
				break
			}
			return n
		}
	}
	r.fail("integer out of range")
	return 0
}

// int reads a varInt. Negative zero is a value of its own in lib0.
func (r *reader) int() float64 {
	b := r.byte()
	n := uint64(b & 0x3f)
	negative := b&0x40 != 0
	for shift := 6; b >= 0x80; shift += 7 {
		if shift > 55 {
			r.fail("integer out of range")
			return 0
		}
		b = r.byte()
		n |= uint64(b&0x7f) << shift
	}
	if n > maxSafe {
		r.fail("integer out of range")
		return 0
	}
	f := float64(n)
	if negative {
		f = math.Copysign(f, -1)
	}
	return f
}

// bytes reads a length and that many bytes, which alias the input.
func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(r.rest()) {
		r.fail("length %d exceeds the input", n)
		return nil
	}
	b := r.buf[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// text reads a string as bytes that alias the input: UTF-8 without surrogates,
// as the fatal TextDecoder of yjs demands.
func (r *reader) text() []byte {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail("string is not UTF-8")
		return nil
	}
	return b
}

func (r *reader) string() string { return string(r.text()) }

func (r *reader) id() ID { return ID{Client: r.uint(), Clock: r.uint()} }

// done reports the first error, or that input is left over.
func (r *reader) done() error {
	if r.err == nil && r.rest() > 0 {
		r.fail("%d bytes after the end", r.rest())
	}
	return r.err
}

// writer encodes lib0's encoding.
type writer struct{ buf []byte }

func (w *writer) byte(b byte) { w.buf = append(w.buf, b) }

func (w *writer) uint(n uint64) { w.buf = binary.AppendUvarint(w.buf, n) }

func (w *writer) int(f float64) {
	negative := math.Signbit(f)
	n := uint64(math.Abs(f))
	b := byte(n & 0x3f)
	if negative {
		b |= 0x40
	}
	if n > 0x3f {
		b |= 0x80
	}
	w.byte(b)
	if n >>= 6; n > 0 {
		w.uint(n)
	}
}

func (w *writer) bytes(b []byte) {
	w.uint(uint64(len(b)))
	w.buf = append(w.buf, b...)
}

// string writes a string the way a TextEncoder does: a lone surrogate, held as
// WTF-8 inside this package, becomes U+FFFD, which is three bytes as well.
func (w *writer) string(s string) {
	w.uint(uint64(len(s)))
	start := len(w.buf)
	w.buf = append(w.buf, s...)
	replaceSurrogates(w.buf[start:])
}

// text is string for bytes.
func (w *writer) text(b []byte) {
	w.uint(uint64(len(b)))
	start := len(w.buf)
	w.buf = append(w.buf, b...)
	replaceSurrogates(w.buf[start:])
}

func (w *writer) id(id ID) {
	w.uint(id.Client)
	w.uint(id.Clock)
}
