package yjs_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

func TestFaithful(t *testing.T) {
	for _, c := range []struct {
		name string
		want bool
		edit func(tx *yjs.Transaction, text, m *yjs.Type) error
	}{
		{"usual values", true, func(tx *yjs.Transaction, text, m *yjs.Type) error {
			return errors.Join(
				text.InsertText(tx, 0, "ab😀한국어", yjs.Object{{Key: "bold", Value: true}}),
				text.InsertEmbed(tx, 1, yjs.Object{{Key: "n", Value: []any{1.5, nil, "😀"}}}, nil),
				m.Set(tx, "k", []any{math.NaN(), math.Copysign(0, -1), yjs.Undefined{}, yjs.BigInt(1), []byte{1}}),
			)
		}},
		{"NaN in a format", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return text.InsertText(tx, 0, "a", yjs.Object{{Key: "n", Value: math.NaN()}})
		}},
		{"-0 in an embed", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return text.InsertEmbed(tx, 0, []any{math.Copysign(0, -1)}, nil)
		}},
		{"undefined in an embed", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return text.InsertEmbed(tx, 0, yjs.Object{{Key: "u", Value: yjs.Undefined{}}}, nil)
		}},
		{"__proto__ as a key of a value", false, func(tx *yjs.Transaction, _, m *yjs.Type) error {
			return m.Set(tx, "k", yjs.Object{{Key: "__proto__", Value: 1}})
		}},
		{"half a pair", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return text.InsertText(tx, 0, "a\xed\xa0\xbd", nil)
		}},
		{"half a pair behind what was typed", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return errors.Join(text.InsertText(tx, 0, "a", nil), text.InsertText(tx, 1, "\xed\xa0\xbd", nil))
		}},
		{"half a pair in a key", false, func(tx *yjs.Transaction, _, m *yjs.Type) error {
			return m.Set(tx, "\xed\xa0\xbd", 1)
		}},
		{"a cut pair", false, func(tx *yjs.Transaction, text, _ *yjs.Type) error {
			return errors.Join(text.InsertText(tx, 0, "a😀b", nil), text.Format(tx, 0, 2, yjs.Object{{Key: "b", Value: nil}}))
		}},
	} {
		d := yjs.NewDoc(yjs.Options{ClientID: 1})
		text, _, _ := declared(t, d)
		m, err := d.Declare("map", yjs.KindMap)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Transact(func(tx *yjs.Transaction) error { return c.edit(tx, text, m) }); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := d.Faithful(); got != c.want {
			t.Errorf("%s: Faithful = %v, want %v", c.name, got, c.want)
		}
	}
}

// TestReadsAreBounded reads a text whose markup grows with the square of its formats.
func TestReadsAreBounded(t *testing.T) {
	const formats = 600
	d := yjs.NewDoc(yjs.Options{ClientID: 1})
	text, err := d.Declare("x", yjs.KindXMLText)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Transact(func(tx *yjs.Transaction) error {
		var delta []yjs.DeltaOp
		for i := range formats {
			delta = append(delta, yjs.DeltaOp{Insert: "x", Attributes: yjs.Object{{Key: fmt.Sprint(strings.Repeat("long", 500), i), Value: true}}})
		}
		return text.ApplyDelta(tx, delta)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.JSON(); err != nil {
		t.Fatalf("formats one by one: %v", err)
	}
	// Without the ends of the formats all of them are in force at the end.
	u, err := d.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	open := opened(t, u)
	for name, read := range map[string]func() error{
		"JSON":   func() error { _, err := open.JSON(); return err },
		"Markup": func() error { _, err := open.Root("x").Markup(); return err },
	} {
		if err := read(); !errors.Is(err, yjs.ErrTooLarge) {
			t.Errorf("%s = %v, want ErrTooLarge", name, err)
		}
	}
}

// opened loads a text and deletes every second of its format items: what ends a format.
func opened(t *testing.T, update []byte) *yjs.Doc {
	t.Helper()
	d, err := yjs.Load(yjs.Options{}, update)
	if err != nil {
		t.Fatal(err)
	}
	deletes := map[uint64][]yjs.Range{}
	for clock := uint64(2); clock < d.End(1); clock += 3 { // format, letter, end
		deletes[1] = append(deletes[1], yjs.Range{Clock: clock, Len: 1})
	}
	if err := d.Apply(yjs.DeletesUpdate(deletes).Encode()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Declare("x", yjs.KindXMLText); err != nil {
		t.Fatal(err)
	}
	return d
}
