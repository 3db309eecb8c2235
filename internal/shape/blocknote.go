package shape

import "github.com/soma-sdk/soma/internal/yjs"

// The nodes of BlockNote: a group holds containers, and a container one block and
// perhaps a group of its children.
const (
	blockGroup     = "blockGroup"
	blockContainer = "blockContainer"
)

// encodeBlocks writes the blocks of a BlockNote editor, as its document property.
func (m *markup) encodeBlocks(e *encoder) {
	e.open('[')
	for _, v := range values(m.root) {
		if group, ok := v.(*yjs.Type); ok && group.Name() == blockGroup {
			m.encodeGroup(e, group.Values(), 1)
		}
	}
	e.close(']')
}

func (m *markup) encodeGroup(e *encoder, blocks []any, depth int) {
	for _, v := range blocks {
		block, ok := v.(*yjs.Type)
		if !ok || block.Kind() != yjs.KindXMLElement {
			continue
		}
		if e.full() || e.tooDeep(depth) {
			return
		}
		if block.Name() == blockContainer {
			m.encodeContainer(e, block, depth)
		} else {
			m.encodeColumn(e, block, depth)
		}
	}
}

// encodeColumn writes a block that holds only others.
func (m *markup) encodeColumn(e *encoder, block *yjs.Type, depth int) {
	e.open('{')
	m.encodeHead(e, block, block)
	e.key("children")
	e.open('[')
	m.encodeGroup(e, block.Values(), depth+1)
	e.close(']')
	e.close('}')
}

func (m *markup) encodeContainer(e *encoder, container *yjs.Type, depth int) {
	var content, group *yjs.Type
	for _, v := range container.Values() {
		c, ok := v.(*yjs.Type)
		switch {
		case !ok || c.Kind() != yjs.KindXMLElement:
		case c.Name() == blockGroup:
			group = c
		case content == nil:
			content = c
		}
	}
	if content == nil {
		return // the editor removes what has no content
	}
	e.open('{')
	m.encodeHead(e, container, content)
	children := content.Values()
	switch {
	case content.Name() == "table":
		e.key("content")
		m.encodeTable(e, children)
	case m.isTextBlock(content, children):
		e.key("content")
		line := inlines{e: e}
		e.open('[')
		line.read(children, depth+1)
		line.flush()
		e.close(']')
	}
	e.key("children")
	e.open('[')
	m.encodeGroup(e, values(group), depth+2)
	e.close(']')
	e.close('}')
}

// encodeHead writes ID, type and props of a block, which are attributes of its container
// or of itself.
func (m *markup) encodeHead(e *encoder, container, content *yjs.Type) {
	id, _ := container.Get("id")
	e.member("id", id)
	e.member("type", content.Name())
	e.key("props")
	e.open('{')
	if container != content {
		for _, attr := range sortedEntries(container) {
			if _, own := content.Get(attr.Key); !own && attr.Key != "id" {
				e.member(attr.Key, attr.Value)
			}
		}
	}
	e.members(sortedEntries(content), "id")
	e.close('}')
}

func elements(children []any) []*yjs.Type {
	var found []*yjs.Type
	for _, v := range children {
		if c, ok := v.(*yjs.Type); ok && c.Kind() == yjs.KindXMLElement {
			found = append(found, c)
		}
	}
	return found
}

func (m *markup) encodeTable(e *encoder, children []any) {
	var rows [][]*yjs.Type
	for _, row := range elements(children) {
		rows = append(rows, elements(row.Values()))
	}
	e.open('{')
	e.member("type", "tableContent")
	e.key("columnWidths")
	e.open('[')
	if len(rows) > 0 {
		for _, cell := range rows[0] {
			encodeWidths(e, cell)
		}
	}
	e.close(']')
	if n := headerRows(rows); n > 0 {
		e.member("headerRows", float64(n))
	}
	if n := headerColumns(rows); n > 0 {
		e.member("headerCols", float64(n))
	}
	e.key("rows")
	e.open('[')
	for _, row := range rows {
		e.open('{')
		e.key("cells")
		e.open('[')
		for _, cell := range row {
			if e.full() {
				return
			}
			encodeCell(e, cell)
		}
		e.close(']')
		e.close('}')
	}
	e.close(']')
	e.close('}')
}

// maxSpan bounds how many columns a cell may claim, so that a number is not a bomb.
const maxSpan = 1000

func encodeWidths(e *encoder, cell *yjs.Type) {
	width, _ := cell.Get("colwidth")
	if widths, ok := width.([]any); ok {
		for _, w := range widths {
			e.value(w)
		}
		return
	}
	span, ok := number(cell, "colspan")
	if !ok || span < 1 {
		span = 1
	}
	for range int(min(span, maxSpan)) {
		e.value(nil)
	}
}

func number(t *yjs.Type, key string) (float64, bool) {
	v, _ := t.Get(key)
	f, ok := v.(float64)
	return f, ok
}

func isHeader(cell *yjs.Type) bool { return cell.Name() == "tableHeader" }

func headerRows(rows [][]*yjs.Type) int {
	n := 0
	for _, row := range rows {
		all := true
		for _, cell := range row {
			all = all && isHeader(cell)
		}
		if all {
			n++
		}
	}
	return n
}

