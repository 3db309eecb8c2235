package yjs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// fixtureUpdates returns the updates of every committed session.
func fixtureUpdates(t testing.TB) [][][]byte {
	t.Helper()
	sessions, err := yjstest.Fixtures("yjstest/testdata/sessions-*.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	all := make([][][]byte, len(sessions))
	for i, s := range sessions {
		all[i] = s.Updates
	}
	return all
}

func compact(t testing.TB, updates ...[]byte) []byte {
	t.Helper()
	b, err := yjs.Compact(updates...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCoalesceKeepsTheState(t *testing.T) {
	smaller := 0
	for i, updates := range fixtureUpdates(t) {
		merged, err := yjs.Merge(updates...)
		if err != nil {
			t.Fatal(err)
		}
		short, err := yjs.Coalesce(merged)
		if err != nil {
			t.Fatal(err)
		}
		if len(short) > len(merged) {
			t.Errorf("session %d: Coalesce made %d bytes of %d", i, len(short), len(merged))
		}
		if len(short) < len(merged) {
			smaller++
		}
		if want, got := compact(t, updates...), compact(t, short); !bytes.Equal(got, want) {
			t.Errorf("session %d: the coalesced update loads to another state", i)
		}
	}
	if smaller == 0 {
		t.Error("Coalesce never made an update smaller")
	}
}

func TestSplitKeepsTheState(t *testing.T) {
	for i, updates := range fixtureUpdates(t) {
		merged, err := yjs.Merge(updates...)
		if err != nil {
			t.Fatal(err)
		}
		const limit = 700
		parts, err := yjs.Split(merged, limit)
		if errors.Is(err, yjs.ErrTooLarge) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if len(p) > limit {
				t.Errorf("session %d: a part has %d bytes, limit %d", i, len(p), limit)
			}
		}
		if want, got := compact(t, updates...), compact(t, parts...); !bytes.Equal(got, want) {
			t.Errorf("session %d: the parts load to another state", i)
		}
	}
}

// textUpdate builds the update that inserts text into the root "text".
func textUpdate(client byte, text string) []byte {
	b := []byte{1, 1, client, 0, 4, 1, 4}
	b = append(b, "text"...)
	n := len(text)
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	b = append(b, byte(n))
	b = append(b, text...)
	return append(b, 0)
}

func TestSplitCutsTextBetweenCharacters(t *testing.T) {
	for _, unit := range []string{"a", "é", "漢", "😀"} {
		for _, limit := range []int{300, 301, 302, 303} {
			text := strings.Repeat(unit, 2000)
			parts, err := yjs.Split(textUpdate(7, text), limit)
			if err != nil {
				t.Fatal(err)
			}
			d, err := yjs.Load(yjs.Options{}, parts...)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Root("text").Text(); got != text {
				t.Errorf("Split(%q, %d) lost text: %d bytes of %d", unit, limit, len(got), len(text))
			}
		}
	}
}

func TestSplitRefusesAnIndivisibleValue(t *testing.T) {
	// An embed: content 5, a JSON string.
	b := []byte{1, 1, 7, 0, 5, 1, 1, 't', 0x82, 0x08, '"'}
	b = append(b, strings.Repeat("x", 1024)...)
	b = append(b, '"', 0)
	if err := yjs.Validate(b); err != nil {
		t.Fatal(err)
	}
	if _, err := yjs.Split(b, 500); !errors.Is(err, yjs.ErrTooLarge) {
		t.Errorf("Split of a 1 kB embed at 500 bytes = %v, want ErrTooLarge", err)
	}
}

// TestTrimAndAdvance cuts updates against what is known, in random order, and
// expects the same state as from the whole updates.
func TestTrimAndAdvance(t *testing.T) {
	for i, updates := range fixtureUpdates(t) {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		ends := map[uint64]uint64{}
		follower := load(t)
		var kept [][]byte
		var waiting []byte
		for _, k := range rng.Perm(2 * len(updates)) {
			u, err := yjs.ParseUpdate(updates[k/2])
			if err != nil {
				t.Fatal(err)
			}
			known := func(client uint64) uint64 { return ends[client] }
			u.Trim(known)
			kept = append(kept, u.Encode())
			if waiting != nil {
				all, err := yjs.Union(waiting, u.Encode())
				if err != nil {
					t.Fatal(err)
				}
				if u, err = yjs.ParseUpdate(all); err != nil {
					t.Fatal(err)
				}
			}
			waiting = nil
			if rest, _ := u.Advance(ends); rest != nil {
				waiting = rest.Encode()
			}
			d, err := yjs.Load(yjs.Options{}, kept...)
			if err != nil {
				t.Fatal(err)
			}
			if err := follower.Apply(updates[k/2]); err != nil {
				t.Fatal(err)
			}
			for what, d := range map[string]*yjs.Doc{"loads": d, "is told": follower} {
				if got, want := yjs.EncodeStateVector(ends), d.StateVector(); !bytes.Equal(got, want) {
					t.Fatalf("session %d: Advance says %x, a document that %s it %x", i, got, what, want)
				}
				if got, want := waiting != nil, d.HasPending(); got != want {
					t.Fatalf("session %d: Advance has pending %v, a document that %s it %v", i, got, what, want)
				}
			}
		}
		if waiting != nil {
			t.Errorf("session %d: something still waits", i)
		}
		if got, want := compact(t, kept...), compact(t, updates...); !bytes.Equal(got, want) {
			t.Errorf("session %d: trimmed updates load to another state", i)
		}
	}
}

func TestSubtract(t *testing.T) {
	for i, updates := range fixtureUpdates(t) {
		rng := rand.New(rand.NewPCG(uint64(i), 2))
		var had, all [][]byte
		for _, u := range updates {
			if rng.IntN(2) == 0 {
				had = append(had, u)
			}
			all = append(all, u)
		}
		hadOne, err := yjs.Union(had...)
		if err != nil {
			t.Fatal(err)
		}
		allOne, err := yjs.Union(all...)
		if err != nil {
			t.Fatal(err)
		}
		other, err := yjs.ParseUpdate(hadOne)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := yjs.ParseUpdate(allOne)
		if err != nil {
			t.Fatal(err)
		}
		rest.Subtract(other)
		if got, want := compact(t, hadOne, rest.Encode()), compact(t, updates...); !bytes.Equal(got, want) {
			t.Errorf("session %d: what was had and the rest load to another state", i)
		}
		rest.Subtract(rest)
		rest.SetDeletes(nil)
		if !rest.Empty() {
			t.Errorf("session %d: an update less itself holds %x", i, rest.Encode())
		}
	}
}

func TestRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const clocks = 40
	draw := func() (ranges []yjs.Range, has [clocks]bool) {
		for range r.IntN(12) {
			from := r.IntN(clocks - 1)
			n := 1 + r.IntN(min(6, clocks-from))
			ranges = yjs.AddRange(ranges, yjs.Range{Clock: uint64(from), Len: uint64(n)})
			for i := from; i < from+n; i++ {
				has[i] = true
			}
		}
		return ranges, has
	}
	check := func(what string, ranges []yjs.Range, want func(i int) bool) {
		t.Helper()
		var has [clocks]bool
		for i, r := range ranges {
			if r.Len == 0 || i > 0 && ranges[i-1].Clock+ranges[i-1].Len > r.Clock {
				t.Fatalf("%s: %v is not in order", what, ranges)
			}
			for clock := r.Clock; clock < r.Clock+r.Len; clock++ {
				has[clock] = true
			}
		}
		for i := range has {
			if has[i] != want(i) {
				t.Fatalf("%s: %v holds %d: %v, want %v", what, ranges, i, has[i], want(i))
			}
		}
	}
	for range 3000 {
		a, inA := draw()
		b, inB := draw()
		check("AddRange", a, func(i int) bool { return inA[i] })
		check("SubtractRanges", yjs.SubtractRanges(a, b), func(i int) bool { return inA[i] && !inB[i] })
		check("Intersect", yjs.Intersect(a, b), func(i int) bool { return inA[i] && inB[i] })
	}
}
