package yprotocol_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// typed returns a document that holds some text.
func typed(t *testing.T, client uint64, text string) document {
	t.Helper()
	d := yjs.NewDoc(yjs.Options{ClientID: client})
	root, err := d.Declare("t", yjs.KindText)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Transact(func(tx *yjs.Transaction) error { return root.InsertText(tx, 0, text, nil) }); err != nil {
		t.Fatal(err)
	}
	return document{d}
}

func TestAnswerRefuses(t *testing.T) {
	doc := typed(t, 1, "abc")
	before, err := doc.doc.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		m    yprotocol.SyncMessage
		want error
	}{
		"nothing":                {nil, yprotocol.ErrUnknownMessage},
		"a nil state vector":     {yprotocol.SyncStep1(nil), yprotocol.ErrInvalid},
		"an empty state vector":  {yprotocol.SyncStep1{}, yprotocol.ErrInvalid},
		"a state vector cut off": {yprotocol.SyncStep1{2, 1, 1}, yprotocol.ErrInvalid},
		"an empty update":        {yprotocol.SyncStep2{}, yjs.ErrInvalid},
		"an update cut off":      {yprotocol.Update{1, 1}, yjs.ErrInvalid},
	} {
		reply, err := yprotocol.Answer(t.Context(), doc, c.m)
		if reply != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: Answer = %v, %v, want %v", name, reply, err, c.want)
		}
	}
	if after, err := doc.doc.Encode(nil); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the document is %x, %v, want %x", after, err, before)
	}
}

// broken is a document on a broken disk.
type broken struct{ err error }

func (b broken) StateVector(context.Context) ([]byte, error)  { return nil, b.err }
func (b broken) Diff(context.Context, []byte) ([]byte, error) { return nil, b.err }
func (b broken) Apply(context.Context, []byte) error          { return b.err }

func TestErrorsOfDocumentsArePassedOn(t *testing.T) {
	doc := broken{errors.New("disk")}
	if _, err := yprotocol.Ask(t.Context(), doc); !errors.Is(err, doc.err) {
		t.Errorf("Ask = %v, want %v", err, doc.err)
	}
	for _, m := range []yprotocol.SyncMessage{yprotocol.SyncStep1{0}, yprotocol.SyncStep2{0, 0}, yprotocol.Update{0, 0}} {
		if reply, err := yprotocol.Answer(t.Context(), doc, m); reply != nil || !errors.Is(err, doc.err) || errors.Is(err, yprotocol.ErrInvalid) {
			t.Errorf("Answer to %T = %v, %v, want %v", m, reply, err, doc.err)
		}
	}
}

// TestTwoSidesSync lets two peers ask each other in frames.
func TestTwoSidesSync(t *testing.T) {
	a, b := typed(t, 1, "left"), typed(t, 2, "right")
	ask := func(from, to document) {
		question, err := yprotocol.Ask(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		frames := [][]byte{yprotocol.Encode(question)}
		for at := to; len(frames) > 0; at = from {
			m, err := yprotocol.Decode(frames[0])
			if err != nil {
				t.Fatal(err)
			}
			reply, err := yprotocol.Answer(t.Context(), at, m.(yprotocol.SyncMessage))
			if err != nil {
				t.Fatal(err)
			}
			if frames = frames[1:]; reply != nil {
				frames = append(frames, yprotocol.Encode(reply))
			}
		}
	}
	ask(a, b)
	ask(b, a)
	x, err := a.doc.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.doc.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("one side has %x, the other %x", x, y)
	}
	for _, doc := range []document{a, b} {
		if ends := doc.doc.Ends(); ends[1] != 4 || ends[2] != 5 {
			t.Errorf("a side has %v, want all of both", ends)
		}
	}
}
