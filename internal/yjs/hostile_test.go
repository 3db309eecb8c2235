package yjs_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// builder writes updates that no yjs client would.
type builder struct{ buf []byte }

func (b *builder) uint(numbers ...uint64) *builder {
	for _, n := range numbers {
		for n >= 0x80 {
			b.buf = append(b.buf, byte(n)|0x80)
			n >>= 7
		}
		b.buf = append(b.buf, byte(n))
	}
	return b
}

func (b *builder) bytes(bytes ...byte) *builder {
	b.buf = append(b.buf, bytes...)
	return b
}

func (b *builder) text(s string) *builder {
	b.uint(uint64(len(s)))
	b.buf = append(b.buf, s...)
	return b
}

// section starts the structs of a client.
func (b *builder) section(structs int, client, clock uint64) *builder {
	return b.uint(uint64(structs), client, clock)
}

const (
	maxSafe = 1<<53 - 1

	cGC, cDeleted, cBinary, cString, cEmbed, cFormat, cType, cValues, cSkip = 0, 1, 3, 4, 5, 6, 7, 8, 10

	hasSub, hasRight, hasLeft = 0x20, 0x40, 0x80
)

// in writes an item's header for a parent that is a root.
func (b *builder) in(content byte, root string) *builder {
	return b.bytes(content, 1).text(root)
}

// inside writes an item's header for a parent that is a type of client 1.
func (b *builder) inside(content byte, clock uint64) *builder {
	return b.bytes(content, 0).uint(1, clock)
}

// after writes an item's header for a left neighbour.
func (b *builder) after(content byte, client, clock uint64) *builder {
	return b.bytes(content|hasLeft).uint(client, clock)
}

// hostileSeeds are small updates at the edges of the format.
func hostileSeeds() [][]byte {
	b := func() *builder { return &builder{} }
	return [][]byte{
		b().uint(0, 0).buf,
		// A GC and a deleted item as long as clocks go.
		b().uint(1).section(1, 1, 0).bytes(cGC).uint(maxSafe).uint(0).buf,
		b().uint(1).section(1, 1, 0).in(cDeleted, "t").uint(maxSafe).uint(0).buf,
		b().uint(1).section(2, maxSafe, 0).bytes(cGC).uint(maxSafe-1).bytes(cGC, 1).uint(0).buf,
		// Skips first, last, of length zero.
		b().uint(1).section(4, 1, 0).bytes(cSkip).uint(0).in(cString, "t").text("ab").bytes(cSkip, 2).bytes(cSkip, 0).uint(0).buf,
		b().uint(1).section(2, 1, 0).bytes(cSkip).uint(3).in(cString, "t").text("ab").uint(0).buf,
		// Two clients that wait for each other.
		b().uint(2).section(1, 2, 0).after(cString, 1, 0).text("b").section(1, 1, 0).after(cString, 2, 0).text("a").uint(0).buf,
		// Neighbours in different parents.
		b().uint(1).section(3, 1, 0).in(cString, "a").text("xy").in(cString, "b").text("z").
			bytes(cString|hasLeft|hasRight).uint(1, 0, 1, 2).text("q").uint(0).buf,
		// A parent that is no type, and one that is deleted.
		b().uint(1).section(2, 1, 0).in(cString, "a").text("x").inside(cString, 0).text("y").uint(0).buf,
		b().uint(1).section(2, 1, 0).in(cType, "a").uint(0).inside(cString, 0).text("y").uint(1, 1, 1, 0, 1).buf,
		// A run of values under a key, then another one.
		b().uint(1).section(2, 1, 0).bytes(cValues|hasSub, 1).text("m").text("k").bytes(2, 126, 125, 7).
			after(cValues, 1, 1).bytes(1, 120).uint(1, 1, 1, 0, 1).buf,
		// A run under a key that another item cuts: reading is stable, the state is not.
		b().uint(1).section(2, 1, 0).bytes(cString|hasSub, 1).text("m").text("k").text("abcde").after(cString, 1, 0).text("x").uint(0).buf,
		// One unit as both neighbours: the same.
		b().uint(1).section(2, 1, 0).in(cString, "t").text("abcd").bytes(cString|hasLeft|hasRight).uint(1, 2, 1, 2).text("x").uint(0).buf,
		// Clients in ascending order, one of them with nothing.
		b().uint(3).section(1, 1, 0).in(cString, "t").text("a").section(0, 0, 0).section(1, 3, 0).in(cString, "t").text("b").uint(0).buf,
		b().uint(2).section(0, 1, 0).section(1, 3, 0).in(cString, "t").text("b").uint(0).buf,
		// An origin in the middle of a GC.
		b().uint(2).section(1, 2, 0).after(cString, 1, 2).text("a").section(1, 1, 0).bytes(cGC, 5).uint(0).buf,
		// Deletions out of order, overlapping, of nobody.
		b().uint(1).section(1, 1, 0).in(cString, "t").text("abc😀def").
			uint(2).uint(1, 3).uint(5, 2, 0, 1, 4, 3).uint(9, 1, 0, 7).buf,
	}
}

