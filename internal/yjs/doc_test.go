package yjs_test

import (
	"bytes"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestInputsAndOutputsAreApart overwrites what was given to every function after
// it returned, and what it returned.
func TestInputsAndOutputsAreApart(t *testing.T) {
	u := textUpdate(1, "hello")
	v := (&builder{}).uint(1).section(1, 2, 0).in(cBinary, "b").text("bytes").uint(1, 1, 1, 0, 2).buf
	want := compact(t, u, v)
	spoil := func(b []byte) {
		for i := range b {
			b[i] = 0xff
		}
	}
	given := func() ([]byte, []byte) { return bytes.Clone(u), bytes.Clone(v) }

	d := yjs.NewDoc(yjs.Options{})
	x, y := given()
	for _, in := range [][]byte{x, y} {
		if err := d.Apply(in); err != nil {
			t.Fatal(err)
		}
		spoil(in)
	}
	x, y = given()
	loaded := load(t, x, y)
	spoil(x)
	spoil(y)
	for name, d := range map[string]*yjs.Doc{"Apply": d, "Load": loaded} {
		for _, encode := range []func() ([]byte, error){
			func() ([]byte, error) { return d.Encode(nil) },
			func() ([]byte, error) { return d.StateVector(), nil },
			d.Canonical,
		} {
			if b, err := encode(); err != nil {
				t.Fatal(err)
			} else {
				spoil(b)
			}
		}
		if got, err := d.Canonical(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s keeps its input or gives away its own: Canonical = %x, %v, want %x", name, got, err, want)
		}
	}

	x, _ = given()
	parsed, err := yjs.ParseUpdate(x)
	if err != nil {
		t.Fatal(err)
	}
	spoil(x)
	spoil(parsed.Encode())
	if got := parsed.Encode(); !bytes.Equal(got, u) {
		t.Errorf("ParseUpdate keeps its input: Encode = %x, want %x", got, u)
	}
	one := func(f func(...[]byte) ([]byte, error)) func([]byte) []byte {
		return func(b []byte) []byte {
			out, err := f(b)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	for name, f := range map[string]func([]byte) []byte{
		"Merge":    one(yjs.Merge),
		"Union":    one(yjs.Union),
		"Compact":  one(yjs.Compact),
		"Coalesce": one(func(b ...[]byte) ([]byte, error) { return yjs.Coalesce(b[0]) }),
		"Diff":     one(func(b ...[]byte) ([]byte, error) { return yjs.Diff(b[0], []byte{0}) }),
		"Split": one(func(b ...[]byte) ([]byte, error) {
			parts, err := yjs.Split(b[0], 1000)
			return parts[0], err
		}),
	} {
		in := bytes.Clone(u)
		out := f(in)
		spoil(in)
		if !bytes.Equal(out, u) {
			t.Errorf("%s keeps its input: %x, want %x", name, out, u)
		}
	}
}

// TestPartsDoNotShare joins and cuts text in one document while another one, made
// from the same bytes, is compared.
func TestPartsDoNotShare(t *testing.T) {
	u := textUpdate(1, "abcdef")
	d := load(t, u)
	apply := func(b *builder) {
		t.Helper()
		if err := d.Apply(b.uint(0).buf); err != nil {
			t.Fatal(err)
		}
	}
	// Cut between c and d, extend the left part's client, cut again.
	apply((&builder{}).uint(1).section(1, 2, 0).bytes(cString|hasLeft|hasRight).uint(1, 2, 1, 3).text("XY"))
	apply((&builder{}).uint(1).section(1, 1, 6).after(cString, 1, 5).text("gh"))
	apply((&builder{}).uint(1).section(1, 2, 2).bytes(cString|hasLeft|hasRight).uint(2, 1, 1, 3).text("Z"))
	apply((&builder{}).uint(1).section(1, 3, 0).bytes(cString|hasLeft|hasRight).uint(2, 0, 2, 1).text("_"))
	if got, want := d.Root("text").Text(), "abcX_YZdefgh"; got != want {
		t.Errorf("Text() = %q, want %q", got, want)
	}
	if got, want := load(t, u).Root("text").Text(), "abcdef"; got != want {
		t.Errorf("Text() of the first update = %q, want %q", got, want)
	}
}

func TestNothing(t *testing.T) {
	empty := []byte{0, 0}
	for name, f := range map[string]func(...[]byte) ([]byte, error){"Merge": yjs.Merge, "Union": yjs.Union, "Compact": yjs.Compact} {
		if got, err := f(); err != nil || !bytes.Equal(got, empty) {
			t.Errorf("%s() = %x, %v, want %x", name, got, err, empty)
		}
		if _, err := f(nil); err == nil {
			t.Errorf("%s(nil) succeeds, want an error", name)
		}
	}
	d := yjs.NewDoc(yjs.Options{})
	if got, err := d.Encode(nil); err != nil || !bytes.Equal(got, empty) {
		t.Errorf("Encode(nil) = %x, %v, want %x", got, err, empty)
	}
	if _, err := d.Encode([]byte{}); err == nil {
		t.Error("Encode of an empty slice succeeds, want an error")
	}
	if got, err := d.JSON(); err != nil || string(got) != "{}" {
		t.Errorf("JSON() = %s, %v, want {}", got, err)
	}
	if err := d.Apply(empty); err != nil || len(d.Ends()) != 0 || d.HasPending() {
		t.Errorf("Apply of an empty update = %v", err)
	}
	u, err := yjs.ParseUpdate(empty)
	if err != nil || !u.Empty() || len(u.Clients()) != 0 {
		t.Errorf("ParseUpdate of an empty update = %v, %v", u, err)
	}
	root := declare(t, d, "r", yjs.KindText)
	if root.Text() != "" || root.Len() != 0 || root.Delta() != nil || root.Values() != nil || root.Entries() != nil {
		t.Error("an empty root is not empty")
	}
}

// An item whose right neighbour lies before its left one, in one run: redoing makes
// such. In yjs its place depends on whether the run was cut before; a state that was
// loaded must not depend on that.
func TestRightNeighbourBeforeTheLeftOne(t *testing.T) {
	whole := unhex(t, "01020100040101740461626364c401030101015800")
	cut := unhex(t, "0103010004010174016184010003626364c401030101015800")
	for name, update := range map[string][]byte{"whole": whole, "cut": cut} {
		d := load(t, update)
		if got := declare(t, d, "t", yjs.KindText).Text(); got != "abcdX" {
			t.Errorf("%s: loaded text = %q, want %q", name, got, "abcdX")
		}
		once, err := yjs.Compact(update)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := yjs.Compact(once); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s: Compact twice = %x, %v, want %x", name, twice, err, once)
		}
	}
	// What yjs makes of them when they are applied.
	for want, update := range map[string][]byte{"aXbcd": whole, "abcdX": cut} {
		d := yjs.NewDoc(yjs.Options{})
		if err := d.Apply(update); err != nil {
			t.Fatal(err)
		}
		if got := declare(t, d, "t", yjs.KindText).Text(); got != want {
			t.Errorf("text of %x = %q, want %q", update, got, want)
		}
	}
}
