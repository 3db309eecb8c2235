package yjs

import (
	"bytes"
	"unicode/utf8"
)

// Content reference numbers of the update format.
const (
	refGC      = 0
	refDeleted = 1
	refJSON    = 2
	refBinary  = 3
	refString  = 4
	refEmbed   = 5
	refFormat  = 6
	refType    = 7
	refAny     = 8
	refDoc     = 9
	refSkip    = 10
)

// content is what an item carries. Its length is the item's.
type content interface {
	ref() byte
	// countable content takes up positions in its parent.
	countable() bool
	// write encodes the content from offset on.
	write(w *writer, length, offset uint64)
}

// runContent is content that can be cut and joined.
type runContent interface {
	content
	// split cuts the content at 0 < offset < length and returns the right part.
	// What is owned aliases no input, so that it may be overwritten.
	split(length, offset uint64, owned bool) content
	// join appends the content of the same kind to the right.
	join(right content)
}

// deletedContent stands for content that was deleted and dropped.
type deletedContent struct{}

func (deletedContent) ref() byte                              { return refDeleted }
func (deletedContent) countable() bool                        { return false }
func (deletedContent) write(w *writer, length, offset uint64) { w.uint(length - offset) }
func (deletedContent) split(_, _ uint64, _ bool) content      { return deletedContent{} }
func (deletedContent) join(content)                           {}

// stringContent is text in WTF-8. Its slices never share spare capacity, so that
// join may append in place: typing is amortised, as with JavaScript's ropes.
type stringContent struct{ text []byte }

func (*stringContent) ref() byte       { return refString }
func (*stringContent) countable() bool { return true }

func (c *stringContent) write(w *writer, length, offset uint64) {
	if offset == 0 {
		w.text(c.text)
		return
	}
	at, inPair := c.offset(length, offset)
	if !inPair {
		w.text(c.text[at:])
		return
	}
	// The lone low half is three bytes, like the replacement character.
	w.uint(uint64(len(c.text) - at - 1))
	w.buf = append(w.buf, replacement...)
	w.buf = append(w.buf, c.text[at+4:]...)
}

func (c *stringContent) split(length, offset uint64, owned bool) content {
	at, inPair := c.offset(length, offset)
	if !inPair {
		right := c.text[at:]
		c.text = c.text[:at:at]
		if endsHigh(c.text) {
			return c.splitLone(right)
		}
		return &stringContent{right}
	}
	// yjs does not split surrogate pairs: both halves become U+FFFD
	// (https://github.com/yjs/yjs/issues/248). They take six bytes in place of four,
	// so the shorter side moves.
	if !owned {
		c.text = bytes.Clone(c.text)
	}
	var right []byte
	if at < len(c.text)/2 {
		right = c.text[at+1:]
		copy(right, replacement)
		c.text = append(c.text[:at:at], replacement...)
	} else {
		right = append([]byte(replacement), c.text[at+4:]...)
		c.text = append(c.text[:at], replacement...)
	}
	return &stringContent{right}
}

// splitLone ends a split behind a high half that stands alone, as only text that was
// typed here can hold. yjs takes it for half of a pair: it and the unit behind it become
// U+FFFD.
func (c *stringContent) splitLone(right []byte) content {
	c.text = append(bytes.Clone(c.text[:len(c.text)-3]), replacement...)
	_, size := utf8.DecodeRune(right)
	text := []byte(replacement)
	switch {
	case isSurrogate(right):
		size = 3
	case size == 4: // of a pair, the low half stays
		low := 0xDC00 | rune(right[2]&0xf)<<6 | rune(right[3]&0x3f)
		text = appendWTF8(text, low)
	}
	return &stringContent{append(text, right[size:]...)}
}

// offset converts an offset in UTF-16 units. ASCII needs no scan.
func (c *stringContent) offset(length, units uint64) (at int, inPair bool) {
	if uint64(len(c.text)) == length {
		return int(units), false
	}
	return utf16Offset(c.text, units)
}

func (c *stringContent) join(right content) {
	text := right.(*stringContent).text
	if pairs(c.text, text) {
		c.text, text = appendWTF8(c.text, surrogate(text)), text[3:]
	}
	c.text = append(c.text, text...)
}

// pairs reports whether text ends and goes on with the halves of one surrogate pair.
func pairs(text, next []byte) bool {
	return endsHigh(text) && isSurrogate(next) && next[1] >= 0xB0
}

// endsHigh reports whether text ends with the first half of a surrogate pair.
func endsHigh(text []byte) bool {
	n := len(text)
	return n >= 3 && isSurrogate(text[n-3:]) && text[n-2] < 0xB0
}

// anyContent is a run of values.
type anyContent struct{ values []any }

func (*anyContent) ref() byte       { return refAny }
func (*anyContent) countable() bool { return true }

func (c *anyContent) write(w *writer, length, offset uint64) {
	w.uint(length - offset)
	for _, v := range c.values[offset:] {
		w.value(v)
	}
}

func (c *anyContent) writeValue(w *writer, at uint64) bool {
	if at >= uint64(len(c.values)) {
		return false
	}
	w.value(c.values[at])
	return true
}

func (c *anyContent) split(_, offset uint64, _ bool) content {
	right := c.values[offset:]
	c.values = c.values[:offset:offset]
	return &anyContent{right}
}

