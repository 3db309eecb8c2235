package yjs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// maxSeed bounds the seeds and maxFuzzed the inputs, so that one execution stays
// cheap: what is long is covered by the tests of hostile input.
const (
	maxSeed   = 400
	maxFuzzed = 1 << 14
)

// recorded are the committed sessions, read once for all targets.
var recorded = sync.OnceValues(func() ([]*yjstest.Session, error) { return yjstest.Fixtures(fixtures) })

// seedUpdates returns short updates of every family of committed sessions.
func seedUpdates(f *testing.F) [][]byte {
	f.Helper()
	sessions, err := recorded()
	if err != nil {
		f.Fatal(err)
	}
	const perFamily = 12
	var seeds [][]byte
	taken := map[string]int{}
	for _, s := range yjstest.Readable(sessions) {
		last := s.Runs[0].At[len(s.Runs[0].At)-1].Update
		for _, u := range [][]byte{s.Updates[0], s.Updates[len(s.Updates)-1], last} {
			if len(u) <= maxSeed && taken[s.Family] < perFamily {
				taken[s.Family]++
				seeds = append(seeds, u)
			}
		}
	}
	return append(seeds, hostileSeeds()...)
}

// mustCompact returns the canonical state, by which results are compared.
func mustCompact(t *testing.T, what string, updates ...[]byte) []byte {
	t.Helper()
	b, err := yjs.Compact(updates...)
	if err != nil {
		t.Fatalf("Compact of %s = %v, want no error", what, err)
	}
	return b
}

func FuzzUpdate(f *testing.F) {
	seeds := seedUpdates(f)
	for _, u := range seeds {
		f.Add(u)
	}
	base := seeds[0]
	f.Fuzz(func(t *testing.T, u []byte) {
		if len(u) > maxFuzzed {
			return
		}
		original := bytes.Clone(u)
		d, err := yjs.Load(yjs.Options{Live: true}, base)
		if err != nil {
			t.Fatal(err)
		}
		before, err := d.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		valid := yjs.Validate(u) == nil
		verdicts := map[string]error{"Apply": d.Apply(u)}
		after, err := d.Encode(nil)
		if err != nil {
			t.Fatalf("Encode after Apply = %v", err)
		}
		for _, root := range d.Roots() {
			read(t, root)
		}
		if !valid && !bytes.Equal(before, after) {
			t.Fatalf("a refused update changed the document from %x to %x", before, after)
		}
		results := map[string][][]byte{}
		one := func(name string, out []byte, err error) {
			verdicts[name] = err
			results[name] = [][]byte{out}
		}
		out, err := yjs.Merge(u)
		one("Merge", out, err)
		out, err = yjs.Merge(u, u)
		one("Merge twice", out, err)
		out, err = yjs.Union(u, u)
		one("Union twice", out, err)
		out, err = yjs.Diff(u, []byte{0})
		one("Diff", out, err)
		coalesced, err := yjs.Coalesce(u)
		verdicts["Coalesce"] = err
		out, err = yjs.Compact(u)
		one("Compact", out, err)
		if _, err := yjs.StateVector(u); (err == nil) != valid {
			t.Fatalf("StateVector(%x) = %v, Validate finds it valid: %v", u, err, valid)
		}
		parsed, err := yjs.ParseUpdate(u)
		if verdicts["ParseUpdate"] = err; err == nil {
			one("ParseUpdate", parsed.Encode(), nil)
		}
		parts, err := yjs.Split(u, 200)
		if !errors.Is(err, yjs.ErrTooLarge) {
			verdicts["Split"] = err
		}
		for name, err := range verdicts {
			if (err == nil) != valid || (err != nil && !errors.Is(err, yjs.ErrInvalid)) {
				t.Fatalf("%s(%x) = %v, Validate finds it valid: %v", name, u, err, valid)
			}
		}
		for _, p := range parts {
			if len(p) > 200 {
				t.Fatalf("Split(%x, 200) returns a part of %d bytes", u, len(p))
			}
			if err := yjs.Validate(p); err != nil {
				t.Fatalf("Split(%x, 200) returns %x, which is invalid: %v", u, p, err)
			}
		}
		if !bytes.Equal(u, original) {
			t.Fatalf("the input %x was changed to %x", original, u)
		}
		if !valid {
			return
		}
		advance(t, u)
		// Where neighbours contradict each other, a run has another place than its
		// parts, one after the other. So these keep the structs, not the order.
		vector := load(t, u).StateVector()
		for name, updates := range map[string][][]byte{"Coalesce": {coalesced}, "Split": parts} {
			if len(updates) == 0 {
				continue // a value is too large to split
			}
			if got := load(t, updates...).StateVector(); !bytes.Equal(got, vector) {
				t.Fatalf("%s of %x has the state vector %x, want %x", name, u, got, vector)
			}
		}
		want := mustCompact(t, "the update", u)
		if !stable(t, want, u) {
			return
		}
		for name, updates := range results {
			if got := mustCompact(t, name, updates...); !bytes.Equal(got, want) {
				t.Fatalf("%s of %x loads to %x, want %x", name, u, got, want)
			}
		}
	})
}

