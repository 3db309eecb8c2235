package yjs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

var rootKinds = []yjs.Kind{yjs.KindText, yjs.KindXMLText, yjs.KindArray, yjs.KindMap, yjs.KindXMLFragment, yjs.KindXMLElement}

// filled returns a document whose root "r" somebody filled as a kind.
func docWith(t *testing.T, kind yjs.Kind, fill func(*yjs.Transaction, *yjs.Type) error) *yjs.Doc {
	t.Helper()
	d := yjs.NewDoc(yjs.Options{})
	root, err := d.Declare("r", kind)
	if err == nil {
		err = d.Transact(func(tx *yjs.Transaction) error { return fill(tx, root) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What a root can be taken for follows from what it holds.
func TestAs(t *testing.T) {
	element := func() *yjs.Type {
		e, err := yjs.NewXMLElement("p")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	list, err := yjs.NewArray()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind yjs.Kind
		fill func(*yjs.Transaction, *yjs.Type) error
		as   string // the kinds that fit, as in rootKinds
	}{
		"nothing":   {yjs.KindText, func(*yjs.Transaction, *yjs.Type) error { return nil }, "++++++"},
		"text":      {yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error { return r.InsertText(tx, 0, "x", nil) }, "++...."},
		"embed":     {yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error { return r.InsertEmbed(tx, 0, true, nil) }, "++...."},
		"attribute": {yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Set(tx, "a", 1) }, "++.+.+"},
		"key":       {yjs.KindMap, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Set(tx, "a", 1) }, "++.+.+"},
		"value":     {yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Push(tx, 1) }, "..+..."},
		"binary":    {yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Push(tx, []byte{1}) }, "..+..."},
		"type":      {yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Push(tx, list) }, "+++..."},
		"fragment":  {yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Push(tx, yjs.NewXMLFragment()) }, "+++..."},
		"element":   {yjs.KindXMLFragment, func(tx *yjs.Transaction, r *yjs.Type) error { return r.Push(tx, element()) }, "+++.++"},
		"deleted": {yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error {
			return errors.Join(r.Push(tx, 1), r.Delete(tx, 0, 1))
		}, "++++++"},
		"deleted key": {yjs.KindMap, func(tx *yjs.Transaction, r *yjs.Type) error {
			return errors.Join(r.Set(tx, "a", 1), r.Unset(tx, "a"))
		}, "++++++"},
		"text behind what is deleted": {yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error {
			return errors.Join(r.InsertEmbed(tx, 0, true, nil), r.InsertText(tx, 1, "x", nil), r.Delete(tx, 0, 1))
		}, "++...."},
	} {
		live := docWith(t, c.kind, c.fill)
		state, err := live.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := yjs.Load(yjs.Options{}, state)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*yjs.Doc{live, loaded, live} {
			var got strings.Builder
			for _, kind := range rootKinds {
				root, err := d.As("r", kind)
				switch {
				case err == nil && root.Kind() == kind && root == d.Root("r"):
					got.WriteByte('+')
				case errors.Is(err, yjs.ErrKind):
					got.WriteByte('.')
				default:
					t.Errorf("%s as %s = %v, %v", name, kind, root, err)
				}
			}
			if got.String() != c.as {
				t.Errorf("%s can be %s, want %s", name, got.String(), c.as)
			}
		}
	}
}

// An edit after a change of kind finds its place.
func TestAsThenEdit(t *testing.T) {
	d := docWith(t, yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error {
		for range 20 {
			if err := errors.Join(r.InsertText(tx, 0, "xy", nil), r.InsertText(tx, 1, "-", nil)); err != nil {
				return err
			}
		}
		return nil
	})
	want := d.Root("r").Text()
	for i, kind := range []yjs.Kind{yjs.KindXMLText, yjs.KindText, yjs.KindXMLText} {
		root, err := d.As("r", kind)
		if err != nil {
			t.Fatal(err)
		}
		at := uint64(7 + 11*i)
		if err := d.Transact(func(tx *yjs.Transaction) error { return root.InsertText(tx, at, "!", nil) }); err != nil {
			t.Fatal(err)
		}
		want = want[:at] + "!" + want[at:]
		if got := root.Text(); got != want {
			t.Errorf("text = %q, want %q", got, want)
		}
	}
}

func TestDeletedType(t *testing.T) {
	outer, err := yjs.NewMap(nil)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := yjs.NewArray()
	if err != nil {
		t.Fatal(err)
	}
	docWith(t, yjs.KindMap, func(tx *yjs.Transaction, r *yjs.Type) error {
		if err := errors.Join(outer.Set(nil, "inner", inner), r.Set(tx, "outer", outer)); err != nil {
			return err
		}
		if r.Deleted() || outer.Deleted() || inner.Deleted() {
			t.Error("types are deleted that are not")
		}
		err := r.Unset(tx, "outer")
		if r.Deleted() || !outer.Deleted() || !inner.Deleted() {
			t.Errorf("deleted: %t, %t, %t", r.Deleted(), outer.Deleted(), inner.Deleted())
		}
		return err
	})
}

func TestFootprint(t *testing.T) {
	empty := yjs.NewDoc(yjs.Options{}).Footprint()
	if empty != 0 {
		t.Errorf("an empty document takes %d bytes", empty)
	}
	at := func(kind yjs.Kind, fill func(*yjs.Transaction, *yjs.Type) error) int64 {
		return docWith(t, kind, fill).Footprint()
	}
	const n = 1000
	text := at(yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error { return r.InsertText(tx, 0, strings.Repeat("x", n), nil) })
	apart := at(yjs.KindText, func(tx *yjs.Transaction, r *yjs.Type) error {
		for range n {
			if err := r.InsertText(tx, 0, "x", nil); err != nil {
				return err
			}
		}
		return nil
	})
	values := at(yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error {
		return r.Push(tx, make([]any, n)...)
	})
	objects := at(yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error {
		for range n {
			if err := r.Push(tx, yjs.Object{{Key: "key", Value: []any{"value", 1, []byte("binary")}}}); err != nil {
				return err
			}
		}
		return nil
	})
	types := at(yjs.KindArray, func(tx *yjs.Transaction, r *yjs.Type) error {
		for range n {
			list, err := yjs.NewArray()
			if err := errors.Join(err, r.Push(tx, list)); err != nil {
				return err
			}
		}
		return nil
	})
	for what, c := range map[string][3]int64{
		"text": {text, n, 3 * n}, "units apart": {apart, 100 * n, 300 * n}, "values": {values, 16 * n, 32 * n},
		"objects": {objects, 100 * n, 400 * n}, "types": {types, 250 * n, 700 * n},
	} {
		if c[0] < c[1] || c[0] > c[2] {
			t.Errorf("%s take %d bytes, want %d to %d", what, c[0], c[1], c[2])
		}
	}
}
