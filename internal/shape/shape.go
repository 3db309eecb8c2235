// Package shape reads documents as the editors that write them do. Yjs knows
// types and keys; that a page is blocks in an order, and a block a line of text,
// is each editor's convention.
package shape

import (
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Text returns the plain text of a document, one line for each block:
//
//   - block editors with the roots blockOrder and blockContents (Yoopta): the
//     blocks in order
//   - XML fragments (ProseMirror, TipTap, BlockNote), and XML texts whose pieces
//     are all types (slate-yjs, Lexical): each element that holds text is a line
//   - texts (Quill, CodeMirror, plain Y.Text): as they are
//   - else the texts nested in maps and arrays
//
// Roots and keys are taken in order of name, which is the same on every replica.
// It returns yjs.ErrTooDeep.
func Text(doc *yjs.Doc) (string, error) {
	var l lines
	if order, contents := doc.Root("blockOrder"), doc.Root("blockContents"); order != nil && contents != nil {
		for _, id := range order.Values() {
			if id, ok := id.(string); ok {
				block, _ := contents.Get(id)
				l.value(block, 0)
				l.end()
			}
		}
		return l.text()
	}
	roots := doc.Roots()
	slices.SortFunc(roots, func(a, b *yjs.Type) int { return strings.Compare(a.Name(), b.Name()) })
	for _, root := range roots {
		l.value(root, 0)
		l.end()
	}
	return l.text()
}

// lines collects text line by line.
type lines struct {
	b     strings.Builder
	open  bool // something was written since the last end
	begun bool // there is a line before
	err   error
}

func (l *lines) text() (string, error) { return l.b.String(), l.err }

func (l *lines) write(s string) {
	if s == "" {
		return
	}
	if !l.open && l.begun {
		l.b.WriteByte('\n')
	}
	l.open, l.begun = true, true
	l.b.WriteString(s)
}

// end ends a line, if there is one.
func (l *lines) end() { l.open = false }

// value writes the text of a value: plain ones have none.
func (l *lines) value(v any, depth int) {
	t, ok := v.(*yjs.Type)
	if !ok || l.err != nil {
		return
	}
	if depth > yjs.MaxDepth {
		l.err = yjs.ErrTooDeep
		return
	}
	switch t.Kind() {
	case yjs.KindText:
		l.write(t.Text())
	case yjs.KindXMLText:
		l.xmlText(t, depth)
	case yjs.KindXMLFragment, yjs.KindXMLElement:
		l.children(t, depth)
	case yjs.KindMap, yjs.KindXMLHook:
		entries := t.Entries()
		slices.SortFunc(entries, func(a, b yjs.Member) int { return strings.Compare(a.Key, b.Key) })
		for _, m := range entries {
			l.line(m.Value, depth+1)
		}
	default:
		for _, v := range t.Values() {
			l.line(v, depth+1)
		}
	}
}

// line writes a value and ends its line, if it has text: maps in a line of text
// often only describe it.
func (l *lines) line(v any, depth int) {
	before := l.b.Len()
	l.value(v, depth)
	if l.b.Len() > before {
		l.end()
	}
}

// xmlText writes text with what is embedded in it: in the line, or as blocks of
// their own where there is nothing but types.
func (l *lines) xmlText(t *yjs.Type, depth int) {
	pieces := t.Delta()
	blocks := !slices.ContainsFunc(pieces, func(p yjs.Insert) bool {
		_, isType := p.Value.(*yjs.Type)
		return !isType
	})
	for _, p := range pieces {
		if s, ok := p.Value.(string); ok {
			l.write(s)
			continue
		}
		if blocks {
			l.end()
		}
		l.value(p.Value, depth+1)
		if blocks {
			l.end()
		}
	}
}

// children writes the children of an XML node. Beside text an element is in the
// line, such as a mention; among elements it is a block. A root of nothing but
// texts is an XML text of blocks that nobody declared as one.
func (l *lines) children(t *yjs.Type, depth int) {
	values := t.Values()
	isText := func(v any) bool {
		c, ok := v.(*yjs.Type)
		return ok && c.Kind() == yjs.KindXMLText
	}
	isElse := func(v any) bool { return !isText(v) }
	inline := slices.ContainsFunc(values, isText) && (depth > 0 || slices.ContainsFunc(values, isElse))
	for _, v := range values {
		c, ok := v.(*yjs.Type)
		if !ok {
			continue
		}
		if inline && isBreak(c) {
			l.write("\n")
			continue
		}
		if !inline {
			l.end()
		}
		l.value(c, depth+1)
		if !inline {
			l.end()
		}
	}
}

// isBreak reports whether an element is a line break inside a block.
func isBreak(t *yjs.Type) bool {
	if t.Kind() != yjs.KindXMLElement {
		return false
	}
	switch t.Name() {
	case "br", "hardBreak", "hard_break":
		return true
	}
	return false
}
