package events

// Feed is a subscription that its owner empties when it wants to, all at once: what
// Subscribe offers to a reader outside, for work inside. It holds events as a
// subscription does, so it is bounded and misses nothing, and it has no goroutine.
type Feed struct {
	topic *Topic[DomainEvent]
	sub   *subscription[DomainEvent]
}

// Feed returns a feed of the events emitted from now on. Close ends it.
func (h *Hub) Feed() *Feed {
	t := h.topic
	f := &Feed{topic: t, sub: t.subscription()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.subs[f.sub] = struct{}{}
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
	return f.sub.pending.Len() > 0
}

// Take returns the events that wait, in order. An event that was emitted before Take was
// called is among them, or was returned before.
func (f *Feed) Take() []DomainEvent {
	f.sub.mu.Lock()
	defer f.sub.mu.Unlock()
	var taken []DomainEvent
	for {
		e, ok := f.sub.pending.Peek()
		if !ok {
			return taken
		}
		taken = append(taken, e)
		f.sub.pending.Taken()
	}
}

// Close ends the feed. What waits can still be taken.
func (f *Feed) Close() {
	f.topic.mu.Lock()
	defer f.topic.mu.Unlock()
	delete(f.topic.subs, f.sub)
}
