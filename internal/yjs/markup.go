package yjs

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Markup returns the XML of a type as toString does in yjs. It is for reading by
// people and equal to yjs, not for parsing: nothing is escaped. It returns
// ErrTooDeep and ErrTooLarge.
func (t *Type) Markup() (string, error) {
	b, err := t.markup(nil, 0)
	return string(b), err
}

func (t *Type) markup(b []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	switch t.Kind() {
	case KindXMLElement:
		name := strings.ToLower(t.NodeName())
		b = append(b, '<')
		b = append(b, name...)
		for _, m := range sortedMembers(t.Entries()) {
			b = append(b, ' ')
			b = append(b, m.Key...)
			b = append(b, '=', '"')
			var err error
			if b, err = appendString(b, m.Value, depth); err != nil {
				return nil, err
			}
			b = append(b, '"')
		}
		b = append(b, '>')
		b, err := t.appendChildren(b, depth)
		b = append(b, "</"...)
		b = append(b, name...)
		return append(b, '>'), err
	case KindXMLFragment:
		return t.appendChildren(b, depth)
	case KindXMLText:
		return t.appendFormatted(b, depth)
	case KindText:
		return append(b, t.Text()...), nil
	default:
		return append(b, "[object Object]"...), nil
	}
}

func (t *Type) appendChildren(b []byte, depth int) ([]byte, error) {
	var err error
	for _, v := range t.Values() {
		if len(b) > MaxReadBytes {
			return nil, ErrTooLarge
		}
		if b, err = appendString(b, v, depth); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendFormatted writes formats as elements around the text.
func (t *Type) appendFormatted(b []byte, depth int) ([]byte, error) {
	var err error
	for piece := range t.Pieces() {
		if len(b) > MaxReadBytes {
			return nil, ErrTooLarge
		}
		nodes := sortedMembers(piece.Attributes)
		for _, node := range nodes {
			b = append(b, '<')
			b = append(b, node.Key...)
			for _, attr := range sortedMembers(properties(node.Value)) {
				b = append(b, ' ')
				b = append(b, attr.Key...)
				b = append(b, '=', '"')
				if b, err = appendString(b, attr.Value, depth); err != nil {
					return nil, err
				}
				b = append(b, '"')
			}
			b = append(b, '>')
		}
		if b, err = appendString(b, piece.Value, depth); err != nil {
			return nil, err
		}
		for _, node := range slices.Backward(nodes) {
			b = append(b, "</"...)
			b = append(b, node.Key...)
			b = append(b, '>')
		}
	}
	return b, nil
}

// properties are what JavaScript's for...in enumerates.
func properties(v any) Object {
	var list []any
	switch v := v.(type) {
	case Object:
		return v
	case []any:
		list = v
	case string:
		for _, unit := range utf16Units(v) {
			list = append(list, string(appendWTF8(nil, unit)))
		}
	}
	var o Object
	for i, e := range list {
		o = append(o, Member{strconv.Itoa(i), e})
	}
	return o
}

// sortedMembers orders by key as JavaScript compares strings: by UTF-16 units.
func sortedMembers(o Object) Object {
	o = slices.Clone(o)
	slices.SortStableFunc(o, func(a, b Member) int { return compareUTF16(a.Key, b.Key) })
	return o
}

func compareUTF16(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		// A pair (four bytes, from 0xF0) sorts as 0xD800 and up: below U+E000.
		if x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0) {
			return -cmp.Compare(x, y)
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(len(a), len(b))
}

// appendString appends String(v) of JavaScript.
func appendString(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(b, v...), nil
	case Undefined:
		return append(b, "undefined"...), nil
	case float64:
		switch {
		case v != v:
			return append(b, "NaN"...), nil
		case v > 0 && v/2 == v:
			return append(b, "Infinity"...), nil
		case v < 0 && v/2 == v:
			return append(b, "-Infinity"...), nil
		}
		return appendNumber(b, v), nil
	case []byte:
		for i, c := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(c), 10)
		}
		return b, nil
	case []any:
		var err error
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if e == nil || isUndefined(e) {
				continue
			}
			if b, err = appendString(b, e, depth); err != nil {
				return nil, err
			}
		}
		return b, nil
	case Object, Subdoc:
		return append(b, "[object Object]"...), nil
	case *Type:
		return v.markup(b, depth+1)
	default: // null, booleans, BigInt
		return appendJSON(b, v), nil
	}
}