// stable reports whether a state loads to itself. Of what yjs writes every state
// does. Two oddities of yjs are kept that only other updates show: an item that
// names one unit as both neighbours is placed before it, but says it comes after;
// and the parts of a run of values under one key, see KeyedRuns.
func stable(t *testing.T, state []byte, updates ...[]byte) bool {
	t.Helper()
	return !load(t, updates...).KeyedRuns() && bytes.Equal(state, mustCompact(t, "the state", state))
}

// advance checks that Advance and a document agree on what waits.
func advance(t *testing.T, u []byte) {
	t.Helper()
	parsed, err := yjs.ParseUpdate(u)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[uint64]uint64{}
	rest, _ := parsed.Advance(ends)
	d, err := yjs.Load(yjs.Options{}, u)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := yjs.EncodeStateVector(ends), d.StateVector(); !bytes.Equal(got, want) {
		t.Fatalf("Advance of %x reaches %x, a document %x", u, got, want)
	}
	if (rest != nil) != d.HasPending() {
		t.Fatalf("Advance of %x leaves something: %v, a document: %v", u, rest != nil, d.HasPending())
	}
}

// read reads a type in every way.
func read(t *testing.T, typ *yjs.Type) {
	t.Helper()
	typ.Text()
	typ.Delta()
	typ.Values()
	typ.Entries()
	if _, err := typ.Markup(); err != nil && !errors.Is(err, yjs.ErrTooDeep) {
		t.Fatalf("Markup = %v", err)
	}
	v, err := typ.ToJSON()
	if err != nil && !errors.Is(err, yjs.ErrTooDeep) {
		t.Fatalf("ToJSON = %v", err)
	}
	if err == nil && !json.Valid(yjs.AppendJSON(nil, v)) {
		t.Fatalf("AppendJSON(%v) = %s, want JSON", v, yjs.AppendJSON(nil, v))
	}
}

