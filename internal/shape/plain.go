package shape

import (
	"slices"

	"github.com/soma-sdk/soma/internal/yjs"
)

// writePlain writes the texts nested in types of any kind: text as it is, and in XML
// each element that holds text as a block. What is empty adds nothing.
func writePlain(o *out, types ...*yjs.Type) {
	p := &plain{out: o}
	for _, t := range types {
		p.value(t, 0)
		p.end()
	}
}

// encodePlain writes a root as its toJSON in yjs.
func encodePlain(e *encoder, root *yjs.Type) {
	if root == nil {
		e.value(nil)
		return
	}
	e.value(root)
}

// plain collects text line by line.
type plain struct {
	out   *out
	wrote bool // something since the last end
	begun bool // there is a line before
	lines int  // that have text
}

func (p *plain) write(s string) {
	if s == "" {
		return
	}
	if !p.wrote {
		if p.begun {
			p.out.write(p.out.separator)
		}
		p.lines++
	}
	p.wrote, p.begun = true, true
	p.out.write(s)
}

// end ends a line, if there is one.
func (p *plain) end() { p.wrote = false }

// value writes the text of a value: plain ones have none.
func (p *plain) value(v any, depth int) {
	t, ok := v.(*yjs.Type)
	if !ok || p.out.tooDeep(depth) || p.out.full() {
		return
	}
	switch t.Kind() {
	case yjs.KindText:
		p.write(t.Text())
	case yjs.KindXMLText:
		p.xmlText(t, depth)
	case yjs.KindXMLFragment, yjs.KindXMLElement:
		p.children(t, depth)
	case yjs.KindMap, yjs.KindXMLHook:
		for _, m := range sortedEntries(t) {
			p.line(m.Value, depth+1)
		}
	default:
		for _, v := range t.Values() {
			p.line(v, depth+1)
		}
	}
}

// line writes a value and ends its line, if it has text: maps in a line of text
// often only describe it.
func (p *plain) line(v any, depth int) {
	before := p.lines
	p.value(v, depth)
	if p.lines > before {
		p.end()
	}
}

// xmlText writes text with what is embedded in it: in the line, or as blocks of
// their own where there is nothing but types.
func (p *plain) xmlText(t *yjs.Type, depth int) {
	values := t.Values()
	blocks := !slices.ContainsFunc(values, func(v any) bool {
		_, isType := v.(*yjs.Type)
		return !isType
	})
	for _, v := range values {
		if s, ok := v.(string); ok {
			p.write(s)
			continue
		}
		if blocks {
			p.end()
		}
		p.value(v, depth+1)
		if blocks {
			p.end()
		}
	}
}

// children writes the children of an XML node. Beside text an element is in the
// line, such as a mention; among elements it is a block. A root of nothing but
// texts is an XML text of blocks that nobody declared as one.
func (p *plain) children(t *yjs.Type, depth int) {
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
		if inline && c.Kind() == yjs.KindXMLElement && isBreak(c.Name()) {
			p.write("\n")
			continue
		}
		if !inline {
			p.end()
		}
		p.value(c, depth+1)
		if !inline {
			p.end()
		}
	}
}
