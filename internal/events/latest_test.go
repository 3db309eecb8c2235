package events_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/events"
)

type reading struct {
	of string
	n  int
}

func ofReading(r reading) string { return r.of }

func newReadings(limit int) *events.Latest[string, reading] {
	return events.NewLatest(limit, ofReading, (*events.Latest[string, reading]).DropFirst)
}

// Whatever the interleaving of pushes, offers and reads: what a reader gets of one thing
// is in order, without repeats; the last value of all is the last one that it gets; and
// no more than the limit wait.
func TestLatestIsTheLatest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		names := []string{"a", "b", "c", "d", "e", "f"}
		if rapid.Bool().Draw(t, "room for all") {
			limit = len(names)
		}
		q := newReadings(limit)
		last := map[string]int{} // pushed
		var got []reading
		var offer *reading
		n, dropped := 0, limit < len(names)
		look := func() {
			offer = nil
			if r, ok := q.Peek(); ok {
				offer = &r
			}
		}
		take := func() {
			q.Taken()
			got = append(got, *offer)
			offer = nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				n++
				r := reading{rapid.SampledFrom(names).Draw(t, "of"), n}
				wasEmpty := q.Len() == 0
				if changed := q.Push(r); wasEmpty && !changed {
					t.Fatalf("the first value, and Push says that nothing changed")
				}
				last[r.of] = n
			},
			"look": func(*rapid.T) { look() },
			"take": func(t *rapid.T) {
				if offer == nil {
					t.Skip("nothing is on offer")
				}
				take()
			},
			"": func(t *rapid.T) {
				if q.Len() > limit {
					t.Fatalf("%d wait, the limit is %d", q.Len(), limit)
				}
			},
		})
		for look(); offer != nil; look() {
			take()
		}
		seen := map[string]int{}
		for _, r := range got {
			if r.n <= seen[r.of] {
				t.Fatalf("%+v came after value %d: %+v", r, seen[r.of], got)
			}
			seen[r.of] = r.n
		}
		for of, n := range last {
			if !dropped && seen[of] != n {
				t.Fatalf("the last of %s is %d, want %d: %+v", of, seen[of], n, got)
			}
		}
		if n > 0 && got[len(got)-1].n != n {
			t.Fatalf("value %d came last, want %d: %+v", got[len(got)-1].n, n, got)
		}
	})
}

func TestLatestInOrder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		offered bool // the first value is on offer while the others come
		taken   bool
		want    []reading
	}{
		{"nobody looked", false, false, []reading{{"b", 2}, {"c", 4}, {"a", 5}}},
		{"on offer, not taken", true, false, []reading{{"b", 2}, {"c", 4}, {"a", 5}}},
		{"on offer, and taken", true, true, []reading{{"b", 2}, {"c", 4}, {"a", 5}}},
	} {
		q := newReadings(3)
		q.Push(reading{"a", 1})
		if tt.offered {
			q.Peek()
		}
		for _, r := range []reading{{"b", 2}, {"a", 3}, {"c", 4}, {"a", 5}} {
			q.Push(r)
		}
		if tt.taken {
			q.Taken()
		}
		var got []reading
		for r, ok := q.Peek(); ok; r, ok = q.Peek() {
			q.Taken()
			got = append(got, r)
		}
		if !slices.Equal(got, tt.want) || q.Len() != 0 {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Beyond the limit what came first is lost, even while it is on offer.
func TestLatestDropsTheFirst(t *testing.T) {
	for _, offered := range []bool{false, true} {
		q := newReadings(2)
		q.Push(reading{"a", 1})
		q.Push(reading{"b", 2})
		if offered {
			q.Peek()
		}
		if changed := q.Push(reading{"c", 3}); !changed {
			t.Error("the first value is gone, and Push says that nothing changed")
		}
		q.Push(reading{"b", 4})
		if r, ok := q.Peek(); !ok || r != (reading{"c", 3}) || q.Len() != 2 {
			t.Errorf("offered %t: Peek = %v, %t of %d, want c 3 of 2", offered, r, ok, q.Len())
		}
	}
}

func TestLatestClear(t *testing.T) {
	q := newReadings(4)
	q.Push(reading{"a", 1})
	q.Peek()
	q.Clear()
	q.Push(reading{"a", 2})
	q.Taken() // the copy from before
	if r, ok := q.Peek(); !ok || r != (reading{"a", 2}) || !q.Has("a") || q.Has("b") {
		t.Errorf("Peek = %v, %t, want a 2", r, ok)
	}
}
