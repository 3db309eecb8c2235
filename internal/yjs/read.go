package yjs

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// MaxDepth bounds the nesting of shared types that reading follows. Merging has
// no such bound.
const MaxDepth = 5000

// ErrTooDeep is returned by reads of types nested deeper than MaxDepth.
var ErrTooDeep = errors.New("yjs: types nested too deep")

// MaxReadBytes bounds what one call of ToJSON, JSON or Markup writes, about: formats that
// lie in each other make markup far larger than its text.
const MaxReadBytes = 256 << 20

// ErrKind is returned by Declare when a root has another kind already, and by edits that
// a type of its kind does not have.
var ErrKind = errors.New("yjs: root has another kind")

// Subdoc is a subdocument as its parent holds it.
type Subdoc struct {
	GUID    string
	Options Object
}

// Insert is one piece of a Delta: a string, an embedded value or a *Type, with the
// formats in force, in the order in which they started.
type Insert struct {
	Value      any
	Attributes Object // nil for none
}

// Declare fixes the kind of a root, as ydoc.getText(name) and its siblings do. Errors:
// ErrKind, and ErrValue for a name that is not UTF-8.
func (d *Doc) Declare(name string, kind Kind) (*Type, error) {
	name, err := normalText(name)
	if err != nil {
		return nil, fmt.Errorf("declare %q: %w", name, err)
	}
	if kind > KindXMLText {
		return nil, fmt.Errorf("declare %q as kind %d: %w", name, kind, ErrKind)
	}
	t := d.root(name)
	switch t.kind {
	case kind:
	case KindNone:
		t.kind = kind
		t.formatted = false // yjs makes a new object, which has not seen any format
		t.places = nil
	default:
		return nil, fmt.Errorf("declare %q as %s, it is %s: %w", name, kind, t.kind, ErrKind)
	}
	return t, nil
}

// Root returns a root, or nil if nothing mentioned it.
func (d *Doc) Root(name string) *Type { return d.rootIndex[name] }

// Roots returns the roots in the order in which they were first mentioned. The
// slice is the caller's.
func (d *Doc) Roots() []*Type { return append([]*Type(nil), d.roots...) }

// Name returns the name of a root, the node name of an element or the hook name
// of a hook.
func (t *Type) Name() string { return t.name }

// NodeName returns the node name of an element. Roots have none in yjs.
func (t *Type) NodeName() string {
	if t.item == nil {
		return "UNDEFINED"
	}
	return t.name
}

// Kind returns the declared kind, or what the content of an undeclared root looks
// like: a keyed item makes it a map, text or formats a text, an XML child a
// fragment, anything else an array.
func (t *Type) Kind() Kind {
	if t.kind != KindNone {
		return t.kind
	}
	for it := t.start; it != nil; it = it.right {
		switch c := it.content.(type) {
		case *stringContent, *formatContent, *embedContent:
			return KindText
		case *typeContent:
			if c.typ.kind.isXML() {
				return KindXMLFragment
			}
			return KindArray
		case deletedContent:
		default:
			return KindArray
		}
	}
	if len(t.entries.keys) > 0 {
		return KindMap
	}
	return KindArray
}

// Len returns the length of the sequence: UTF-16 units and embeds of a text,
// values of an array, children of an XML node.
func (t *Type) Len() uint64 {
	if t.free() {
		return t.draft.length
	}
	return t.length
}

// visible calls fn with each item of the sequence that is not deleted.
func (t *Type) visible(fn func(*item)) {
	for it := t.start; it != nil; it = it.right {
		if !it.deleted() {
			fn(it)
		}
	}
}

// values appends what an item's content holds. Text is one value here.
func (it *item) values(to []any) []any {
	switch c := it.content.(type) {
	case *stringContent:
		return append(to, string(c.text))
	case *anyContent:
		return append(to, c.values...)
	case *jsonContent:
		return append(to, c.values...)
	case *binaryContent:
		return append(to, c.data)
	case *embedContent:
		return append(to, c.value)
	case *typeContent:
		return append(to, c.typ)
	case *docContent:
		return append(to, Subdoc{c.guid, c.opts})
	}
	return to
}

// Values returns the sequence: values, *Type for nested types and Subdoc for
// subdocuments. Callers must not change what is inside.
func (t *Type) Values() []any {
	var values []any
	t.visible(func(it *item) { values = it.values(values) })
	return values
}

// Slice returns part of the sequence as Values does, but of strings only the units in the
// range, each run of them as one string. It returns ErrRange.
func (t *Type) Slice(index, length uint64) ([]any, error) {
	if err := t.within(index, length); err != nil || length == 0 || t.free() {
		return nil, err
	}
	var values []any
	it, rest := t.seek(index)
	for ; length > 0; it = it.right {
		if it.isGap() {
			continue
		}
		n := min(it.length-rest, length)
		part := it.part(Range{it.id.Clock + rest, n})
		values = part.values(values)
		length -= n
		rest = 0
	}
	return values, nil
}

