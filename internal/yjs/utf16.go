package yjs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Strings are held as WTF-8 (https://simonsapin.github.io/wtf-8/): UTF-8 in which
// a lone surrogate half has its own three bytes. Lengths and offsets are in
// UTF-16 units, as in JavaScript.

// replacement is U+FFFD, which yjs puts in place of each half when it splits a
// surrogate pair.
const replacement = "\uFFFD"

// utf16Len counts the UTF-16 units of valid WTF-8.
func utf16Len(b []byte) uint64 {
	n := uint64(0)
	for ; len(b) >= 8; b = b[8:] {
		n += unitsInWord(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		n += unitsInByte(c)
	}
	return n
}

// textLen is utf16Len of a string.
func textLen(s string) uint64 {
	n := uint64(0)
	for i := range len(s) {
		n += unitsInByte(s[i])
	}
	return n
}

// unitsInByte counts what starts with a byte: nothing, a unit or a pair.
func unitsInByte(c byte) uint64 {
	switch {
	case c&0xC0 == 0x80:
		return 0
	case c >= 0xF0:
		return 2
	}
	return 1
}

// unitsInWord is unitsInByte for eight bytes.
func unitsInWord(w uint64) uint64 {
	const high = 0x8080808080808080
	continuing := w & high &^ (w << 1)
	leading4 := w & high & (w << 1) & (w << 2) & (w << 3)
	return uint64(8 - bits.OnesCount64(continuing) + bits.OnesCount64(leading4))
}

// utf16Offset returns the byte at which the units-th UTF-16 unit starts, and
// whether that is inside a surrogate pair; the byte is then the pair's first.
func utf16Offset(b []byte, units uint64) (at int, inPair bool) {
	for len(b)-at >= 8 {
		n := unitsInWord(binary.LittleEndian.Uint64(b[at:]))
		if n >= units {
			break
		}
		units -= n
		at += 8
	}
	for ; at < len(b); at++ {
		switch n := unitsInByte(b[at]); {
		case n == 0:
		case units == 0:
			return at, false
		case units < n:
			return at, true
		default:
			units -= n
		}
	}
	return at, false
}

// utf16Units returns the UTF-16 units of valid WTF-8, the halves of a pair each.
func utf16Units(s string) []rune {
	var units []rune
	for i := 0; i < len(s); {
		if b := s[i:]; len(b) >= 3 && isSurrogate([]byte(b[:3])) {
			units = append(units, surrogate([]byte(b[:3])))
			i += 3
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if high, low := utf16.EncodeRune(r); r > 0xFFFF {
			units = append(units, high, low)
		} else {
			units = append(units, r)
		}
	}
	return units
}

// isSurrogate reports whether b starts with a surrogate half in WTF-8.
func isSurrogate(b []byte) bool {
	return len(b) >= 3 && b[0] == 0xED && b[1] >= 0xA0
}

// surrogate returns the half that b starts with.
func surrogate(b []byte) rune { return 0xD000 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f) }

// indexSurrogate returns where the first surrogate half is, -1 for none.
func indexSurrogate(b []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], 0xED)
		if at < 0 {
			return -1
		}
		if from += at; isSurrogate(b[from:]) {
			return from
		}
		from++
	}
}

// replaceSurrogates overwrites lone surrogate halves with U+FFFD.
func replaceSurrogates(b []byte) {
	for at := indexSurrogate(b); at >= 0; at = indexSurrogate(b) {
		b = b[at+copy(b[at:], replacement):]
	}
}

// appendWTF8 appends one code point, which may be a surrogate half. A low half
// after a high half makes the pair.
func appendWTF8(b []byte, r rune) []byte {
	if r < 0xD800 || r > 0xDFFF {
		return utf8.AppendRune(b, r)
	}
	if n := len(b); r >= 0xDC00 && endsHigh(b) {
		high := surrogate(b[n-3:])
		return utf8.AppendRune(b[:n-3], (high-0xD800)<<10+(r-0xDC00)+0x10000)
	}
	return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}
