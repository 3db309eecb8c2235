package search_test

import (
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/search"
)

func BenchmarkTerms(b *testing.B) {
	for name, text := range map[string]string{
		"english":  strings.Repeat("The quick brown fox jumps over the lazy dog. ", 2000),
		"german":   strings.Repeat("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ", 1500),
		"russian":  strings.Repeat("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 1000),
		"japanese": strings.Repeat("吾輩は猫である。名前はまだ無い。", 2000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				search.Spelled(text)
			}
		})
	}
}
