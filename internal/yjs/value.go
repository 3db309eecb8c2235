package yjs

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

// Values are the JavaScript values that a document can hold:
//
//	nil, Undefined, bool, float64, BigInt, string, []byte, []any, Object
//
// Strings are WTF-8: UTF-8 except that a lone surrogate half keeps its three
// bytes.

// Undefined is JavaScript's undefined.
type Undefined struct{}

// BigInt is JavaScript's BigInt, as far as the format carries it: 64 bits.
type BigInt int64

// Member is a property of an Object.
type Member struct {
	Key   string
	Value any
}

// Object is a JavaScript object. Members are in JavaScript's order: array-index
// keys ascending, then the others as they were added.
type Object []Member

// Get returns the value of a key.
func (o Object) Get(key string) (any, bool) {
	for _, m := range o {
		if m.Key == key {
			return m.Value, true
		}
	}
	return nil, false
}

// objectBuilder collects members as JavaScript's property assignment does.
type objectBuilder struct {
	members Object
	index   map[string]int // only once there are many members
	indexed bool           // some key is an array index
}

// indexThreshold is the size from which a map beats scanning.
const indexThreshold = 16

func (b *objectBuilder) set(key string, value any) {
	if at, ok := b.find(key); ok {
		b.members[at].Value = value
		return
	}
	if b.index != nil {
		b.index[key] = len(b.members)
	} else if len(b.members) == indexThreshold {
		b.index = make(map[string]int, 2*indexThreshold)
		for i, m := range b.members {
			b.index[m.Key] = i
		}
		b.index[key] = len(b.members)
	}
	if _, ok := arrayIndex(key); ok {
		b.indexed = true
	}
	b.members = append(b.members, Member{key, value})
}

func (b *objectBuilder) find(key string) (int, bool) {
	if b.index != nil {
		at, ok := b.index[key]
		return at, ok
	}
	for i, m := range b.members {
		if m.Key == key {
			return i, true
		}
	}
	return 0, false
}

// object returns the members in JavaScript's order.
func (b *objectBuilder) object() Object {
	if b.indexed {
		slices.SortStableFunc(b.members, func(x, y Member) int { return compareKeys(x.Key, y.Key) })
	}
	if b.members == nil {
		return Object{}
	}
	return b.members
}

// compareKeys puts array indices first, in ascending order.
func compareKeys(a, b string) int {
	i, isI := arrayIndex(a)
	j, isJ := arrayIndex(b)
	switch {
	case isI && isJ:
		return cmp.Compare(i, j)
	case isI:
		return -1
	case isJ:
		return 1
	}
	return 0
}

// arrayIndex reports whether key is a canonical array index (0 to 2^32-2), which
// JavaScript enumerates before other keys.
func arrayIndex(key string) (uint32, bool) {
	if key == "" || len(key) > 10 || key[0] < '0' || key[0] > '9' || (key[0] == '0' && len(key) > 1) {
		return 0, false
	}
	n, err := strconv.ParseUint(key, 10, 32)
	return uint32(n), err == nil && n != math.MaxUint32
}

// Type bytes of lib0's "any" encoding.
const (
	anyUndefined = 127 - iota
	anyNull
	anyInteger
	anyFloat32
	anyFloat64
	anyBigInt
	anyFalse
	anyTrue
	anyString
	anyObject
	anyArray
	anyBinary
)

// maxValueDepth bounds the nesting of one value. yjs has no named bound: it fails
// when JavaScript's stack ends, a little above this.
const maxValueDepth = 2000

// value reads a value in lib0's "any" encoding.
func (r *reader) value() any { return r.valueAt(0) }

func (r *reader) valueAt(depth int) any {
	if depth > maxValueDepth {
		r.fail("value nested deeper than %d", maxValueDepth)
		return nil
	}
	switch kind := r.byte(); kind {
	case anyUndefined:
		return Undefined{}
	case anyNull:
		return nil
	case anyInteger:
		return r.int()
	case anyFloat32:
		if b := r.fixed(4); b != nil {
			return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
		}
	case anyFloat64:
		if b := r.fixed(8); b != nil {
			return math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case anyBigInt:
		if b := r.fixed(8); b != nil {
			return BigInt(binary.BigEndian.Uint64(b))
		}
	case anyFalse:
		return false
	case anyTrue:
		return true
	case anyString:
		return r.string()
	case anyObject:
		n := r.uint()
		var b objectBuilder
		for i := uint64(0); i < n && r.err == nil; i++ {
			key := r.string()
			value := r.valueAt(depth + 1)
			// yjs assigns obj[key]: for this key that sets the prototype, or nothing.
			if key != "__proto__" {
				b.set(key, value)
			}
		}
		return b.object()
	case anyArray:
		n := r.uint()
		// Every level can claim all that is left, so believe only a little.
		const believed = 16
		values := make([]any, 0, min(n, uint64(r.rest()), believed))
		for i := uint64(0); i < n && r.err == nil; i++ {
			values = append(values, r.valueAt(depth+1))
		}
		return values
	case anyBinary:
		return slices.Clone(r.bytes())
	default:
		r.fail("unknown value type %d", kind)
	}
	return nil
}

func (r *reader) fixed(n int) []byte {
	if r.rest() < n {
		r.fail("unexpected end")
		return nil
	}
	b := r.buf[r.pos : r.pos+n]
	r.pos += n
	return b
}

// value writes a value as lib0's writeAny does: an integer of at most 31 bits, else
// float32 if that is exact, else float64.
func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.byte(anyNull)
	case bool:
		if v {
			w.byte(anyTrue)
		} else {
			w.byte(anyFalse)
		}
	case float64:
		w.number(v)
	case BigInt:
		w.byte(anyBigInt)
		w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(v))
	case string:
		w.byte(anyString)
		w.string(v)
	case []byte:
		w.byte(anyBinary)
		w.bytes(v)
	case []any:
		w.byte(anyArray)
		w.uint(uint64(len(v)))
		for _, e := range v {
			w.value(e)
		}
	case Object:
		w.byte(anyObject)
		w.uint(uint64(len(v)))
		for _, m := range v {
			w.string(m.Key)
			w.value(m.Value)
		}
	default:
		w.byte(anyUndefined)
	}
}

func (w *writer) number(f float64) {
	switch {
	case math.Trunc(f) == f && math.Abs(f) <= math.MaxInt32:
		w.byte(anyInteger)
		w.int(f)
	case float64(float32(f)) == f:
		w.byte(anyFloat32)
		w.buf = binary.BigEndian.AppendUint32(w.buf, math.Float32bits(float32(f)))
	case math.IsNaN(f):
		w.byte(anyFloat64)
		w.buf = binary.BigEndian.AppendUint64(w.buf, 0x7ff8000000000000)
	default:
		w.byte(anyFloat64)
		w.buf = binary.BigEndian.AppendUint64(w.buf, math.Float64bits(f))
	}
}
