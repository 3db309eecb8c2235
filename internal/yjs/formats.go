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

// has reports whether there is a format of a key, perhaps one with the value null.
func (a attributes) has(key string) bool { return a.get(key) != nil }

// with is a Map's set: also of null.
func (a attributes) with(f *formatContent) attributes {
	for i := range a {
		if a[i].key == f.key {
			a = slices.Clone(a)
			a[i] = f
			return a
		}
	}
	return append(slices.Clip(a), f)
}

func (a attributes) without(key string) attributes {
	for i := range a {
		if a[i].key == key {
			return append(a[:i:i], a[i+1:]...)
		}
	}
	return a
}

// ordered puts the keys in the order of a JavaScript object.
func (a attributes) ordered() attributes {
	if !slices.ContainsFunc(a, func(f *formatContent) bool { _, ok := arrayIndex(f.key); return ok }) {
		return a
	}
	a = slices.Clone(a)
	slices.SortStableFunc(a, func(f, g *formatContent) int { return compareKeys(f.key, g.key) })
	return a
}

// again returns content of the same key and value for another item.
func (f *formatContent) again() *formatContent {
	return &formatContent{f.key, f.value, f.first()}
}

// first returns the content from which the value was taken over.
func (f *formatContent) first() *formatContent {
	if f.from != nil {
		return f.from
	}
	return f
}

// as returns the format that puts a value back in force; nil stands for null.
func (f *formatContent) as(key string) *formatContent {
	if f == nil {
		return &formatContent{key: key}
	}
	return f
}

// same is JavaScript's === between the values of two formats: objects are the
// same only if they come from one format. nil stands for null.
func (f *formatContent) same(g *formatContent) bool {
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
		return false
	}
	return f != nil && g != nil && f.first() == g.first()
}

// equal is how an edit compares formats: also objects whose properties are the same.
func (f *formatContent) equal(g *formatContent) bool {
	if f.same(g) {
		return true
	}
	if f == nil || g == nil {
		return false
	}
	x, isX := flat(f.value)
	y, isY := flat(g.value)
	if !isX || !isY || len(x) != len(y) {
		return false
	}
	for _, m := range x {
		v, ok := y.Get(m.Key)
		if !ok || !(&formatContent{value: m.Value}).same(&formatContent{value: v}) && !(isUndefined(m.Value) && isUndefined(v)) {
			return false
		}
	}
	return true
}

// flat returns the properties of an object or a list.
func flat(v any) (Object, bool) {
	switch v := v.(type) {
	case Object:
		return v, true
	case []any, []byte:
		return properties(v), true
	}
	return nil, false
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
