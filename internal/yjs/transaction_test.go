package yjs_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// emitted collects the updates of a document.
func emitted(d *yjs.Doc) *[]string {
	var all []string
	d.OnUpdate(func(e yjs.Emission) { all = append(all, fmt.Sprintf("%t %x", e.Local, e.Update)) })
	return &all
}

// fromOther returns "hi" in the text "t", by client 5.
func fromOther(t *testing.T) []byte {
	t.Helper()
	other := yjs.NewDoc(yjs.Options{ClientID: 5})
	text := declare(t, other, "t", yjs.KindText)
	edit(t, other, func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "hi", nil) })
	update, err := other.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return update
}

// TestObserverEdits compares with yjs: what an observer adds is in the update of the
// transaction that it was told of, and once more in that of its own.
func TestObserverEdits(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{Live: true, ClientID: 1})
	text, entries := declare(t, d, "t", yjs.KindText), declare(t, d, "m", yjs.KindMap)
	got := emitted(d)
	text.Observe(func(*yjs.Event) {
		edit(t, d, func(tx *yjs.Transaction) error { return entries.Set(tx, "k", 1) })
	})
	if err := d.Apply(fromOther(t)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"false 02010500040101740268690101002801016d016b017d0100",
		"true 010101002801016d016b017d0100",
	}
	if !slices.Equal(*got, want) {
		t.Errorf("emitted %q, want %q", *got, want)
	}
}

// TestApplyInside compares with yjs: what is applied inside Transact is part of the
// transaction, which goes on.
func TestApplyInside(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{Live: true, ClientID: 1})
	text := declare(t, d, "t", yjs.KindText)
	got := emitted(d)
	update := fromOther(t)
	edit(t, d, func(tx *yjs.Transaction) error {
		return errors.Join(text.InsertText(tx, 0, "x", nil), d.Apply(update), text.InsertText(tx, 0, "y", nil))
	})
	want := []string{"false 0201050004010174026869020100040101740178440100017900"}
	if !slices.Equal(*got, want) {
		t.Errorf("emitted %q, want %q", *got, want)
	}
	if d.ClientID() == 1 {
		t.Error("the client ID stayed, as if nobody else had written under it")
	}
}

// TestApplyMoves edits where somebody else's text has moved what a place was remembered for.
func TestApplyMoves(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{ClientID: 9})
	text := declare(t, d, "t", yjs.KindText)
	update := fromOther(t)
	edit(t, d, func(tx *yjs.Transaction) error {
		return errors.Join(text.InsertText(tx, 0, "x", nil), text.InsertText(tx, 1, "z", nil), d.Apply(update), text.InsertText(tx, 2, "!", nil))
	})
	if text.Text() != "hi!xz" {
		t.Errorf("text is %q", text.Text())
	}
}

// TestListenerPanics tells of a panic once everything is finished, and goes on.
func TestListenerPanics(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{ClientID: 1})
	text := declare(t, d, "t", yjs.KindText)
	cancel := d.OnUpdate(func(yjs.Emission) { panic("listener") })
	got := emitted(d)
	func() {
		defer func() {
			if p := recover(); p != "listener" {
				t.Errorf("panicked with %v", p)
			}
		}()
		edit(t, d, func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "a", nil) })
	}()
	cancel()
	cancel()
	edit(t, d, func(tx *yjs.Transaction) error { return text.InsertText(tx, 1, "b", nil) })
	if len(*got) != 2 {
		t.Errorf("%d updates, want 2", len(*got))
	}
	if err := text.InsertText(&yjs.Transaction{}, 0, "c", nil); !errors.Is(err, yjs.ErrClosed) {
		t.Errorf("with no transaction at all: %v", err)
	}
}

// TestRefusals are arguments that would make bytes which nobody can read.
func TestRefusals(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{ClientID: 1 << 53})
	text := declare(t, d, "t", yjs.KindText)
	insert := func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "a", nil) }
	if err := d.Transact(insert); !errors.Is(err, yjs.ErrClock) {
		t.Errorf("as client 2^53: %v", err)
	}
	d.SetClientID(1<<53 - 1)
	edit(t, d, insert)
	if _, err := d.Declare("\xff", yjs.KindText); !errors.Is(err, yjs.ErrValue) {
		t.Errorf("a name that is not UTF-8: %v", err)
	}
	if _, err := d.Declare("kind", yjs.KindXMLText+2); !errors.Is(err, yjs.ErrKind) || d.Root("kind") != nil {
		t.Errorf("no kind at all: %v", err)
	}
	if typ, err := yjs.NewText("\xff"); typ != nil || !errors.Is(err, yjs.ErrValue) {
		t.Errorf("a text that is none: %v, %v", typ, err)
	}
}

// TestEmbeddedString compares with yjs: to embed a string begins to count from a place,
// at which no formats are known if they came before somebody said that this is a text.
func TestEmbeddedString(t *testing.T) {
	author := yjs.NewDoc(yjs.Options{ClientID: 5})
	text := declare(t, author, "t", yjs.KindText)
	edit(t, author, func(tx *yjs.Transaction) error {
		return errors.Join(text.InsertText(tx, 0, "abcdef", nil), text.Format(tx, 1, 4, yjs.Object{{Key: "b", Value: true}}))
	})
	state, err := author.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := yjs.NewDoc(yjs.Options{Live: true, ClientID: 1})
	if err := d.Apply(state); err != nil {
		t.Fatal(err)
	}
	text = declare(t, d, "t", yjs.KindText)
	got := emitted(d)
	edit(t, d, func(tx *yjs.Transaction) error { return text.InsertText(tx, 3, "x", nil) })
	edit(t, d, func(tx *yjs.Transaction) error { return text.InsertEmbed(tx, 3, "str", nil) })
	if want := []string{"true 01010100c405020503017800", "true 01010101c4050201000373747200"}; !slices.Equal(*got, want) {
		t.Errorf("emitted %q, want %q", *got, want)
	}
}
