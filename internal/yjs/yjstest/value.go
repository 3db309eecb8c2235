package yjstest

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Values are nil, bool, float64, string, []byte, []any, [Undefined], *big.Int,
// [Object], and the shared types below. Strings are WTF-8: UTF-8, except that
// half of a surrogate pair keeps its three bytes.

// Undefined is JavaScript's undefined.
type Undefined struct{}

// Pair is a key with its value.
type Pair struct {
	Key   string
	Value any
}

// Object is a plain JavaScript object; its order counts.
type Object []Pair

// Array is a Y.Array.
type Array struct{ Items []any }

// Map is a Y.Map. Its order does not count.
type Map struct{ Entries []Pair }

// Text is a Y.Text or a Y.XmlText. Neighbouring strings with equal attributes
// are the same as one string, and the order of attributes does not count.
type Text struct {
	XML        bool
	Delta      []Insert
	Attributes []Pair // of the text itself
}

// Insert is a piece of a text: a string, an [Embed] or a shared type. A nil
// Attributes means none at all.
type Insert struct {
	Value      any
	Attributes []Pair
}

// Embed is a plain value within a text.
type Embed struct{ Value any }

// XMLFragment is a Y.XmlFragment.
type XMLFragment struct{ Children []any }

// XMLElement is a Y.XmlElement. The order of attributes does not count.
type XMLElement struct {
	Name       string
	Attributes []Pair
	Children   []any
}

// XMLHook is a Y.XmlHook. Its order does not count.
type XMLHook struct {
	Name    string
	Entries []Pair
}

// Subdoc is a subdocument with the options that its item carries.
type Subdoc struct {
	GUID    string
	Options []Pair
}

// Canonical encodes a value so that equal content gives equal text. The text is
// the tagged JSON that node/values.mjs describes.
func Canonical(v any) (string, error) {
	var e encoder
	if err := e.value(v); err != nil {
		return "", err
	}
	return string(e.buf), nil
}

// CanonicalRoots is Canonical for the values of named roots.
func CanonicalRoots(roots map[string]any) (string, error) {
	return Canonical(sortedObject(roots))
}

// CanonicalJSON is CanonicalRoots with the keys of every plain object sorted:
// toJSON turns maps into objects, and the order of a map is no content.
func CanonicalJSON(roots map[string]any) (string, error) {
	return Canonical(sortObjects(sortedObject(roots)))
}

func sortedObject(m map[string]any) Object {
	o := make(Object, 0, len(m))
	for k, v := range m {
		o = append(o, Pair{k, v})
	}
	return sortPairs(o)
}

func sortObjects(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = sortObjects(item)
		}
		return out
	case Object:
		out := make(Object, len(v))
		for i, p := range v {
			out[i] = Pair{p.Key, sortObjects(p.Value)}
		}
		return sortPairs(out)
	}
	return v
}

func sortPairs[P ~[]Pair](pairs P) P {
	out := slices.Clone(pairs)
	slices.SortStableFunc(out, func(a, b Pair) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

type encoder struct{ buf []byte }

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) string(s string) {
	if utf8.ValidString(s) {
		b, _ := json.Marshal(s) // cannot fail for a string
		e.buf = append(e.buf, b...)
		return
	}
	units := wtf16(s)
	if !hasHalf(units) {
		e.string(string(utf16.Decode(units))) // the halves of a pair, each by itself
		return
	}
	e.raw(`{"$":"utf16","v":"`)
	for _, u := range units {
		e.raw(fmt.Sprintf("%04x", u))
	}
	e.raw(`"}`)
}

// hasHalf reports whether half of a surrogate pair stands alone.
func hasHalf(units []uint16) bool {
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == utf8.RuneError {
			return true
		}
		i++
	}
	return false
}

