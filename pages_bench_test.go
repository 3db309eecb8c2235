package soma_test

import (
	"fmt"
	"testing"

	"github.com/soma-sdk/soma"
)

// BenchmarkPageTree reads the tree of 10,000 pages, which others are under by tens.
func BenchmarkPageTree(b *testing.B) {
	db, space := openBench(b, soma.WithRelaxedDurability())
	const pages = 10_000
	for i := range pages {
		page := soma.NewPage{ID: fmt.Sprint(i), Title: fmt.Sprintf("Page number %d", i)}
		if i > 10 {
			page.Parent = fmt.Sprint(i / 10)
		}
		if _, err := db.Pages().Create(b.Context(), space, page); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("tree", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Pages().Tree(b.Context(), space); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("children", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Pages().Children(b.Context(), space, "77"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("path", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Pages().Path(b.Context(), space, "9999"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("create and move", func(b *testing.B) {
		n := pages
		for b.Loop() {
			n++
			page, err := db.Pages().Create(b.Context(), space, soma.NewPage{ID: fmt.Sprint(n), Parent: "7"})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := db.Pages().Move(b.Context(), space, page.ID, soma.PageTarget{Before: "5"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
