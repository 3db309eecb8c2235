package events

// Latest is a Pending for news about the state of things: of each thing the latest value
// waits, in the order in which these came. A value takes the place of the one before it,
// at the end, so that what a subscriber gets last is what came last.
type Latest[K comparable, E any] struct {
	limit int
	key   func(E) K
	// overflow is called once more than limit values wait.
	overflow func(*Latest[K, E])

	byKey       map[K]*news[E]
	first, last *news[E]
	offered     *news[E] // of which a copy is on its way
}

// news is a value that waits.
type news[E any] struct {
	value      E
	prev, next *news[E]
	stale      bool // on offer while a later one came
}

// NewLatest returns an empty set of values, of which key says what they are about.
// overflow makes room once limit is exceeded, by DropFirst or Clear.
func NewLatest[K comparable, E any](limit int, key func(E) K, overflow func(*Latest[K, E])) *Latest[K, E] {
	return &Latest[K, E]{limit: limit, key: key, overflow: overflow, byKey: map[K]*news[E]{}}
}

// Len implements Pending.
func (l *Latest[K, E]) Len() int { return len(l.byKey) }

// Has reports whether something waits about a thing.
func (l *Latest[K, E]) Has(key K) bool { return l.byKey[key] != nil }

// Push implements Pending.
func (l *Latest[K, E]) Push(e E) (changed bool) {
	first := l.first
	key := l.key(e)
	if was := l.byKey[key]; was != nil {
		l.replace(was)
	}
	n := &news[E]{value: e, prev: l.last}
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.byKey[key] = n
	if len(l.byKey) > l.limit {
		l.overflow(l)
	}
	return l.first != first || first.stale
}

// replace takes out a value for a later one. If it is on offer, its copy may arrive, or
// may not: it keeps its place until that is known.
func (l *Latest[K, E]) replace(n *news[E]) {
	if n == l.offered {
		n.stale = true
		return
	}
	l.unlink(n)
}

func (l *Latest[K, E]) unlink(n *news[E]) {
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
}

// Peek implements Pending.
func (l *Latest[K, E]) Peek() (e E, ok bool) {
	if l.offered != nil && l.offered.stale { // its copy did not arrive
		l.unlink(l.offered)
	}
	l.offered = l.first
	if l.first == nil {
		return e, false
	}
	return l.first.value, true
}

// Taken implements Pending.
func (l *Latest[K, E]) Taken() {
	n := l.offered
	if n == nil {
		return
	}
	l.offered = nil
	l.unlink(n)
	if !n.stale {
		delete(l.byKey, l.key(n.value))
	}
}

// DropFirst takes out the value that came before all others that wait.
func (l *Latest[K, E]) DropFirst() {
	n := l.first
	if n != nil && n.stale { // it waits no more
		n = n.next
	}
	if n == nil {
		return
	}
	delete(l.byKey, l.key(n.value))
	l.replace(n)
}

// Clear takes out everything.
func (l *Latest[K, E]) Clear() {
	clear(l.byKey)
	l.first, l.last, l.offered = nil, nil, nil
}
