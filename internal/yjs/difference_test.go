package yjs_test

import (
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// editing is a document with its updates, for tests of what an edit makes.
type editing struct {
	*yjs.Doc
	t       *testing.T
	updates [][]byte
}

func newEditing(t *testing.T, client uint64) *editing {
	e := &editing{Doc: yjs.NewDoc(yjs.Options{Live: true, ClientID: client}), t: t}
	e.OnUpdate(func(emission yjs.Emission) { e.updates = append(e.updates, emission.Update) })
	return e
}

func (e *editing) declare(name string, kind yjs.Kind) *yjs.Type {
	e.t.Helper()
	root, err := e.Declare(name, kind)
	if err != nil {
		e.t.Fatal(err)
	}
	return root
}

// edit is one transaction that must succeed.
func (e *editing) edit(fn func(tx *yjs.Transaction) error) {
	e.t.Helper()
	if err := e.Transact(fn); err != nil {
		e.t.Fatal(err)
	}
}

// TestDifferenceLoneHalf: yjs cuts a string behind a half of a surrogate pair that
// stands alone as if it were in a pair, so that the next character is lost.
func TestDifferenceLoneHalf(t *testing.T) {
	e := newEditing(t, 1)
	text := e.declare("t", yjs.KindText)
	e.edit(func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "\xed\xa0\xbdxyz", nil) })
	e.edit(func(tx *yjs.Transaction) error { return text.InsertText(tx, 1, "Q", nil) })
	if got, want := text.Text(), "\ufffdQ\ufffdyz"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
	state, err := e.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "010301000401017403efbfbd84010005efbfbd797ac401000101015100"); string(state) != string(want) {
		t.Errorf("Encode = %x, want %x", state, want)
	}
}

// TestDifferenceLateRoot: a root that is declared when it has formats already forgets
// that it has some, but a deletion cleans formats up all the same.
func TestDifferenceLateRoot(t *testing.T) {
	writer := newEditing(t, 1)
	text := writer.declare("t", yjs.KindText)
	writer.edit(func(tx *yjs.Transaction) error {
		if err := text.InsertText(tx, 0, "abc", nil); err != nil {
			return err
		}
		return text.Format(tx, 1, 1, yjs.Object{{Key: "bold", Value: true}})
	})
	e := newEditing(t, 2)
	if err := e.Apply(writer.updates[0]); err != nil {
		t.Fatal(err)
	}
	late := e.declare("t", yjs.KindText)
	e.updates = nil
	e.edit(func(tx *yjs.Transaction) error { return late.Delete(tx, 1, 1) })
	if want := unhex(t, "0001010201010302"); len(e.updates) != 1 || string(e.updates[0]) != string(want) {
		t.Errorf("deletion emits %x, want %x: the formats are deleted too", e.updates, want)
	}
}

// TestDifferenceLateExtension: within a transaction, adding text to the item on the left
// instead of making a new one moves the places that yjs remembers. In a root that had
// formats before it was declared that shows.
func TestDifferenceLateExtension(t *testing.T) {
	sessions, err := yjstest.Fixtures("yjstest/testdata/sessions-latemarkers.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		for check, err := range yjstest.Judge(engine{}, s).Failures {
			t.Errorf("%s: %v", check, err)
		}
	}
}