func headerColumns(rows [][]*yjs.Type) int {
	if len(rows) == 0 {
		return 0
	}
	headers := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row[:min(len(row), len(headers))] {
			if isHeader(cell) {
				headers[i]++
			}
		}
	}
	n := 0
	for _, count := range headers {
		if count == len(rows) {
			n++
		}
	}
	return n
}

func encodeCell(e *encoder, cell *yjs.Type) {
	e.open('{')
	e.member("type", "tableCell")
	e.key("content")
	e.open('[')
	line := inlines{e: e}
	for i, paragraph := range elements(cell.Values()) {
		if i > 0 {
			line.join()
		}
		line.read(paragraph.Values(), 0)
	}
	line.flush()
	e.close(']')
	e.key("props")
	e.open('{')
	e.members(sortedEntries(cell), "colwidth")
	e.close('}')
	e.close('}')
}

// inlines writes inline content: runs of text of one style, and links, which are
// marks in the document. A run is written once it is complete.
type inlines struct {
	e      *encoder
	open   bool   // there is a run
	text   []byte // of it
	styles string // of it, as JSON
	inLink bool
	href   any
	joined bool // a paragraph of a cell ended in front of what comes
}

func (l *inlines) read(children []any, depth int) {
	for _, v := range children {
		c, ok := v.(*yjs.Type)
		if !ok {
			continue
		}
		if l.e.full() || l.e.tooDeep(depth) {
			return
		}
		switch {
		case c.Kind() == yjs.KindXMLText:
			for p := range c.Pieces() {
				l.e.charge(p.Attributes)
				if l.e.full() {
					return
				}
				if s, ok := p.Value.(string); ok {
					l.add(s, p.Attributes)
				}
			}
		case isBreak(c.Name()):
			l.lineBreak()
		case c.Kind() == yjs.KindXMLElement:
			l.custom(c, depth)
		}
	}
}

// add adds text with its marks.
func (l *inlines) add(s string, marks yjs.Object) {
	styles, href, linked := stylesOf(marks)
	sameLink := linked == l.inLink && (!linked || string(yjs.AppendJSON(nil, href)) == string(yjs.AppendJSON(nil, l.href)))
	switch {
	case l.open && sameLink && styles == l.styles:
		if l.joined {
			l.text = append(l.text, '\n')
		}
	case l.open && sameLink && linked:
		l.endRun()
		l.begin(styles)
	default:
		l.flush()
		if linked {
			l.e.open('{')
			l.e.member("type", "link")
			l.e.member("href", href)
			l.e.key("content")
			l.e.open('[')
			l.inLink, l.href = true, href
		}
		l.begin(styles)
	}
	l.joined = false
	l.text = append(l.text, s...)
}

// lineBreak adds a line end to the run that there is: a break has no marks.
func (l *inlines) lineBreak() {
	const plain = "{}"
	switch {
	case l.joined && l.styles == plain:
		l.text = append(l.text, '\n')
	case l.joined || !l.open:
		l.flush()
		l.begin(plain)
	}
	l.joined = false
	l.text = append(l.text, '\n')
}

// join ends a paragraph of a cell: text of one style goes on in a new line.
func (l *inlines) join() {
	if l.inLink {
		l.flush()
	}
	l.joined = l.open
}

func (l *inlines) begin(styles string) {
	l.open, l.text, l.styles = true, l.text[:0], styles
}

func (l *inlines) endRun() {
	if !l.open {
		return
	}
	l.open, l.joined = false, false
	l.e.open('{')
	l.e.member("type", "text")
	l.e.member("text", string(l.text))
	l.e.key("styles")
	l.e.raw(l.styles)
	l.e.close('}')
}

// flush ends a run, and the link that it is in.
func (l *inlines) flush() {
	l.endRun()
	if l.inLink {
		l.e.close(']')
		l.e.close('}')
		l.inLink = false
	}
}

// custom writes inline content of the host's own.
func (l *inlines) custom(el *yjs.Type, depth int) {
	l.flush()
	l.e.open('{')
	l.e.member("type", el.Name())
	l.e.key("props")
	l.e.open('{')
	l.e.members(sortedEntries(el))
	l.e.close('}')
	if children := el.Values(); len(children) > 0 {
		l.e.key("content")
		l.e.open('[')
		inner := inlines{e: l.e}
		inner.read(children, depth+1)
		inner.flush()
		l.e.close(']')
	}
	l.e.close('}')
}

// stylesOf returns the styles of text as JSON, and its link. A style is true, or the
// string that its mark has. Marks of comments are no styles.
func stylesOf(marks yjs.Object) (styles string, href any, linked bool) {
	e := &encoder{max: maxJSON}
	e.open('{')
	for _, mark := range sortedMembers(marks) {
		attrs, _ := mark.Value.(yjs.Object)
		switch name := markName(mark.Key); name {
		case "link":
			linked = true
			href, _ = attrs.Get("href")
		case "comment", "ychange", "insertion", "deletion", "modification":
		default:
			if s, ok := attrs.Get("stringValue"); ok {
				e.member(name, s)
			} else {
				e.member(name, true)
			}
		}
	}
	e.close('}')
	return string(e.b), href, linked
}
