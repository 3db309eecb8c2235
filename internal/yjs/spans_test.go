package yjs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestIndex edits two documents alike, of which one has an index over its sequences
// and the other never, and a third one that everything is sent to.
func TestIndex(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var twins [2]*yjs.Doc
		var sent [2][]byte
		for i := range twins {
			twins[i] = yjs.NewDoc(yjs.Options{Live: seed%2 == 0, ClientID: 7})
			twins[i].OnUpdate(func(e yjs.Emission) { sent[i] = e.Update })
		}
		other := yjs.NewDoc(yjs.Options{ClientID: 9})
		formats := seed%3 > 0
		if seed%4 == 1 { // there is content before anybody declares what it is
			earlier(t, rng, formats, append(twins[:], other)...)
		}
		for step := range 1500 {
			choice := rng.Uint64()
			for i, d := range twins {
				text, array, xml := declared(t, d)
				err := d.Transact(func(tx *yjs.Transaction) error {
					return randomEdit(tx, rand.New(rand.NewPCG(choice, 2)), text, array, xml, formats)
				})
				if err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, step, err)
				}
				for _, typ := range []*yjs.Type{text, array, xml} {
					if i == 1 {
						typ.DropIndex()
						continue
					}
					if step == 20 {
						typ.Reindex()
					}
					if step%50 == 0 {
						if err := typ.CheckIndex(); err != nil {
							t.Fatalf("seed %d, step %d: %v", seed, step, err)
						}
					}
				}
			}
			if !bytes.Equal(sent[0], sent[1]) {
				t.Fatalf("seed %d, step %d: with an index %x, without %x", seed, step, sent[0], sent[1])
			}
			if sent[0] == nil {
				continue
			}
			if err := other.Apply(sent[0]); err != nil {
				t.Fatal(err)
			}
			if step%40 == 0 { // the other one answers
				text, array, xml := declared(t, other)
				var answer []byte
				cancel := other.OnUpdate(func(e yjs.Emission) { answer = e.Update })
				err := other.Transact(func(tx *yjs.Transaction) error {
					return randomEdit(tx, rng, text, array, xml, formats)
				})
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range twins {
					if answer != nil {
						if err := d.Apply(answer); err != nil {
							t.Fatal(err)
						}
					}
				}
				if !bytes.Equal(sent[0], sent[1]) {
					t.Fatalf("seed %d, step %d: cleaned up otherwise", seed, step)
				}
				if err := other.Apply(sent[0]); err != nil {
					t.Fatal(err)
				}
			}
			sent = [2][]byte{}
		}
		a, _ := twins[0].Encode(nil)
		b, _ := twins[1].Encode(nil)
		if !bytes.Equal(a, b) {
			t.Errorf("seed %d: states differ", seed)
		}
		if err := other.Apply(a); err != nil {
			t.Fatal(err)
		}
		x, _ := yjs.Compact(a)
		c, _ := other.Encode(nil)
		if y, _ := yjs.Compact(c); !bytes.Equal(x, y) {
			t.Errorf("seed %d: the other document differs", seed)
		}
	}
}

// earlier applies the same edited state to all documents.
func earlier(t *testing.T, rng *rand.Rand, formats bool, docs ...*yjs.Doc) {
	t.Helper()
	d := yjs.NewDoc(yjs.Options{ClientID: 5})
	text, array, xml := declared(t, d)
	for range 300 {
		err := d.Transact(func(tx *yjs.Transaction) error { return randomEdit(tx, rng, text, array, xml, formats) })
		if err != nil {
			t.Fatal(err)
		}
	}
	state, err := d.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		if err := doc.Apply(state); err != nil {
			t.Fatal(err)
		}
	}
}

func declared(t *testing.T, d *yjs.Doc) (text, array, xml *yjs.Type) {
	t.Helper()
	var err error
	if text, err = d.Declare("text", yjs.KindText); err != nil {
		t.Fatal(err)
	}
	if array, err = d.Declare("array", yjs.KindArray); err != nil {
		t.Fatal(err)
	}
	if xml, err = d.Declare("xml", yjs.KindXMLFragment); err != nil {
		t.Fatal(err)
	}
	return text, array, xml
}

// randomEdit does one to three things at random places.
func randomEdit(tx *yjs.Transaction, rng *rand.Rand, text, array, xml *yjs.Type, formats bool) error {
	for range 1 + rng.IntN(3) {
		typ := []*yjs.Type{text, array, xml}[rng.IntN(3)]
		n := typ.Len()
		at := rng.Uint64N(n + 1)
		length := min(n-at, rng.Uint64N(4))
		var err error
		switch act := rng.IntN(10); {
		case act < 3:
			err = typ.Delete(tx, at, length)
		case typ == array && act < 5:
			err = typ.Push(tx, act, nil, "x")
		case typ == array:
			err = typ.Insert(tx, at, fmt.Sprint(at), at)
		case typ == xml:
			var element *yjs.Type
			if element, err = yjs.NewXMLElement("p"); err == nil {
				err = typ.Insert(tx, at, element)
			}
		case act < 5 && formats:
			err = typ.Format(tx, at, length, yjs.Object{{Key: string(rune('a' + rng.IntN(4))), Value: []any{true, nil, "red"}[rng.IntN(3)]}})
		case act < 6 && formats:
			err = typ.InsertText(tx, at, "formatted", yjs.Object{{Key: "1", Value: true}})
		case act < 7:
			err = typ.InsertEmbed(tx, at, yjs.Object{{Key: "image", Value: "x"}}, nil)
		default:
			err = typ.InsertText(tx, at, "some words"[:1+rng.IntN(10)], nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
