package yjs_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// choices decides what random edits do: a stream of bytes, or a random generator.
type choices interface {
	// below returns a number from 0 to n-1. n is at least 1.
	below(n uint64) uint64
	// more reports whether there is anything left to choose.
	more() bool
}

// bytesOf chooses by the bytes of a fuzzed input.
type bytesOf struct{ rest []byte }

func (b *bytesOf) more() bool { return len(b.rest) > 0 }

func (b *bytesOf) below(n uint64) uint64 {
	if len(b.rest) == 0 {
		return 0
	}
	v := uint64(b.rest[0])
	b.rest = b.rest[1:]
	if n > 256 && len(b.rest) > 0 {
		v = v<<8 | uint64(b.rest[0])
		b.rest = b.rest[1:]
	}
	return v % n
}

// scribbler edits a document at random, whatever types are in it.
type scribbler struct {
	choices
	halves bool // halves of surrogate pairs may come to stand alone
}

func (s scribbler) pick(list ...string) string { return list[s.below(uint64(len(list)))] }

// typesOf returns the declared roots of a document and everything in them.
func typesOf(d *yjs.Doc) []*yjs.Type {
	var types []*yjs.Type
	var walk func(t *yjs.Type)
	walk = func(t *yjs.Type) {
		types = append(types, t)
		for _, v := range t.Values() {
			if nested, ok := v.(*yjs.Type); ok {
				walk(nested)
			}
		}
		for _, m := range t.Entries() {
			if nested, ok := m.Value.(*yjs.Type); ok {
				walk(nested)
			}
		}
	}
	for _, root := range scribbled {
		if t := d.Root(root.name); t != nil && t.Kind() == root.kind {
			walk(t)
		}
	}
	return types
}

// scribbled are the roots that scribblers edit.
var scribbled = []struct {
	name string
	kind yjs.Kind
}{
	{"text", yjs.KindText},
	{"array", yjs.KindArray},
	{"map", yjs.KindMap},
	{"prosemirror", yjs.KindXMLFragment},
	{"content", yjs.KindXMLText},
}

func declareScribbled(t *testing.T, d *yjs.Doc) {
	t.Helper()
	for _, root := range scribbled {
		if _, err := d.Declare(root.name, root.kind); err != nil {
			t.Fatal(err)
		}
	}
}

// edit does one thing somewhere. What it does is possible.
func (s scribbler) edit(tx *yjs.Transaction) error {
	types := typesOf(tx.Doc())
	t := types[s.below(uint64(len(types)))]
	switch t.Kind() {
	case yjs.KindText, yjs.KindXMLText:
		return s.editText(tx, t)
	case yjs.KindMap, yjs.KindXMLHook:
		return s.editKeys(tx, t)
	case yjs.KindXMLElement:
		if s.below(3) == 0 {
			return s.editKeys(tx, t)
		}
	default:
	}
	return s.editList(tx, t)
}

func (s scribbler) editText(tx *yjs.Transaction, t *yjs.Type) error {
	at, n := s.spot(t.Len())
	switch s.below(10) {
	case 0, 1, 2:
		return t.InsertText(tx, at, s.text(), nil)
	case 3:
		return t.InsertText(tx, at, s.text(), s.format())
	case 4, 5:
		return t.Delete(tx, at, n)
	case 6:
		return t.Format(tx, at, n, s.format())
	case 7:
		return t.InsertEmbed(tx, at, s.leaf(), nil)
	case 8:
		if s.below(2) == 0 {
			return t.Set(tx, s.key(), s.leaf())
		}
		nested, err := s.newType(t)
		if err != nil {
			return err
		}
		return t.InsertEmbed(tx, at, nested, s.format())
	}
	return t.ApplyDelta(tx, s.delta(t.Len()))
}

func (s scribbler) delta(length uint64) []yjs.DeltaOp {
	var delta []yjs.DeltaOp
	for range 1 + s.below(4) {
		_, n := s.spot(length)
		switch op := s.below(3); {
		case op == 0 || n == 0:
			delta = append(delta, yjs.DeltaOp{Insert: s.text(), Attributes: s.format()})
		case op == 1:
			delta = append(delta, yjs.DeltaOp{Retain: n, Attributes: s.format()})
			length -= n
		default:
			delta = append(delta, yjs.DeltaOp{Delete: n})
			length -= n
		}
	}
	return delta
}

func (s scribbler) editList(tx *yjs.Transaction, t *yjs.Type) error {
	at, n := s.spot(t.Len())
	if s.below(3) == 0 {
		return t.Delete(tx, at, n)
	}
	values := make([]any, 1+s.below(3))
	for i := range values {
		if t.Kind() == yjs.KindArray && s.below(4) > 0 {
			values[i] = s.leaf()
			continue
		}
		var err error
		if values[i], err = s.newType(t); err != nil {
			return err
		}
	}
	if s.below(4) == 0 {
		return t.Push(tx, values...)
	}
	return t.Insert(tx, at, values...)
}

func (s scribbler) editKeys(tx *yjs.Transaction, t *yjs.Type) error {
	switch s.below(6) {
	case 0:
		return t.Unset(tx, s.key())
	case 1:
		if t.Kind() == yjs.KindMap {
			nested, err := s.newType(t)
			if err != nil {
				return err
			}
			return t.Set(tx, s.key(), nested)
		}
	case 2:
		if t.Kind() == yjs.KindMap && s.below(4) == 0 {
			return t.Clear(tx)
		}
	}
	return t.Set(tx, s.key(), s.leaf())
}

