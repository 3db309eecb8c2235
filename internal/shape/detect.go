package shape

import (
	"slices"
	"strings"
	"unicode"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Detect returns the root that holds a document's content and its shape. Where several
// roots have a shape it is the one that an editor takes by default, else the first by
// name. Without any the shape is Plain, and the root the only one there is, or "".
func Detect(doc *yjs.Doc) (root string, shape Shape) {
	sources := detectAll(doc)
	best := Source{Shape: Plain}
	if len(sources) == 1 {
		best = sources[0]
	}
	for _, s := range sources {
		switch {
		case s.Shape == Plain:
		case best.Shape == Plain, usual(s.Root) && !usual(best.Root):
			best = s
		}
	}
	return best.Root, best.Shape
}

// usual reports whether a root is one that an editor takes by default.
func usual(root string) bool {
	switch root {
	case "prosemirror", "default", "document-store", "content", "root", "quill", "text":
		return true
	}
	return false
}

// detectAll returns all roots in order of name, each with its shape. The roots of
// Yoopta are one source, and what is beside them is not of the page.
func detectAll(doc *yjs.Doc) []Source {
	if doc.Root(yooptaOrder) != nil && doc.Root(yooptaContents) != nil {
		return []Source{{yooptaOrder, Yoopta}}
	}
	var sources []Source
	for _, root := range sortedRoots(doc) {
		sources = append(sources, Source{root.Name(), detect(root)})
	}
	return sources
}

// detect returns the shape of a root.
func detect(root *yjs.Type) Shape {
	children := root.Values()
	if len(children) == 0 {
		return detectEmpty(root)
	}
	switch root.Kind() {
	case yjs.KindText:
		return detectText(root)
	case yjs.KindXMLFragment, yjs.KindXMLText:
		return detectXML(root, children)
	default:
		return Plain
	}
}

// detectEmpty goes by names that are nobody else's.
func detectEmpty(root *yjs.Type) Shape {
	if len(root.Entries()) > 0 {
		return Plain
	}
	switch root.Name() {
	case "prosemirror":
		return ProseMirror
	case "default":
		return TipTap
	case "document-store":
		return BlockNote
	}
	return Plain
}

// maxDetectFormats bounds the formats that detectText looks at, each as often as it is in
// force: with many at once a small document has billions.
const maxDetectFormats = 1 << 18

// detectText tells a Quill from a plain text: by its root, if the text is more than
// characters or has lines, or by formats and embeds that Quill has.
func detectText(root *yjs.Type) Shape {
	named := root.Name() == "text" || root.Name() == "quill"
	rich, last, formats := false, "", 0
	for p := range root.Pieces() {
		if formats += len(p.Attributes); formats > maxDetectFormats {
			break
		}
		s, isString := p.Value.(string)
		if isString {
			last = s
		} else {
			last = ""
		}
		if !isString {
			if embed, ok := p.Value.(yjs.Object); ok && len(embed) == 1 && isQuillEmbed(embed[0].Key) {
				return Quill
			}
			rich = true
		}
		rich = rich || len(p.Attributes) > 0
		if strings.Trim(s, "\n") == "" && isString {
			for _, a := range p.Attributes {
				if isLineFormat(a.Key) {
					return Quill
				}
			}
		}
	}
	if named && (rich || strings.HasSuffix(last, "\n")) {
		return Quill
	}
	return Plain
}

func isQuillEmbed(key string) bool {
	switch key {
	case "image", "video", "formula", "mention", "divider":
		return true
	}
	return false
}

// isLineFormat reports whether Quill puts a format on the end of a line.
func isLineFormat(key string) bool {
	switch key {
	case "header", "list", "blockquote", "code-block", "indent", "align", "direction", "table":
		return true
	}
	return false
}

func detectXML(root *yjs.Type, children []any) Shape {
	var texts, nodes []*yjs.Type
	for _, v := range children {
		c, ok := v.(*yjs.Type)
		if !ok {
			return Plain // characters at the top are no editor's
		}
		switch c.Kind() {
		case yjs.KindXMLText:
			texts = append(texts, c)
		case yjs.KindXMLElement:
			nodes = append(nodes, c)
		default:
			return Plain
		}
		if isLexical(c) {
			return Lexical
		}
	}
	switch {
	case len(nodes) == 0:
		return Slate
	case len(texts) > 0:
		return Plain
	}
	return detectMarkup(root.Name(), nodes)
}

// isLexical reports whether a type has the fields of a node of Lexical, or holds one
// that has.
func isLexical(t *yjs.Type) bool {
	const field = "__type"
	if _, ok := t.Get(field); ok {
		return true
	}
	if t.Kind() != yjs.KindXMLText {
		return false
	}
	for _, v := range t.Values() {
		if c, ok := v.(*yjs.Type); ok {
			_, ok := c.Get(field)
			return ok
		}
	}
	return false
}

// maxLooked bounds how many nodes are asked which editor names nodes so.
const maxLooked = 1000

// detectMarkup tells BlockNote by its groups, and TipTap by names of several words, which
// it writes as one, where ProseMirror's own schemas have "_" between them. The root of
// y-prosemirror is nobody else's, whatever the names in it.
func detectMarkup(root string, nodes []*yjs.Type) Shape {
	switch {
	case nodes[0].Name() == blockGroup:
		return BlockNote
	case root == "prosemirror":
		return ProseMirror
	}
	queue := slices.Clone(nodes[:min(len(nodes), maxLooked)])
	for i := 0; i < len(queue) && i < maxLooked; i++ {
		name := queue[i].Name()
		switch {
		case kindOf(name) == unnamed: // a name of the host's own
		case strings.Contains(name, "_"):
			return ProseMirror
		case strings.ContainsFunc(name, unicode.IsUpper):
			return TipTap
		}
		queue = append(queue, elements(queue[i].Values())...)
	}
	if root == "default" {
		return TipTap
	}
	return ProseMirror
}
