package yjs_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestStructList compares the list of structs with a plain slice.
func TestStructList(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var list yjs.StructList
		var want []uint64
		for step := range uint64(400) {
			switch act := rng.IntN(6); {
			case act < 2 || len(want) == 0:
				list.Push(step)
				want = append(want, step)
			case act < 4:
				i := rng.IntN(len(want))
				list.Insert(i, step)
				want = slices.Insert(want, i+1, step)
			default:
				from := rng.IntN(len(want) + 1)
				to := from + rng.IntN(min(6, len(want)-from+1))
				list.Remove(from, to)
				want = slices.Delete(want, from, to)
			}
			if got, err := list.Clocks(); err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %v, %v, want %v", seed, step, got, err, want)
			}
		}
	}
}
