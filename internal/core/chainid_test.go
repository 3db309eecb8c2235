package core_test

import (
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func TestChainIDCompare(t *testing.T) {
	first, second := core.WriterID{0x0f}, core.WriterID{0x10}
	sorted := []core.ChainID{
		{Writer: first, Chain: core.ChainMembership},
		{Writer: first, Chain: core.ChainContent},
		{Writer: second, Chain: core.ChainMembership},
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := sign(a.Compare(b)), sign(i-j); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int { return min(1, max(-1, n)) }

func TestTreePathCovers(t *testing.T) {
	w := core.WriterID{0x1f, 0xa0}
	whole := make([]byte, core.WriterDigits)
	for depth := range whole {
		whole[depth] = w.Digit(depth)
	}
	if !slices.Equal(whole[:4], []byte{1, 15, 10, 0}) {
		t.Errorf("digits of %s = %v..., want 1 15 10 0...", w, whole[:4])
	}
	for path, want := range map[core.TreePath]bool{
		"":                            true,
		"\x01":                        true,
		"\x01\x0f\x0a":                true,
		core.TreePath(whole):          true,
		core.TreePath(whole) + "\x00": false, // longer than any writer
		"\x0f":                        false,
		"\x01\x0f\x0b":                false,
		"\x11":                        false, // no digit
	} {
		if got := path.Covers(w); got != want {
			t.Errorf("TreePath(%q).Covers(%s) = %v, want %v", string(path), w, got, want)
		}
	}
}
