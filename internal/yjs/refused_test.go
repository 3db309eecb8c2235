package yjs_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestRefusedEdits does what cannot be done. Each must be refused with its error, and
// change nothing, neither bytes nor what comes after.
func TestRefusedEdits(t *testing.T) {
	e := newEditing(t, 1)
	text := e.declare("text", yjs.KindText)
	array := e.declare("array", yjs.KindArray)
	m := e.declare("map", yjs.KindMap)
	fragment := e.declare("fragment", yjs.KindXMLFragment)
	var nested, gone, child *yjs.Type
	e.edit(func(tx *yjs.Transaction) error {
		nested, gone = newArray(t), newArray(t, 1, 2)
		child = must(yjs.NewXMLElement("p"))(t)
		return errors.Join(
			text.InsertText(tx, 0, "a😀c", nil),
			array.Insert(tx, 0, 1, nested, gone),
			array.Delete(tx, 2, 1),
			fragment.Insert(tx, 0, child),
		)
	})
	other := newEditing(t, 2)
	foreign := other.declare("text", yjs.KindText)
	var closed *yjs.Transaction
	e.edit(func(tx *yjs.Transaction) error {
		closed = tx
		return nil
	})
	cyclicList := []any{1}
	cyclicList[0] = cyclicList
	cyclicMap := map[string]any{}
	cyclicMap["self"] = cyclicMap
	deep := any(1)
	for range 3000 {
		deep = []any{deep}
	}
	bold := yjs.Object{{Key: "bold", Value: true}}
	inItself := newArray(t)

	for _, c := range []struct {
		name string
		want error
		edit func(tx *yjs.Transaction) error
	}{
		{"text behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.InsertText(tx, 5, "x", nil) }},
		{"text at a huge index", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.InsertText(tx, math.MaxUint64, "x", nil) }},
		{"nothing behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.InsertText(tx, 5, "", nil) }},
		{"an embed behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.InsertEmbed(tx, 5, 1, nil) }},
		{"delete behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.Delete(tx, 3, 2) }},
		{"delete a length that wraps", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.Delete(tx, 1, math.MaxUint64) }},
		{"format behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return text.Format(tx, 0, 5, bold) }},
		{"a delta that deletes too much", yjs.ErrRange, func(tx *yjs.Transaction) error {
			return text.ApplyDelta(tx, []yjs.DeltaOp{{Insert: "x"}, {Retain: 1}, {Delete: 4}})
		}},
		{"a delta that keeps far too much", yjs.ErrRange, func(tx *yjs.Transaction) error {
			return text.ApplyDelta(tx, []yjs.DeltaOp{{Retain: 1 << 40}})
		}},
		{"a delta that keeps a length that wraps", yjs.ErrRange, func(tx *yjs.Transaction) error {
			return text.ApplyDelta(tx, []yjs.DeltaOp{{Retain: math.MaxUint64}, {Retain: 2}})
		}},
		{"a delta of two things at once", yjs.ErrValue, func(tx *yjs.Transaction) error {
			return text.ApplyDelta(tx, []yjs.DeltaOp{{Insert: "x", Delete: 1}})
		}},
		{"values behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return array.Insert(tx, 3, 1) }},
		{"delete values behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return array.Delete(tx, 0, 3) }},
		{"a child behind the end", yjs.ErrRange, func(tx *yjs.Transaction) error { return fragment.Insert(tx, 2, must(yjs.NewXMLElement("p"))(t)) }},
		{"behind what is no child", yjs.ErrRange, func(tx *yjs.Transaction) error {
			return fragment.InsertAfter(tx, nested, must(yjs.NewXMLElement("p"))(t))
		}},

		{"a channel", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, 1, make(chan int)) }},
		{"a function", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "k", func() {}) }},
		{"a struct", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "k", struct{ A int }{1}) }},
		{"a pointer", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "k", new(int)) }},
		{"no type", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "k", (*yjs.Type)(nil)) }},
		{"a list in itself", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, cyclicList) }},
		{"a map in itself", yjs.ErrTooDeep, func(tx *yjs.Transaction) error { return m.Set(tx, "k", cyclicMap) }},
		{"a list nested too deep", yjs.ErrTooDeep, func(tx *yjs.Transaction) error { return array.Push(tx, deep) }},
		{"an integer beyond 2^53", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, int64(1)<<53) }},
		{"an integer below -2^53", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, -(int64(1) << 53)) }},
		{"an unsigned integer beyond 2^53", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, uint64(math.MaxUint64)) }},
		{"text that is no UTF-8", yjs.ErrValue, func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "a\xff", nil) }},
		{"text that ends in a character", yjs.ErrValue, func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "\xf0\x9f\x98", nil) }},
		{"a key that is no UTF-8", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "\x80", 1) }},
		{"a member that is no UTF-8", yjs.ErrValue, func(tx *yjs.Transaction) error { return m.Set(tx, "k", map[string]any{"\xc3": 1}) }},
		{"an attribute that is no UTF-8", yjs.ErrValue, func(tx *yjs.Transaction) error {
			return text.Format(tx, 0, 1, yjs.Object{{Key: "\xff", Value: true}})
		}},
		{"a BigInt as an attribute", yjs.ErrValue, func(tx *yjs.Transaction) error {
			return text.InsertText(tx, 0, "x", yjs.Object{{Key: "n", Value: yjs.BigInt(1)}})
		}},
		{"a BigInt in a list", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, yjs.BigInt(1)) }},
		{"undefined in a list", yjs.ErrValue, func(tx *yjs.Transaction) error { return array.Push(tx, yjs.Undefined{}) }},
		{"nothing to embed", yjs.ErrValue, func(tx *yjs.Transaction) error { return text.InsertEmbed(tx, 0, nil, nil) }},
		{"text as a child of XML", yjs.ErrValue, func(tx *yjs.Transaction) error { return fragment.Insert(tx, 0, "text") }},

		{"a type of the document again", yjs.ErrIntegrated, func(tx *yjs.Transaction) error { return m.Set(tx, "k", nested) }},
		{"a root", yjs.ErrIntegrated, func(tx *yjs.Transaction) error { return m.Set(tx, "k", text) }},
		{"one type twice", yjs.ErrIntegrated, func(tx *yjs.Transaction) error {
			twice := newArray(t)
			return array.Insert(tx, 0, twice, 1, twice)
		}},
		{"a type in itself", yjs.ErrIntegrated, func(*yjs.Transaction) error { return inItself.Insert(nil, 0, inItself) }},

		{"in a deleted type", yjs.ErrDeleted, func(tx *yjs.Transaction) error { return gone.Push(tx, 1) }},
		{"in another document", yjs.ErrForeign, func(tx *yjs.Transaction) error { return foreign.InsertText(tx, 0, "x", nil) }},
		{"in a closed transaction", yjs.ErrClosed, func(*yjs.Transaction) error { return text.InsertText(closed, 0, "x", nil) }},
		{"without a transaction", yjs.ErrClosed, func(*yjs.Transaction) error { return m.Set(nil, "k", 1) }},
		{"text in an array", yjs.ErrKind, func(tx *yjs.Transaction) error { return array.InsertText(tx, 0, "x", nil) }},
		{"values in a map", yjs.ErrKind, func(tx *yjs.Transaction) error { return m.Insert(tx, 0, 1) }},
		{"a key of an array", yjs.ErrKind, func(tx *yjs.Transaction) error { return array.Set(tx, "k", 1) }},
		{"clearing a text", yjs.ErrKind, func(tx *yjs.Transaction) error { return text.Clear(tx) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := encoded(t, e.Doc)
			e.updates = nil
			var err error
			e.edit(func(tx *yjs.Transaction) error {
				err = c.edit(tx)
				return nil
			})
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if after := encoded(t, e.Doc); !bytes.Equal(before, after) {
				t.Errorf("the document changed from %x to %x", before, after)
			}
			if len(e.updates) > 0 {
				t.Errorf("it emitted %x", e.updates)
			}
			if err := e.Audit(); err != nil {
				t.Error(err)
			}
		})
	}
	// All of it still works.
	e.edit(func(tx *yjs.Transaction) error {
		return errors.Join(
			text.InsertText(tx, 4, "!", nil), array.Push(tx, math.NaN(), int64(1)<<53-1, inItself), m.Set(tx, "k", yjs.BigInt(1)),
			fragment.InsertAfter(tx, child, must(yjs.NewXMLText("x"))(t)),
		)
	})
	if got, want := text.Text(), "a😀c!"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newArray(t *testing.T, values ...any) *yjs.Type {
	t.Helper()
	return must(yjs.NewArray(values...))(t)
}

