package yjs_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// The kinds of structs that these tests write.
const (
	gone    = 0 // GC
	deleted = 1
	text    = 4
)

// run is one struct of client 1 at the start of the root "t".
type run struct {
	clock, length int
	kind          byte
	letter        byte
}

func (r run) update() []byte {
	b := binary.AppendUvarint([]byte{1, 1, 1}, uint64(r.clock))
	switch r.kind {
	case gone:
		b = binary.AppendUvarint(append(b, 0), uint64(r.length))
	case deleted:
		b = binary.AppendUvarint(append(b, 1, 1, 1, 't'), uint64(r.length))
	default:
		b = binary.AppendUvarint(append(b, text, 1, 1, 't'), uint64(r.length))
		b = append(b, bytes.Repeat([]byte{r.letter}, r.length)...)
	}
	return append(b, 0)
}

func parse(t *testing.T, update []byte) *yjs.Update {
	t.Helper()
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		t.Fatalf("ParseUpdate(%x) = %v", update, err)
	}
	return u
}

// settle has the update of a lower index prevail.
func settle(t *testing.T, updates ...[]byte) []yjs.Standing {
	t.Helper()
	parsed := make([]*yjs.Update, len(updates))
	for i, u := range updates {
		parsed[i] = parse(t, u)
	}
	standings, err := yjs.Settle(parsed, func(_ uint64, a, b int) (bool, error) { return a < b, nil })
	if err != nil {
		t.Fatal(err)
	}
	return standings
}

func TestSettle(t *testing.T) {
	all := func(clock, n uint64) []yjs.Range { return []yjs.Range{{Clock: clock, Len: n}} }
	for name, c := range map[string]struct {
		runs []run
		lost map[int][]yjs.Range // by run
	}{
		"apart":                  {[]run{{0, 3, text, 'a'}, {3, 2, text, 'b'}}, nil},
		"the first prevails":     {[]run{{0, 3, text, 'a'}, {0, 5, text, 'b'}}, map[int][]yjs.Range{1: all(0, 3)}},
		"content before deleted": {[]run{{0, 3, deleted, 0}, {1, 5, text, 'b'}}, map[int][]yjs.Range{0: all(1, 2)}},
		"content before GC":      {[]run{{0, 9, gone, 0}, {1, 5, text, 'b'}}, map[int][]yjs.Range{0: all(1, 5)}},
		"deleted before GC":      {[]run{{0, 9, gone, 0}, {0, 9, deleted, 0}}, map[int][]yjs.Range{0: all(0, 9)}},
		"GC is GC":               {[]run{{0, 9, gone, 0}, {4, 9, gone, 0}}, nil},
		"the same":               {[]run{{0, 4, text, 'a'}, {0, 4, text, 'a'}}, nil},
		"a part of it":           {[]run{{0, 4, text, 'a'}, {0, 2, text, 'a'}}, nil},
		"another neighbour":      {[]run{{0, 4, text, 'a'}, {2, 2, text, 'a'}}, map[int][]yjs.Range{1: all(2, 2)}},
		"three":                  {[]run{{0, 4, text, 'a'}, {0, 6, text, 'b'}, {0, 8, text, 'c'}}, map[int][]yjs.Range{1: all(0, 4), 2: all(0, 6)}},
	} {
		var updates [][]byte
		for _, r := range c.runs {
			updates = append(updates, r.update())
		}
		for i, s := range settle(t, updates...) {
			if got, want := s.Lost[1], c.lost[i]; !equalRanges(got, want) {
				t.Errorf("%s: run %d loses %v, want %v", name, i, got, want)
			}
			whole := parse(t, updates[i]).Content()
			if got := yjs.Without(whole, s.Lost); !maps.EqualFunc(got, withoutEmpty(s.Held), equalRanges) {
				t.Errorf("%s: run %d holds %v, want %v", name, i, s.Held, got)
			}
		}
	}
}

func withoutEmpty(m map[uint64][]yjs.Range) map[uint64][]yjs.Range {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(_ uint64, r []yjs.Range) bool { return len(r) == 0 })
	return out
}

func equalRanges(a, b []yjs.Range) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// What is left after the losers are cut away has no two versions of anything, and joins
// to the same in any order.
func TestSettledUpdatesJoinInAnyOrder(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		var updates [][]byte
		for range 2 + r.IntN(6) {
			updates = append(updates, run{
				r.IntN(12), 1 + r.IntN(8), []byte{gone, deleted, text, text}[r.IntN(4)], byte('a' + r.IntN(3)),
			}.update())
		}
		var left [][]byte
		for i, s := range settle(t, updates...) {
			u := parse(t, updates[i])
			u.SubtractRanges(s.Lost)
			left = append(left, u.Encode())
		}
		for i, s := range settle(t, left...) {
			if len(withoutEmpty(s.Lost)) > 0 {
				t.Fatalf("seed %d: update %d still loses %v", seed, i, s.Lost)
			}
		}
		want, err := yjs.Compact(left...)
		if err != nil {
			t.Fatal(err)
		}
		r.Shuffle(len(left), func(i, k int) { left[i], left[k] = left[k], left[i] })
		if got, err := yjs.Compact(left...); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: in another order %x, %v, want %x", seed, got, err, want)
		}
	}
}

func TestRivals(t *testing.T) {
	pair := append([]byte{1, 1, 1, 0, text, 1, 1, 't', 5, 'a'}, append([]byte("😀"), 0)...)
	halves := append([]byte{1, 1, 1, 0, text, 1, 1, 't', 7, 'a'}, append([]byte("\uFFFD\uFFFD"), 0)...)
	for name, c := range map[string]struct {
		update, state      []byte
		content, something bool
	}{
		"the same":             {run{0, 3, text, 'a'}.update(), run{0, 9, text, 'a'}.update(), false, false},
		"elsewhere":            {run{0, 3, text, 'a'}.update(), run{3, 9, text, 'b'}.update(), false, false},
		"other text":           {run{0, 3, text, 'a'}.update(), run{2, 9, text, 'b'}.update(), true, true},
		"deleted meanwhile":    {run{0, 3, text, 'a'}.update(), run{0, 9, gone, 0}.update(), false, true},
		"deleted here":         {run{0, 3, deleted, 0}.update(), run{0, 9, text, 'a'}.update(), false, true},
		"halves of characters": {halves, pair, false, true},
	} {
		content, something := parse(t, c.update).Rivals(parse(t, c.state))
		if content != c.content || something != c.something {
			t.Errorf("%s: Rivals = %v, %v, want %v, %v", name, content, something, c.content, c.something)
		}
	}
}
