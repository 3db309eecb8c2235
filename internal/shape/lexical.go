package shape

import (
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Lexical's binding keeps an element as an XML text whose attributes are the node's
// fields, "__type" first of all. In it each text node is a map of its fields followed by
// its characters, a line break a map, an element an XML text, and a node that the host
// draws, a decorator, an XML element.

// lexicalNode is a child of an element.
type lexicalNode struct {
	node *yjs.Type // nil for characters without a text node
	text []byte    // of a text node
}

// lexicalNodes returns the children of an element. Characters that follow no text node
// are left over where two changed it at the same time. An editor that sees them removes
// them; until then somebody's words are not hidden.
func lexicalNodes(t *yjs.Type) []lexicalNode {
	var nodes []lexicalNode
	for _, v := range values(t) {
		switch v := v.(type) {
		case string:
			if n := len(nodes); n == 0 || !nodes[n-1].isText() {
				nodes = append(nodes, lexicalNode{})
			}
			last := &nodes[len(nodes)-1]
			last.text = append(last.text, v...)
		case *yjs.Type:
			nodes = append(nodes, lexicalNode{node: v})
		}
	}
	return nodes
}

func (n lexicalNode) kind() string {
	if n.node == nil {
		return "text"
	}
	return attribute(n.node, "__type")
}

func (n lexicalNode) isElement() bool { return n.node != nil && n.node.Kind() == yjs.KindXMLText }

func (n lexicalNode) isMap() bool { return n.node == nil || n.node.Kind() == yjs.KindMap }

func (n lexicalNode) isLineBreak() bool { return n.isMap() && n.kind() == "linebreak" }

func (n lexicalNode) isText() bool { return n.isMap() && n.kind() != "linebreak" }

// field returns a field of a node.
func (n lexicalNode) field(key string, none any) any {
	if n.node != nil {
		if v, ok := n.node.Get(key); ok {
			return v
		}
	}
	return none
}

// isInline reports whether an element is in the line, given the nodes beside it.
func (n lexicalNode) isInline(besideText bool) bool {
	switch n.kind() {
	case "link", "autolink", "mark", "overflow":
		return true
	case "", "root", "paragraph", "heading", "quote", "list", "listitem", "code", "table", "tablerow", "tablecell",
		"collapsible-container", "collapsible-title", "collapsible-content", "layout-container", "layout-item":
		return false
	}
	return besideText
}

func writeLexical(o *out, root *yjs.Type) { writeLexicalElement(o, root, 0) }

func writeLexicalElement(o *out, t *yjs.Type, depth int) {
	if o.tooDeep(depth) {
		return
	}
	nodes := lexicalNodes(t)
	besideText := false
	for _, n := range nodes {
		besideText = besideText || n.isText() || n.isLineBreak()
	}
	for i, n := range nodes {
		if o.full() {
			return
		}
		switch {
		case n.isElement():
			writeLexicalElement(o, n.node, depth+1)
			if i < len(nodes)-1 && !n.isInline(besideText) {
				o.write(o.separator)
			}
		case n.isText():
			o.write(string(n.text))
		case n.isLineBreak(), n.kind() == "horizontalrule":
			o.write("\n")
		}
	}
}

// encodeLexical writes the state of an editor. A field of a node is a property named
// without "__", except for those that the editor itself exports in another way.
func encodeLexical(e *encoder, root *yjs.Type) {
	e.open('{')
	e.key("root")
	encodeLexicalElement(e, root, lexicalPlace{kind: "root"}, 0)
	e.close('}')
}

// lexicalPlace is what an element is, and what it is in.
type lexicalPlace struct {
	kind     string
	listType string // of the list that it is in
	indent   int    // of lists in lists
}

// child is the place of an element below an element.
func (p lexicalPlace) child(kind string, fields yjs.Object) lexicalPlace {
	below := lexicalPlace{kind: kind, indent: p.indent}
	switch {
	case p.kind == "list":
		v, _ := fields.Get("__listType")
		below.listType, _ = v.(string)
	case p.kind == "listitem" && kind == "list":
		below.indent++
	case kind == "list":
		below.indent = 0
	}
	return below
}

func encodeLexicalElement(e *encoder, t *yjs.Type, place lexicalPlace, depth int) {
	if e.full() || e.tooDeep(depth) {
		return
	}
	fields, nodes := lexicalFields(t), lexicalNodes(t)
	e.open('{')
	e.key("children")
	e.open('[')
	for _, n := range nodes {
		if e.full() {
			return
		}
		switch {
		case n.isElement():
			encodeLexicalElement(e, n.node, place.child(n.kind(), fields), depth+1)
		default:
			encodeLexicalLeaf(e, n)
		}
	}
	e.close(']')
	var direction, format, indent any = nil, "", 0.0
	for _, f := range fields {
		switch f.Key {
		case "__type", "__style", "__textFormat", "__textStyle", "__isSyntaxHighlightSupported":
		case "__dir":
			direction = f.Value
		case "__format":
			format = alignment(f.Value)
		case "__indent":
			indent = f.Value
		case "__checked":
			if place.kind != "listitem" {
				e.member("checked", f.Value)
			}
		case "__rowStriping", "__frozenColumnCount", "__frozenRowCount", "__verticalAlign":
			if f.Value != nil && f.Value != false && f.Value != 0.0 {
				e.member(f.Key[2:], f.Value)
			}
		default:
			e.member(strings.TrimPrefix(f.Key, "__"), f.Value)
		}
	}
	if place.kind == "listitem" {
		indent = float64(place.indent)
		if place.listType == "check" {
			checked, _ := fields.Get("__checked")
			e.member("checked", checked == true)
		}
	}
	encodeTextFormat(e, place.kind, fields, nodes)
	e.member("direction", direction)
	e.member("format", format)
	e.member("indent", indent)
	e.member("type", place.kind)
	e.member("version", 1.0)
	e.close('}')
}

// encodeTextFormat writes what text typed into an element would look like: a paragraph
// exports the look of its first text, else its own; other elements their own where
// they have no text.
func encodeTextFormat(e *encoder, kind string, fields yjs.Object, nodes []lexicalNode) {
	if kind == "root" {
		return
	}
	format, style := any(0.0), any("")
	if v, ok := fields.Get("__textFormat"); ok {
		format = v
	}
	if v, ok := fields.Get("__textStyle"); ok {
		style = v
	}
	first := slices.IndexFunc(nodes, lexicalNode.isText)
	switch {
	case kind == "paragraph" && first >= 0:
		format, style = nodes[first].field("__format", 0.0), nodes[first].field("__style", "")
	case kind != "paragraph" && first >= 0:
		return
	}
	if kind == "paragraph" || format != 0.0 {
		e.member("textFormat", format)
	}
	if kind == "paragraph" || style != "" {
		e.member("textStyle", style)
	}
}

// encodeLexicalLeaf writes a node without children.
func encodeLexicalLeaf(e *encoder, n lexicalNode) {
	e.open('{')
	for _, f := range lexicalFields(n.node) {
		switch f.Key {
		case "__mode":
			e.member("mode", mode(f.Value))
		default:
			e.member(strings.TrimPrefix(f.Key, "__"), f.Value)
		}
	}
	if n.node == nil {
		e.members(yjs.Object{{Key: "type", Value: "text"}, {Key: "detail", Value: 0.0}, {Key: "format", Value: 0.0}, {Key: "mode", Value: "normal"}, {Key: "style", Value: ""}})
	}
	if n.isText() {
		e.member("text", string(n.text))
	}
	e.member("version", 1.0)
	e.close('}')
}

// lexicalFields returns the fields of a node, without those of the binding and the
// node's state, which has a form of its own.
func lexicalFields(t *yjs.Type) yjs.Object {
	if t == nil {
		return nil
	}
	fields := sortedEntries(t)
	kept := fields[:0]
	for _, f := range fields {
		switch f.Key {
		case "__state", "__slots", "__text", "__children":
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// alignment returns the name that an element's format has.
func alignment(v any) string {
	names := []string{"", "left", "center", "right", "justify", "start", "end"}
	if s, ok := v.(string); ok {
		return s
	}
	return nameOf(names, v)
}

// mode returns the name that a text's mode has.
func mode(v any) string { return nameOf([]string{"normal", "token", "segmented"}, v) }

func nameOf(names []string, v any) string {
	if f, ok := v.(float64); ok && f >= 0 && f < float64(len(names)) {
		return names[int(f)]
	}
	return names[0]
}
