// Package shape reads documents as the editors that write them do. Yjs knows types
// and keys; that a page is blocks in an order, and a block a line of text, is each
// editor's convention.
//
// A shape is such a convention. It is detected from the content of a root, or given
// together with the root. The text is what the editor itself makes of the document:
//
//   - ProseMirror: textBetween, with a separator between text blocks, empty ones
//     included. A node without text, such as a rule, adds nothing.
//   - TipTap: getText, where every block begins with a separator, also a list and
//     each of its items.
//   - BlockNote: as ProseMirror; each cell of a table is a text block.
//   - Slate: Node.string of each block that holds no further blocks, empty ones too.
//   - Lexical: getTextContent: a separator behind each block but the last of its parent.
//   - Quill: getText, which ends with a line end and leaves embeds out. Its lines are
//     part of the text, whatever the separator.
//   - Yoopta: getPlainText of each block, empty ones too, without the "[x]" of check
//     boxes; in tables and accordions each element that holds text is a block.
//     Blocks that never hold text, such as images, add nothing.
//   - Plain: all else. Texts as they are, wherever they are nested, in order of their
//     names and keys; in XML each element that holds text is a block; what is empty
//     adds nothing.
//
// Line breaks inside a block are "\n", mentions their label, images nothing. What a
// schema that is not in the document would have to say, such as whether an unknown
// node is in the line, is taken from the node's name and from its likes elsewhere in
// the document.
package shape

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Shape is the convention by which an editor keeps its content in a document.
type Shape string

// The shapes, with the root that each editor takes unless it is told another.
const (
	ProseMirror Shape = "prosemirror" // y-prosemirror: "prosemirror"
	TipTap      Shape = "tiptap"      // "default"
	BlockNote   Shape = "blocknote"   // "document-store"
	Yoopta      Shape = "yoopta"      // always "blockOrder", "blockMeta" and "blockContents"
	Slate       Shape = "slate"       // slate-yjs: "content"
	Lexical     Shape = "lexical"     // "root"
	Quill       Shape = "quill"       // y-quill: "quill" or "text"
	Plain       Shape = "plain"       // none of these
)

// Valid reports whether s is one of the shapes.
func (s Shape) Valid() bool {
	switch s {
	case ProseMirror, TipTap, BlockNote, Yoopta, Slate, Lexical, Quill, Plain:
		return true
	}
	return false
}

// Source says where the content of a document is. The zero value leaves that to
// detection.
type Source struct {
	Root  string
	Shape Shape
}

// ErrTooLarge says that the JSON of a document is beyond all reason.
var ErrTooLarge = errors.New("shape: JSON too large")

// The roots of Yoopta.
const (
	yooptaOrder    = "blockOrder"
	yooptaMeta     = "blockMeta"
	yooptaContents = "blockContents"
)

// Text returns the plain text of a document. A root that is not there has none.
// Without a source that is the text of each root that has any, in order of name, each
// as its own shape has it. It returns yjs.ErrTooDeep.
func Text(doc *yjs.Doc, from Source, separator string) (string, error) {
	sources := []Source{from}
	if from == (Source{}) {
		sources = detectAll(doc)
	}
	var texts []string
	for _, s := range sources {
		o := &out{separator: separator}
		if write(o, doc, s); o.err != nil {
			return "", o.err
		}
		if o.b.Len() > 0 {
			texts = append(texts, o.b.String())
		}
	}
	return strings.Join(texts, separator), nil
}

// write writes the text of a source.
func write(o *out, doc *yjs.Doc, s Source) {
	if s.Shape == Yoopta {
		writeYoopta(o, doc)
		return
	}
	root := doc.Root(s.Root)
	if root == nil {
		if s.Shape == Plain && s.Root == "" {
			writePlain(o, sortedRoots(doc)...)
		}
		return
	}
	switch s.Shape {
	case ProseMirror, TipTap, BlockNote:
		(&markup{shape: s.Shape, root: root}).write(o)
	case Slate:
		(&slate{root: root}).write(o)
	case Lexical:
		writeLexical(o, root)
	case Quill:
		writeQuill(o, root)
	default:
		writePlain(o, root)
	}
}

// JSON returns the content of a source as the editor's own JSON: the document node of
// ProseMirror and TipTap, the blocks of BlockNote, the content value of Yoopta, the
// children of Slate's editor, the editor state of Lexical, the delta of Quill; for
// Plain the root as its toJSON in yjs. Values that an editor leaves out because they
// are its defaults are left out, or as it wrote them. A root that is not there is an
// empty document, for Plain null. It returns yjs.ErrTooDeep and ErrTooLarge.
func JSON(doc *yjs.Doc, from Source) ([]byte, error) { return jsonWithin(doc, from, maxJSON) }

func jsonWithin(doc *yjs.Doc, from Source, limit int) ([]byte, error) {
	e := &encoder{max: limit}
	root := doc.Root(from.Root)
	switch from.Shape {
	case Yoopta:
		encodeYoopta(e, doc)
	case ProseMirror, TipTap:
		encodeProseMirror(e, root)
	case BlockNote:
		(&markup{shape: BlockNote, root: root}).encodeBlocks(e)
	case Slate:
		encodeSlate(e, root)
	case Lexical:
		encodeLexical(e, root)
	case Quill:
		encodeQuill(e, root)
	default:
		if root == nil && from.Root == "" {
			return doc.JSON()
		}
		encodePlain(e, root)
	}
	return e.b, e.err
}

// sortedRoots returns the roots in order of name, which is the same on every replica.
func sortedRoots(doc *yjs.Doc) []*yjs.Type {
	roots := doc.Roots()
	slices.SortFunc(roots, func(a, b *yjs.Type) int { return strings.Compare(a.Name(), b.Name()) })
	return roots
}

// values returns the sequence of a type, of nil none.
func values(t *yjs.Type) []any {
	if t == nil {
		return nil
	}
	return t.Values()
}

// pieces iterates over a text, of nil none.
func pieces(t *yjs.Type) iter.Seq[yjs.Insert] {
	if t == nil {
		return func(func(yjs.Insert) bool) {}
	}
	return t.Pieces()
}

// attribute returns a keyed value that is a string.
func attribute(t *yjs.Type, key string) string {
	v, _ := t.Get(key)
	s, _ := v.(string)
	return s
}

// sortedEntries returns the keyed values in order of key: that of insertion differs
// between replicas.
func sortedEntries(t *yjs.Type) yjs.Object { return sortedMembers(t.Entries()) }

func sortedMembers(o yjs.Object) yjs.Object {
	o = slices.Clone(o)
	slices.SortFunc(o, func(a, b yjs.Member) int { return strings.Compare(a.Key, b.Key) })
	return o
}
