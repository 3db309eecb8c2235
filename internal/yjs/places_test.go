package yjs_test

import (
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestWrongPlace edits an array in which somebody else put formats, where yjs loses count
// of its places: its insertion goes to the start then, and its deletion throws.
func TestWrongPlace(t *testing.T) {
	author := yjs.NewDoc(yjs.Options{ClientID: 5})
	text, err := author.Declare("list", yjs.KindText)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, author, func(tx *yjs.Transaction) error {
		return errors.Join(text.InsertText(tx, 0, "abcdef", nil), text.Format(tx, 2, 1, yjs.Object{{Key: "b", Value: true}}))
	})
	update, err := author.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := yjs.NewDoc(yjs.Options{ClientID: 7})
	if err := d.Apply(update); err != nil {
		t.Fatal(err)
	}
	list, err := d.Declare("list", yjs.KindArray)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, d, func(tx *yjs.Transaction) error {
		// The place at "def" goes back by two, of which one was a format.
		return errors.Join(list.Insert(tx, 6, 1), list.Delete(tx, 1, 2))
	})
	edit(t, d, func(tx *yjs.Transaction) error { return list.Insert(tx, list.Len(), "first") })
	if got := list.Values()[0]; got != "first" {
		t.Errorf("inserted behind the start, where %v is", got)
	}
	err = d.Transact(func(tx *yjs.Transaction) error { return list.Delete(tx, list.Len()-1, 1) })
	if !errors.Is(err, yjs.ErrRange) {
		t.Errorf("deletion: %v", err)
	}
	if n := list.Len(); n != 7 {
		t.Errorf("the failed deletion left %d of 7", n)
	}
}

func edit(t *testing.T, d *yjs.Doc, fn func(tx *yjs.Transaction) error) {
	t.Helper()
	if err := d.Transact(fn); err != nil {
		t.Fatal(err)
	}
}
