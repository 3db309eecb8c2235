package yjs

import (
	"fmt"
	"strings"
)

// maxPadding bounds how far beyond the end of a text a delta may retain. yjs then adds
// line breaks, because Quill counts one at the end that is not there.
const maxPadding = 1024

// DeltaOp is one step through a text (https://quilljs.com/docs/delta): it inserts, keeps
// or deletes. One of the first three is set, or none, which does nothing.
type DeltaOp struct {
	Insert         any // a string, a value to embed, or a free-standing *Type
	Retain, Delete uint64
	Attributes     Object // of what is inserted; to be set on what is kept, nil values end a format
}

// InsertText inserts a string at an index in UTF-16 units. Without attributes (nil) it
// has those that are in force there; an empty Object stands for none. Errors: ErrRange,
// ErrValue, and those of every edit (Delete).
func (t *Type) InsertText(tx *Transaction, index uint64, text string, attributes Object) error {
	text, err := normalText(text)
	if err != nil {
		return err
	}
	var given *formats // those that are in force
	if attributes != nil {
		if given, err = normalAttributes(attributes); err != nil {
			return err
		}
	}
	if t.free() {
		return t.draft.insertText(t, index, text, given)
	}
	if err := t.edits(tx, KindText, KindXMLText); err != nil {
		return err
	}
	if err := t.within(index, 0); err != nil {
		return err
	}
	if text != "" {
		t.insertText(tx.doc, index, text, given)
	}
	return nil
}

// insertText inserts with given formats, nil for those that are in force there.
func (t *Type) insertText(d *Doc, index uint64, text string, given *formats) {
	p := d.textPlace(t, index, given == nil)
	p.alone = true
	p.insertText(text, given)
}

// InsertEmbed inserts a value that counts as one unit: a JSON value, or a free-standing
// *Type. A string is text, as in yjs. Without attributes it has none. Errors:
// ErrIntegrated, ErrTooDeep and those of InsertText.
func (t *Type) InsertEmbed(tx *Transaction, index uint64, value any, attributes Object) error {
	v, err := normalEmbed(value)
	if err != nil {
		return err
	}
	if text, ok := v.(string); ok && (t.free() || text == "") {
		return t.InsertText(tx, index, text, append(Object{}, attributes...))
	}
	given, err := normalAttributes(attributes)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.insertEmbed(t, index, v, given)
	}
	if err := t.edits(tx, KindText, KindXMLText); err != nil {
		return err
	}
	if err := t.within(index, 0); err != nil {
		return err
	}
	if err := claim(v); err != nil {
		return err
	}
	t.insertEmbed(tx.doc, index, v, given, attributes == nil)
	return nil
}

func (t *Type) insertEmbed(d *Doc, index uint64, value any, given *formats, near bool) {
	p := d.textPlace(t, index, near)
	p.insert(value, given)
}

// Format sets formats on a range; a nil value ends one. Errors: as InsertText.
func (t *Type) Format(tx *Transaction, index, length uint64, attributes Object) error {
	given, err := normalAttributes(attributes)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.format(t, index, length, given)
	}
	if err := t.edits(tx, KindText, KindXMLText); err != nil {
		return err
	}
	if err := t.within(index, length); err != nil || length == 0 {
		return err
	}
	t.formatAt(tx.doc, index, length, given)
	return nil
}

func (t *Type) formatAt(d *Doc, index, length uint64, given *formats) {
	if p := d.textPlace(t, index, false); p.right != nil {
		p.format(length, given)
	}
}

func (t *Type) deleteAt(d *Doc, index, length uint64) {
	p := d.textPlace(t, index, true)
	p.delete(length)
}

// ApplyDelta makes several changes in one pass, from the start of the text on. Keeping
// more than there is adds line breaks, as in yjs, up to a bound of 1,024 units. Errors: as
// InsertEmbed; ErrValue also for an operation that is more than one of the three.
func (t *Type) ApplyDelta(tx *Transaction, delta []DeltaOp) error {
	ops, err := normalDelta(delta)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.applyDelta(t, ops)
	}
	if err := t.edits(tx, KindText, KindXMLText); err != nil {
		return err
	}
	if err := fits(ops, t.length); err != nil {
		return err
	}
	if err := claimDelta(ops); err != nil {
		return err
	}
	t.applyDelta(tx.doc, ops)
	return nil
}

func (t *Type) applyDelta(d *Doc, ops []deltaStep) {
	d.cutExtension()
	p := textPlace{d: d, typ: t, right: t.start}
	for _, op := range ops {
		switch {
		case op.retain > 0:
			p.format(op.retain, op.attributes)
		case op.delete > 0:
			p.delete(op.delete)
		case op.insert != "":
			p.insert(op.insert, op.attributes)
		}
	}
}

