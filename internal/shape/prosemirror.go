package shape

import (
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// encodeProseMirror writes the document node as yXmlFragmentToProsemirrorJSON of
// y-prosemirror does. What a schema takes for a default and y-prosemirror does not
// store, null, is not there; a mark always has attrs.
func encodeProseMirror(e *encoder, root *yjs.Type) {
	e.open('{')
	e.member("type", "doc")
	e.key("content")
	encodeNodes(e, values(root), 0)
	e.close('}')
}

func encodeNodes(e *encoder, children []any, depth int) {
	e.open('[')
	for _, v := range children {
		c, ok := v.(*yjs.Type)
		if !ok {
			continue
		}
		if e.full() || e.tooDeep(depth) {
			return
		}
		switch c.Kind() {
		case yjs.KindXMLText:
			encodeTextNodes(e, c)
		case yjs.KindXMLElement:
			encodeNode(e, c, depth)
		default: // hooks, which ProseMirror has none of
		}
	}
	e.close(']')
}

func encodeNode(e *encoder, el *yjs.Type, depth int) {
	e.open('{')
	e.member("type", el.Name())
	if attrs := sortedEntries(el); len(attrs) > 0 {
		e.key("attrs")
		e.open('{')
		e.members(attrs)
		e.close('}')
	}
	if children := el.Values(); len(children) > 0 {
		e.key("content")
		encodeNodes(e, children, depth+1)
	}
	e.close('}')
}

func encodeTextNodes(e *encoder, t *yjs.Type) {
	for p := range t.Pieces() {
		e.charge(p.Attributes)
		if e.full() {
			return
		}
		s, ok := p.Value.(string)
		if !ok {
			continue
		}
		e.open('{')
		e.member("type", "text")
		e.member("text", s)
		if len(p.Attributes) > 0 {
			e.key("marks")
			e.open('[')
			for _, mark := range p.Attributes {
				e.open('{')
				e.member("type", markName(mark.Key))
				e.member("attrs", mark.Value)
				e.close('}')
			}
			e.close(']')
		}
		e.close('}')
	}
}

// markName returns the type of a mark. Where several of one type may overlap,
// y-prosemirror appends a hash: "--" and eight characters of base64.
func markName(format string) string {
	const separator, hash = "--", 8
	at := len(format) - hash - len(separator)
	if at < 0 || !strings.HasPrefix(format[at:], separator) {
		return format
	}
	for _, r := range format[at+len(separator):] {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '+', r == '/', r == '=':
		default:
			return format
		}
	}
	return format[:at]
}
