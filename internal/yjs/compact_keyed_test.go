package yjs_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// A run of several values under one key, the end of which is deleted, as no editor makes
// it: compacting twice is compacting once.
func TestCompactIsStableForRunsUnderAKey(t *testing.T) {
	var updates [][]byte
	for _, text := range []string{
		"0202070024010474657874016b0362626208010474657874027d007d0101060284050101610107010102",
		"010306010401047465787404f09f988028000702016b027d007d01810700010105010202",
		"000107010201",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, b)
	}
	for n := 1; n <= len(updates); n++ {
		once, err := yjs.Compact(updates[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := yjs.Compact(once)
		if err != nil || !bytes.Equal(again, once) {
			t.Errorf("Compact of %d updates = %x, compacted again %x, %v", n, once, again, err)
		}
	}
}
