package log

import (
	"encoding/binary"
	"unicode/utf8"
)

// The major types of CBOR that the format uses (RFC 8949, 3.1).
const (
	majorUint   = 0
	majorNegint = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorSimple = 7
)

// scanner reads the format's CBOR from the front of b. It takes one spelling of
// each item, copies nothing and allocates nothing, so hostile lengths cost
// nothing: a length is checked against the bytes that are there. The encoder is
// an independent implementation, and Decode compares the two on every header.
//
// The first error sticks; after it all methods return zero values.
type scanner struct {
	b   []byte
	off int
	err error
}

func (s *scanner) fail(reason Reason, what string) {
	if s.err == nil {
		s.err = reject(reason, "%s at byte %d", what, s.off)
	}
}

// head reads the head of the next item, whose argument must be in its shortest form.
func (s *scanner) head() (major byte, arg uint64) {
	if s.err != nil {
		return 0, 0
	}
	rest := s.b[s.off:]
	if len(rest) == 0 {
		s.fail(ReasonEncoding, "input ends")
		return 0, 0
	}
	major, info := rest[0]>>5, rest[0]&0x1f
	if info < 24 {
		s.off++
		return major, uint64(info)
	}
	if info > 27 {
		s.fail(ReasonEncoding, "indefinite or reserved length")
		return 0, 0
	}
	size := 1 << (info - 24)
	if len(rest) < 1+size {
		s.fail(ReasonEncoding, "input ends")
		return 0, 0
	}
	var smallest uint64
	switch size {
	case 1:
		arg, smallest = uint64(rest[1]), 24
	case 2:
		arg, smallest = uint64(binary.BigEndian.Uint16(rest[1:])), 1<<8
	case 4:
		arg, smallest = uint64(binary.BigEndian.Uint32(rest[1:])), 1<<16
	case 8:
		arg, smallest = binary.BigEndian.Uint64(rest[1:]), 1<<32
	}
	if arg < smallest {
		s.fail(ReasonEncoding, "number not in its shortest form")
		return 0, 0
	}
	s.off += 1 + size
	return major, arg
}

// expect reads a head of the major type.
func (s *scanner) expect(major byte, what string) uint64 {
	start := s.off
	got, arg := s.head()
	if s.err == nil && got != major {
		s.off = start
		s.fail(ReasonEncoding, "want "+what)
		return 0
	}
	return arg
}

func (s *scanner) uint() uint64 { return s.expect(majorUint, "an unsigned integer") }

// array reads the head of an array of elements that take at least size bytes
// each, and returns its length, which fits into the bytes that follow.
func (s *scanner) array(size int) int {
	n := s.expect(majorArray, "an array")
	if s.err == nil && n > uint64((len(s.b)-s.off)/size) {
		s.fail(ReasonEncoding, "array is longer than the input")
		return 0
	}
	return int(n)
}

// arrayOf reads the head of an array that must have n elements.
func (s *scanner) arrayOf(n int) {
	if got := s.array(1); s.err == nil && got != n {
		s.fail(ReasonEncoding, "wrong number of elements")
	}
}

func (s *scanner) take(n uint64) []byte {
	if s.err != nil {
		return nil
	}
	if n > uint64(len(s.b)-s.off) {
		s.fail(ReasonEncoding, "string is longer than the input")
		return nil
	}
	end := s.off + int(n)
	out := s.b[s.off:end:end]
	s.off = end
	return out
}

func (s *scanner) bytes() []byte { return s.take(s.expect(majorBytes, "a byte string")) }

// fixed reads a byte string of n bytes.
func (s *scanner) fixed(n int) []byte {
	b := s.bytes()
	if s.err == nil && len(b) != n {
		s.fail(ReasonEncoding, "byte string of the wrong length")
		return nil
	}
	return b
}

// optional reads a byte string of n bytes, or none.
func (s *scanner) optional(n int) []byte {
	b := s.bytes()
	if s.err == nil && len(b) != n && len(b) != 0 {
		s.fail(ReasonEncoding, "byte string of the wrong length")
		return nil
	}
	return b
}

// bool reads true or false.
func (s *scanner) bool() bool {
	start := s.off
	major, arg := s.head()
	if s.err == nil && (major != majorSimple || arg != 20 && arg != 21 || s.off != start+1) {
		s.off = start
		s.fail(ReasonEncoding, "want true or false")
	}
	return s.err == nil && arg == 21
}

func (s *scanner) text() string {
	b := s.take(s.expect(majorText, "text"))
	if s.err == nil && !utf8.Valid(b) {
		s.fail(ReasonEncoding, "text is not UTF-8")
		return ""
	}
	return string(b)
}

// skip reads one item of any kind the format has, with at most depth levels of arrays.
func (s *scanner) skip(depth int) {
	start := s.off
	major, arg := s.head()
	switch {
	case s.err != nil:
	case major == majorUint, major == majorNegint:
	case major == majorBytes:
		s.take(arg)
	case major == majorText:
		if b := s.take(arg); !utf8.Valid(b) {
			s.fail(ReasonEncoding, "text is not UTF-8")
		}
	case major == majorArray:
		if depth == 0 {
			s.fail(ReasonTooDeep, "array nests too deep")
			return
		}
		if arg > uint64(len(s.b)-s.off) {
			s.fail(ReasonEncoding, "array is longer than the input")
			return
		}
		for i := uint64(0); i < arg && s.err == nil; i++ {
			s.skip(depth - 1)
		}
	case major == majorSimple && s.off == start+1 && arg >= 20 && arg <= 22: // false, true, null
	default:
		s.off = start
		s.fail(ReasonEncoding, "map, tag, float or reserved value")
	}
}

// end fails unless all input was read.
func (s *scanner) end() error {
	if s.err == nil && s.off != len(s.b) {
		s.fail(ReasonEncoding, "trailing bytes")
	}
	return s.err
}
