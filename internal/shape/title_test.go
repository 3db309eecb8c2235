package shape_test

import (
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/shape"
)

func TestTitle(t *testing.T) {
	// A family of four, seven code points that nobody sees as several.
	const family = "👩\u200d👩\u200d👧\u200d👦"
	x := strings.Repeat("x", shape.MaxTitleRunes)
	for _, c := range []struct {
		name  string
		write func(tr *tree)
		want  string
	}{
		{"empty", func(*tree) {}, ""},
		{"blank blocks first", func(tr *tree) {
			doc := tr.root("prosemirror")
			doc.element("paragraph", "")
			doc.element("paragraph", " \t\u00a0\u200b")
			doc.element("paragraph", "  The first words \ufeff")
			doc.element("heading", "A heading")
		}, "The first words"},
		{"line break", func(tr *tree) {
			p := tr.root("default").element("heading", "")
			p.element("hardBreak", "")
			p.add(xmlText, "", "").text("one")
			p.element("hardBreak", "")
			p.add(xmlText, "", "").text("two")
		}, "one"},
		{"lists of TipTap", func(tr *tree) {
			tr.root("default").element("bulletList", "").element("listItem", "").element("paragraph", "item")
		}, "item"},
		{"formats", func(tr *tree) {
			tr.root("text").text("Hel").format("bold", "true").text("lo wor").format("bold", "null").text("ld\u2028next\n")
		}, "Hello world"},
		{"its own title", func(tr *tree) {
			tr.root("prosemirror").element("heading", "A heading")
			tr.root("meta").value("title", " Called so\nand more")
		}, "Called so"},
		{"a root for it", func(tr *tree) {
			tr.root("body").element("paragraph", "A paragraph")
			tr.root("title").element("paragraph", "Called so")
		}, "Called so"},
		{"a text for it", func(tr *tree) {
			tr.root("page").add(text, "title", "").text("Called so")
		}, "Called so"},
		{"its own title is empty", func(tr *tree) {
			tr.root("prosemirror").element("heading", "A heading")
			tr.root("meta").value("title", " ")
			tr.root("title").add(xmlText, "", "")
		}, "A heading"},
		{"as long as may be", func(tr *tree) { tr.root("text").text(x) }, x},
		{"too long", func(tr *tree) { tr.root("text").text(x + "y") }, x},
		{"far too long", func(tr *tree) { tr.root("text").text(strings.Repeat("x ", 1<<20)) }, strings.Repeat("x ", shape.MaxTitleRunes/2-1) + "x"},
		{"a mark", func(tr *tree) { tr.root("text").text(x[1:] + "e\u0301!") }, x[1:]},
		{"joined emoji", func(tr *tree) { tr.root("text").text(x[3:] + family + "!") }, x[3:]},
		{"a skin tone", func(tr *tree) { tr.root("text").text(x[1:] + "👍🏽") }, x[1:]},
		{"flags", func(tr *tree) { tr.root("text").text(x[3:] + "🇩🇪🇫🇷") }, x[3:] + "🇩🇪"},
		{"whole flags", func(tr *tree) { tr.root("text").text(x[2:] + "🇩🇪🇫🇷") }, x[2:] + "🇩🇪"},
		{"marks without end", func(tr *tree) { tr.root("text").text("e" + strings.Repeat("\u0301", 1000)) }, "e" + strings.Repeat("\u0301", shape.MaxTitleRunes-1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr tree
			c.write(&tr)
			if got, err := shape.Title(loadTree(t, &tr), shape.Source{}); err != nil || got != c.want {
				t.Errorf("Title = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}