// TestFailedTransaction keeps what was done before the error, as yjs does.
func TestFailedTransaction(t *testing.T) {
	e := newEditing(t, 1)
	text := e.declare("text", yjs.KindText)
	failure := errors.New("failure")
	err := e.Transact(func(tx *yjs.Transaction) error {
		if err := text.InsertText(tx, 0, "kept", nil); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Transact = %v, want %v", err, failure)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic did not come through")
			}
		}()
		_ = e.Transact(func(tx *yjs.Transaction) error {
			if err := text.InsertText(tx, 4, " too", nil); err != nil {
				t.Error(err)
			}
			panic("stop")
		})
	}()
	if got, want := text.Text(), "kept too"; got != want || len(e.updates) != 2 {
		t.Errorf("Text = %q after %d updates, want %q after 2", got, len(e.updates), want)
	}
	e.edit(func(tx *yjs.Transaction) error { return text.Delete(tx, 0, 5) })
	if got := load(t, e.updates...).Root("text").Text(); got != "too" {
		t.Errorf("the updates lead to %q, want %q", got, "too")
	}
}

// TestEditHostileDocuments edits documents that no yjs client would have written.
func TestEditHostileDocuments(t *testing.T) {
	b := func(sections uint64) *builder { return (&builder{}).uint(sections) }
	nested := b(1).section(3001, 1, 0).in(cType, "array").uint(0)
	for i := range uint64(3000) {
		nested.inside(cType, i).uint(0)
	}
	for name, update := range map[string][]byte{
		"deep":           nested.uint(0).buf,
		"long":           b(1).section(1, 1, 0).in(cDeleted, "text").uint(maxSafe).uint(0).buf,
		"long GC":        b(1).section(1, 5, 0).bytes(cGC).uint(maxSafe).uint(0).buf,
		"large client":   b(1).section(1, maxSafe, 0).in(cString, "text").text("abc").uint(0).buf,
		"far clock":      b(1).section(1, 7, maxSafe-1).in(cString, "text").text("a").uint(0).buf,
		"cyclic parents": b(2).section(1, 2, 0).inside(cType, 0).uint(0).section(1, 1, 0).bytes(cType, 0).uint(2, 0).uint(0).uint(0).buf,
		"in two parents": b(1).section(3, 1, 0).in(cString, "text").text("xy").in(cString, "array").text("z").
			bytes(cString|hasLeft|hasRight).uint(1, 0, 1, 2).text("q").uint(0).buf,
		"run under a key": b(1).section(2, 1, 0).bytes(cString|hasSub, 1).text("map").text("k").text("abcde").after(cString, 1, 0).text("x").uint(0).buf,
		"text in an array": b(1).section(2, 1, 0).in(cString, "array").text("abc").
			after(cFormat, 1, 2).text("bold").text("true").uint(0).buf,
		"values in a text": b(1).section(1, 1, 0).in(cValues, "text").bytes(3, 126, 125, 7, 119, 1, 'x').uint(0).buf,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEditing(t, 3)
			declareScribbled(t, e.Doc)
			if err := e.Apply(update); err != nil {
				t.Fatal(err)
			}
			e.updates = nil
			for seed := range byte(40) {
				s := scribbler{choices: &bytesOf{bytes.Repeat([]byte{seed, 7 * seed, 3, seed ^ 0x55}, 12)}, halves: true}
				if err := e.Transact(func(tx *yjs.Transaction) error { return s.edit(tx) }); err != nil && !errors.Is(err, yjs.ErrTooDeep) {
					t.Fatalf("edit %d: %v", seed, err)
				}
				s.refused(t, e.Doc)
			}
			if err := e.Audit(); err != nil {
				t.Fatal(err)
			}
			for _, u := range e.updates {
				if err := yjs.Validate(u); err != nil {
					t.Fatalf("emitted %x: %v", u, err)
				}
			}
			all := load(t, append([][]byte{update}, e.updates...)...)
			if !bytes.Equal(all.StateVector(), e.StateVector()) {
				t.Errorf("the updates reach %x, the document %x", all.StateVector(), e.StateVector())
			}
		})
	}
}