// allocated returns how many bytes a call allocates.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// large is the number of structs in the tests below: so many that quadratic
// behaviour would allocate hundreds of times what is allowed.
const large = 10_000

// TestHostileCost bounds what every call allocates by a multiple of its input.
func TestHostileCost(t *testing.T) {
	b := func(sections uint64) *builder { return (&builder{}).uint(sections) }
	letters := b(1).section(large, 1, 0).in(cString, "r").text("a")
	for i := uint64(1); i < large; i++ {
		letters.after(cString, 1, i-1).text("b")
	}
	ascending := b(large)
	for i := uint64(1); i <= large; i++ {
		ascending.section(1, i, 0).in(cString, fmt.Sprint("r", i)).text("a")
	}
	dependents := b(large+1).section(large, maxSafe, 0)
	for i := uint64(large); i > 0; i-- {
		dependents.after(cBinary, i, 0).text("")
	}
	for i := uint64(large); i > 0; i-- {
		dependents.section(1, i, 0).in(cBinary, "r"+fmt.Sprint(i)).text("")
	}
	cyclic := b(large)
	for i := uint64(large); i > 0; i-- {
		cyclic.section(1, i, 0).after(cString, i%large+1, 0).text("x")
	}
	// Half of the clients wait for the last struct of client 1, each struct of
	// which waits for one of the other half.
	const half = large / 2
	waking := b(2*half + 1)
	for i := range uint64(half) {
		waking.section(1, maxSafe-i, 0).bytes(cGC, 1)
	}
	for i := uint64(half); i > 0; i-- {
		waking.section(1, 2*half+i, 0).after(cBinary, 1, half-1).text("")
	}
	waking.section(half, 1, 0)
	for i := uint64(half); i > 0; i-- {
		waking.after(cBinary, maxSafe-i+1, 0).text("")
	}
	arrays := b(1).section(1, 1, 0).in(cValues, "r").uint(1)
	for range 1900 {
		arrays.bytes(117).uint(large)
	}
	arrays.bytes(bytes.Repeat([]byte{126}, large)...)
	run := b(1).section(1, 1, 0).in(cValues, "r").uint(large).bytes(bytes.Repeat([]byte{126}, large)...)
	pairs := b(2).section(half, 2, 0)
	for i := range uint64(half) {
		pairs.bytes(cString|hasLeft|hasRight).uint(1, 4*i, 1, 4*i+1).text("x")
	}
	pairs.section(1, 1, 0).in(cString, "r").text(strings.Repeat("😀", large))
	formats := b(1).section(large, 1, 0).in(cFormat, "r").text("f0").text("1")
	for i := uint64(1); i < large; i++ {
		formats.after(cFormat, 1, i-1).text(fmt.Sprint("f", i)).text("1")
	}
	deletes := b(1).section(1, 1, 0).in(cString, "r").text(strings.Repeat("é", 2*large)).uint(1, 1, large)
	for i := uint64(large); i > 0; i-- {
		deletes.uint(2*i-2, 1)
	}
	for name, u := range map[string][]byte{
		"letters":                  letters.uint(0).buf,
		"ascending clients":        ascending.uint(0).buf,
		"clients that depend":      dependents.uint(0).buf,
		"clients in a circle":      cyclic.uint(0).buf,
		"clients that wake others": waking.uint(0).buf,
		"nested arrays, cut short": arrays.buf,
		"a run of values":          run.uint(0).buf,
		"split pairs":              pairs.uint(0).buf,
		"formats":                  formats.uint(0).buf,
		"deletes out of order":     deletes.buf,
		"a huge section":           b(1).section(maxSafe, 1, 0).bytes(cGC, 1).buf,
		"many sections":            b(maxSafe).section(1, 1, 0).bytes(cGC, 1).buf,
		"a huge run":               b(1).section(1, 1, 0).in(cValues, "r").uint(maxSafe).bytes(126).buf,
		"a huge string":            b(1).section(1, 1, 0).in(cString, "r").uint(maxSafe).bytes('a').buf,
		"huge deletes":             b(0).uint(maxSafe, 1, maxSafe, 1, 1).buf,
	} {
		d := yjs.NewDoc(yjs.Options{})
		apply := func() {
			if err := d.Apply(u); err != nil && !errors.Is(err, yjs.ErrInvalid) {
				t.Errorf("%s: Apply = %v", name, err)
			}
		}
		calls := []struct {
			name string
			call func()
		}{
			{"Validate", func() { _ = yjs.Validate(u) }},
			{"Apply", apply},
			{"Apply again", apply},
			{"Encode", func() { _, _ = d.Encode(nil) }},
			{"Canonical", func() { _, _ = d.Canonical() }},
			{"Apply after Canonical", apply},
			{"Merge", func() { _, _ = yjs.Merge(u, u) }},
			{"Union", func() { _, _ = yjs.Union(u, u) }},
			{"Compact", func() { _, _ = yjs.Compact(u, u) }},
			{"Coalesce", func() { _, _ = yjs.Coalesce(u) }},
			{"Split", func() { _, _ = yjs.Split(u, 1000) }},
			{"Advance", func() {
				if parsed, err := yjs.ParseUpdate(u); err == nil {
					parsed.Advance(map[uint64]uint64{})
				}
			}},
			{"reading", func() {
				for _, root := range d.Roots() {
					root.Delta()
					_, _ = root.ToJSON()
				}
			}},
		}
		limit := uint64(1<<20 + 400*len(u))
		for _, c := range calls {
			if got := allocated(c.call); got > limit {
				t.Errorf("%s: %s allocates %d bytes for %d, want at most %d", name, c.name, got, len(u), limit)
			}
		}
	}
}

