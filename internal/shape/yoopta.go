package shape

import (
	"encoding/json"
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// yooptaBlock is a block of a page: its place, its content, and the map that says what
// it is.
type yooptaBlock struct {
	id      string
	order   int
	content *yjs.Type
	meta    any // a map, or an object as some hosts write; nil where a document has none at all
}

// yooptaBlocks returns the blocks in order. As in the editor, a block that was moved by
// two at a time, and so is listed twice, is where it is listed last, and one whose
// content is gone is not there.
func yooptaBlocks(doc *yjs.Doc) []yooptaBlock {
	order, contents, metas := doc.Root(yooptaOrder), doc.Root(yooptaContents), doc.Root(yooptaMeta)
	if contents == nil {
		return nil
	}
	ids := values(order)
	last := make(map[string]int, len(ids))
	for i, v := range ids {
		if id, ok := v.(string); ok {
			last[id] = i
		}
	}
	var blocks []yooptaBlock
	for i, v := range ids {
		id, ok := v.(string)
		if !ok || last[id] != i {
			continue
		}
		b := yooptaBlock{id: id, order: i}
		v, _ := contents.Get(id)
		if b.content, ok = v.(*yjs.Type); !ok {
			continue
		}
		if metas != nil {
			if b.meta, ok = metas.Get(id); !ok {
				continue
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// property returns what the meta of a block says, if it says anything.
func (b yooptaBlock) property(key string, none any) any {
	var v any
	switch meta := b.meta.(type) {
	case *yjs.Type:
		v, _ = meta.Get(key)
	case yjs.Object:
		v, _ = meta.Get(key)
	}
	switch v {
	case nil, "", false, yjs.Undefined{}:
		return none
	}
	return v
}

func writeYoopta(o *out, doc *yjs.Doc) {
	y := &yooptaText{out: o}
	for _, b := range yooptaBlocks(doc) {
		if o.full() {
			return
		}
		y.block(b.content)
	}
}

type yooptaText struct {
	out   *out
	begun bool // a line was written
}

// block writes the elements of a block, which lie in a fragment; or the text of a block
// that is one.
func (y *yooptaText) block(content *yjs.Type) {
	if content.Kind() == yjs.KindXMLText || content.Kind() == yjs.KindText {
		y.line(content, 0)
		return
	}
	for _, el := range elements(content.Values()) {
		y.element(el, 0)
	}
}

func (y *yooptaText) element(el *yjs.Type, depth int) {
	if y.out.tooDeep(depth) || y.out.full() {
		return
	}
	if isVoid(el) {
		return
	}
	children := el.Values()
	if text := firstText(children); text != nil {
		y.line(text, depth)
		return
	}
	if len(children) == 0 {
		y.line(nil, depth)
		return
	}
	for _, c := range elements(children) {
		y.element(c, depth+1)
	}
}

func (y *yooptaText) line(text *yjs.Type, depth int) {
	if y.begun {
		y.out.write(y.out.separator)
	}
	y.begun = true
	y.inline(text, depth)
}

func (y *yooptaText) inline(text *yjs.Type, depth int) {
	if y.out.tooDeep(depth) {
		return
	}
	for _, v := range values(text) {
		switch v := v.(type) {
		case string:
			y.out.write(v)
		case *yjs.Type:
			y.inline(firstText(v.Values()), depth+1)
		}
	}
}

// firstText returns the text of an element that holds text, else nil.
func firstText(children []any) *yjs.Type {
	if len(children) == 0 {
		return nil
	}
	if t, ok := children[0].(*yjs.Type); ok && t.Kind() == yjs.KindXMLText {
		return t
	}
	return nil
}

// isVoid reports whether an element never holds text.
func isVoid(el *yjs.Type) bool {
	var props struct {
		NodeType string `json:"nodeType"`
	}
	err := json.Unmarshal([]byte(attribute(el, "props")), &props)
	return err == nil && props.NodeType == "void"
}

// encodeYoopta writes the content value: an object of the blocks under their IDs.
func encodeYoopta(e *encoder, doc *yjs.Doc) {
	e.open('{')
	for _, b := range yooptaBlocks(doc) {
		if e.full() {
			return
		}
		// What is missing is what the editor takes for it.
		kind, depth, align := b.property("type", "Paragraph"), b.property("depth", 0.0), b.property("align", "left")
		e.key(b.id)
		e.open('{')
		e.member("id", b.id)
		e.member("type", kind)
		e.key("value")
		e.open('[')
		for _, el := range elements(b.content.Values()) {
			encodeYooptaElement(e, el, 0)
		}
		e.close(']')
		e.key("meta")
		e.open('{')
		e.member("order", float64(b.order))
		e.member("depth", depth)
		e.member("align", align)
		e.close('}')
		e.close('}')
	}
	e.close('}')
}

func encodeYooptaElement(e *encoder, el *yjs.Type, depth int) {
	if e.full() || e.tooDeep(depth) {
		return
	}
	e.open('{')
	e.member("id", attribute(el, "id"))
	e.member("type", el.Name())
	if props := attribute(el, "props"); props != "" && json.Valid([]byte(props)) {
		e.key("props")
		e.raw(strings.ToValidUTF8(props, "\uFFFD"))
	}
	e.key("children")
	e.open('[')
	children := el.Values()
	empty := true
	if text := firstText(children); text != nil {
		for p := range text.Pieces() {
			e.charge(p.Attributes)
			if e.full() {
				return
			}
			switch v := p.Value.(type) {
			case string:
				e.open('{')
				e.member("text", v)
				e.members(p.Attributes, "text")
				e.close('}')
				empty = false
			case *yjs.Type:
				encodeYooptaElement(e, v, depth+1)
				empty = false
			}
		}
	} else {
		for _, c := range elements(children) {
			encodeYooptaElement(e, c, depth+1)
			empty = false
		}
	}
	if empty { // Slate wants a text in each element
		e.open('{')
		e.member("text", "")
		e.close('}')
	}
	e.close(']')
	e.close('}')
}
