package events

// Feed is a subscription that its owner empties when it wants to, all at once: what
// Subscribe offers to a reader outside, for work inside. It holds events as a
// subscription does, so it is bounded and misses nothing, and it has no goroutine.
type Feed struct {
	hub *Hub
	sub *subscription
}

// Feed returns a feed of the events emitted from now on. Close ends it.
func (h *Hub) Feed() *Feed {
	f := &Feed{hub: h, sub: &subscription{wake: make(chan struct{}, 1), pending: newQueue(h.limit)}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.subs[f.sub] = struct{}{}
	}
	return f
}

// Wake returns a channel that has a value when events wait that did not when Take was
// called last. It may have one although nothing waits.
func (f *Feed) Wake() <-chan struct{} { return f.sub.wake }

// Waiting reports whether events wait.
func (f *Feed) Waiting() bool {
	f.sub.mu.Lock()
	defer f.sub.mu.Unlock()
	return f.sub.pending.len() > 0
}

// Take returns the events that wait, in order. An event that was emitted before Take was
// called is among them, or was returned before.
func (f *Feed) Take() []DomainEvent {
	f.sub.mu.Lock()
	defer f.sub.mu.Unlock()
	var taken []DomainEvent
	for {
		e, ok := f.sub.pending.peek()
		if !ok {
			return taken
		}
		taken = append(taken, e)
		f.sub.pending.taken()
	}
}

// Close ends the feed. What waits can still be taken.
func (f *Feed) Close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	delete(f.hub.subs, f.sub)
}