// newType makes a type that can lie in t.
func (s scribbler) newType(t *yjs.Type) (*yjs.Type, error) {
	xml := t.Kind() == yjs.KindXMLFragment || t.Kind() == yjs.KindXMLElement
	switch kind := s.below(6); {
	case kind == 0:
		return yjs.NewXMLElement(s.pick("p", "IMG"))
	case kind == 1:
		return yjs.NewXMLHook("hook")
	case kind == 2 || xml:
		return yjs.NewXMLText(s.text())
	case kind == 3:
		return yjs.NewMap(yjs.Object{{Key: s.key(), Value: s.leaf()}})
	case kind == 4:
		return yjs.NewText(s.text())
	}
	return yjs.NewArray(s.leaf(), s.text())
}

// spot is a place in a sequence with so many units behind it.
func (s scribbler) spot(length uint64) (at, n uint64) {
	at = s.below(length + 1)
	return at, min(length-at, s.below(6))
}

func (s scribbler) text() string {
	if s.halves && s.below(3) == 0 {
		return s.pick("😀", "a😀b", "\xed\xa0\xbd", "\xed\xb8\x80", "x\xed\xa0\xbd", "\xed\xb8\x80y", "👩‍👩‍👧‍👦")
	}
	return s.pick("a", "bc", "the ", "\n", "漢字", "é", "hello world, once more")
}

func (s scribbler) key() string { return s.pick("a", "b", "", "0", "align") }

func (s scribbler) leaf() any {
	switch s.below(6) {
	case 0:
		return s.pick("x", "", "漢")
	case 1:
		return true
	case 2:
		return []byte{1, 2, 3}
	case 3:
		return yjs.Object{{Key: "a", Value: 1.5}}
	case 4:
		return []any{nil, "x"}
	}
	return int(s.below(300)) - 100
}

func (s scribbler) format() yjs.Object {
	values := []any{true, nil, "red", yjs.Object{{Key: "href", Value: "x"}}}
	o := yjs.Object{}
	for range s.below(3) {
		o = append(o, yjs.Member{Key: s.pick("bold", "italic", "link"), Value: values[s.below(uint64(len(values)))]})
	}
	return o
}

// refused does what cannot be done. It must leave everything as it is.
func (s scribbler) refused(t *testing.T, d *yjs.Doc) {
	t.Helper()
	types := typesOf(d)
	typ := types[s.below(uint64(len(types)))]
	beyond := typ.Len() + 1 + s.below(3)
	var err error
	want := yjs.ErrRange
	before := encoded(t, d)
	_ = d.Transact(func(tx *yjs.Transaction) error {
		switch typ.Kind() {
		case yjs.KindText, yjs.KindXMLText:
			switch s.below(4) {
			case 0:
				err = typ.InsertText(tx, beyond, "x", nil)
			case 1:
				err = typ.Format(tx, 0, beyond, yjs.Object{{Key: "bold", Value: true}})
			case 2:
				err = typ.Delete(tx, beyond-1, 2)
			default:
				err, want = typ.InsertEmbed(tx, 0, make(chan int), nil), yjs.ErrValue
			}
		case yjs.KindMap, yjs.KindXMLHook:
			err, want = typ.Set(tx, "a", func() {}), yjs.ErrValue
		default:
			switch s.below(3) {
			case 0:
				err = typ.Delete(tx, 1, beyond)
			case 1:
				err, want = typ.Insert(tx, 0, uint64(1)<<60), yjs.ErrValue
			default:
				err, want = typ.Format(tx, 0, 0, nil), yjs.ErrKind
			}
		}
		return nil
	})
	if !errors.Is(err, want) {
		t.Fatalf("a %s took what is impossible: %v, want %v", typ.Kind(), err, want)
	}
	if after := encoded(t, d); !bytes.Equal(before, after) {
		t.Fatalf("a refused edit changed the document from %x to %x", before, after)
	}
}

func encoded(t *testing.T, d *yjs.Doc) []byte {
	t.Helper()
	state, err := d.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// replica is a document that others edit together with.
type replica struct {
	*yjs.Doc
	inbox [][]byte
}

// newReplicas returns live documents; what one emits lands in the others' inboxes.
func newReplicas(t *testing.T, n int) []*replica {
	t.Helper()
	replicas := make([]*replica, n)
	for i := range replicas {
		replicas[i] = &replica{Doc: yjs.NewDoc(yjs.Options{Live: true, ClientID: uint64(i + 1)})}
		declareScribbled(t, replicas[i].Doc)
	}
	for _, r := range replicas {
		r.OnUpdate(func(e yjs.Emission) {
			if !e.Local {
				return
			}
			for _, other := range replicas {
				if other != r {
					other.inbox = append(other.inbox, e.Update)
				}
			}
		})
	}
	return replicas
}

// receive applies one of the updates that wait.
func (r *replica) receive(i uint64) error {
	update := r.inbox[i]
	r.inbox = append(r.inbox[:i:i], r.inbox[i+1:]...)
	return r.Apply(update)
}

// meet delivers everything. Cleaning formats makes updates too, so this goes on until
// nobody has anything to say.
func meet(replicas []*replica) error {
	for range 1000 {
		quiet := true
		for _, r := range replicas {
			for len(r.inbox) > 0 {
				quiet = false
				if err := r.receive(0); err != nil {
					return err
				}
			}
		}
		if quiet {
			return nil
		}
	}
	return fmt.Errorf("replicas never come to rest")
}