func (c *anyContent) join(right content) {
	c.values = append(c.values, right.(*anyContent).values...)
}

// jsonContent is a run of values in the encoding that preceded anyContent.
type jsonContent struct{ values []any }

func (*jsonContent) ref() byte       { return refJSON }
func (*jsonContent) countable() bool { return true }

func (c *jsonContent) write(w *writer, length, offset uint64) {
	w.uint(length - offset)
	for at := range c.values[offset:] {
		c.writeValue(w, offset+uint64(at))
	}
}

func (c *jsonContent) writeValue(w *writer, at uint64) bool {
	if at >= uint64(len(c.values)) {
		return false
	}
	if v := c.values[at]; isUndefined(v) {
		w.string("undefined")
	} else {
		w.bytes(appendJSON(nil, v))
	}
	return true
}

func (c *jsonContent) split(_, offset uint64, _ bool) content {
	right := c.values[offset:]
	c.values = c.values[:offset:offset]
	return &jsonContent{right}
}

func (c *jsonContent) join(right content) {
	c.values = append(c.values, right.(*jsonContent).values...)
}

// binaryContent is one Uint8Array.
type binaryContent struct{ data []byte }

func (*binaryContent) ref() byte                      { return refBinary }
func (*binaryContent) countable() bool                { return true }
func (c *binaryContent) write(w *writer, _, _ uint64) { w.bytes(c.data) }

// embedContent is one value embedded in text.
type embedContent struct{ value any }

func (*embedContent) ref() byte                      { return refEmbed }
func (*embedContent) countable() bool                { return true }
func (c *embedContent) write(w *writer, _, _ uint64) { w.bytes(appendJSON(nil, c.value)) }

// formatContent starts a format in text, or ends it when the value is null.
type formatContent struct {
	key   string
	value any
	from  *formatContent // whose value this one took over; nil for none
	anew  bool           // only in formatChanges
}

func (*formatContent) ref() byte       { return refFormat }
func (*formatContent) countable() bool { return false }

func (c *formatContent) write(w *writer, _, _ uint64) {
	w.string(c.key)
	w.bytes(appendJSON(nil, c.value))
}

// docContent is a subdocument: its guid and the options that travel with it.
type docContent struct {
	guid string
	opts Object
}

func (*docContent) ref() byte       { return refDoc }
func (*docContent) countable() bool { return true }

func (c *docContent) write(w *writer, _, _ uint64) {
	w.string(c.guid)
	w.value(c.opts)
}

// readContent reads the content of an item and its length.
func (r *reader) readContent(ref byte) (content, uint64) {
	switch ref {
	case refDeleted:
		return deletedContent{}, r.uint()
	case refJSON:
		return r.jsonContent()
	case refBinary:
		return &binaryContent{r.bytes()}, 1
	case refString:
		text := r.text()
		return &stringContent{text}, utf16Len(text)
	case refEmbed:
		return &embedContent{r.json()}, 1
	case refFormat:
		return &formatContent{key: r.string(), value: r.json()}, 1
	case refType:
		return r.typeContent(), 1
	case refAny:
		n := r.uint()
		values := make([]any, 0, min(n, uint64(r.rest())))
		for i := uint64(0); i < n && r.err == nil; i++ {
			values = append(values, r.value())
		}
		return &anyContent{values}, n
	case refDoc:
		guid := r.string()
		return r.docContent(guid, r.value()), 1
	}
	r.fail("unknown content %d", ref)
	return deletedContent{}, 1
}

func (r *reader) jsonContent() (content, uint64) {
	n := r.uint()
	values := make([]any, 0, min(n, uint64(r.rest())))
	for i := uint64(0); i < n && r.err == nil; i++ {
		text := r.text()
		if string(text) == "undefined" {
			values = append(values, Undefined{})
			continue
		}
		v, ok := parseJSON(text)
		if !ok {
			r.fail("invalid JSON")
		}
		values = append(values, v)
	}
	return &jsonContent{values}, n
}

func (r *reader) json() any {
	v, ok := parseJSON(r.text())
	if !ok {
		r.fail("invalid JSON")
	}
	return v
}

func (r *reader) docContent(guid string, opts any) *docContent {
	switch opts.(type) {
	case nil, Undefined:
		r.fail("subdocument without options")
	}
	given, _ := opts.(Object)
	return newDocContent(guid, given)
}

// newDocContent keeps of the options what a Y.Doc keeps, in the order in which
// yjs writes them again.
func newDocContent(guid string, given Object) *docContent {
	c := &docContent{guid: guid, opts: Object{}}
	if v, ok := given.Get("guid"); ok {
		c.guid, _ = v.(string)
	}
	if v, ok := given.Get("gc"); ok && !isUndefined(v) && !truthy(v) {
		c.opts = append(c.opts, Member{"gc", false})
	}
	if v, _ := given.Get("autoLoad"); truthy(v) {
		c.opts = append(c.opts, Member{"autoLoad", true})
	}
	if v, ok := given.Get("meta"); ok && v != nil && !isUndefined(v) {
		c.opts = append(c.opts, Member{"meta", v})
	}
	return c
}

func isUndefined(v any) bool {
	_, ok := v.(Undefined)
	return ok
}

// truthy is JavaScript's conversion to boolean.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil, Undefined:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && v == v
	case BigInt:
		return v != 0
	case string:
		return v != ""
	}
	return true
}
