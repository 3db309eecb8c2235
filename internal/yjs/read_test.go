package yjs_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

func load(t testing.TB, updates ...[]byte) *yjs.Doc {
	t.Helper()
	d, err := yjs.Load(yjs.Options{}, updates...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func declare(t testing.TB, d *yjs.Doc, name string, kind yjs.Kind) *yjs.Type {
	t.Helper()
	root, err := d.Declare(name, kind)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestDelta has its update and the result of toDelta from yjs.
func TestDelta(t *testing.T) {
	text := declare(t, load(t, unhex(t, "0116010004010174016184010001628401010163840102016484010302656646010004626f6c640474727565c60103010404626f6c64046e756c6cc601010102013103227822c60108010201630522726564228601050131046e756c6c86010a0163046e756c6cc6010201030131046e756c6cc1010c010301c6010d01030163046e756c6cc5010e0103097b22696d67223a317dc6010f0103013103227822c60110010304626f6c640474727565c6011101030163052272656422c60100010104626f6c64046e756c6cc60101010804626f6c64077b2277223a317dc40114010804f09f9880c60116010804626f6c64046e756c6c0101010d01")), "t", yjs.KindText)
	b := []any{}
	for _, piece := range text.Delta() {
		o := yjs.Object{{Key: "insert", Value: piece.Value}}
		if piece.Attributes != nil {
			o = append(o, yjs.Member{Key: "attributes", Value: piece.Attributes})
		}
		b = append(b, o)
	}
	const want = `[{"insert":"a","attributes":{"bold":true}},{"insert":"b"},{"insert":"😀","attributes":{"bold":{"w":1}}},{"insert":"c","attributes":{"1":"x","c":"red"}},{"insert":{"img":1}},{"insert":"d","attributes":{"1":"x","bold":true,"c":"red"}},{"insert":"ef","attributes":{"1":"x","c":"red"}}]`
	if got := string(yjs.AppendJSON(nil, b)); got != want {
		t.Errorf("Delta() = %s, want %s", got, want)
	}
	for n := range 3 { // Pieces can be left early
		var got []yjs.Insert
		for piece := range text.Pieces() {
			if got = append(got, piece); len(got) > n {
				break
			}
		}
		if want := text.Delta()[:n+1]; !reflect.DeepEqual(got, want) {
			t.Errorf("the first pieces = %v, want %v", got, want)
		}
	}
	if text.Len() != 9 {
		t.Errorf("Len() = %d, want 9", text.Len())
	}
}

// TestSubdocOptions has updates with options of a subdocument that are not what
// yjs writes, and what yjs makes of them.
func TestSubdocOptions(t *testing.T) {
	for _, c := range []struct{ name, update, want string }{
		{"{}", "01010100090101610167760000", "01010100090101610167760000"},
		{"gc false", "0101010009010161016776010267637900", "0101010009010161016776010267637900"},
		{"gc 0", "0101010009010161016776010267637d0000", "0101010009010161016776010267637900"},
		{"gc undefined", "0101010009010161016776010267637f00", "01010100090101610167760000"},
		{"gc null", "0101010009010161016776010267637e00", "0101010009010161016776010267637900"},
		{"autoLoad 1", "010101000901016101677601086175746f4c6f61647d0100", "010101000901016101677601086175746f4c6f61647800"},
		{"all", "010101000901016101677603046d657461760101617d01086175746f4c6f6164780267637900", "01010100090101610167760302676379086175746f4c6f616478046d657461760101617d0100"},
		{"meta null", "010101000901016101677601046d6574617e00", "01010100090101610167760000"},
		{"meta undefined", "010101000901016101677601046d6574617f00", "01010100090101610167760000"},
		{"another guid", "010101000901016101677601046775696477056f7468657200", "0101010009010161056f74686572760000"},
		{"others", "0101010009010161016776020a73686f756c644c6f6164780c636f6c6c656374696f6e696477016300", "01010100090101610167760000"},
		{"an array", "0101010009010161016775017d0100", "01010100090101610167760000"},
		{"a string", "010101000901016101677702616200", "01010100090101610167760000"},
		{"a number", "010101000901016101677d0500", "01010100090101610167760000"},
	} {
		got, err := load(t, unhex(t, c.update)).Encode(nil)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s: Encode = %x, %v, want %s", c.name, got, err, c.want)
		}
	}
	for name, u := range map[string]string{
		"null":      "010101000901016101677e00",
		"undefined": "010101000901016101677f00",
	} {
		if err := yjs.Validate(unhex(t, u)); !errors.Is(err, yjs.ErrInvalid) {
			t.Errorf("Validate of a subdocument with options %s = %v, want ErrInvalid", name, err)
		}
	}
}

func TestKindOfUndeclaredRoots(t *testing.T) {
	b := func() *builder { return (&builder{}).uint(1).section(1, 1, 0) }
	for _, c := range []struct {
		name   string
		update *builder
		want   yjs.Kind
	}{
		{"a string", b().in(cString, "r").text("a"), yjs.KindText},
		{"a format", b().in(cFormat, "r").text("k").text("1"), yjs.KindText},
		{"an embed", b().in(cEmbed, "r").text("1"), yjs.KindText},
		{"values", b().in(cValues, "r").uint(1).bytes(126), yjs.KindArray},
		{"a binary", b().in(cBinary, "r").text("x"), yjs.KindArray},
		{"a nested map", b().in(cType, "r").uint(1), yjs.KindArray},
		{"an element", b().in(cType, "r").uint(3).text("p"), yjs.KindXMLFragment},
		{"an XML text", b().in(cType, "r").uint(6), yjs.KindXMLFragment},
		{"a keyed value", b().bytes(cValues|hasSub, 1).text("r").text("k").bytes(1, 126), yjs.KindMap},
		{"something deleted", b().in(cDeleted, "r").uint(3), yjs.KindArray},
	} {
		root := load(t, c.update.uint(0).buf).Root("r")
		if got := root.Kind(); got != c.want {
			t.Errorf("Kind() of a root with %s = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDeclare(t *testing.T) {
	d := load(t, textUpdate(1, "abc"))
	if _, err := d.Declare("text", yjs.KindText); err != nil {
		t.Fatal(err)
	}
	again, err := d.Declare("text", yjs.KindText)
	if err != nil || again != d.Root("text") || again.Text() != "abc" {
		t.Errorf("Declare again = %v, %v, want the same root", again, err)
	}
	if _, err := d.Declare("text", yjs.KindMap); !errors.Is(err, yjs.ErrKind) {
		t.Errorf("Declare as another kind = %v, want ErrKind", err)
	}
	if d.Root("other") != nil {
		t.Error("Root of what nothing mentioned is not nil")
	}
	if got := len(d.Roots()); got != 1 {
		t.Errorf("len(Roots()) = %d, want 1", got)
	}
}

func TestEntriesAndGet(t *testing.T) {
	// Key "k" gets a run of two values and then another one; "gone" is deleted.
	u := (&builder{}).uint(1).section(4, 1, 0).
		bytes(cValues|hasSub, 1).text("m").text("k").bytes(2, 126, 125, 7).
		bytes(cValues|hasSub, 1).text("m").text("gone").bytes(1, 120).
		after(cValues, 1, 1).bytes(1, 121).
		bytes(cValues|hasSub, 1).text("m").text("run").bytes(2, 120, 125, 9).
		uint(1, 1, 1, 2, 1).buf
	m := load(t, u).Root("m")
	want := yjs.Object{{Key: "k", Value: false}, {Key: "run", Value: 9.0}}
	if got := m.Entries(); !slices.Equal(got, want) {
		t.Errorf("Entries() = %v, want %v", got, want)
	}
	for key, want := range map[string]any{"k": false, "run": 9.0} {
		if got, ok := m.Get(key); !ok || got != want {
			t.Errorf("Get(%q) = %v, %v, want %v", key, got, ok, want)
		}
	}
	for _, key := range []string{"gone", "never"} {
		if got, ok := m.Get(key); ok {
			t.Errorf("Get(%q) = %v, want nothing", key, got)
		}
	}
}
