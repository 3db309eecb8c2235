package yjs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// maxValueParts bounds how many values one value may consist of, so that lists which
// share their parts cannot grow without end when they are written.
const maxValueParts = 1 << 24

// normal turns Go values into the values of a document.
type normal struct{ parts int }

// normalValue returns a copy of a value in the types that documents hold: also of Go's
// number types and of map[string]any, whose keys are sorted. It returns ErrValue, and
// ErrTooDeep for values that are nested too deep, or in a cycle.
func normalValue(value any) (any, error) { return (&normal{}).value(value, 0) }

func (n *normal) value(value any, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("value nested deeper than %d, or in a cycle: %w: %w", maxValueDepth, ErrTooDeep, ErrValue)
	}
	if n.parts++; n.parts > maxValueParts {
		return nil, fmt.Errorf("value of more than %d parts: %w", maxValueParts, ErrValue)
	}
	switch v := value.(type) {
	case nil, Undefined, bool, float64, BigInt:
		return v, nil
	case string:
		return normalText(v)
	case []byte:
		return append([]byte{}, v...), nil
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			var err error
			if list[i], err = n.value(e, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case Object:
		return n.object(v, depth)
	case map[string]any:
		members := make(Object, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			members = append(members, Member{key, v[key]})
		}
		return n.object(members, depth)
	}
	return number(value)
}

func (n *normal) object(members Object, depth int) (any, error) {
	var b objectBuilder
	for _, m := range members {
		key, err := normalText(m.Key)
		if err != nil {
			return nil, err
		}
		v, err := n.value(m.Value, depth+1)
		if err != nil {
			return nil, err
		}
		b.set(key, v)
	}
	return b.object(), nil
}

// number turns Go's number types into a float64.
func number(value any) (any, error) {
	switch v := value.(type) {
	case float32:
		return float64(v), nil
	case int:
		return integer(int64(v))
	case int8:
		return float64(v), nil
	case int16:
		return float64(v), nil
	case int32:
		return float64(v), nil
	case int64:
		return integer(v)
	case uint:
		return natural(uint64(v))
	case uint8:
		return float64(v), nil
	case uint16:
		return float64(v), nil
	case uint32:
		return float64(v), nil
	case uint64:
		return natural(v)
	}
	return nil, fmt.Errorf("%T: %w", value, ErrValue)
}

func integer(v int64) (any, error) {
	if v < -maxSafe || v > maxSafe {
		return nil, fmt.Errorf("integer %d is not exact in JavaScript: %w", v, ErrValue)
	}
	return float64(v), nil
}

func natural(v uint64) (any, error) {
	if v > maxSafe {
		return nil, fmt.Errorf("integer %d is not exact in JavaScript: %w", v, ErrValue)
	}
	return float64(v), nil
}

// normalText checks that a string is UTF-8, or WTF-8, in which halves of surrogate
// pairs may stand alone; two that meet become the character.
func normalText(s string) (string, error) {
	if utf8.ValidString(s) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			if !isSurrogate([]byte(s[i:min(i+3, len(s))])) || s[i+1]&0xC0 != 0x80 || s[i+2]&0xC0 != 0x80 {
				return "", fmt.Errorf("string is not UTF-8: %w", ErrValue)
			}
			r, size = surrogate([]byte(s[i:i+3])), 3
		}
		b = appendWTF8(b, r)
		i += size
	}
	return string(b), nil
}

// normalEmbed is normalValue for what a text holds as one unit.
func normalEmbed(value any) (any, error) {
	if t, ok := value.(*Type); ok && t != nil {
		return t, nil
	}
	v, err := normalValue(value)
	if err != nil {
		return nil, err
	}
	switch v.(type) {
	case nil, Undefined:
		return nil, fmt.Errorf("nothing to embed: %w", ErrValue)
	}
	return v, jsonable(v)
}

