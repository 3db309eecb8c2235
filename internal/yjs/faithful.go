package yjs

import "math"

// Faithful reports whether the document is what a reader of its updates has. As in yjs,
// the one who edits holds values as they were given, of which an update cannot carry
// all: NaN in a format is null for others, half a surrogate pair is U+FFFD.
func (d *Doc) Faithful() bool { return !d.unfaithful }

// judge notes content that an update does not carry as it is.
func (d *Doc) judge(it *item) {
	if !d.unfaithful {
		d.unfaithful = it.parentSub != nil && !carried(*it.parentSub) || !carriedContent(it.content)
	}
}

func carriedContent(c content) bool {
	switch c := c.(type) {
	case *stringContent:
		return carried(c.text)
	case *anyContent:
		return carriedValue(c.values)
	case *embedContent:
		return carriedJSON(c.value)
	case *formatContent:
		return carried(c.key) && carriedJSON(c.value)
	case *typeContent:
		return carried(c.typ.name)
	case *docContent:
		return carried(c.guid) && carriedValue(c.opts)
	}
	return true
}

// carried reports whether text holds no half of a surrogate pair.
func carried[T string | []byte](text T) bool { return indexSurrogate([]byte(text)) < 0 }

// carriedValue reports whether lib0's "any" carries a value.
func carriedValue(v any) bool {
	switch v := v.(type) {
	case string:
		return carried(v)
	case []any:
		for _, e := range v {
			if !carriedValue(e) {
				return false
			}
		}
	case Object:
		for _, m := range v {
			if m.Key == "__proto__" || !carried(m.Key) || !carriedValue(m.Value) {
				return false
			}
		}
	}
	return true
}

// carriedJSON reports whether JSON carries a value.
func carriedJSON(v any) bool {
	switch v := v.(type) {
	case Undefined, []byte:
		return false
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0) && (v != 0 || !math.Signbit(v))
	case []any:
		for _, e := range v {
			if !carriedJSON(e) {
				return false
			}
		}
	case Object:
		for _, m := range v {
			if !carriedJSON(m.Value) {
				return false
			}
		}
	}
	return true
}
