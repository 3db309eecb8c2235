package soma

import (
	"fmt"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/yjs"
)

// UTF16Len returns the length of a string in UTF-16 units: how far an index moves over it.
func UTF16Len(s string) int {
	n := 0
	for p := (position{}); p.byte < len(s); {
		p.step(s[p.byte:])
		n = p.unit
	}
	return n
}

// position is a place in a text, counted in each way.
type position struct{ unit, byte, rune int }

// step moves over the first character of what follows. A half of a surrogate pair, which
// is no UTF-8 but has three bytes, is one.
func (p *position) step(rest string) {
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
}

// locate returns the first place of a text at which count has a value.
func (t textReader) locate(value int, what string, count func(position) int) (at position, err error) {
	if err := t.Err(); err != nil {
		return at, err
	}
	var delta []yjs.Insert
	t.read(func(typ *yjs.Type) { delta = typ.Delta() })
	for _, op := range delta {
		s, isText := op.Value.(string)
		if !isText && count(at) < value {
			at.unit++ // what is embedded
		}
		for from := at.byte; isText && at.byte-from < len(s) && count(at) < value; {
			at.step(s[at.byte-from:])
		}
	}
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
