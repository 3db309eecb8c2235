package yjstest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// maxShrinkRounds bounds the search for a smaller failure; each try asks yjs.
const maxShrinkRounds = 400

// Shrink looks for the fewest updates of a failing session that still make an
// engine and real yjs differ, in a merge or in a document, and describes them.
// It returns "" if no such difference is found. See also [Verifier.ShrinkScript].
func (v *Verifier) Shrink(e Engine, s *Session) string {
	for _, m := range s.Merges {
		differs := func(in [][]byte) bool {
			want, err := v.Merge(in...)
			if err != nil {
				return false
			}
			return unequal(want, func() ([]byte, error) { return e.Merge(in...) })
		}
		if differs(m.In) {
			in := fewest(m.In, differs)
			want, _ := v.Merge(in...)
			return describe("merge "+m.Name, in, want, func() ([]byte, error) { return e.Merge(in...) })
		}
	}
	for _, run := range s.Runs {
		load := func(in [][]byte) ([]byte, error) {
			d := e.NewDoc()
			if run.Declared {
				declare(d, s)
			}
			for _, update := range in {
				if err := d.Apply(update); err != nil {
					return nil, err
				}
			}
			return d.Encode(nil)
		}
		differs := func(in [][]byte) bool {
			reading, err := v.Read(s.Roots, run.Declared, in...)
			if err != nil {
				return false
			}
			return unequal(reading.Update, func() ([]byte, error) { return load(in) })
		}
		for n := 1; n <= len(run.Apply); n++ {
			if !differs(run.Apply[:n]) {
				continue
			}
			in := fewest(run.Apply[:n], differs)
			reading, err := v.Read(s.Roots, run.Declared, in...)
			if err != nil {
				return ""
			}
			what := fmt.Sprintf("state, %s, roots %v declared %v", run.Name, s.Roots, run.Declared)
			return describe(what, in, reading.Update, func() ([]byte, error) { return load(in) })
		}
	}
	return ""
}

func unequal(want []byte, call func() ([]byte, error)) (differs bool) {
	defer func() {
		if recover() != nil {
			differs = true
		}
	}()
	got, err := call()
	return err != nil || !bytes.Equal(got, want)
}

// fewest removes what is not needed for in to fail, larger pieces first.
func fewest[T any](in []T, fails func([]T) bool) []T {
	rounds := 0
	for size := (len(in) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(in) && rounds < maxShrinkRounds; rounds++ {
			smaller := slices.Delete(slices.Clone(in), at, at+size)
			if len(smaller) > 0 && fails(smaller) {
				in = smaller
			} else {
				at += size
			}
		}
	}
	return in
}

func describe(what string, in [][]byte, want []byte, call func() ([]byte, error)) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %d updates:\n", what, len(in))
	for _, update := range in {
		fmt.Fprintf(&b, "  %x\n", update)
	}
	var got []byte
	var err error
	func() {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v", r)
			}
		}()
		got, err = call()
	}()
	fmt.Fprintf(&b, "want %x\ngot  %x, %v\n", want, got, err)
	return b.String()
}
