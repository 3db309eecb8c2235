package yjs

// resolve returns the client whose structs must be integrated first, or finds
// the item's neighbours and parent and returns false.
func (d *Doc) resolve(it *item) (missing uint64, waits bool) {
	own := it.id.Client
	if it.is(flagOrigin) && it.origin.Client != own && it.origin.Clock >= d.state(it.origin.Client) {
		return it.origin.Client, true
	}
	if it.is(flagRightOrigin) && it.rightOrigin.Client != own && it.rightOrigin.Clock >= d.state(it.rightOrigin.Client) {
		return it.rightOrigin.Client, true
	}
	if p := it.parent; p != nil && p.kind == kindItemRef && p.ref.Client != own && p.ref.Clock >= d.state(p.ref.Client) {
		return p.ref.Client, true
	}
	if it.content == nil {
		return 0, false
	}
	if it.is(flagOrigin) {
		it.left = d.cleanEnd(it.origin)
		it.origin = it.left.lastID()
	}
	if it.is(flagRightOrigin) {
		it.right = d.cleanStart(it.rightOrigin)
		it.rightOrigin = it.right.id
		if d.bySet && it.left != nil && it.left.lastID() != it.origin {
			it.left = d.cleanEnd(it.origin) // the cut was before the origin
		}
	}
	switch {
	case (it.left != nil && it.left.isGC()) || (it.right != nil && it.right.isGC()):
		it.parent = nil
	case it.parent == nil && it.left != nil:
		it.parent, it.parentSub = it.left.parent, it.left.parentSub
	case it.parent == nil && it.right != nil:
		it.parent, it.parentSub = it.right.parent, it.right.parentSub
	case it.parent.kind == kindRootRef:
		it.parent = d.root(it.parent.name)
	case it.parent.kind == kindItemRef:
		it.parent = d.at(it.parent.ref).nestedType()
	}
	return 0, false
}

// nestedType returns the type that an item holds, nil when it holds none or was
// deleted and dropped.
func (it *item) nestedType() *Type {
	if c, ok := it.content.(*typeContent); ok {
		return c.typ
	}
	return nil
}

// integrate places a resolved struct, of which the first offset units are had.
// It is YATA as yjs implements it (https://github.com/yjs/yjs, Item.integrate).
func (d *Doc) integrate(it *item, offset uint64) {
	if it.content == nil {
		it.id.Clock += offset
		it.length -= offset
		d.addStruct(it)
		return
	}
	if offset > 0 {
		d.cutKnown(it, offset)
	}
	if it.parent == nil {
		it.becomeGC()
		d.addStruct(it)
		return
	}
	if (it.left == nil && (it.right == nil || it.right.left != nil)) || (it.left != nil && it.left.right != it.right) {
		it.left = d.resolveConflict(it)
	}
	d.link(it)
	parent := it.parent
	if it.parentSub == nil {
		it.enter()
		if it.countable() && !it.deleted() {
			parent.length += it.length
		}
	}
	d.addStruct(it)
	d.integrateContent(it)
	d.txn.change(d, parent, it.parentSub)
	if (parent.item != nil && parent.item.deleted()) || (it.parentSub != nil && it.right != nil) {
		// The parent is gone, or this is not the newest value of its key.
		d.delete(it)
	}
}

// cutKnown drops the first offset units, which the document has.
func (d *Doc) cutKnown(it *item, offset uint64) {
	right := it.splitOff(offset)
	right.left, right.right = d.cleanEnd(right.origin), it.right
	right.setOrigin(right.left.lastID())
	if right.left.isGC() {
		right.parent = nil
	}
	*it = *right
}

// resolveConflict returns the item behind which it belongs, among those that
// were inserted at the same place at the same time.
func (d *Doc) resolveConflict(it *item) *item {
	left := it.left
	var o *item
	switch {
	case left != nil:
		o = left.right
	case it.parentSub != nil:
		o = it.parent.first(*it.parentSub)
	default:
		o = it.parent.start
	}
	// Every item passed gets a rising stamp. Stamps from scan on are those passed
	// in this scan; stamps from conflicts on are the items that conflict.
	scan := d.stamps + 1
	conflicts := scan
	for ; o != nil && o != it.right; o = o.right {
		d.stamps++
		o.setStamp(d.stamps)
		if it.sameOrigin(o) {
			if o.id.Client < it.id.Client {
				left, conflicts = o, d.stamps+1
			} else if it.sameRightOrigin(o) {
				break // same place on both sides: the lower client comes first
			}
		} else if o.is(flagOrigin) {
			origin := d.at(o.origin)
			if origin.stamp() < scan {
				break
			}
			if origin.stamp() < conflicts {
				left, conflicts = o, d.stamps+1
			}
		} else {
			break
		}
	}
	return left
}

// first returns the oldest item of a key.
func (t *Type) first(key string) *item {
	it := t.entries.get(key)
	for it != nil && it.left != nil {
		it = it.left
	}
	return it
}

// link places an item behind its left neighbour.
func (d *Doc) link(it *item) {
	switch {
	case it.left != nil:
		it.right = it.left.right
		it.left.right = it
	case it.parentSub != nil:
		it.right = it.parent.first(*it.parentSub)
	default:
		it.right = it.parent.start
		it.parent.start = it
	}
	if it.right != nil {
		it.right.left = it
	} else if it.parentSub != nil {
		it.parent.entries.set(it.parentSub, it)
		if it.left != nil {
			d.delete(it.left) // the value that this one replaces
		}
	}
}

func (d *Doc) integrateContent(it *item) {
	switch c := it.content.(type) {
	case deletedContent:
		d.txn.deletes.add(it.id.Client, Range{it.id.Clock, it.length})
		it.bits |= flagDeleted
	case *formatContent:
		it.parent.formatted, it.parent.formats = true, true
		it.parent.places = nil
		it.reformat()
	case *typeContent:
		c.typ.doc, c.typ.item = d, it
		d.fill(c.typ)
	}
}
