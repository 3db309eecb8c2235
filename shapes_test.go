package soma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// edited is what a real editor wrote, and what it says of it: see internal/shape/shapetest/node.
type edited struct {
	Family     soma.Shape
	Seed       int
	Root, Text string
	Detected   bool
	Separator  string
	JSON       json.RawMessage
	Update     []byte
}

// TestShapes reads the documents of real editors through a database.
func TestShapes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("internal/shape/testdata/documents-*.jsonl.gz")
	if err != nil || len(files) != 7 {
		t.Fatalf("there are documents of %d editors, %v, want 7", len(files), err)
	}
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "editors")
	docs := db.Documents()
	for _, file := range files {
		for _, line := range gunzipLines(t, file)[:10] {
			var e edited
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%s %d", e.Family, e.Seed)
			upsert(t, db, space, id, e.Update)
			shaped := soma.WithShape(e.Root, e.Family)
			got, err := docs.Text(t.Context(), space, id, shaped, soma.WithBlockSeparator(e.Separator))
			if err != nil || got != e.Text {
				t.Errorf("Text(%q) = %q, %v, want %q", id, got, err, e.Text)
			}
			plain, err := docs.Text(t.Context(), space, id, shaped)
			if err != nil || strings.ReplaceAll(plain, "\n", "") != strings.ReplaceAll(e.Text, "\n", "") {
				t.Errorf("Text(%q) = %q, %v, want %q but for separators", id, plain, err, e.Text)
			}
			title, err := docs.Title(t.Context(), space, id, shaped)
			if first, _, _ := strings.Cut(strings.TrimSpace(e.Text), "\n"); err != nil || !strings.HasPrefix(first, title) {
				t.Errorf("Title(%q) = %q, %v, want %q", id, title, err, first)
			}
			body, err := docs.JSON(t.Context(), space, id, shaped)
			if err != nil || !reflect.DeepEqual(decoded(t, body), decoded(t, e.JSON)) {
				t.Errorf("JSON(%q) = %.500s, %v, want %.500s", id, body, err, e.JSON)
			}
			root, shape, err := docs.Shape(t.Context(), space, id)
			if err != nil || e.Detected && strings.TrimSpace(e.Text) != "" && (root != e.Root || shape != e.Family) {
				t.Errorf("Shape(%q) = %q, %s, %v, want %q, %s", id, root, shape, err, e.Root, e.Family)
			}
		}
	}
}

func decoded(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Errorf("%v in %s", err, body)
	}
	return v
}

// A root that is not there is an empty document, one of another kind holds no text.
func TestShapeOfOtherRoot(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "roots")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "words"))
	docs := db.Documents()
	for shape, empty := range map[soma.Shape]string{
		soma.ShapeProseMirror: `{"type":"doc","content":[]}`,
		soma.ShapeTipTap:      `{"type":"doc","content":[]}`,
		soma.ShapeBlockNote:   `[]`,
		soma.ShapeYoopta:      `{}`,
		soma.ShapeSlate:       `[]`,
		soma.ShapeLexical:     `{"root":{"children":[],"direction":null,"format":"","indent":0,"type":"root","version":1}}`,
		soma.ShapeQuill:       `{"ops":[]}`,
		soma.ShapePlain:       `null`,
	} {
		option := soma.WithShape("none", shape)
		if got, err := docs.Text(t.Context(), space, "doc", option); err != nil || got != "" {
			t.Errorf("Text of no root as %s = %q, %v, want none", shape, got, err)
		}
		if got, err := docs.Title(t.Context(), space, "doc", option); err != nil || got != "" {
			t.Errorf("Title of no root as %s = %q, %v, want none", shape, got, err)
		}
		if got, err := docs.JSON(t.Context(), space, "doc", option); err != nil || string(got) != empty {
			t.Errorf("JSON of no root as %s = %s, %v, want %s", shape, got, err, empty)
		}
		got, err := docs.Text(t.Context(), space, "doc", soma.WithShape("text", shape))
		want := map[soma.Shape]string{soma.ShapePlain: "words", soma.ShapeQuill: "words\n", soma.ShapeSlate: "words", soma.ShapeLexical: "words"}[shape]
		if err != nil || got != want {
			t.Errorf("Text of a text as %s = %q, %v, want %q", shape, got, err, want)
		}
	}
	if got, err := docs.Text(t.Context(), space, "doc", soma.WithShape("", soma.ShapePlain)); err != nil || got != "words" {
		t.Errorf("Text of all roots = %q, %v, want %q", got, err, "words")
	}
	if root, shape, err := docs.Shape(t.Context(), space, "doc"); err != nil || root != "text" || shape != soma.ShapePlain {
		t.Errorf("Shape = %q, %s, %v, want a plain text", root, shape, err)
	}
}

func TestInvalidReadOptions(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "options")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "words"))
	docs := db.Documents()
	for name, option := range map[string]soma.ReadOption{
		"unknown shape": soma.WithShape("text", "word"),
		"no shape":      soma.WithShape("text", ""),
		"nothing":       soma.WithShape("", ""),
		"nil":           nil,
	} {
		_, text := docs.Text(t.Context(), space, "doc", option)
		_, title := docs.Title(t.Context(), space, "doc", option)
		_, body := docs.JSON(t.Context(), space, "doc", option)
		for call, err := range map[string]error{"Text": text, "Title": title, "JSON": body} {
			if !errors.Is(err, soma.ErrInvalidOption) {
				t.Errorf("%s with %s = %v, want ErrInvalidOption", call, name, err)
			}
		}
	}
}
