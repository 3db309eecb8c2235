package yjs

import "fmt"

// Insert inserts values into an array, or children into an XML fragment or element:
// free-standing XML elements, texts and hooks. An array takes all values but Undefined
// and BigInt, which yjs refuses there. Errors: ErrRange, ErrValue, ErrIntegrated,
// ErrTooDeep, and those of every edit (Delete).
func (t *Type) Insert(tx *Transaction, index uint64, values ...any) error {
	contents, err := t.listContents(values)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.insert(t, index, contents)
	}
	if err := t.edits(tx, KindArray, KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	if err := t.within(index, 0); err != nil {
		return err
	}
	if err := claimAll(contents); err != nil {
		return err
	}
	d := tx.doc
	left := d.listPlace(t, index)
	t.places.inserted(index, uint64(len(values)))
	d.insertAfter(t, left, contents)
	return nil
}

// Push inserts values at the end, of an array behind deleted content too, as in yjs.
// Errors: as Insert.
func (t *Type) Push(tx *Transaction, values ...any) error {
	if t.kind != KindArray || t.free() {
		return t.Insert(tx, t.Len(), values...)
	}
	contents, err := t.listContents(values)
	if err != nil {
		return err
	}
	if err := t.edits(tx, KindArray); err != nil {
		return err
	}
	if err := claimAll(contents); err != nil {
		return err
	}
	tx.doc.insertAfter(t, t.last(), contents)
	return nil
}

// InsertAfter inserts children behind a child of an XML fragment or element, nil for at
// the start. Errors: ErrRange if it is no child, and those of Insert.
func (t *Type) InsertAfter(tx *Transaction, child *Type, values ...any) error {
	contents, err := t.listContents(values)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.insertAfter(t, child, contents)
	}
	if err := t.edits(tx, KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	var left *item
	if child != nil {
		if left = child.item; left == nil || left.parent != t || left.parentSub != nil || left.deleted() {
			return fmt.Errorf("behind what is no child: %w", ErrRange)
		}
	}
	if err := claimAll(contents); err != nil {
		return err
	}
	tx.doc.insertAfter(t, left, contents)
	return nil
}

// listPlace returns the item behind which an insertion at index goes, nil for the start.
func (d *Doc) listPlace(t *Type, index uint64) *item {
	if index == 0 {
		return nil
	}
	at, rest := t.near(index)
	if rest == 0 {
		// Behind what is there to the left, so that this goes before deleted content.
		for at = at.left; at != nil && at.deleted(); {
			at = at.left
		}
		return at
	}
	at, rest = t.ahead(at, rest, index)
	return d.cutAfter(at, rest)
}

// ahead goes from an item to the one that holds the last of the next rest units, which
// are those up to index. It returns which unit of that item it is, from 1 on. There is
// none (nil) if a place was wrong: yjs loses count where a format lies in an array.
func (t *Type) ahead(at *item, rest, index uint64) (*item, uint64) {
	steps := 0
	for ; at != nil && at.visibleLen() < rest; at = at.right {
		if steps++; steps == nearBy && t.spans != nil {
			at, before, _ := t.holder(index)
			return at, index - before
		}
		rest -= at.visibleLen()
	}
	t.walked(steps)
	return at, rest
}

// cutAfter cuts an item behind its first units and returns the left part.
func (d *Doc) cutAfter(it *item, units uint64) *item {
	if it != nil && units < it.length {
		d.cleanStart(ID{it.id.Client, it.id.Clock + units})
	}
	return it
}

// near returns an item of the sequence to count from, and how many units index is
// behind its start. Only a place that yjs remembers may be exactly there.
func (t *Type) near(index uint64) (at *item, rest uint64) {
	if at, start, ok := t.remembered(index, true); ok {
		return at, index - start
	}
	if t.spans != nil && index > 0 {
		at, start, _ := t.holder(index)
		return at, index - start
	}
	return t.start, index
}

// last returns the last item of a sequence, deleted or not.
func (t *Type) last() *item {
	if t.spans != nil {
		return t.lastItem()
	}
	it, steps := t.start, 0
	for ; it != nil && it.right != nil; it = it.right {
		steps++
	}
	t.walked(steps)
	return it
}

// insertAfter inserts contents one after the other.
func (d *Doc) insertAfter(t *Type, left *item, contents []content) {
	right := t.start
	if left != nil {
		right = left.right
	}
	for _, c := range packed(contents) {
		left = d.insert(left, right, t, nil, c, contentLen(c))
	}
}

func contentLen(c content) uint64 {
	if list, ok := c.(*anyContent); ok {
		return uint64(len(list.values))
	}
	return 1
}

// listContents turns values into contents, one by one.
func (t *Type) listContents(values []any) ([]content, error) {
	contents := make([]content, len(values))
	for i, value := range values {
		var err error
		if contents[i], err = t.listContent(value); err != nil {
			return nil, fmt.Errorf("value %d: %w", i, err)
		}
	}
	return contents, nil
}

// packed joins plain values that follow each other.
func packed(contents []content) []content {
	var runs []content
	var run *anyContent
	for _, c := range contents {
		plain, ok := c.(*anyContent)
		switch {
		case !ok:
			run = nil
			runs = append(runs, c)
		case run == nil:
			run = plain
			runs = append(runs, c)
		default:
			run.values = append(run.values, plain.values...)
		}
	}
	return runs
}

func (t *Type) listContent(value any) (content, error) {
	c, err := valueContent(value)
	if err != nil {
		return nil, err
	}
	if t.kind.isXML() {
		nested, ok := c.(*typeContent)
		if !ok || !nested.typ.kind.isXML() || nested.typ.kind == KindXMLFragment {
			return nil, fmt.Errorf("an XML node holds XML elements, texts and hooks: %w", ErrValue)
		}
	}
	if list, ok := c.(*anyContent); ok {
		switch v := list.values[0].(type) {
		case Undefined, BigInt:
			return nil, fmt.Errorf("%T in a list: %w", v, ErrValue)
		}
	}
	return c, nil
}

// deleteList deletes values of an array or children of an XML node.
func (d *Doc) deleteList(t *Type, index, length uint64) error {
	at, rest := t.near(index)
	if rest > 0 {
		at, rest = t.ahead(at, rest, index)
		if at == nil {
			return fmt.Errorf("%d units at %d: %w", length, index, ErrRange)
		}
		at = d.cutAfter(at, rest).right
	}
	steps := 0
	for left := length; left > 0 && at != nil; at = at.right {
		if at.deleted() {
			if steps++; steps%nearBy > 0 || t.spans == nil || t.length <= index {
				continue
			}
			at, _, _ = t.holder(index + 1) // all until there is deleted
		}
		d.cutAfter(at, left)
		left -= at.length
		d.delete(at)
	}
	t.places.deleted(index, length)
	t.walked(steps)
	return nil
}
