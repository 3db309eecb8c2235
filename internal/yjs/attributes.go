package yjs

import "slices"

// formats is a Map of JavaScript from keys to formats: those in force at a place, or
// those that are asked for. It keeps the order in which keys were added, which decides
// in which order an edit writes them.
type formats struct {
	order []*formatContent // nil for one that was removed
	at    map[string]int   // only once there are many keys
	gaps  int              // in order
}

func (a *formats) len() int { return len(a.order) - a.gaps }

func (a *formats) find(key string) int {
	if a.at != nil {
		if at, ok := a.at[key]; ok {
			return at
		}
		return -1
	}
	return slices.IndexFunc(a.order, func(f *formatContent) bool { return f.key == key })
}

// get returns the format of a key, nil for none.
func (a *formats) get(key string) *formatContent {
	if at := a.find(key); at >= 0 {
		return a.order[at]
	}
	return nil
}

// has reports whether there is a format of a key, perhaps one with the value null.
func (a *formats) has(key string) bool { return a.find(key) >= 0 }

// set adds or replaces a format, also by null.
func (a *formats) set(f *formatContent) {
	if at := a.find(f.key); at >= 0 {
		a.order[at] = f
		return
	}
	a.order = append(a.order, f)
	if a.at != nil {
		a.at[f.key] = len(a.order) - 1
	} else if len(a.order) > indexThreshold {
		a.reindex()
	}
}

func (a *formats) reindex() {
	a.order = slices.DeleteFunc(a.order, func(f *formatContent) bool { return f == nil })
	a.gaps = 0
	a.at = make(map[string]int, 2*len(a.order))
	for at, f := range a.order {
		a.at[f.key] = at
	}
}

func (a *formats) remove(key string) {
	at := a.find(key)
	if at < 0 {
		return
	}
	if a.at == nil {
		a.order = slices.Delete(a.order, at, at+1)
		return
	}
	delete(a.at, key)
	a.order[at] = nil
	if a.gaps++; a.gaps > len(a.at)+indexThreshold {
		a.reindex()
	}
}

// apply follows a format in a text: it starts, changes or, being null, ends one.
func (a *formats) apply(f *formatContent) {
	if f.value == nil {
		a.remove(f.key)
	} else {
		a.set(f)
	}
}

// restore puts back what a key was before, nil for nothing.
func (a *formats) restore(key string, was *formatContent) {
	if was == nil || was.value == nil {
		a.remove(key)
	} else {
		a.set(was)
	}
}

// list returns the formats in order. It is the caller's.
func (a *formats) list() []*formatContent {
	list := make([]*formatContent, 0, a.len())
	for _, f := range a.order {
		if f != nil {
			list = append(list, f)
		}
	}
	return list
}

func (a *formats) clone() formats {
	var b formats
	if b.order = a.list(); len(b.order) > indexThreshold {
		b.reindex()
	}
	return b
}

// sort puts the keys in the order of a JavaScript object.
func (a *formats) sort() {
	if !slices.ContainsFunc(a.order, func(f *formatContent) bool {
		if f == nil {
			return false
		}
		_, isIndex := arrayIndex(f.key)
		return isIndex
	}) {
		return
	}
	a.order = a.list()
	slices.SortStableFunc(a.order, func(f, g *formatContent) int { return compareKeys(f.key, g.key) })
	if a.gaps = 0; a.at != nil {
		a.reindex()
	}
}

// object returns the formats as an object, nil for none.
func (a *formats) object() Object {
	if a.len() == 0 {
		return nil
	}
	var b objectBuilder
	for _, f := range a.order {
		if f != nil {
			b.set(f.key, f.value)
		}
	}
	return b.object()
}

// again returns content of the same key and value for another item.
func (f *formatContent) again() *formatContent {
	return &formatContent{key: f.key, value: f.value, from: f.first()}
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
		same := isUndefined(m.Value) && isUndefined(v) || (&formatContent{value: m.Value}).same(&formatContent{value: v})
		if !ok || !same {
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
