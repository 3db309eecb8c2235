package yjs_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

func TestSlice(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{ClientID: 1})
	text, array, _ := declared(t, d)
	err := d.Transact(func(tx *yjs.Transaction) error {
		return errors.Join(
			text.InsertText(tx, 0, "ab😀cd", nil),
			text.InsertEmbed(tx, 2, yjs.Object{{Key: "image", Value: "x"}}, nil),
			text.InsertText(tx, 3, "zz", yjs.Object{{Key: "bold", Value: true}}),
			text.Delete(tx, 4, 1),
			array.Push(tx, 0, 1, 2, 3, 4, 5),
			array.Delete(tx, 2, 2),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	image := yjs.Object{{Key: "image", Value: "x"}}
	for _, c := range []struct {
		typ       *yjs.Type
		at, units uint64
		want      []any
	}{
		{text, 0, 8, []any{"ab", image, "z", "😀cd"}},
		{text, 1, 2, []any{"b", image}},
		{text, 3, 1, []any{"z"}},
		{text, 4, 2, []any{"😀"}},
		{text, 6, 1, []any{"c"}},
		{text, 8, 0, nil},
		{array, 1, 2, []any{1.0, 4.0}},
		{array, 3, 1, []any{5.0}},
	} {
		for _, indexed := range []bool{false, true} {
			if c.typ.DropIndex(); indexed {
				c.typ.Reindex()
			}
			if got, err := c.typ.Slice(c.at, c.units); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: Slice(%d, %d) = %v, %v, want %v", c.typ.Name(), c.at, c.units, got, err, c.want)
			}
		}
	}
	for _, r := range [][2]uint64{{9, 0}, {8, 1}, {0, 1 << 63}, {1 << 63, 1}} {
		if _, err := text.Slice(r[0], r[1]); !errors.Is(err, yjs.ErrRange) {
			t.Errorf("Slice%v = %v, want ErrRange", r, err)
		}
	}
}