// jsonable returns ErrValue for values for which JSON.stringify throws.
func jsonable(value any) error {
	switch v := value.(type) {
	case BigInt:
		return fmt.Errorf("a BigInt has no JSON: %w", ErrValue)
	case []any:
		for _, e := range v {
			if err := jsonable(e); err != nil {
				return err
			}
		}
	case Object:
		for _, m := range v {
			if err := jsonable(m.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// normalAttributes checks formats.
func normalAttributes(given Object) (*formats, error) {
	list := &formats{}
	for _, m := range given {
		key, err := normalText(m.Key)
		if err != nil {
			return nil, err
		}
		v, err := normalValue(m.Value)
		if err == nil {
			err = jsonable(v)
		}
		if err == nil && isUndefined(v) {
			err = ErrValue
		}
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", key, err)
		}
		list.set(&formatContent{key: key, value: v})
	}
	list.sort()
	return list, nil
}

// deltaStep is a checked DeltaOp.
type deltaStep struct {
	insert         any // "" for none
	retain, delete uint64
	attributes     *formats
}

func normalDelta(delta []DeltaOp) ([]deltaStep, error) {
	steps := make([]deltaStep, len(delta))
	for i, op := range delta {
		step := deltaStep{insert: "", retain: op.Retain, delete: op.Delete}
		n := 0
		var err error
		if op.Insert != nil {
			n++
			step.insert, err = normalEmbed(op.Insert)
		}
		if op.Retain > 0 {
			n++
		}
		if op.Delete > 0 {
			n++
		}
		if n > 1 {
			err = fmt.Errorf("more than one of insert, retain and delete: %w", ErrValue)
		}
		if err == nil {
			step.attributes, err = normalAttributes(op.Attributes)
		}
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
		steps[i] = step
	}
	return steps, nil
}

// valueContent makes the content of one value in a list or under a key.
func valueContent(value any) (content, error) {
	switch v := value.(type) {
	case *Type:
		if v == nil {
			return nil, fmt.Errorf("nil type: %w", ErrValue)
		}
		return &typeContent{v}, nil
	case Subdoc:
		return subdocContent(v)
	case []byte:
		return &binaryContent{bytes.Clone(v)}, nil
	}
	v, err := normalValue(value)
	if err != nil {
		return nil, err
	}
	return &anyContent{[]any{v}}, nil
}

func subdocContent(s Subdoc) (content, error) {
	guid, err := normalText(s.GUID)
	if err != nil {
		return nil, err
	}
	opts, err := normalValue(s.Options)
	if err != nil {
		return nil, err
	}
	if _, twice := opts.(Object).Get("guid"); twice {
		return nil, fmt.Errorf("subdocument with a guid among its options: %w", ErrValue)
	}
	return newDocContent(guid, opts.(Object)), nil
}

// claim checks that the free-standing types in what is about to be inserted are in no
// document, nor twice in it, and not too deep. From then on they are taken.
func claim(value any) error {
	if t, ok := value.(*Type); ok {
		return claimTypes(t)
	}
	return nil
}

func claimAll(contents []content) error {
	var types []*Type
	for _, c := range contents {
		if nested, ok := c.(*typeContent); ok {
			types = append(types, nested.typ)
		}
	}
	return claimTypes(types...)
}

func claimDelta(ops []deltaStep) error {
	var types []*Type
	for _, op := range ops {
		if t, ok := op.insert.(*Type); ok {
			types = append(types, t)
		}
	}
	return claimTypes(types...)
}

// claimTypes marks types as taken, all or none of them. Types inside a draft were
// claimed when they were put there.
func claimTypes(types ...*Type) error {
	for i, t := range types {
		err := t.claimable()
		if err != nil {
			for _, claimed := range types[:i] {
				claimed.draft.taken = false
			}
			return err
		}
		t.draft.taken = true
	}
	return nil
}

func (t *Type) claimable() error {
	switch {
	case t.draft == nil || t.draft.taken:
		return ErrIntegrated
	case t.draft.height >= MaxDepth:
		return ErrTooDeep
	}
	return nil
}
