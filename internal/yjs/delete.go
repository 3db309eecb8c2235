package yjs

// delete marks an item deleted, and everything inside it.
func (d *Doc) delete(it *item) {
	if it.deleted() {
		return
	}
	if t := d.markDeleted(it); t != nil {
		d.deleteChildren(t)
	}
}

// markDeleted marks one item and returns the type it holds, if any.
func (d *Doc) markDeleted(it *item) *Type {
	if it.countable() && it.parentSub == nil {
		it.parent.length -= it.length
		it.grow(-it.length)
	}
	if it.isFormat() {
		it.reformat()
	}
	it.bits |= flagDeleted
	if it.is(flagPointed) {
		it.parent.places.disturb()
	}
	d.txn.deletes.add(it.id.Client, Range{it.id.Clock, it.length})
	d.txn.change(d, it.parent, it.parentSub)
	return it.nestedType()
}

// walk iterates over all children of a type: the sequence, then the newest item
// of each key.
type walk struct {
	typ  *Type
	next *item
	key  int
}

func (w *walk) child() *item {
	if it := w.next; it != nil {
		w.next = it.right
		return it
	}
	if w.key < len(w.typ.entries.items) {
		w.key++
		return w.typ.entries.items[w.key-1]
	}
	return nil
}

// deleteChildren deletes what a type holds. Nesting may be as deep as an update
// is long, so it keeps a stack of its own.
func (d *Doc) deleteChildren(t *Type) {
	stack := []walk{{typ: t, next: t.start}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		child := top.child()
		switch {
		case child == nil:
			d.txn.unchange(top.typ)
			stack = stack[:len(stack)-1]
		case !child.deleted():
			if nested := d.markDeleted(child); nested != nil {
				stack = append(stack, walk{typ: nested, next: nested.start})
			}
		case child.id.Clock < d.txn.stateBefore(d, child.id.Client):
			// Dropped with its parent, it may become mergeable.
			d.txn.toMerge = append(d.txn.toMerge, child)
		}
	}
}

// collect drops the content of a deleted item; of a type also all children, of
// which only their places remain.
func (d *Doc) collect(it *item) {
	if t := it.nestedType(); t != nil {
		d.collectChildren(t)
	}
	it.content = deletedContent{}
}

func (d *Doc) collectChildren(t *Type) {
	types := []*Type{t}
	for len(types) > 0 {
		t := types[len(types)-1]
		types = types[:len(types)-1]
		toGC := func(it *item) {
			if nested := it.nestedType(); nested != nil {
				types = append(types, nested)
			}
			d.toGC(it)
		}
		for it := t.start; it != nil; it = it.right {
			toGC(it)
		}
		for _, it := range t.entries.items {
			for ; it != nil; it = it.left {
				toGC(it)
			}
		}
		t.start, t.entries, t.spans, t.places = nil, typeMap{}, nil, nil
	}
}

// toGC replaces an item among its client's structs by its bare place. The item
// itself keeps its links, which others may still walk.
func (d *Doc) toGC(it *item) {
	s := d.clientStructs(it.id.Client)
	s.set(s.find(it.id.Clock), &item{id: it.id, length: it.length, bits: flagDeleted})
	it.content = deletedContent{}
}
