package core_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func TestTexts(t *testing.T) {
	for _, texts := range [][]string{nil, {""}, {"a"}, {"", "a", strings.Repeat("é", 300), ""}} {
		b := core.AppendTexts([]byte("before"), texts)
		got, ok := core.ReadTexts(b[len("before"):])
		if !ok || !slices.Equal(got, texts) || !bytes.HasPrefix(b, []byte("before")) {
			t.Errorf("ReadTexts(AppendTexts(%.20q)) = %.20q, %v", texts, got, ok)
		}
	}
	for _, b := range []string{"\x01", "\x03ab", "\x01a\x05bc", "\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"} {
		if got, ok := core.ReadTexts([]byte(b)); ok || got != nil {
			t.Errorf("ReadTexts(%q) = %q, %v, want none", b, got, ok)
		}
	}
}

func FuzzTexts(f *testing.F) {
	f.Add([]byte("\x01a\x00"))
	f.Add([]byte("\x81\x00a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		texts, ok := core.ReadTexts(b)
		if !ok {
			return
		}
		again, ok := core.ReadTexts(core.AppendTexts(nil, texts))
		if !ok || !slices.Equal(again, texts) {
			t.Errorf("ReadTexts(AppendTexts(%q)) = %q, %v", texts, again, ok)
		}
	})
}
