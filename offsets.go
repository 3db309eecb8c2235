package soma

import (
	"fmt"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/yjs"
)

// UTF16Len returns the length of a string in UTF-16 units: how far an index moves over it.
func UTF16Len(s string) int {
	var p position
	for p.byte < len(s) {
		p.advance(s[p.byte:], len(s))
	}
	return p.unit
}

// position is a place in a text, counted in each way.
type position struct{ unit, byte, rune int }

// advance moves over the first character of what follows, or over more if these count the
// same in each way, but at most over max. It returns the bytes that it moved over.
func (p *position) advance(rest string, max int) (size int) {
	for size < min(len(rest), max) && rest[size] < utf8.RuneSelf {
		size++
	}
	if size == 0 {
		return p.step(rest)
	}
	p.unit += size
	p.byte += size
	p.rune += size
	return size
}

// step moves over the first character of what follows. A half of a surrogate pair, which
// is no UTF-8 but has three bytes, is one.
func (p *position) step(rest string) (size int) {
	r, size := utf8.DecodeRuneInString(rest)
	units := 1
	switch {
	case r > 0xFFFF:
		units = 2
	case r == utf8.RuneError && size == 1 && len(rest) >= 3 && rest[0] == 0xED:
		size = 3
	}
	p.unit += units
	p.byte += size
	p.rune++
	return size
}

// locate returns the first place of a text at which count has a value.
func (t textReader) locate(value int, what string, count func(position) int) (at position, err error) {
	if err := t.Err(); err != nil {
		return at, err
	}
	t.read(func(typ *yjs.Type) {
		for _, v := range typ.Values() { // not Delta, in which formats can be far more than the text
			left := value - count(at)
			if left <= 0 {
				return
			}
			s, isText := v.(string)
			if !isText {
				at.unit++ // what is embedded
				continue
			}
			for s != "" && left > 0 {
				size := at.advance(s, left)
				s, left = s[size:], value-count(at)
			}
		}
	})
	if count(at) != value {
		return position{}, fmt.Errorf("%s %d: %w", what, value, ErrOutOfRange)
	}
	return at, nil
}

func unitOf(p position) int { return p.unit }
func byteOf(p position) int { return p.byte }
func runeOf(p position) int { return p.rune }

func (t textReader) IndexOfByte(offset int) (int, error) {
	at, err := t.locate(offset, "byte", byteOf)
	return at.unit, err
}

func (t textReader) IndexOfRune(offset int) (int, error) {
	at, err := t.locate(offset, "rune", runeOf)
	return at.unit, err
}

func (t textReader) ByteOfIndex(index int) (int, error) {
	at, err := t.locate(index, "index", unitOf)
	return at.byte, err
}

func (t textReader) RuneOfIndex(index int) (int, error) {
	at, err := t.locate(index, "index", unitOf)
	return at.rune, err
}
