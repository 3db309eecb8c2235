package collection

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// maxNesting is how deep arrays and objects of one value may be nested, as in
// encoding/json.
const maxNesting = 10_000

// jsonText reads a JSON text in one pass, which checks it and tells where its parts
// are, so that a large text is read once and not copied. It accepts what encoding/json
// accepts, except for strings that are not UTF-8.
type jsonText struct {
	text []byte
	at   int
}

func (t *jsonText) invalid(why string) error {
	if t.at >= len(t.text) {
		return fmt.Errorf("the text ends at byte %d: %w", len(t.text), core.ErrInvalidJSON)
	}
	return fmt.Errorf("%s at byte %d: %w", why, t.at, core.ErrInvalidJSON)
}

// next skips white space and returns the byte that follows it, 0 at the end.
func (t *jsonText) next() byte {
	for ; t.at < len(t.text); t.at++ {
		switch c := t.text[t.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end says that nothing but white space may follow.
func (t *jsonText) end() error {
	if t.next(); t.at < len(t.text) {
		return t.invalid("more than one value")
	}
	return nil
}

// members reads an object and calls fn at the value of each member, with its name as
// written, quotes included. fn has to read that value.
func (t *jsonText) members(fn func(name []byte) error) error {
	if t.next() != '{' {
		return t.invalid("no object")
	}
	t.at++
	for first := true; ; first = false {
		switch c := t.next(); {
		case c == '}' && first:
			t.at++
			return nil
		case c != '"':
			return t.invalid("no name of a member")
		}
		name, err := t.str()
		if err != nil {
			return err
		}
		if t.next() != ':' {
			return t.invalid("no colon")
		}
		t.at++
		if t.next(); t.at >= len(t.text) {
			return t.invalid("")
		}
		if err := fn(name); err != nil {
			return err
		}
		switch t.next() {
		case ',':
			t.at++
		case '}':
			t.at++
			return nil
		default:
			return t.invalid("neither a comma nor the end of an object")
		}
	}
}

// value reads one value and returns it as written.
func (t *jsonText) value() ([]byte, error) {
	t.next()
	from := t.at
	if err := t.skip(0); err != nil {
		return nil, err
	}
	return t.text[from:t.at:t.at], nil
}

func (t *jsonText) skip(depth int) error {
	switch c := t.next(); c {
	case '{', '[':
		if depth == maxNesting {
			return t.invalid(fmt.Sprintf("more than %d levels of nesting", maxNesting))
		}
		if c == '[' {
			return t.skipArray(depth + 1)
		}
		return t.members(func([]byte) error { return t.skip(depth + 1) })
	case '"':
		_, err := t.str()
		return err
	case 't':
		return t.word("true")
	case 'f':
		return t.word("false")
	case 'n':
		return t.word("null")
	default:
		return t.number()
	}
}

func (t *jsonText) skipArray(depth int) error {
	t.at++
	if t.next() == ']' {
		t.at++
		return nil
	}
	for {
		if err := t.skip(depth); err != nil {
			return err
		}
		switch t.next() {
		case ',':
			t.at++
		case ']':
			t.at++
			return nil
		default:
			return t.invalid("neither a comma nor the end of an array")
		}
	}
}

func (t *jsonText) word(word string) error {
	for i := range len(word) {
		if t.at >= len(t.text) || t.text[t.at] != word[i] {
			return t.invalid("no value")
		}
		t.at++
	}
	return nil
}

func (t *jsonText) number() error {
	if t.peek() == '-' {
		t.at++
	}
	if t.peek() == '0' {
		t.at++
	} else if t.digits() == 0 {
		return t.invalid("no value")
	}
	if t.peek() == '.' {
		t.at++
		if t.digits() == 0 {
			return t.invalid("no digit")
		}
	}
	if c := t.peek(); c == 'e' || c == 'E' {
		t.at++
		if c := t.peek(); c == '+' || c == '-' {
			t.at++
		}
		if t.digits() == 0 {
			return t.invalid("no digit")
		}
	}
	return nil
}

func (t *jsonText) peek() byte {
	if t.at < len(t.text) {
		return t.text[t.at]
	}
	return 0
}

func (t *jsonText) digits() int {
	from := t.at
	for t.peek() >= '0' && t.peek() <= '9' {
		t.at++
	}
	return t.at - from
}

// plain says which bytes of a string stand for themselves.
var plain = func() (table [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// str reads a string and returns it as written, quotes included.
func (t *jsonText) str() ([]byte, error) {
	from := t.at
	for t.at++; ; {
		for t.at < len(t.text) && plain[t.text[t.at]] {
			t.at++
		}
		switch c := t.peek(); {
		case t.at >= len(t.text):
			return nil, t.invalid("")
		case c == '"':
			t.at++
			return t.text[from:t.at:t.at], nil
		case c == '\\':
			if err := t.escape(); err != nil {
				return nil, err
			}
		case c < 0x20:
			return nil, t.invalid("a control character")
		default:
			r, size := utf8.DecodeRune(t.text[t.at:])
			if r == utf8.RuneError && size <= 1 {
				return nil, t.invalid("no UTF-8")
			}
			t.at += size
		}
	}
}

func (t *jsonText) escape() error {
	t.at++
	switch t.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		t.at++
		return nil
	case 'u':
		t.at++
		for range 4 {
			if _, ok := hexDigit(t.peek()); !ok {
				return t.invalid("no hexadecimal digit")
			}
			t.at++
		}
		return nil
	default:
		return t.invalid("no escape")
	}
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	default:
		return 0, false
	}
}

// unquote returns what a string as str returns it stands for: a part of quoted where
// nothing is escaped. ok is false for half a surrogate pair, which has no UTF-8.
func unquote(quoted []byte) (s []byte, ok bool) {
	s = quoted[1 : len(quoted)-1]
	i := 0
	for i < len(s) && s[i] != '\\' {
		i++
	}
	if i == len(s) {
		return s, true
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		if s[i+1] != 'u' {
			out = append(out, unescaped(s[i+1]))
			i += 2
			continue
		}
		r := unit(s[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			if len(s) < i+6 || s[i] != '\\' || s[i+1] != 'u' {
				return nil, false
			}
			if r = utf16.DecodeRune(r, unit(s[i+2:])); r == utf8.RuneError {
				return nil, false
			}
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // '"', '\\', '/'
		return c
	}
}

// unit returns the UTF-16 code unit that four hexadecimal digits stand for.
func unit(digits []byte) (u rune) {
	for _, c := range digits[:4] {
		d, _ := hexDigit(c)
		u = u<<4 | d
	}
	return u
}
