package events

// MaxPending bounds the distinct events that wait for one subscriber. Past it
// they widen (see queue), so the memory of a subscriber that never reads is
// bounded too.
const MaxPending = 4096

// queue is the set of events that wait for one subscriber, in the order of first
// insertion. An event equal in kind and IDs to a waiting one coalesces with it.
//
// When one event more than limit waits, every document-changed and pages-changed
// becomes the space-changed of its space with ReasonWidened; if that does not
// free a place, everything becomes one spaces-changed with ReasonWidened. While a
// widened event waits it absorbs what it covers.
//
// It is not safe for concurrent use.
type queue struct {
	limit       int
	byKey       map[key]*item
	first, last *item
	offered     *item // first, while Peek's copy of it is on its way
}

// key is what makes two events equal.
type key struct {
	kind     EventKind
	space    string
	document string
}

// item is a waiting event. later holds what coalesced with it since a copy of
// it was offered: if that copy is taken, later is what the subscriber has not seen.
type item struct {
	event    DomainEvent
	later    DomainEvent
	hasLater bool
	next     *item
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, byKey: map[key]*item{}}
}

func keyOf(e DomainEvent) key {
	return key{kind: e.Kind, space: string(e.SpaceID), document: e.DocumentID}
}

// Len implements Pending.
func (q *queue) Len() int { return len(q.byKey) }

// Push implements Pending, for a valid event.
func (q *queue) Push(e DomainEvent) (changed bool) {
	e = q.absorb(e)
	if it := q.byKey[keyOf(e)]; it != nil {
		switch {
		case it != q.offered:
			it.event = coalesce(it.event, e)
		case it.hasLater:
			it.later = coalesce(it.later, e)
		default:
			it.later, it.hasLater = e, true
		}
		return it == q.first
	}
	q.add(e)
	if q.Len() <= q.limit {
		return q.Len() == 1
	}
	q.rebuild(widenToSpace)
	if q.Len() > q.limit {
		q.rebuild(widenToSpaces)
	}
	return true
}

// absorb returns e as the widened event that waits and covers it, or e itself.
func (q *queue) absorb(e DomainEvent) DomainEvent {
	for _, widen := range []func(DomainEvent) DomainEvent{widenToSpaces, widenToSpace} {
		wide := widen(e)
		if it := q.byKey[keyOf(wide)]; it != nil && it.event.Reason == ReasonWidened {
			return wide
		}
	}
	return e
}

func (q *queue) add(e DomainEvent) {
	it := &item{event: e}
	if q.last == nil {
		q.first = it
	} else {
		q.last.next = it
	}
	q.last = it
	q.byKey[keyOf(e)] = it
}

// rebuild widens every waiting event, keeping the order of first insertion. An
// offered copy that is taken all the same is covered once more.
func (q *queue) rebuild(widen func(DomainEvent) DomainEvent) {
	old := q.first
	*q = *newQueue(q.limit)
	for it := old; it != nil; it = it.next {
		e := it.event
		if it.hasLater {
			e = coalesce(e, it.later)
		}
		e = widen(e)
		if same := q.byKey[keyOf(e)]; same != nil {
			same.event = coalesce(same.event, e)
		} else {
			q.add(e)
		}
	}
}

// Peek implements Pending: it returns the oldest event.
func (q *queue) Peek() (DomainEvent, bool) {
	if q.first == nil {
		return DomainEvent{}, false
	}
	q.offered = q.first
	if q.offered.hasLater {
		q.offered.event = coalesce(q.offered.event, q.offered.later)
		q.offered.later, q.offered.hasLater = DomainEvent{}, false
	}
	return q.offered.event, true
}

// Taken implements Pending. What coalesced with the event since it was offered waits
// again, last in order.
func (q *queue) Taken() {
	it := q.offered
	if it == nil { // widened since
		return
	}
	q.offered = nil
	q.first = it.next
	if q.first == nil {
		q.last = nil
	}
	delete(q.byKey, keyOf(it.event))
	if it.hasLater {
		q.add(it.later)
	}
}

// coalesce returns the one event that stands for two of the same kind and IDs.
// The time is the later one. Different sources become SourceDaemon, because a
// host refetches on these. A reason that obliges survives; other reasons may
// narrow what the host refetches, so two different ones cancel each other.
func coalesce(a, b DomainEvent) DomainEvent {
	a.AtMs = max(a.AtMs, b.AtMs)
	if a.Source != b.Source {
		a.Source = SourceDaemon
	}
	switch {
	case a.Reason == b.Reason:
	case a.Reason == ReasonWidened || b.Reason == ReasonWidened:
		a.Reason = ReasonWidened
	case a.Reason == ReasonRebuilt || b.Reason == ReasonRebuilt:
		a.Reason = ReasonRebuilt
	default:
		a.Reason = ""
	}
	return a
}

// widenToSpace returns the space-changed that covers a document-changed or a
// pages-changed, and other events as they are.
func widenToSpace(e DomainEvent) DomainEvent {
	if e.Kind == DocumentChanged || e.Kind == PagesChanged {
		e.Kind, e.DocumentID, e.Reason = SpaceChanged, "", ReasonWidened
	}
	return e
}

// widenToSpaces returns the spaces-changed that covers any event.
func widenToSpaces(e DomainEvent) DomainEvent {
	e.Kind, e.SpaceID, e.DocumentID, e.Reason = SpacesChanged, "", "", ReasonWidened
	return e
}