// fits returns ErrRange if a delta reaches beyond a text of some length.
func fits(ops []deltaStep, length uint64) error {
	left, padding := length, uint64(0)
	for i, op := range ops {
		switch {
		case op.delete > left:
			return fmt.Errorf("operation %d deletes %d of %d units: %w", i, op.delete, left, ErrRange)
		case op.retain > left:
			if padding += op.retain - left; padding > maxPadding || padding < op.retain-left {
				return fmt.Errorf("operation %d keeps %d of %d units: %w", i, op.retain, left, ErrRange)
			}
			left = 0
		default:
			left -= op.retain + op.delete
		}
	}
	return nil
}

// textPlace is a place between two items of a text, with the formats in force. The
// rules are those of yjs (https://github.com/yjs/yjs, YText.js), oddities included,
// because they decide which bytes an edit makes.
type textPlace struct {
	d           *Doc
	typ         *Type
	left, right *item
	index       uint64
	now         formats
	alone       bool // nothing else is done from here
}

// textPlace finds the place at an index. near says that yjs starts from a place that it
// remembers, if it remembers any.
func (d *Doc) textPlace(t *Type, index uint64, near bool) textPlace {
	d.cutExtension()
	p := textPlace{d: d, typ: t, right: t.start}
	if at, start, ok := t.remembered(index, near); ok {
		p.left, p.right, p.index = at.left, at, start
	} else if t.spans != nil && index > 0 {
		p.right, p.index, p.now = t.holder(index)
		p.left = p.right.left
	}
	p.advance(index - p.index)
	return p
}

// advance goes on by so many units, and stops right behind them.
func (p *textPlace) advance(units uint64) {
	steps := 0
	for ; p.right != nil && units > 0; steps++ {
		if steps == nearBy && p.typ.spans != nil && !p.typ.formats {
			index := p.index + units
			p.right, p.index, _ = p.typ.holder(index)
			p.left, units = p.right.left, index-p.index
		}
		if !p.right.isGap() {
			if units < p.right.length {
				p.d.cleanStart(ID{p.right.id.Client, p.right.id.Clock + units})
			}
			units -= p.right.length
		}
		p.forward()
	}
	p.typ.walked(steps)
}

// forward goes behind the next item.
func (p *textPlace) forward() {
	if it := p.right; !it.deleted() {
		if f, ok := it.content.(*formatContent); ok {
			p.now.apply(f)
		} else {
			p.index += it.length
		}
	}
	p.left, p.right = p.right, p.right.right
}

// leap goes behind all that is deleted, if the index can tell where that ends.
func (p *textPlace) leap() bool {
	t := p.typ
	switch {
	case t.spans == nil || t.formats:
		return false
	case p.index < t.length:
		p.right, _, _ = t.holder(p.index + 1)
		p.left = p.right.left
	default:
		p.left, p.right = t.lastItem(), nil
	}
	return true
}

// put inserts content and goes behind it.
func (p *textPlace) put(c content, length uint64) {
	p.right = p.d.insert(p.left, p.right, p.typ, nil, c, length)
	p.forward()
}

// insert inserts a string or one value with exactly the given formats.
func (p *textPlace) insert(value any, given *formats) {
	if text, ok := value.(string); ok {
		p.insertText(text, given)
	} else {
		p.insertEmbed(value, given)
	}
}

func (p *textPlace) insertText(text string, given *formats) {
	negated := p.begin(given)
	length := textLen(text)
	p.typ.places.inserted(p.index, length)
	if !p.extend(text, length) {
		p.put(&stringContent{[]byte(text)}, length)
	}
	p.endFormats(&negated)
}

func (p *textPlace) insertEmbed(value any, given *formats) {
	negated := p.begin(given)
	p.typ.places.inserted(p.index, 1)
	p.put(embedded(value), 1)
	p.endFormats(&negated)
}

func embedded(value any) content {
	if t, ok := value.(*Type); ok {
		return &typeContent{t}
	}
	return &embedContent{value}
}

// begin puts exactly the given formats in force, or leaves those that are (nil). It
// returns what was in force instead.
func (p *textPlace) begin(given *formats) (negated formats) {
	if given == nil && p.now.len() == 0 {
		p.skipEqual(&negated)
		return negated
	}
	if given == nil {
		now := p.now.clone()
		given = &now
	}
	for _, f := range p.now.order {
		if f != nil && !given.has(f.key) {
			given.set(&formatContent{key: f.key})
		}
	}
	given.sort()
	p.skipEqual(given)
	return p.startFormats(given)
}

