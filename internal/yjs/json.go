package yjs

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// ParseJSON reads what JSON.parse reads, nested up to 2000 deep, and reports whether
// the text is that; it is UTF-8. Together with AppendJSON it writes JSON as JavaScript
// does.
func ParseJSON(text []byte) (v any, ok bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	return parseJSON(text)
}

// parseJSON reads what JSON.parse reads. A lone surrogate escape stays a lone
// surrogate, and a "__proto__" key is an ordinary one.
func parseJSON(text []byte) (any, bool) {
	switch string(text) { // what formats hold most of the time
	case "null":
		return nil, true
	case "true":
		return true, true
	case "false":
		return false, true
	}
	p := jsonParser{src: text}
	v, ok := p.value(0)
	p.space()
	return v, ok && p.pos == len(p.src)
}

type jsonParser struct {
	src []byte
	pos int
}

func (p *jsonParser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// take skips white space and c, if c is next.
func (p *jsonParser) take(c byte) bool {
	p.space()
	if p.pos < len(p.src) && p.src[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *jsonParser) literal(word string, v any) (any, bool) {
	if !bytes.HasPrefix(p.src[p.pos:], []byte(word)) {
		return nil, false
	}
	p.pos += len(word)
	return v, true
}

func (p *jsonParser) value(depth int) (any, bool) {
	p.space()
	if p.pos >= len(p.src) || depth > maxValueDepth {
		return nil, false
	}
	switch c := p.src[p.pos]; c {
	case 'n':
		return p.literal("null", nil)
	case 't':
		return p.literal("true", true)
	case 'f':
		return p.literal("false", false)
	case '"':
		return p.string()
	case '[':
		return p.array(depth)
	case '{':
		return p.object(depth)
	default:
		return p.number()
	}
}

func (p *jsonParser) array(depth int) (any, bool) {
	p.pos++
	values := []any{}
	if p.take(']') {
		return values, true
	}
	for {
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		values = append(values, v)
		if p.take(']') {
			return values, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

func (p *jsonParser) object(depth int) (any, bool) {
	p.pos++
	var b objectBuilder
	if p.take('}') {
		return b.object(), true
	}
	for {
		p.space()
		if p.pos >= len(p.src) || p.src[p.pos] != '"' {
			return nil, false
		}
		key, ok := p.string()
		if !ok || !p.take(':') {
			return nil, false
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		b.set(key.(string), v)
		if p.take('}') {
			return b.object(), true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

func (p *jsonParser) string() (any, bool) {
	p.pos++
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] != '"' && p.src[p.pos] != '\\' && p.src[p.pos] >= 0x20 {
		p.pos++
	}
	if p.pos < len(p.src) && p.src[p.pos] == '"' { // no escapes
		s := string(p.src[start:p.pos])
		p.pos++
		return s, true
	}
	b := bytes.Clone(p.src[start:p.pos])
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(b), true
		case c < 0x20:
			return nil, false
		case c != '\\':
			b = append(b, c)
		default:
			r, ok := p.escape()
			if !ok {
				return nil, false
			}
			b = appendWTF8(b, r)
		}
	}
	return nil, false
}

func (p *jsonParser) escape() (rune, bool) {
	if p.pos >= len(p.src) {
		return 0, false
	}
	c := p.src[p.pos]
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		if len(p.src)-p.pos < 4 {
			return 0, false
		}
		var r rune
		for _, h := range p.src[p.pos : p.pos+4] {
			d, ok := hexDigit(h)
			if !ok {
				return 0, false
			}
			r = r<<4 | d
		}
		p.pos += 4
		return r, true
	}
	return 0, false
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// number reads -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?
func (p *jsonParser) number() (any, bool) {
	start := p.pos
	p.sign("-")
	if p.pos < len(p.src) && p.src[p.pos] == '0' {
		p.pos++
	} else if p.digits() == 0 {
		return nil, false
	}
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		if p.digits() == 0 {
			return nil, false
		}
	}
	if p.pos < len(p.src) && (p.src[p.pos] == 'e' || p.src[p.pos] == 'E') {
		p.pos++
		p.sign("+-")
		if p.digits() == 0 {
			return nil, false
		}
	}
	// Out of range is no error in JavaScript: ParseFloat returns the infinity too.
	f, err := strconv.ParseFloat(string(p.src[start:p.pos]), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func (p *jsonParser) sign(set string) {
	if p.pos < len(p.src) && bytes.IndexByte([]byte(set), p.src[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *jsonParser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

// appendJSON appends what JSON.stringify returns. Where JavaScript throws or
// drops (BigInt, a top-level undefined) it appends decimal digits and null.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(b, "null"...)
		}
		return appendNumber(b, v)
	case BigInt:
		return strconv.AppendInt(b, int64(v), 10)
	case string:
		return appendJSONString(b, v)
	case []byte: // JSON.stringify sees an object with index keys
		b = append(b, '{')
		for i, c := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = strconv.AppendInt(b, int64(i), 10)
			b = append(b, '"', ':')
			b = strconv.AppendInt(b, int64(c), 10)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case Object:
		b = append(b, '{')
		first := true
		for _, m := range v {
			if _, skip := m.Value.(Undefined); skip {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = appendJSONString(b, m.Key)
			b = append(b, ':')
			b = appendJSON(b, m.Value)
		}
		return append(b, '}')
	case Subdoc:
		return append(b, "{}"...)
	default:
		return append(b, "null"...)
	}
}

// appendNumber appends Number.prototype.toString of a finite number.
func appendNumber(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0') // negative zero too
	}
	if abs := math.Abs(f); abs < 1e21 && abs >= 1e-6 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	// Go writes 1e+21 and 1e-07; JavaScript has no leading zero in the exponent.
	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); n-start > 4 && b[n-2] == '0' && (b[n-3] == '-' || b[n-3] == '+') {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20 && c < utf8.RuneSelf:
			b = append(b, c)
		case c < 0x20:
			switch c {
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		case c == 0xED && len(s)-i >= 3 && s[i+1] >= 0xA0: // a lone surrogate
			b = append(b, '\\', 'u', 'd', hex[8+(s[i+1]>>2)&7], hex[(s[i+1]&3)<<2|(s[i+2]>>4)&3], hex[s[i+2]&15])
			i += 2
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
