package yjs

import "slices"

// A live yjs document cleans up formats in text types after changes from outside
// that concern formats. These are the rules of yjs 13.6 (YText,
// cleanupYTextAfterTransaction), oddities included, because they delete items
// and so are part of the document's state.

// changedFormats reports whether a text with formats changed.
func (t *transaction) changedFormats() bool {
	for _, typ := range t.changed {
		if typ.changedIn == t.seq && typ.isText() && typ.formatted && (typ.item == nil || !typ.item.deleted()) {
			return true
		}
	}
	return false
}

// cleanFormats deletes formats that the transaction t made redundant.
func (d *Doc) cleanFormats(t *transaction) {
	whole := map[*Type]bool{}
	var order []*Type
	cleanWhole := func(typ *Type) {
		if !whole[typ] {
			whole[typ] = true
			order = append(order, typ)
		}
	}
	for _, s := range t.touched {
		for _, it := range s.items[s.find(s.before):] {
			if _, ok := it.content.(*formatContent); ok && !it.deleted() {
				cleanWhole(it.parent)
			}
		}
	}
	for _, c := range t.deletes.clients {
		s := d.clientStructs(c.client)
		for _, r := range c.ranges {
			for i := s.find(r.Clock); i < len(s.items) && s.items[i].id.Clock < r.end(); i++ {
				it := s.items[i]
				if it.content == nil || !it.parent.formatted || whole[it.parent] {
					continue
				}
				if _, ok := it.content.(*formatContent); ok {
					cleanWhole(it.parent)
				} else {
					d.cleanGapAround(it)
				}
			}
		}
	}
	for _, typ := range order {
		d.cleanText(typ)
	}
}

// isGap reports whether an item is between content: deleted, or not countable.
func (it *item) isGap() bool { return it.deleted() || !it.countable() }

// cleanGapAround deletes all but the last format of each key in the gap around it.
func (d *Doc) cleanGapAround(it *item) {
	for it.right != nil && it.right.isGap() {
		it = it.right
	}
	seen := map[string]bool{}
	for ; it != nil && it.isGap(); it = it.left {
		if f, ok := it.content.(*formatContent); ok && !it.deleted() {
			if seen[f.key] {
				d.delete(it)
			}
			seen[f.key] = true
		}
	}
}

// attributes are the formats in force at a place, in order of first use.
type attributes []*formatContent

// get returns the format of a key, nil for none.
func (a attributes) get(key string) *formatContent {
	for _, f := range a {
		if f.key == key {
			return f
		}
	}
	return nil
}

// apply starts, changes or ends a format.
func (a attributes) apply(key string, f *formatContent) attributes {
	for i := range a {
		if a[i].key == key {
			if f == nil || f.value == nil {
				return append(a[:i:i], a[i+1:]...)
			}
			a = append(attributes(nil), a...)
			a[i] = f
			return a
		}
	}
	if f == nil || f.value == nil {
		return a
	}
	return append(slices.Clip(a), f)
}

// same is JavaScript's === between the values of two formats: objects are the
// same only if they come from one format. nil stands for null.
func (f *formatContent) same(g *formatContent) bool {
	if f == g {
		return true
	}
	var x, y any
	if f != nil {
		x = f.value
	}
	if g != nil {
		y = g.value
	}
	switch x.(type) {
	case nil, bool, float64, string:
		switch y.(type) {
		case nil, bool, float64, string:
			return x == y
		}
	}
	return false
}

// cleanText deletes redundant formats of a whole text.
func (d *Doc) cleanText(t *Type) {
	start := t.start
	var before, now attributes
	for end := t.start; end != nil; end = end.right {
		if end.deleted() {
			continue
		}
		if f, ok := end.content.(*formatContent); ok {
			now = now.apply(f.key, f)
			continue
		}
		now = d.cleanGap(start, end, before, now)
		before, start = now, end
	}
}

// cleanGap deletes, in the gap from start on, formats that a later one overwrites
// or that were in force before. It returns the formats in force at cur.
func (d *Doc) cleanGap(start, cur *item, before, now attributes) attributes {
	last := map[string]*formatContent{}
	end := start
	for ; end != nil && end.isGap(); end = end.right {
		if f, ok := end.content.(*formatContent); ok && !end.deleted() {
			last[f.key] = f
		}
	}
	reached := false
	for it := start; it != end; it = it.right {
		reached = reached || it == cur
		f, ok := it.content.(*formatContent)
		if !ok || it.deleted() {
			continue
		}
		was := before.get(f.key)
		if last[f.key] != f || was.same(f) {
			d.delete(it)
			if !reached && now.get(f.key).same(f) && !was.same(f) {
				now = now.apply(f.key, was)
			}
		}
		if !reached && !it.deleted() {
			now = now.apply(f.key, f)
		}
	}
	return now
}
