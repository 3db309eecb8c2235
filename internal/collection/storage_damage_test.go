package collection_test

import (
	"testing"

	"github.com/soma-sdk/soma/internal/collection"
)

// TestDamagedRowsAndWindows lets a window write while rows are damaged: what cannot be read
// is not deleted because the window does not show it, and its bytes are kept when the
// window writes the row.
func TestDamagedRowsAndWindows(t *testing.T) {
	w := newDamaged(t)
	set := func(base int64, value windowValue) collection.StorageResult {
		t.Helper()
		r, err := w.SetItem(t.Context(), "c", collection.StorageWrite{Value: value.text(), BaseSeq: base, Window: "w"})
		if err != nil {
			t.Fatalf("SetItem(%s) = %v", value.text(), err)
		}
		return r
	}
	all := windowValue{{"s:a", "a1", `{"a":1}`}, {"s:b", "b1", `{"b":1}`}, {"s:c", "c1", `{"c":1}`}, {"s:d", "d1", `{"d":1}`}, {"s:e", "e1", `{"e":1}`}}
	set(0, all)
	w.damage(t, `UPDATE record SET value = CAST('{"half' AS BLOB) WHERE key = 's:a';
		UPDATE record SET version_key = 'x' WHERE key = 's:b';
		UPDATE record SET key = 's:x' WHERE key = 's:c';
		UPDATE record SET seq = 9223372036854775807 WHERE key = 's:d'`)
	text, seq, err := w.Storage(t.Context(), "c")
	if err != nil || string(text) != string(all[4:].text()) {
		t.Fatalf("Storage = %s, %v, want %s", text, err, all[4:].text())
	}
	// A window that was loaded now lacks them all.
	if r := set(seq, windowValue{{"s:e", "e2", `{"e":2}`}}); r.Seq != seq+1 {
		t.Errorf("SetItem = %+v after seq %d", r, seq)
	}
	if got := len(w.quarantined(t, "c")); got != 4 {
		t.Errorf("%d rows are in quarantine, want 4", got)
	}
	// One that has slept still has them, and writes two.
	slept := windowValue{all[0], {"s:b", "b2", `{"b":2}`}, all[2], {"s:d", "d2", `{"d":2}`}, all[4]}
	if r := set(seq, slept); r.Same {
		t.Errorf("SetItem = %+v, but e is newer", r)
	}
	text, _, err = w.Storage(t.Context(), "c")
	want := windowValue{{"s:e", "e2", `{"e":2}`}, {"s:b", "b2", `{"b":2}`}, {"s:c", "c1", `{"c":1}`}, {"s:d", "d2", `{"d":2}`}}
	if err != nil || byKey(readWindowValue(t, text)).differs(want) {
		t.Errorf("Storage = %s, %v, want %s", text, err, want.text())
	}
	if got := w.quarantined(t, "c"); len(got) != 4 { // a and x in their places, b and d set aside
		t.Errorf("quarantine has %q", got)
	}
}