// wtf16 converts WTF-8 to UTF-16 code units.
func wtf16(s string) []uint16 {
	var units []uint16
	for i := 0; i < len(s); {
		if i+2 < len(s) && s[i] == 0xed && s[i+1] >= 0xa0 && s[i+1] <= 0xbf && s[i+2]&0xc0 == 0x80 {
			units = append(units, 0xd000|uint16(s[i+1]&0x3f)<<6|uint16(s[i+2]&0x3f))
			i += 3
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		units = utf16.AppendRune(units, r)
		i += size
	}
	return units
}

func (e *encoder) number(f float64) {
	switch {
	case math.IsNaN(f):
		e.raw(`{"$":"NaN"}`)
	case math.IsInf(f, 1):
		e.raw(`{"$":"Infinity"}`)
	case math.IsInf(f, -1):
		e.raw(`{"$":"-Infinity"}`)
	case f == 0 && math.Signbit(f):
		e.raw(`{"$":"-0"}`)
	case f == math.Trunc(f) && math.Abs(f) < 1e21:
		e.buf = strconv.AppendFloat(e.buf, f, 'f', -1, 64)
	default:
		e.buf = strconv.AppendFloat(e.buf, f, 'g', -1, 64)
	}
}

func (e *encoder) list(items []any) error {
	e.raw("[")
	for i, item := range items {
		if i > 0 {
			e.raw(",")
		}
		if err := e.value(item); err != nil {
			return err
		}
	}
	e.raw("]")
	return nil
}

func (e *encoder) pairs(pairs []Pair) error {
	e.raw("[")
	for i, p := range pairs {
		if i > 0 {
			e.raw(",")
		}
		e.raw("[")
		e.string(p.Key)
		e.raw(",")
		if err := e.value(p.Value); err != nil {
			return err
		}
		e.raw("]")
	}
	e.raw("]")
	return nil
}

func (e *encoder) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.raw("null")
	case bool:
		e.raw(strconv.FormatBool(v))
	case float64:
		e.number(v)
	case string:
		e.string(v)
	case []byte:
		e.raw(`{"$":"bytes","v":"` + hex.EncodeToString(v) + `"}`)
	case []any:
		return e.list(v)
	case Undefined:
		e.raw(`{"$":"undefined"}`)
	case *big.Int:
		e.raw(`{"$":"bigint","v":"` + v.String() + `"}`)
	case Object:
		e.raw(`{"$":"object","v":`)
		return e.close(e.pairs(v))
	case Array:
		e.raw(`{"$":"array","v":`)
		return e.close(e.list(v.Items))
	case Map:
		e.raw(`{"$":"map","v":`)
		return e.close(e.pairs(sortPairs(v.Entries)))
	case Text:
		return e.text(v)
	case Embed:
		e.raw(`{"$":"embed","v":`)
		return e.close(e.value(v.Value))
	case XMLFragment:
		e.raw(`{"$":"xmlfragment","v":`)
		return e.close(e.list(v.Children))
	case XMLElement:
		e.raw(`{"$":"xmlelement","n":`)
		e.string(v.Name)
		e.raw(`,"a":`)
		if err := e.pairs(sortPairs(v.Attributes)); err != nil {
			return err
		}
		e.raw(`,"v":`)
		return e.close(e.list(v.Children))
	case XMLHook:
		e.raw(`{"$":"xmlhook","n":`)
		e.string(v.Name)
		e.raw(`,"v":`)
		return e.close(e.pairs(sortPairs(v.Entries)))
	case Subdoc:
		e.raw(`{"$":"doc","g":`)
		e.string(v.GUID)
		e.raw(`,"o":`)
		return e.close(e.pairs(v.Options))
	default:
		return fmt.Errorf("yjstest: %T is no value of a document", v)
	}
	return nil
}

func (e *encoder) close(err error) error {
	e.raw("}")
	return err
}

func (e *encoder) text(t Text) error {
	kind := "text"
	if t.XML {
		kind = "xmltext"
	}
	e.raw(`{"$":"` + kind + `","d":[`)
	var run string // strings not yet written, all with the attributes runAttrs
	var runAttrs string
	first, open := true, false
	piece := func(insert, attributes string) {
		if !first {
			e.raw(",")
		}
		first = false
		e.raw("[" + insert)
		if attributes != "" {
			e.raw("," + attributes)
		}
		e.raw("]")
	}
	flush := func() {
		if open {
			var s encoder
			s.string(run)
			piece(string(s.buf), runAttrs)
		}
		open = false
	}
	for _, op := range t.Delta {
		var attrs encoder
		if op.Attributes != nil {
			if err := attrs.pairs(sortPairs(op.Attributes)); err != nil {
				return err
			}
		}
		if s, ok := op.Value.(string); ok {
			if open && runAttrs == string(attrs.buf) {
				run += s
				continue
			}
			flush()
			run, runAttrs, open = s, string(attrs.buf), true
			continue
		}
		flush()
		var insert encoder
		if err := insert.value(op.Value); err != nil {
			return err
		}
		piece(string(insert.buf), string(attrs.buf))
	}
	flush()
	e.raw("]")
	if len(t.Attributes) > 0 {
		e.raw(`,"a":`)
		if err := e.pairs(sortPairs(t.Attributes)); err != nil {
			return err
		}
	}
	e.raw("}")
	return nil
}

// Tagged is a value that reads itself from tagged JSON.
type Tagged struct{ Value any }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Tagged) UnmarshalJSON(data []byte) error {
	var raw any
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	v, err := untag(raw)
	t.Value = v
	return err
}