func FuzzMergeTwo(f *testing.F) {
	seeds := seedUpdates(f)
	for i, u := range seeds {
		f.Add(u, seeds[(i+1)%len(seeds)])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > maxFuzzed {
			return
		}
		valid := yjs.Validate(a) == nil && yjs.Validate(b) == nil
		merged, err := yjs.Merge(a, b)
		if (err == nil) != valid {
			t.Fatalf("Merge(%x, %x) = %v, Validate finds both valid: %v", a, b, err, valid)
		}
		union, err := yjs.Union(a, b)
		if (err == nil) != valid {
			t.Fatalf("Union(%x, %x) = %v, Validate finds both valid: %v", a, b, err, valid)
		}
		if !valid {
			return
		}
		if err := yjs.Validate(merged); err != nil {
			t.Fatalf("Merge(%x, %x) = %x, which is invalid: %v", a, b, merged, err)
		}
		swapped, err := yjs.Union(b, a)
		if err != nil || !bytes.Equal(union, swapped) {
			t.Fatalf("Union(%x, %x) = %x, swapped %x, %v", a, b, union, swapped, err)
		}
		want := mustCompact(t, "both", a, b)
		if got := mustCompact(t, "the union", union); !bytes.Equal(got, want) && stable(t, want, a, b) {
			t.Fatalf("Union(%x, %x) loads to %x, both load to %x", a, b, got, want)
		}
		if x, y := mustCompact(t, "both", a, b), mustCompact(t, "both", b, a, b); !bytes.Equal(x, y) {
			t.Fatalf("Compact(%x, %x) = %x, in another order %x", a, b, x, y)
		}
		d := yjs.NewDoc(yjs.Options{})
		for _, u := range [][]byte{a, b, a, b} {
			if err := d.Apply(u); err != nil {
				t.Fatalf("Apply(%x) = %v", u, err)
			}
		}
		if _, err := d.Canonical(); err != nil {
			t.Fatalf("Canonical = %v", err)
		}
		x, err := yjs.ParseUpdate(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yjs.ParseUpdate(b)
		if err != nil {
			t.Fatal(err)
		}
		x.Subtract(y)
		if err := yjs.Validate(x.Encode()); err != nil {
			t.Fatalf("%x less %x is invalid: %v", a, b, err)
		}
	})
}

func FuzzStateVector(f *testing.F) {
	seeds := seedUpdates(f)
	for _, u := range seeds {
		if v, err := yjs.StateVector(u); err == nil {
			f.Add(v)
		}
	}
	base := seeds[len(seeds)/2]
	d, err := yjs.Load(yjs.Options{}, base)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, vector []byte) {
		valid := yjs.ValidateStateVector(vector) == nil
		_, diffErr := yjs.Diff(base, vector)
		var encodeErr error
		if vector != nil { // nil asks for everything
			_, encodeErr = d.Encode(vector)
		}
		if (diffErr == nil) != valid || (vector != nil && (encodeErr == nil) != valid) {
			t.Fatalf("Diff for %x = %v, Encode = %v, valid: %v", vector, diffErr, encodeErr, valid)
		}
		if !valid {
			return
		}
		diff, err := d.Encode(vector)
		if err != nil {
			t.Fatal(err)
		}
		if err := yjs.Validate(diff); err != nil {
			t.Fatalf("Encode(%x) = %x, which is invalid: %v", vector, diff, err)
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, c := range valueCases {
		f.Add(unhex(f, c.encoded))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := yjs.DecodeValue(b)
		if err != nil {
			if !errors.Is(err, yjs.ErrInvalid) {
				t.Fatalf("DecodeValue(%x) = %v, want ErrInvalid", b, err)
			}
			return
		}
		once := yjs.EncodeValue(v)
		again, err := yjs.DecodeValue(once)
		if err != nil {
			t.Fatalf("DecodeValue(%x), which was encoded, = %v", once, err)
		}
		if twice := yjs.EncodeValue(again); !bytes.Equal(once, twice) {
			t.Fatalf("%x encodes as %x and then as %x", b, once, twice)
		}
		text := yjs.AppendJSON(nil, v)
		if !json.Valid(text) {
			t.Fatalf("AppendJSON of %x = %s, want JSON", b, text)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, c := range jsonCases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || len(text) > maxFuzzed {
			return // refused before it is parsed
		}
		v, ok := yjs.ParseJSON(text)
		// encoding/json nests deeper and knows no other difference.
		if valid := json.Valid(text); ok != valid && (ok || depth(text) <= 2000) {
			t.Fatalf("ParseJSON(%q) accepts it: %v, encoding/json: %v", text, ok, valid)
		}
		if !ok {
			return
		}
		once := yjs.AppendJSON(nil, v)
		again, ok := yjs.ParseJSON(once)
		if !ok {
			t.Fatalf("AppendJSON of %q = %q, which is no JSON", text, once)
		}
		if twice := yjs.AppendJSON(nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q and then %q", text, once, twice)
		}
		if !json.Valid(once) {
			t.Fatalf("AppendJSON of %q = %q, encoding/json refuses it", text, once)
		}
	})
}

// depth is an upper bound on the nesting of a JSON text.
func depth(text []byte) int { return bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{")) }
