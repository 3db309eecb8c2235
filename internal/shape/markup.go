package shape

import "github.com/soma-sdk/soma/internal/yjs"

// markup reads the XML fragments of y-prosemirror, and so of TipTap and BlockNote. A
// node is an element named for its type, the text of a run of text nodes an XML text
// with marks as its formats.
type markup struct {
	shape Shape
	root  *yjs.Type
	begun bool             // a block was written
	known map[string]inner // what elements of a name hold anywhere in the root; nil until it is asked for
}

// inner is what an element holds.
type inner uint8

const (
	holdsNothing inner = iota
	holdsInline        // text and what is in a line: the element is a text block
	holdsBlocks
)

func (m *markup) write(o *out) {
	m.children(o, m.root.Values(), m.inner(m.root.Values()) == holdsInline, 0)
}

func (m *markup) children(o *out, children []any, inline bool, depth int) {
	if o.tooDeep(depth) {
		return
	}
	for _, v := range children {
		c, ok := v.(*yjs.Type)
		if !ok {
			continue
		}
		if o.full() {
			return
		}
		switch c.Kind() {
		case yjs.KindXMLText:
			for _, s := range c.Values() {
				if s, ok := s.(string); ok {
					o.write(s)
				}
			}
		case yjs.KindXMLElement:
			m.element(o, c, inline, depth)
		default: // hooks, which ProseMirror has none of
		}
	}
}

func (m *markup) element(o *out, el *yjs.Type, inline bool, depth int) {
	children := el.Values()
	if inline {
		o.write(label(el))
	} else {
		inline = m.isTextBlock(el, children)
		if inline || m.shape == TipTap {
			if m.begun {
				o.write(o.separator)
			}
			m.begun = true
		}
	}
	m.children(o, children, inline, depth+1)
}

// label returns the text of a node that has no content.
func label(el *yjs.Type) string {
	switch name := el.Name(); {
	case isBreak(name):
		return "\n"
	case name == "mention":
		sign := attribute(el, "mentionSuggestionChar")
		if sign == "" {
			sign = "@"
		}
		for _, key := range [...]string{"label", "name", "user", "id"} {
			switch v, _ := el.Get(key); v := v.(type) {
			case string:
				if v != "" {
					return sign + v
				}
			case float64:
				return sign + string(yjs.AppendJSON(nil, v))
			}
		}
	case name == "emoji":
		if s := attribute(el, "name"); s != "" {
			return ":" + s + ":"
		}
	}
	return ""
}

// isTextBlock reports whether an element is a text block: one that holds text, or may.
func (m *markup) isTextBlock(el *yjs.Type, children []any) bool {
	if holds := m.inner(children); holds != holdsNothing {
		return holds == holdsInline
	}
	if kind := kindOf(el.Name()); kind != unnamed {
		return kind == textBlock
	}
	if len(children) > 0 {
		return false
	}
	if holds := m.others(el.Name()); holds != holdsNothing {
		return holds == holdsInline
	}
	// Nodes that hold no content say all in their attributes.
	return len(el.Entries()) == 0
}

// inner returns what children are, as far as they say so themselves.
func (m *markup) inner(children []any) inner {
	for _, v := range children {
		c, ok := v.(*yjs.Type)
		if !ok {
			continue
		}
		kind := kindOf(c.Name())
		switch {
		case c.Kind() == yjs.KindXMLText, kind == inLine:
			return holdsInline
		case kind == textBlock, kind == container:
			return holdsBlocks
		}
	}
	return holdsNothing
}

// others returns what elements of a name hold elsewhere in the root.
func (m *markup) others(name string) inner {
	if m.known == nil {
		m.known = map[string]inner{}
		m.learn(m.root, 0)
	}
	return m.known[name]
}

func (m *markup) learn(t *yjs.Type, depth int) {
	if depth > yjs.MaxDepth {
		return // reading fails there
	}
	children := t.Values()
	if found := m.inner(children); found != holdsNothing {
		m.known[t.Name()] = found
	}
	for _, v := range children {
		if c, ok := v.(*yjs.Type); ok && c.Kind() == yjs.KindXMLElement {
			m.learn(c, depth+1)
		}
	}
}

// nodeKind is what the name of a node says of it.
type nodeKind uint8

const (
	unnamed nodeKind = iota
	textBlock
	container // holds blocks
	leaf      // holds nothing; in the line or not, as its parent says
	inLine
)

// kindOf knows the nodes of the schemas that come with ProseMirror, TipTap and
// BlockNote, and names that many give to their own.
func kindOf(name string) nodeKind {
	switch name {
	case "paragraph", "heading", "title", "subtitle", "caption", "figcaption", "summary", "detailsSummary", "details_summary",
		"codeBlock", "code_block", "codeblock", "tableParagraph",
		"bulletListItem", "numberedListItem", "checkListItem", "toggleListItem", "quote":
		return textBlock
	case "doc", "blockquote", "block_quote",
		"bulletList", "orderedList", "listItem", "taskList", "taskItem",
		"bullet_list", "ordered_list", "list_item", "task_list", "task_item", "todo_list", "todo_item", "checkbox_list", "checkbox_item",
		"table", "tableRow", "tableCell", "tableHeader", "table_row", "table_cell", "table_header", "tr", "td", "th",
		"details", "detailsContent", "details_content",
		"blockGroup", "blockContainer", "columnList", "column", "columns":
		return container
	case "horizontalRule", "horizontal_rule", "hr", "divider", "pageBreak", "page_break",
		"image", "video", "audio", "file", "youtube", "twitch", "iframe",
		"blockMath", "block_math", "math_display":
		return leaf
	case "hardBreak", "hard_break", "hardbreak", "br", "mention", "emoji", "inlineMath", "inline_math", "math_inline":
		return inLine
	}
	return unnamed
}

// isBreak reports whether a node is a line break inside a block.
func isBreak(name string) bool {
	switch name {
	case "br", "hardBreak", "hard_break", "hardbreak":
		return true
	}
	return false
}