// seek returns the item that holds the unit at an index, and how many of its units lie
// before it. There must be one.
func (t *Type) seek(index uint64) (it *item, rest uint64) {
	if t.spans != nil {
		it, before, _ := t.holder(index + 1)
		return it, index - before
	}
	steps := 0
	for it, rest = t.start, index; it.visibleLen() <= rest; it = it.right {
		rest -= it.visibleLen()
		steps++
	}
	t.walked(steps)
	return it, rest
}

// Entries returns the keyed values, in order of first insertion of their keys,
// which differs between replicas. Values are as in Values.
func (t *Type) Entries() Object {
	var entries Object
	for i, key := range t.entries.keys {
		if v, ok := t.entries.items[i].newest(); ok {
			entries = append(entries, Member{*key, v})
		}
	}
	return entries
}

// Get returns the value of a key.
func (t *Type) Get(key string) (any, bool) {
	if it := t.entries.get(key); it != nil {
		return it.newest()
	}
	return nil, false
}

// newest returns the last value of an item, which is the one that a key has.
func (it *item) newest() (any, bool) {
	if it.deleted() {
		return nil, false
	}
	values := it.values(nil)
	if len(values) == 0 {
		return nil, false
	}
	return values[len(values)-1], true
}

// Text returns the characters of a text, without formats and embeds.
func (t *Type) Text() string {
	var b []byte
	t.visible(func(it *item) {
		if c, ok := it.content.(*stringContent); ok {
			b = append(b, c.text...)
		}
	})
	return string(b)
}

// Delta returns a text with its formats and embeds (https://quilljs.com/docs/delta).
func (t *Type) Delta() []Insert { return slices.Collect(t.Pieces()) }

// Pieces iterates over Delta. Each piece lists all formats in force, so a whole Delta
// can be far larger than the text; the pieces one by one are not.
func (t *Type) Pieces() iter.Seq[Insert] {
	return func(yield func(Insert) bool) {
		var now formats
		var text []byte
		flush := func() bool {
			if len(text) == 0 {
				return true
			}
			piece := Insert{string(text), now.object()}
			text = text[:0]
			return yield(piece)
		}
		for it := t.start; it != nil; it = it.right {
			if it.deleted() {
				continue
			}
			more := true
			switch c := it.content.(type) {
			case *stringContent:
				text = append(text, c.text...)
			case *formatContent:
				more = flush()
				now.apply(c)
			case *embedContent:
				more = flush() && yield(Insert{c.value, now.object()})
			case *typeContent:
				more = flush() && yield(Insert{c.typ, now.object()})
			}
			if !more {
				return
			}
		}
		flush()
	}
}

// ToJSON returns what toJSON of the type returns in yjs: plain values, and Subdoc
// for subdocuments. XML becomes its markup. It returns ErrTooDeep and ErrTooLarge.
func (t *Type) ToJSON() (any, error) { return new(reading).toJSON(t, 0) }

// reading counts what it reads.
type reading struct{ bytes int }

func (r *reading) text(b []byte) (any, error) {
	if r.bytes += len(b); r.bytes > MaxReadBytes {
		return nil, ErrTooLarge
	}
	return string(b), nil
}

func (r *reading) toJSON(t *Type, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	plain := func(v any) (any, error) {
		if nested, ok := v.(*Type); ok {
			return r.toJSON(nested, depth+1)
		}
		return v, nil
	}
	switch t.Kind() {
	case KindText:
		return r.text([]byte(t.Text()))
	case KindXMLText, KindXMLElement, KindXMLFragment:
		b, err := t.markup(nil, depth)
		if err != nil {
			return nil, err
		}
		return r.text(b)
	case KindMap, KindXMLHook:
		var o objectBuilder
		for _, m := range t.Entries() {
			v, err := plain(m.Value)
			if err != nil {
				return nil, err
			}
			if m.Key != "__proto__" {
				o.set(m.Key, v)
			}
		}
		return o.object(), nil
	default:
		values := t.Values()
		for i := range values {
			v, err := plain(values[i])
			if err != nil {
				return nil, err
			}
			values[i] = v
		}
		if values == nil {
			values = []any{}
		}
		return values, nil
	}
}

// AppendJSON appends what JSON.stringify makes of a value; a subdocument becomes an
// empty object. A BigInt, for which that throws, becomes its digits.
func AppendJSON(b []byte, v any) []byte { return appendJSON(b, v) }

// JSON returns an object with ToJSON of every root, in the order of Roots.
func (d *Doc) JSON() ([]byte, error) {
	var o objectBuilder
	var r reading
	for _, t := range d.roots {
		v, err := r.toJSON(t, 0)
		if err != nil {
			return nil, fmt.Errorf("root %q: %w", t.name, err)
		}
		o.set(t.name, v)
	}
	return appendJSON(nil, o.object()), nil
}
