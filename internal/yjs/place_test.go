package yjs_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

func place(t testing.TB, kept, void [][]byte) yjs.Placed {
	t.Helper()
	clone := func(updates [][]byte) [][]byte {
		out := make([][]byte, len(updates))
		for i, u := range updates {
			out[i] = bytes.Clone(u)
		}
		return out
	}
	placed, err := yjs.Place(clone(kept), clone(void))
	if err != nil {
		t.Fatalf("Place = %v", err)
	}
	return placed
}

// Sessions of real yjs, of which some updates are void: nothing of these shows, all
// else is complete, and the order of updates does not matter.
func TestPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	placedSome := 0
	for n, updates := range fixtureUpdates(t) {
		if n%3 > 0 {
			continue
		}
		var kept, void [][]byte
		for _, u := range updates {
			if r.IntN(4) == 0 {
				void = append(void, u)
			} else {
				kept = append(kept, u)
			}
		}
		placed := place(t, kept, void)
		if len(void) > 0 && len(placed.Void) > 0 {
			placedSome++
		}
		state, err := yjs.Compact(placed.State)
		if err != nil {
			t.Fatal(err)
		}
		if shown := yjs.Shown(state, placed.Void); shown != "" {
			t.Fatalf("session %d: void content shows: %s", n, shown)
		}
		if d := load(t, placed.State); d.HasPending() {
			t.Errorf("session %d: something waits for void content", n)
		}
		r.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
		slices.Reverse(void)
		again := place(t, kept, void)
		other, err := yjs.Compact(again.State)
		if err != nil || !bytes.Equal(state, other) || !slices.Equal(placed.Void, again.Void) {
			t.Fatalf("session %d: another order of updates gives another state, %v", n, err)
		}
		all := place(t, updates, void)
		want, err := yjs.Compact(updates...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := yjs.Compact(all.State); err != nil || len(all.Void) > 0 || !bytes.Equal(got, want) {
			t.Fatalf("session %d: void updates that are kept as well change something, %v", n, err)
		}
	}
	if placedSome == 0 {
		t.Error("no session had anything void")
	}
}

func TestPlaceKeepsWhatIsNeeded(t *testing.T) {
	// Client 1 types "ab", client 2 "cd" behind it, client 3 "e" behind that.
	first := unhex(t, "010101000401017402616200")
	second := unhex(t, "0101020084010102636400")
	third := unhex(t, "01010300840201016500")
	placed := place(t, [][]byte{first, third}, [][]byte{second})
	d := load(t, placed.State)
	if got := declare(t, d, "t", yjs.KindText).Text(); got != "abe" {
		t.Errorf("text = %q, want %q", got, "abe")
	}
	if want := []yjs.ClientRange{{Client: 2, Range: yjs.Range{Clock: 0, Len: 2}}}; !slices.Equal(placed.Void, want) {
		t.Errorf("void = %v, want %v", placed.Void, want)
	}
	// Nothing needs the end of what client 2 wrote: it is gone, with its deletion.
	erase := unhex(t, "000102010002")
	placed = place(t, [][]byte{first, erase}, [][]byte{second})
	if got, err := yjs.Compact(placed.State); err != nil || !bytes.Equal(got, first) {
		t.Errorf("state = %x, %v, want %x", got, err, first)
	}
	// What client 2 wrote later is kept, so that its earlier clocks stay as GC.
	later := unhex(t, "0101020204010174017800")
	placed = place(t, [][]byte{first, later}, [][]byte{second})
	if got := declare(t, load(t, placed.State), "t", yjs.KindText).Text(); got != "xab" && got != "abx" {
		t.Errorf("text = %q, want ab and x", got)
	}
	if got, err := yjs.Place([][]byte{{1}}, nil); err == nil {
		t.Errorf("Place of broken bytes = %v", got)
	}
}