func untagList(raw any) ([]any, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("yjstest: %v is no list", raw)
	}
	out := make([]any, len(list))
	for i, item := range list {
		v, err := untag(item)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func untagString(raw any) (string, error) {
	v, err := untag(raw)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("yjstest: %v is no string", raw)
	}
	return s, nil
}

func untagPairs(raw any) ([]Pair, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("yjstest: %v is no list of pairs", raw)
	}
	out := make([]Pair, len(list))
	for i, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("yjstest: %v is no pair", item)
		}
		key, err := untagString(pair[0])
		if err != nil {
			return nil, err
		}
		value, err := untag(pair[1])
		if err != nil {
			return nil, err
		}
		out[i] = Pair{key, value}
	}
	return out, nil
}

func untagDelta(raw any) ([]Insert, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("yjstest: %v is no delta", raw)
	}
	out := make([]Insert, len(list))
	for i, item := range list {
		op, ok := item.([]any)
		if !ok || len(op) == 0 || len(op) > 2 {
			return nil, fmt.Errorf("yjstest: %v is no insert", item)
		}
		value, err := untag(op[0])
		if err != nil {
			return nil, err
		}
		out[i].Value = value
		if len(op) == 2 {
			if out[i].Attributes, err = untagPairs(op[1]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func untag(raw any) (any, error) {
	switch v := raw.(type) {
	case []any:
		return untagList(v)
	case map[string]any:
		return untagObject(v)
	}
	return raw, nil
}

func untagObject(v map[string]any) (any, error) {
	tag, _ := v["$"].(string)
	switch tag {
	case "undefined":
		return Undefined{}, nil
	case "-0":
		return math.Copysign(0, -1), nil
	case "NaN", "Infinity", "-Infinity":
		return strconv.ParseFloat(tag, 64)
	case "utf16":
		return untagUTF16(v["v"])
	case "bigint":
		s, _ := v["v"].(string)
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			return nil, fmt.Errorf("yjstest: %v is no bigint", v)
		}
		return n, nil
	case "bytes":
		s, _ := v["v"].(string)
		return hex.DecodeString(s)
	case "object":
		pairs, err := untagPairs(v["v"])
		return Object(pairs), err
	case "embed":
		value, err := untag(v["v"])
		return Embed{value}, err
	case "array":
		items, err := untagList(v["v"])
		return Array{items}, err
	case "map":
		pairs, err := untagPairs(v["v"])
		return Map{pairs}, err
	case "xmlfragment":
		children, err := untagList(v["v"])
		return XMLFragment{children}, err
	case "text", "xmltext":
		t := Text{XML: tag == "xmltext"}
		var err error
		if t.Delta, err = untagDelta(v["d"]); err != nil {
			return nil, err
		}
		if v["a"] != nil {
			t.Attributes, err = untagPairs(v["a"])
		}
		return t, err
	case "xmlelement":
		var el XMLElement
		var err error
		if el.Name, err = untagString(v["n"]); err != nil {
			return nil, err
		}
		if el.Attributes, err = untagPairs(v["a"]); err != nil {
			return nil, err
		}
		el.Children, err = untagList(v["v"])
		return el, err
	case "xmlhook":
		var hook XMLHook
		var err error
		if hook.Name, err = untagString(v["n"]); err != nil {
			return nil, err
		}
		hook.Entries, err = untagPairs(v["v"])
		return hook, err
	case "doc":
		guid, err := untagString(v["g"])
		if err != nil {
			return nil, err
		}
		options, err := untagPairs(v["o"])
		return Subdoc{guid, options}, err
	}
	return nil, fmt.Errorf("yjstest: unknown tag %q", tag)
}

func untagUTF16(raw any) (string, error) {
	s, _ := raw.(string)
	b, err := hex.DecodeString(s)
	if err != nil || len(b)%2 != 0 {
		return "", fmt.Errorf("yjstest: %v is no UTF-16", raw)
	}
	var out []byte
	for i := 0; i < len(b); i += 2 {
		u := rune(b[i])<<8 | rune(b[i+1])
		if utf16.IsSurrogate(u) {
			if i+3 < len(b) {
				low := rune(b[i+2])<<8 | rune(b[i+3])
				if r := utf16.DecodeRune(u, low); r != utf8.RuneError {
					out = utf8.AppendRune(out, r)
					i += 2
					continue
				}
			}
			out = append(out, 0xed, 0x80|byte(u>>6)&0x3f, 0x80|byte(u)&0x3f)
			continue
		}
		out = utf8.AppendRune(out, u)
	}
	return string(out), nil
}
