package shape_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/shape"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

var shapes = []shape.Shape{
	shape.ProseMirror, shape.TipTap, shape.BlockNote, shape.Yoopta, shape.Slate, shape.Lexical, shape.Quill, shape.Plain,
}

// readAll reads every root in every shape, and says what no document may cause.
func readAll(doc *yjs.Doc) error {
	sources := []shape.Source{{}}
	for _, root := range doc.Roots() {
		for _, s := range shapes {
			sources = append(sources, shape.Source{Root: root.Name(), Shape: s})
		}
	}
	return readEach(doc, sources)
}

func readEach(doc *yjs.Doc, sources []shape.Source) error {
	for _, from := range sources {
		_, err := shape.Text(doc, from, "\n")
		if err != nil && !errors.Is(err, yjs.ErrTooDeep) {
			return fmt.Errorf("text as %v: %w", from, err)
		}
		title, err := shape.Title(doc, from)
		if err != nil && !errors.Is(err, yjs.ErrTooDeep) {
			return fmt.Errorf("title as %v: %w", from, err)
		}
		if len([]rune(title)) > shape.MaxTitleRunes || strings.ContainsAny(title, "\n\r\u2028") || strings.TrimSpace(title) != title {
			return fmt.Errorf("title as %v is %q", from, title)
		}
		if from == (shape.Source{}) {
			continue
		}
		body, err := shape.JSON(doc, from)
		switch {
		case errors.Is(err, yjs.ErrTooDeep), errors.Is(err, shape.ErrTooLarge):
		case err != nil:
			return fmt.Errorf("JSON as %v: %w", from, err)
		case !json.Valid(body):
			return fmt.Errorf("JSON as %v is %.500q", from, body)
		}
	}
	root, detected := shape.Detect(doc)
	if !detected.Valid() || detected != shape.Plain && doc.Root(root) == nil {
		return fmt.Errorf("detected %q, %q", root, detected)
	}
	return nil
}

