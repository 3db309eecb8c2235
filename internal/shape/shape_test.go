package shape_test

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/soma-sdk/soma/internal/shape"
	"github.com/soma-sdk/soma/internal/yjs"
)

// The types of yjs, as updates number them.
const (
	array = iota
	mapType
	text
	element
	fragment
	hook
	xmlText
)

// tree writes an update with the content of one client, node by node.
type tree struct {
	body  []byte
	clock uint64
	count uint64
}

// node is a shared type that content is added to: a root or an item.
type node struct {
	tree *tree
	root string
	id   uint64
	last *uint64 // the last unit of its sequence
}

func (tr *tree) root(name string) *node { return &node{tree: tr, root: name} }

func (tr *tree) string(s string) {
	tr.uint(uint64(len(s)))
	tr.body = append(tr.body, s...)
}

func (tr *tree) uint(n uint64) { tr.body = binary.AppendUvarint(tr.body, n) }

// update returns all that was added, from client 1.
func (tr *tree) update() []byte {
	b := binary.AppendUvarint([]byte{1}, tr.count)
	return append(append(append(b, 1, 0), tr.body...), 0)
}

// item begins an item at the end of the node, or under a key.
func (n *node) item(ref byte, key string, length uint64) (id uint64) {
	tr := n.tree
	if key != "" {
		ref |= 0x20
	}
	if n.last != nil && key == "" {
		tr.body = append(tr.body, ref|0x80)
		tr.uint(1)
		tr.uint(*n.last)
	} else {
		tr.body = append(tr.body, ref)
		if n.root != "" {
			tr.uint(1)
			tr.string(n.root)
		} else {
			tr.uint(0)
			tr.uint(1)
			tr.uint(n.id)
		}
		if key != "" {
			tr.string(key)
		}
	}
	id = tr.clock
	tr.clock += length
	tr.count++
	if key == "" {
		last := tr.clock - 1
		n.last = &last
	}
	return id
}

// text adds a string to a text.
func (n *node) text(s string) *node {
	n.item(4, "", uint64(len(utf16.Encode([]rune(s)))))
	n.tree.string(s)
	return n
}

// format begins or, with null, ends a format.
func (n *node) format(key, value string) *node {
	n.item(6, "", 1)
	n.tree.string(key)
	n.tree.string(value)
	return n
}

// embed adds a plain value, as JSON, to a text.
func (n *node) embed(value string) *node {
	n.item(5, "", 1)
	n.tree.string(value)
	return n
}

// value adds a plain string to an array, or under a key.
func (n *node) value(key, s string) *node {
	n.item(8, key, 1)
	n.tree.uint(1)
	n.tree.body = append(n.tree.body, 119)
	n.tree.string(s)
	return n
}

// add adds a shared type and returns it.
func (n *node) add(kind uint64, key, name string) *node {
	id := n.item(7, key, 1)
	n.tree.uint(kind)
	if kind == element || kind == hook {
		n.tree.string(name)
	}
	return &node{tree: n.tree, id: id}
}