func TestSplitKeepsTheLimit(t *testing.T) {
	const clients, limit = 3000, 1000
	u := (&builder{}).uint(clients)
	for i := uint64(clients); i > 0; i-- {
		u.section(1, 1<<40+i, 1<<40).bytes(cGC, 1)
	}
	u.uint(0)
	parts, err := yjs.Split(u.buf, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if len(p) > limit {
			t.Errorf("Split at %d returns a part of %d bytes", limit, len(p))
		}
	}
	if got, want := compact(t, parts...), compact(t, u.buf); !bytes.Equal(got, want) {
		t.Error("the parts load to another state")
	}
	if _, err := yjs.Split(u.buf, 50); !errors.Is(err, yjs.ErrTooLarge) {
		t.Errorf("Split at 50 bytes = %v, want ErrTooLarge", err)
	}
}

// TestDeepNesting nests types as deep as an update is long.
func TestDeepNesting(t *testing.T) {
	const depth = 100_000
	for name, kind := range map[string][]byte{"arrays": {0}, "elements": {3, 1, 'p'}} {
		u := (&builder{}).uint(1).section(depth, 1, 0).in(cType, "r").bytes(kind...)
		for i := uint64(1); i < depth; i++ {
			u.inside(cType, i-1).bytes(kind...)
		}
		d := load(t, u.uint(0).buf)
		if _, err := d.Root("r").ToJSON(); !errors.Is(err, yjs.ErrTooDeep) {
			t.Errorf("%s: ToJSON = %v, want ErrTooDeep", name, err)
		}
		if name == "elements" {
			if _, err := d.Root("r").Markup(); !errors.Is(err, yjs.ErrTooDeep) {
				t.Errorf("%s: Markup = %v, want ErrTooDeep", name, err)
			}
		}
		if _, err := d.JSON(); !errors.Is(err, yjs.ErrTooDeep) {
			t.Errorf("%s: JSON = %v, want ErrTooDeep", name, err)
		}
		if err := d.Apply((&builder{}).uint(0, 1, 1, 1, 0, 1).buf); err != nil {
			t.Fatal(err)
		}
		// The outermost is a deleted item, all others are one GC.
		if got := d.Structs(); got != 2 {
			t.Errorf("%s: %d structs after deleting the outermost, want 2", name, got)
		}
		if got, err := d.JSON(); err != nil || string(got) != `{"r":[]}` {
			t.Errorf("%s: JSON = %s, %v, want an empty root", name, got, err)
		}
	}
}