// TestAnyShape reads what yjs can hold, in shapes that it does not have.
func TestAnyShape(t *testing.T) {
	sessions, err := yjstest.Fixtures("../yjs/yjstest/testdata/sessions-*.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		doc, err := yjs.Load(yjs.Options{}, s.Updates...)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAll(doc); err != nil {
			t.Errorf("session %s/%d: %v", s.Family, s.Seed, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"prosemirror", "tiptap", "blocknote", "yoopta", "slate", "lexical", "quill"} {
		n := 0
		if _, err := readDocuments(unpacked(f, "testdata/documents-"+name+".jsonl.gz"), func(d *document) {
			if n++; n <= 5 {
				f.Add(d.Update)
			}
		}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, update []byte) {
		doc, err := yjs.Load(yjs.Options{}, update)
		if err != nil {
			return
		}
		if err := readAll(doc); err != nil {
			t.Error(err)
		}
	})
}

// TestDepth nests types as deep as reading follows, and a little deeper.
func TestDepth(t *testing.T) {
	for _, kind := range []uint64{array, mapType, element, xmlText} {
		for _, depth := range []int{yjs.MaxDepth - 2, yjs.MaxDepth + 2} {
			var tr tree
			n, key := tr.root("deep"), ""
			if kind == mapType {
				key = "k"
			}
			for range depth {
				n = n.add(kind, key, "blockquote")
			}
			doc := loadTree(t, &tr)
			if err := readAll(doc); err != nil {
				t.Error(err)
			}
			tooDeep := depth > yjs.MaxDepth
			for _, s := range []shape.Shape{shape.ProseMirror, shape.TipTap, shape.Slate, shape.Lexical} {
				if markup := s == shape.ProseMirror || s == shape.TipTap; markup != (kind == element) || kind != element && kind != xmlText {
					continue
				}
				from := shape.Source{Root: "deep", Shape: s}
				_, textErr := shape.Text(doc, from, "\n")
				_, jsonErr := shape.JSON(doc, from)
				for what, err := range map[string]error{"Text": textErr, "JSON": jsonErr} {
					if errors.Is(err, yjs.ErrTooDeep) != tooDeep {
						t.Errorf("%s of %d types of kind %d in each other as %s = %v", what, depth, kind, s, err)
					}
				}
			}
		}
	}
}

// TestMany reads documents of very many of one thing. Work that grows with its square
// would not end.
func TestMany(t *testing.T) {
	const many = 100_000
	for name, write := range map[string]func(tr *tree){
		"embeds": func(tr *tree) {
			text := tr.root("text")
			for range many {
				text.embed(`{"image":"a.png"}`)
			}
		},
		"blocks": func(tr *tree) {
			root := tr.root("prosemirror")
			for range many {
				root.element("paragraph", "x")
			}
		},
		"empty unknown blocks": func(tr *tree) {
			root := tr.root("default")
			for range many {
				root.element("callout", "")
			}
		},
		"breaks": func(tr *tree) {
			p := tr.root("document-store").element("blockGroup", "").element("blockContainer", "").element("paragraph", "")
			for range many {
				p.element("hardBreak", "")
			}
		},
		"inline elements": func(tr *tree) {
			p := tr.root("content").add(xmlText, "", "")
			for range many {
				p.add(xmlText, "", "").value("type", "custom")
			}
		},
		"text nodes": func(tr *tree) {
			p := tr.root("root").add(xmlText, "", "").value("__type", "paragraph")
			for range many {
				p.add(mapType, "", "").value("__type", "text")
				p.text("x")
			}
		},
		"loose pieces": func(tr *tree) {
			p := tr.root("root").add(xmlText, "", "").value("__type", "paragraph")
			for range many {
				p.text("x").format("b", "true")
			}
		},
		"block IDs": func(tr *tree) {
			order, contents := tr.root("blockOrder"), tr.root("blockContents")
			for i := range many {
				order.value("", "a")
				id := fmt.Sprint(i)
				order.value("", id)
				if i%10 == 0 {
					contents.add(fragment, id, "")
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tr tree
			write(&tr)
			doc := loadTree(t, &tr)
			root, detected := shape.Detect(doc)
			if detected == shape.Plain {
				t.Fatalf("no shape was detected, only the root %q", root)
			}
			if err := readEach(doc, []shape.Source{{}, {Root: root, Shape: detected}, {Root: root, Shape: shape.Plain}}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDetectAmongFormats detects the shape of a text that listing all formats in force
// would make gigabytes of.
func TestDetectAmongFormats(t *testing.T) {
	const many, limit = 20_000, 64 << 20
	var tr tree
	text := tr.root("text")
	for i := range many {
		text.format(fmt.Sprint("f", i), "true").text("x")
	}
	doc := loadTree(t, &tr)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if root, detected := shape.Detect(doc); root != "text" || detected != shape.Quill {
		t.Errorf("Detect = %q, %s", root, detected)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > limit {
		t.Errorf("Detect took %d bytes of memory, at most %d were to be", took, limit)
	}
}

// TestJSONLimit asks for all formats in force, many times over.
func TestJSONLimit(t *testing.T) {
	const many, limit = 3000, 1 << 20
	var tr tree
	text := tr.root("text")
	for i := range many {
		text.format(fmt.Sprint("f", i), "true").text("x")
	}
	doc := loadTree(t, &tr)
	for _, s := range []shape.Shape{shape.Quill, shape.Slate} {
		body, err := shape.JSONWithin(doc, shape.Source{Root: "text", Shape: s}, limit)
		if !errors.Is(err, shape.ErrTooLarge) || len(body) > 2*limit {
			t.Errorf("JSON as %s has %d bytes, %v, want ErrTooLarge", s, len(body), err)
		}
	}
}

func loadTree(t *testing.T, tr *tree) *yjs.Doc {
	t.Helper()
	doc, err := yjs.Load(yjs.Options{}, tr.update())
	if err != nil {
		t.Fatal(err)
	}
	if doc.HasPending() {
		t.Fatal("the test's own update is not complete")
	}
	return doc
}