// TestLastClocks edits as a client that wrote nearly as much as can be counted.
func TestLastClocks(t *testing.T) {
	for _, used := range []uint64{maxSafe, maxSafe - 1, maxSafe - 3} {
		e := newEditing(t, 9)
		text := e.declare("text", yjs.KindText)
		spent := (&builder{}).uint(1).section(1, 9, 0).bytes(cGC).uint(used).uint(0).buf
		if err := e.Apply(spent); err != nil {
			t.Fatal(err)
		}
		before := encoded(t, e.Doc)
		for _, n := range []int{1, 5, 100} {
			err := e.Transact(func(tx *yjs.Transaction) error { return text.InsertText(tx, text.Len(), strings.Repeat("x", n), nil) })
			if !errors.Is(err, yjs.ErrClock) {
				t.Errorf("%d characters after clock %d: %v, want ErrClock", n, used, err)
			}
		}
		if after := encoded(t, e.Doc); !bytes.Equal(before, after) {
			t.Errorf("the document changed from %x to %x", before, after)
		}
		// Another client has all of its clocks.
		e.SetClientID(10)
		e.edit(func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "fresh", nil) })
		if got := text.Text(); got != "fresh" {
			t.Errorf("Text = %q, want %q", got, "fresh")
		}
	}
}
