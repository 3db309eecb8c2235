package soma_test

import (
	"math"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// TestViewIsCommitted edits what no update can carry as it was given, and finds in
// memory what is stored.
func TestViewIsCommitted(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(text soma.Text) error
		want string
	}{
		{"half a surrogate pair", func(text soma.Text) error { return text.Insert(0, "a\xed\xa0\xbd", nil) }, "a\ufffd"},
		{"a format that changes nothing, from inside of a pair", func(text soma.Text) error {
			return text.Format(0, 2, soma.Object{{Key: "b", Value: nil}})
		}, "d😀e"},
		{"NaN in a format", func(text soma.Text) error {
			return text.Insert(0, "x", soma.Object{{Key: "n", Value: math.NaN()}})
		}, "x"},
	} {
		db := somatest.Open(t)
		s, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "s"})
		if err != nil {
			t.Fatal(err)
		}
		space := s.ID
		first := ""
		if c.want == "d😀e" {
			first = c.want
		}
		docs := db.Documents()
		for _, edit := range []func(text soma.Text) error{
			func(text soma.Text) error { return text.Insert(0, first, nil) },
			c.edit,
		} {
			_, err := docs.Edit(t.Context(), space, "d", func(tx *soma.EditTx) error { return edit(tx.Text("t")) })
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		err = docs.View(t.Context(), space, "d", func(tx *soma.ViewTx) error {
			text := tx.Text("t")
			if got := text.String(); got != c.want {
				t.Errorf("%s: View shows %q, want %q", c.name, got, c.want)
			}
			if delta := text.Delta(); len(delta) != 1 || delta[0].Attributes != nil {
				t.Errorf("%s: View shows %v, want no formats", c.name, delta)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := docs.Text(t.Context(), space, "d"); err != nil || got != c.want {
			t.Errorf("%s: Text = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}