// element adds an XML element, with an XML text in it unless s is "".
func (n *node) element(name, s string) *node {
	e := n.add(element, "", name)
	if s != "" {
		e.add(xmlText, "", "").text(s)
	}
	return e
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(tr *tree)
		want  string
	}{
		{"empty", func(*tree) {}, ""},
		{"quill", func(tr *tree) {
			tr.root("text").text("Title\n").format("bold", "true").text("bold").format("bold", "null").
				text(" and plain\n").embed(`{"image":"a.png"}`).text("end\n")
		}, "Title\nbold and plain\nend\n"},
		{"quill, lines of embeds", func(tr *tree) {
			tr.root("text").embed(`{"video":"first"}`).text("before").embed(`{"video":"a"}`).embed(`{"video":"b"}`).
				text("after\n").embed(`{"video":"c"}`)
		}, "before\nafter\n"},
		{"two texts", func(tr *tree) {
			tr.root("b").text("second")
			tr.root("a").text("first 🙂")
		}, "first 🙂\nsecond"},
		{"prosemirror", func(tr *tree) {
			doc := tr.root("prosemirror")
			doc.element("heading", "Title")
			p := doc.element("paragraph", "Hello ")
			p.element("mention", "")
			p.add(xmlText, "", "").text("and ").format("strong", "{}").text("bold").format("strong", "null").text(" words")
			doc.element("paragraph", "")
			list := doc.element("bullet_list", "")
			list.element("list_item", "").element("paragraph", "one")
			item := list.element("list_item", "")
			item.element("paragraph", "two")
			item.element("bullet_list", "").element("list_item", "").element("paragraph", "nested")
		}, "Title\nHello and bold words\n\none\ntwo\nnested"},
		{"line breaks", func(tr *tree) {
			p := tr.root("default").element("paragraph", "one")
			p.element("hardBreak", "")
			p.add(xmlText, "", "").text("two")
			tr.root("default") // TipTap's root
		}, "one\ntwo"},
		{"blocknote", func(tr *tree) {
			group := tr.root("document-store").element("blockGroup", "")
			outer := group.element("blockContainer", "")
			outer.element("paragraph", "outer")
			outer.element("blockGroup", "").element("blockContainer", "").element("paragraph", "inner")
			group.element("blockContainer", "").element("heading", "next")
		}, "outer\ninner\nnext"},
		{"slate", func(tr *tree) {
			content := tr.root("content")
			content.add(xmlText, "", "").text("one")
			p := content.add(xmlText, "", "").text("with a ")
			p.add(xmlText, "", "").text("link")
			p.text(" in it")
			list := content.add(xmlText, "", "")
			list.add(xmlText, "", "").text("first")
			list.add(xmlText, "", "").text("second")
			content.add(xmlText, "", "") // an empty paragraph
			content.add(xmlText, "", "").text("end")
		}, "one\nwith a link in it\nfirst\nsecond\n\nend"},
		{"lexical", func(tr *tree) {
			root := tr.root("root")
			p := root.add(xmlText, "", "")
			p.add(mapType, "", "").value("__type", "text")
			p.text("Hello ")
			p.add(mapType, "", "").value("__type", "text").value("__format", "bold")
			p.text("world")
			root.add(xmlText, "", "").text("next")
		}, "Hello world\nnext"},
		{"map of texts", func(tr *tree) {
			m := tr.root("fields")
			m.add(text, "title", "").text("The title")
			m.value("colour", "red")
			inner := m.add(mapType, "body", "")
			inner.add(text, "2", "").text("second")
			inner.add(text, "1", "").text("first")
			parts := inner.add(array, "3", "")
			parts.add(text, "", "").text("third")
			parts.value("", "a plain string")
			parts.add(text, "", "").text("fourth")
		}, "first\nsecond\nthird\nfourth\nThe title"},
		{"hook", func(tr *tree) {
			tr.root("xml").add(hook, "", "thing").add(text, "caption", "").text("hooked")
		}, "hooked"},
		{"yoopta", func(tr *tree) {
			tr.root("blockOrder").value("", "b").value("", "gone").value("", "a")
			contents := tr.root("blockContents")
			contents.add(xmlText, "a", "").text("last")
			contents.add(xmlText, "b", "").text("first")
			contents.add(xmlText, "unlisted", "").text("not shown")
			tr.root("other").text("not shown either")
		}, "first\nlast"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr tree
			c.write(&tr)
			doc, err := yjs.Load(yjs.Options{}, tr.update())
			if err != nil {
				t.Fatal(err)
			}
			if doc.HasPending() {
				t.Fatal("the test's own update is not complete")
			}
			if got, err := shape.Text(doc, shape.Source{}, "\n"); err != nil || got != c.want {
				t.Errorf("Text = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestYoopta has what two make of a page at the same time: a block that both moved,
// and places of blocks whose content, or whose kind, is gone.
func TestYoopta(t *testing.T) {
	var tr tree
	order, metas, contents := tr.root("blockOrder"), tr.root("blockMeta"), tr.root("blockContents")
	for _, id := range []string{"moved", "first", "gone", "no meta", "image", "moved", "table"} {
		order.value("", id)
	}
	block := func(id, kind string) *node {
		if kind != "" {
			metas.add(mapType, id, "").value("type", kind)
		}
		return contents.add(fragment, id, "")
	}
	block("moved", "Paragraph").element("paragraph", "later").value("props", `{"a":[1]}`)
	first := block("first", "Paragraph").element("paragraph", "")
	first.add(xmlText, "", "").text("see ").add(element, "", "link").add(xmlText, "", "").text("this")
	block("no meta", "").element("paragraph", "never")
	block("image", "Image").element("image", "x").value("props", `{"nodeType":"void"}`)
	row := block("table", "Table").element("table", "").element("table-row", "")
	row.element("table-data-cell", "a")
	row.element("table-data-cell", "").value("props", "no JSON")
	doc := loadTree(t, &tr)

	if got, err := shape.Text(doc, shape.Source{}, "|"); err != nil || got != "see this|later|a|" {
		t.Errorf("Text = %q, %v", got, err)
	}
	const want = `{` +
		`"first":{"id":"first","type":"Paragraph","value":[{"id":"","type":"paragraph","children":[{"text":"see "},{"id":"","type":"link","children":[{"text":"this"}]}]}],"meta":{"order":1,"depth":0,"align":"left"}},` +
		`"image":{"id":"image","type":"Image","value":[{"id":"","type":"image","props":{"nodeType":"void"},"children":[{"text":"x"}]}],"meta":{"order":4,"depth":0,"align":"left"}},` +
		`"moved":{"id":"moved","type":"Paragraph","value":[{"id":"","type":"paragraph","props":{"a":[1]},"children":[{"text":"later"}]}],"meta":{"order":5,"depth":0,"align":"left"}},` +
		`"table":{"id":"table","type":"Table","value":[{"id":"","type":"table","children":[{"id":"","type":"table-row","children":[{"id":"","type":"table-data-cell","children":[{"text":"a"}]},{"id":"","type":"table-data-cell","children":[{"text":""}]}]}]}],"meta":{"order":6,"depth":0,"align":"left"}}}`
	if got, err := shape.JSON(doc, shape.Source{Shape: shape.Yoopta}); err != nil || string(got) != want {
		t.Errorf("JSON = %s, %v, want %s", got, err, want)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(tr *tree)
		root  string
		want  shape.Shape
	}{
		{"empty", func(*tree) {}, "", shape.Plain},
		{"names with underscores", func(tr *tree) { tr.root("x").element("bullet_list", "") }, "x", shape.ProseMirror},
		{"names in camel case", func(tr *tree) {
			tr.root("x").element("wrapper", "").element("taskList", "")
		}, "x", shape.TipTap},
		{"names of one word", func(tr *tree) { tr.root("x").element("paragraph", "a") }, "x", shape.ProseMirror},
		{"TipTap's root", func(tr *tree) { tr.root("default").element("paragraph", "a") }, "default", shape.TipTap},
		{"camel case in y-prosemirror's root", func(tr *tree) { tr.root("prosemirror").element("bulletList", "") }, "prosemirror", shape.ProseMirror},
		{"blocknote", func(tr *tree) { tr.root("x").element("blockGroup", "") }, "x", shape.BlockNote},
		{"slate", func(tr *tree) { tr.root("x").add(xmlText, "", "").value("type", "paragraph") }, "x", shape.Slate},
		{"lexical", func(tr *tree) { tr.root("x").add(xmlText, "", "").value("__type", "paragraph") }, "x", shape.Lexical},
		{"a decorator of Lexical", func(tr *tree) { tr.root("x").add(element, "", "UNDEFINED").value("__type", "image") }, "x", shape.Lexical},
		{"lines in Quill's root", func(tr *tree) { tr.root("quill").text("a\n") }, "quill", shape.Quill},
		{"formats in Quill's root", func(tr *tree) { tr.root("text").format("bold", "true").text("a") }, "text", shape.Quill},
		{"an image", func(tr *tree) { tr.root("x").text("a").embed(`{"image":"a.png"}`) }, "x", shape.Quill},
		{"a heading of Quill", func(tr *tree) { tr.root("x").text("a").format("header", "1").text("\n") }, "x", shape.Quill},
		{"formats", func(tr *tree) { tr.root("x").format("bold", "true").text("a") }, "x", shape.Plain},
		{"a plain text", func(tr *tree) { tr.root("text").text("a") }, "text", shape.Plain},
		{"yoopta", func(tr *tree) {
			tr.root("blockOrder").value("", "b")
			tr.root("blockContents").add(fragment, "b", "")
		}, "blockOrder", shape.Yoopta},
		{"a map beside", func(tr *tree) {
			tr.root("a").value("k", "v")
			tr.root("b").element("paragraph", "a")
		}, "b", shape.ProseMirror},
		{"two editors", func(tr *tree) {
			tr.root("a").element("paragraph", "a")
			tr.root("default").element("paragraph", "b")
		}, "default", shape.TipTap},
		{"two maps", func(tr *tree) {
			tr.root("a").value("k", "v")
			tr.root("b").value("k", "v")
		}, "", shape.Plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr tree
			c.write(&tr)
			if root, got := shape.Detect(loadTree(t, &tr)); root != c.root || got != c.want {
				t.Errorf("Detect = %q, %s, want %q, %s", root, got, c.root, c.want)
			}
		})
	}
}

// TestBlocks reads what is left to conventions: empty blocks, and nodes that no schema
// is known for.
func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape shape.Shape
		write func(root *node)
		want  string
	}{
		{"empty blocks", shape.ProseMirror, func(root *node) {
			root.element("paragraph", "")
			root.element("heading", "a")
			root.element("horizontal_rule", "")
			root.element("paragraph", "")
		}, "|a|"},
		{"blocks of TipTap", shape.TipTap, func(root *node) {
			root.element("paragraph", "a")
			root.element("horizontalRule", "")
			root.element("bulletList", "").element("listItem", "").element("paragraph", "b")
		}, "a||||b"},
		{"unknown blocks", shape.ProseMirror, func(root *node) {
			root.element("verse", "a")
			root.element("verse", "")
			root.element("chart", "").value("src", "x")
			root.element("box", "").element("paragraph", "b")
			root.element("box", "").value("kind", "x")
		}, "a||b"},
		{"in the line", shape.TipTap, func(root *node) {
			p := root.element("paragraph", "")
			p.element("chip", "x")
			p.element("mention", "").value("label", "Ada")
			p.element("image", "")
		}, "x@Ada"},
		{"mentions", shape.BlockNote, func(root *node) {
			p := root.element("blockGroup", "").element("blockContainer", "").element("paragraph", "by ")
			p.element("mention", "").value("user", "Ada").value("mentionSuggestionChar", "#")
			p.element("mention", "").value("id", "7")
			p.element("mention", "")
		}, "by #Ada@7"},
		{"links that fill a block", shape.Slate, func(root *node) {
			p := root.add(xmlText, "", "").value("type", "paragraph")
			p.add(xmlText, "", "").value("type", "ref").text("a")
			p.add(xmlText, "", "").value("type", "ref").text("b")
			p = root.add(xmlText, "", "").value("type", "paragraph")
			p.text("see ").add(xmlText, "", "").value("type", "ref").text("c")
		}, "ab|see c"},
		{"elements of Lexical", shape.Lexical, func(root *node) {
			list := root.add(xmlText, "", "").value("__type", "list")
			for _, s := range []string{"a", "b"} {
				item := list.add(xmlText, "", "").value("__type", "listitem")
				item.add(mapType, "", "").value("__type", "text")
				item.text(s)
			}
			root.add(xmlText, "", "").value("__type", "paragraph")
			p := root.add(xmlText, "", "").value("__type", "paragraph")
			p.add(mapType, "", "").value("__type", "text")
			p.text("c").add(mapType, "", "").value("__type", "linebreak")
			p.add(xmlText, "", "").value("__type", "chip").text("d")
			root.add(xmlText, "", "").value("__type", "paragraph")
		}, "a|b||c\nd|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr tree
			c.write(tr.root("root"))
			got, err := shape.Text(loadTree(t, &tr), shape.Source{Root: "root", Shape: c.shape}, "|")
			if err != nil || got != c.want {
				t.Errorf("Text = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestRecording reads the page that the quickstart plays.
func TestRecording(t *testing.T) {
	const folder = "../../examples/quickstart/"
	data, err := os.ReadFile(folder + "session.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Updates     int
		Title, Text string
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(folder + "session.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var updates [][]byte
	for lines := json.NewDecoder(z); ; {
		var line struct{ Update []byte }
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, line.Update)
	}
	if len(updates) != want.Updates {
		t.Fatalf("%d updates, want %d", len(updates), want.Updates)
	}
	doc, err := yjs.Load(yjs.Options{}, updates...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := shape.Text(doc, shape.Source{}, "\n")
	if err != nil || got != want.Text {
		t.Errorf("Text = %q, %v, want %q", got, err, want.Text)
	}
	if title, _, _ := strings.Cut(got, "\n"); title != want.Title {
		t.Errorf("first line = %q, want %q", title, want.Title)
	}
}

func TestTooDeep(t *testing.T) {
	for _, kind := range []uint64{array, mapType, element, xmlText} {
		for _, c := range []struct {
			depth int
			want  error
		}{{yjs.MaxDepth - 1, nil}, {yjs.MaxDepth + 1, yjs.ErrTooDeep}} {
			var tr tree
			n, key := tr.root("deep"), ""
			if kind == mapType {
				key = "k"
			}
			for range c.depth {
				n = n.add(kind, key, "e")
			}
			if kind == array || kind == mapType {
				n.add(text, key, "").text("bottom")
			}
			doc, err := yjs.Load(yjs.Options{}, tr.update())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := shape.Text(doc, shape.Source{}, "\n"); !errors.Is(err, c.want) {
				t.Errorf("Text(%d types of kind %d in each other) = %v, want %v", c.depth, kind, err, c.want)
			}
		}
	}
}
