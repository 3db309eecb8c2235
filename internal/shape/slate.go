package shape

import "github.com/soma-sdk/soma/internal/yjs"

// slate reads the XML texts of slate-yjs: an element is an XML text whose attributes
// are its properties, in which its texts and the elements in it follow each other.
type slate struct {
	root    *yjs.Type
	begun   bool            // a block was written
	inlines map[string]bool // types of elements that stand beside text somewhere; nil until it is asked for
}

func (s *slate) write(o *out) {
	children := s.root.Values()
	if len(children) > 0 {
		s.block(o, children, 0)
	}
}

// block writes what is in a block, or in the root: blocks, or a line.
func (s *slate) block(o *out, children []any, depth int) {
	if o.tooDeep(depth) || o.full() {
		return
	}
	if s.isLine(children) {
		if s.begun {
			o.write(o.separator)
		}
		s.begun = true
		s.line(o, children, depth)
		return
	}
	for _, v := range children {
		if c, ok := v.(*yjs.Type); ok {
			s.block(o, c.Values(), depth+1)
		}
	}
}

func (s *slate) line(o *out, children []any, depth int) {
	if o.tooDeep(depth) {
		return
	}
	for _, v := range children {
		switch v := v.(type) {
		case string:
			o.write(v)
		case *yjs.Type:
			s.line(o, v.Values(), depth+1)
		}
	}
}

// isLine reports whether children are in a line. Slate keeps blocks and what is in a
// line apart, and texts beside each inline element; but empty texts leave no trace.
func (s *slate) isLine(children []any) bool {
	var element *yjs.Type
	for _, v := range children {
		switch v := v.(type) {
		case string:
			return true
		case *yjs.Type:
			if element == nil {
				element = v
			}
		}
	}
	return element == nil || s.isInline(attribute(element, "type"))
}

// isInline reports whether elements of a type are in a line.
func (s *slate) isInline(name string) bool {
	switch name {
	case "":
		return false
	case "link", "a", "mention", "badge", "button", "emoji", "hashtag", "inline-code", "inline-equation", "inline_equation", "footnote":
		return true
	}
	if s.inlines == nil {
		s.inlines = map[string]bool{}
		s.learn(s.root, 0)
	}
	return s.inlines[name]
}

func (s *slate) learn(t *yjs.Type, depth int) {
	if depth > yjs.MaxDepth {
		return // reading fails there
	}
	beside := false
	var names []string
	for _, v := range t.Values() {
		switch v := v.(type) {
		case string:
			beside = true
		case *yjs.Type:
			names = append(names, attribute(v, "type"))
			s.learn(v, depth+1)
		}
	}
	for _, name := range names {
		s.inlines[name] = s.inlines[name] || beside
	}
}

// encodeSlate writes the children of the editor, as yTextToSlateElement of slate-yjs
// makes them.
func encodeSlate(e *encoder, root *yjs.Type) { encodeSlateChildren(e, root, root == nil, 0) }

func encodeSlateChildren(e *encoder, t *yjs.Type, bare bool, depth int) {
	e.open('[')
	for p := range pieces(t) {
		e.charge(p.Attributes)
		if e.full() || e.tooDeep(depth) {
			return
		}
		bare = true
		switch v := p.Value.(type) {
		case string:
			e.open('{')
			e.members(p.Attributes, "text")
			e.member("text", v)
			e.close('}')
		case *yjs.Type:
			e.open('{')
			e.members(sortedEntries(v), "children")
			e.key("children")
			encodeSlateChildren(e, v, false, depth+1)
			e.close('}')
		}
	}
	if !bare { // Slate wants a text in each element
		e.open('{')
		e.member("text", "")
		e.close('}')
	}
	e.close(']')
}
