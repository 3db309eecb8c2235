package yjs_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/yjs"
)

// One vector is beyond another just where the state of the one has what the other lacks.
func TestBeyond(t *testing.T) {
	ends := rapid.MapOfN(rapid.Uint64Range(1, 4), rapid.Uint64Range(0, 3), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		state, base := ends.Draw(t, "state"), ends.Draw(t, "base")
		want := false
		for client, end := range state {
			want = want || end > base[client]
		}
		got, err := yjs.Beyond(yjs.EncodeStateVector(state), yjs.EncodeStateVector(base))
		if err != nil || got != want {
			t.Fatalf("Beyond(%v, %v) = %t, %v, want %t", state, base, got, err, want)
		}
	})
	for _, v := range [][2][]byte{{{1}, {0}}, {{0}, {1}}, {nil, {0}}, {{0}, {}}} {
		if got, err := yjs.Beyond(v[0], v[1]); err == nil || got {
			t.Errorf("Beyond(%x, %x) = %t, %v, want an error", v[0], v[1], got, err)
		}
	}
}
