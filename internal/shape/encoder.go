package shape

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/yjs"
)

// maxJSON bounds the JSON of a document, in bytes. A delta repeats the formats in
// force for each of its pieces, so a small document can ask for any amount.
const maxJSON = 256 << 20

// encoder writes JSON piece by piece.
type encoder struct {
	b     []byte
	max   int
	spent int  // on what is no output but costs as much
	more  bool // a value was written at this level: the next needs a comma
	err   error
}

// full reports whether nothing more is wanted.
func (e *encoder) full() bool {
	if len(e.b)+e.spent > e.max && e.err == nil {
		e.err = fmt.Errorf("over %d bytes: %w", e.max, ErrTooLarge)
	}
	return e.err != nil
}

// charge counts formats that were looked at.
func (e *encoder) charge(formats yjs.Object) { e.spent += 8 * len(formats) }

func (e *encoder) tooDeep(depth int) bool {
	if depth > yjs.MaxDepth && e.err == nil {
		e.err = yjs.ErrTooDeep
	}
	return e.err != nil
}

func (e *encoder) comma() {
	if e.more {
		e.b = append(e.b, ',')
	}
	e.more = false
}

// open begins an object or an array.
func (e *encoder) open(bracket byte) {
	e.comma()
	e.b = append(e.b, bracket)
}

func (e *encoder) close(bracket byte) {
	e.b = append(e.b, bracket)
	e.more = true
}

func (e *encoder) key(key string) {
	e.comma()
	e.b = append(yjs.AppendJSON(e.b, key), ':')
}

// value writes a value; a shared type as its toJSON in yjs.
func (e *encoder) value(v any) {
	e.comma()
	if t, ok := v.(*yjs.Type); ok {
		plain, err := t.ToJSON()
		if err != nil && e.err == nil {
			e.err = err
		}
		v = plain
	}
	e.b = yjs.AppendJSON(e.b, v)
	e.more = true
}

// raw writes what is JSON already.
func (e *encoder) raw(json string) {
	e.comma()
	e.b = append(e.b, json...)
	e.more = true
}

// member writes a property, unless its value is undefined.
func (e *encoder) member(key string, v any) {
	if _, undefined := v.(yjs.Undefined); undefined {
		return
	}
	e.key(key)
	e.value(v)
}

// members writes properties, without those of the names.
func (e *encoder) members(o yjs.Object, without ...string) {
next:
	for _, m := range o {
		for _, name := range without {
			if m.Key == name {
				continue next
			}
		}
		e.member(m.Key, m.Value)
	}
}