// TestUnresolvedCycles keeps everything that waits in a circle, as pending.
func TestUnresolvedCycles(t *testing.T) {
	// yjs loses the first struct of client 1 here; no client of yjs writes this.
	u := (&builder{}).uint(2).
		section(1, 2, 0).after(cString, 1, 1).text("b").
		section(2, 1, 0).after(cString, 2, 0).text("a").in(cString, "r").text("c").
		uint(0).buf
	d := load(t, u)
	if !d.HasPending() || len(d.Ends()) != 0 {
		t.Fatalf("HasPending() = %v, Ends() = %v, want all to wait", d.HasPending(), d.Ends())
	}
	state, err := d.Encode(nil)
	if err != nil || !bytes.Equal(compact(t, state), compact(t, u)) {
		t.Errorf("Encode = %x, %v, which is not %x", state, err, u)
	}
}

// TestRepetitionDoesNotGrow applies what waits for ever, and what is had, often.
func TestRepetitionDoesNotGrow(t *testing.T) {
	waiting := (&builder{}).uint(1).section(2, 1, 5).in(cString, "r").text("abc").after(cString, 1, 7).text("d").
		uint(1, 3, 2, 9, 1, 4, 2).buf
	for name, u := range map[string][]byte{"waiting": waiting, "had": textUpdate(1, "abc")} {
		d := load(t, u)
		want, err := d.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		structs := d.Structs()
		for range 1000 {
			if err := d.Apply(u); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := d.Encode(nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: Encode after 1000 repetitions = %x, %v, want %x", name, got, err, want)
		}
		if got := d.Structs(); got != structs {
			t.Errorf("%s: %d structs after 1000 repetitions, want %d", name, got, structs)
		}
	}
}

func TestMergeTakesAnyOrderOfClients(t *testing.T) {
	a := (&builder{}).uint(2).section(1, 1, 0).in(cString, "r").text("a").section(1, 2, 0).in(cString, "r").text("b").uint(0).buf
	b := (&builder{}).uint(1).section(1, 1, 0).in(cString, "r").text("a").uint(0).buf
	want := compact(t, a)
	for name, f := range map[string]func(...[]byte) ([]byte, error){"Merge": yjs.Merge, "Union": yjs.Union, "Compact": yjs.Compact} {
		for _, in := range [][][]byte{{a, b}, {b, a}, {a, a}} {
			out, err := f(in...)
			if err != nil || !bytes.Equal(compact(t, out), want) {
				t.Errorf("%s(%x) = %x, %v, want the state %x", name, in, out, err, want)
			}
		}
	}
}

func TestRefusedNumbers(t *testing.T) {
	b := func() *builder { return (&builder{}).uint(1) }
	for name, u := range map[string][]byte{
		"nothing at all":                nil,
		"the same client in two places": (&builder{}).uint(2).section(1, 1, 0).bytes(cGC, 1).section(1, 1, 1).bytes(cGC, 1).uint(0).buf,
		"a client twice, ascending":     (&builder{}).uint(3).section(1, 1, 0).bytes(cGC, 1).section(1, 2, 0).bytes(cGC, 1).section(1, 1, 1).bytes(cGC, 1).uint(0).buf,
		"a client beyond 2^53":          b().section(1, maxSafe+1, 0).bytes(cGC, 1).uint(0).buf,
		"a clock beyond 2^53":           b().section(2, 1, maxSafe-1).bytes(cGC, 1).bytes(cGC, 1).uint(0).buf,
		"a length beyond 2^53":          b().section(1, 1, 1).bytes(cGC).uint(maxSafe).uint(0).buf,
		"a deletion beyond 2^53":        (&builder{}).uint(0, 1, 1, 1, maxSafe, 1).buf,
		"an empty GC":                   b().section(1, 1, 0).bytes(cGC, 0).uint(0).buf,
		"an empty string":               b().section(1, 1, 0).in(cString, "r").text("").uint(0).buf,
		"an empty run":                  b().section(1, 1, 0).in(cValues, "r").uint(0).uint(0).buf,
		"an item that follows itself":   b().section(1, 1, 0).after(cString, 1, 0).text("a").uint(0).buf,
		"a type inside itself":          b().section(1, 1, 0).inside(cType, 0).uint(0).uint(0).buf,
		"an unknown content":            b().section(1, 1, 0).in(11, "r").text("a").uint(0).buf,
		"an unknown type":               b().section(1, 1, 0).in(cType, "r").uint(7).uint(0).buf,
	} {
		if err := yjs.Validate(u); !errors.Is(err, yjs.ErrInvalid) {
			t.Errorf("%s: Validate(%x) = %v, want ErrInvalid", name, u, err)
		}
	}
}