// extension remembers where an item was extended.
type extension struct {
	item *item
	from uint64
}

// cutExtension makes what extended an item one of its own, because the transaction goes
// on. yjs merges at its end only, and remembers places of what is not merged yet.
func (d *Doc) cutExtension() {
	if x := d.extension; x.item != nil {
		d.extension = extension{}
		d.cleanStart(ID{x.item.id.Client, x.item.id.Clock + x.from})
	}
}

// extend adds text to the item on the left, if at the end of the transaction both
// would be merged anyway: what this client wrote last, and goes on with.
func (p *textPlace) extend(added string, length uint64) bool {
	it, d := p.left, p.d
	if !p.alone || it == nil || it.id.Client != d.clientID || it.deleted() || d.observed {
		return false
	}
	s := d.clientStructs(it.id.Client)
	if it.end() != s.state() {
		return false
	}
	right := p.right
	text, ok := it.content.(*stringContent)
	if !ok || (right != nil) != it.is(flagRightOrigin) || right != nil && right.id != it.rightOrigin || endsHigh(text.text) {
		return false
	}
	d.unfaithful = d.unfaithful || !carried(added)
	d.touch(s)
	d.extension = extension{it, it.length}
	text.text = append(text.text, added...)
	it.length += length
	p.typ.length += length
	it.grow(length)
	p.index += length
	d.txn.change(d, p.typ, nil)
	return true
}

// skipEqual goes behind formats that are to be in force anyway.
func (p *textPlace) skipEqual(given *formats) {
	walked := 0
	for p.right != nil {
		if p.right.deleted() {
			if walked++; walked%nearBy == 0 && p.leap() {
				continue
			}
		} else if f, ok := p.right.content.(*formatContent); !ok || !given.get(f.key).equal(f) {
			break
		}
		p.forward()
	}
	p.typ.walked(walked)
}

// startFormats inserts what is to be in force and is not. It returns what was in force
// instead.
func (p *textPlace) startFormats(given *formats) (negated formats) {
	for _, f := range given.list() {
		was := p.now.get(f.key)
		if was.equal(f) {
			continue
		}
		negated.set(was.as(f.key))
		p.put(f.again(), 1)
	}
	return negated
}

// endFormats puts back in force what was.
func (p *textPlace) endFormats(negated *formats) {
	for p.right != nil {
		if !p.right.deleted() {
			f, ok := p.right.content.(*formatContent)
			if !ok || !negated.has(f.key) || !negated.get(f.key).equal(f) {
				break
			}
			negated.remove(f.key)
		}
		p.forward()
	}
	for _, f := range negated.list() {
		p.put(f.again(), 1)
	}
}

// format sets formats on the next units.
func (p *textPlace) format(length uint64, given *formats) {
	p.skipEqual(given)
	negated := p.startFormats(given)
	for p.right != nil && (length > 0 || negated.len() > 0 && (p.right.deleted() || p.right.isFormat())) {
		if it := p.right; !it.deleted() {
			f, ok := it.content.(*formatContent)
			switch {
			case !ok:
				if length < it.length {
					p.d.cleanStart(ID{it.id.Client, it.id.Clock + length})
				}
				length -= it.length
			case given.has(f.key):
				if given.get(f.key).equal(f) {
					negated.remove(f.key)
				} else if length == 0 {
					p.endFormats(&negated)
					return
				} else {
					negated.set(f)
				}
				p.d.delete(it)
			}
		}
		p.forward()
	}
	if length > 0 {
		p.put(&stringContent{[]byte(strings.Repeat("\n", int(length)))}, length)
	}
	p.endFormats(&negated)
}

// delete deletes the next units, and formats that are redundant without them.
func (p *textPlace) delete(length uint64) {
	var before formats
	if p.typ.formats {
		before = p.now.clone()
	}
	start, left := p.right, length
	walked := 0
	for left > 0 && p.right != nil {
		if p.right.deleted() {
			if walked++; walked%nearBy == 0 && p.leap() {
				continue
			}
		}
		if it := p.right; !it.deleted() && it.isInText() {
			if left < it.length {
				p.d.cleanStart(ID{it.id.Client, it.id.Clock + left})
			}
			left -= it.length
			p.d.delete(it)
		}
		p.forward()
	}
	if start != nil && p.typ.formats {
		p.d.cleanGap(start, p.right, &before, &p.now)
	}
	p.typ.places.deleted(p.index, length-left)
	p.typ.walked(walked)
}
