package yjs

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
		for i := s.find(s.before); i < s.len(); i++ {
			it := s.at(i)
			if _, ok := it.content.(*formatContent); ok && !it.deleted() {
				cleanWhole(it.parent)
			}
		}
	}
	cleaned := map[*item]bool{}
	for _, c := range t.deletes.clients {
		s := d.clientStructs(c.client)
		for _, r := range c.ranges {
			for i := s.find(r.Clock); i < s.len() && s.at(i).id.Clock < r.end(); i++ {
				it := s.at(i)
				if it.content == nil || !it.parent.formatted || whole[it.parent] {
					continue
				}
				if _, ok := it.content.(*formatContent); ok {
					cleanWhole(it.parent)
				} else {
					d.cleanGapAround(it, cleaned)
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

// cleanGapAround deletes all but the last format of each key in the gap around it. It
// notes what is in cleaned gaps, because many of the deleted items may lie in one.
func (d *Doc) cleanGapAround(it *item, cleaned map[*item]bool) {
	if cleaned[it] {
		return
	}
	for it.right != nil && it.right.isGap() {
		it = it.right
	}
	seen := map[string]bool{}
	for ; it != nil && it.isGap(); it = it.left {
		cleaned[it] = true
		if f, ok := it.content.(*formatContent); ok && !it.deleted() {
			if seen[f.key] {
				d.delete(it)
			}
			seen[f.key] = true
		}
	}
}

// cleanText deletes redundant formats of a whole text.
func (d *Doc) cleanText(t *Type) {
	start := t.start
	var before, now formats
	for end := t.start; end != nil; end = end.right {
		if end.deleted() {
			continue
		}
		if f, ok := end.content.(*formatContent); ok {
			now.apply(f)
			continue
		}
		if d.cleanGap(start, end, &before, &now) {
			before = now.clone()
		}
		start = end
	}
}

// cleanGap deletes, in the gap from start on, formats that a later one overwrites
// or that were in force before. now becomes the formats in force at cur. It reports
// whether there are formats in the gap.
func (d *Doc) cleanGap(start, cur *item, before, now *formats) (found bool) {
	var last formats
	end := start
	for ; end != nil && end.isGap(); end = end.right {
		if f, ok := end.content.(*formatContent); ok && !end.deleted() {
			last.set(f)
			found = true
		}
	}
	if !found {
		return false
	}
	reached := false
	for it := start; it != end; it = it.right {
		reached = reached || it == cur
		f, ok := it.content.(*formatContent)
		if !ok || it.deleted() {
			continue
		}
		was := before.get(f.key)
		if last.get(f.key) != f || was.same(f) {
			d.delete(it)
			if !reached && now.get(f.key).same(f) && !was.same(f) {
				now.restore(f.key, was)
			}
		}
		if !reached && !it.deleted() {
			now.apply(f)
		}
	}
	return true
}
