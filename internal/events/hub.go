package events

import (
	"context"
	"slices"
)

// Hub delivers domain events to subscribers. Its methods are safe for concurrent use.
type Hub struct {
	topic *Topic[DomainEvent]
	limit int
}

// NewHub returns a hub without subscribers. It owns no goroutine until the
// first Subscribe.
func NewHub() *Hub {
	h := &Hub{limit: MaxPending}
	h.topic = NewTopic(func() Pending[DomainEvent] { return newQueue(h.limit) })
	return h
}

// Emit gives the events to every subscription, in order. It never blocks on a
// subscriber, and does nothing after Close. Call it after the commit that it
// tells of, with AtMs from the clock that the commit used.
//
// Emit loses nothing: a time out of range, from a broken clock, is moved into
// it, and an event that Validate refuses goes out as a widened spaces-changed.
func (h *Hub) Emit(events ...DomainEvent) {
	own := false
	for i, e := range events {
		repaired := repair(e)
		if repaired == e {
			continue
		}
		if !own { // the slice is the caller's
			events, own = slices.Clone(events), true
		}
		events[i] = repaired
	}
	h.topic.Emit(events...)
}

func repair(e DomainEvent) DomainEvent {
	e.AtMs = min(max(e.AtMs, 0), MaxAtMs)
	if e.Validate() != nil {
		e = widenToSpaces(e)
		e.Source = SourceDaemon
	}
	return e
}

// Subscribe returns a channel of the events emitted from now on: it is
// registered before Subscribe returns. Events wait in a set without repeats, so
// the channel may be read at any pace, and a reader that is behind sees each
// thing that changed once, with the newest time; MaxPending says what happens
// past the limit.
//
// To unsubscribe, cancel ctx. The channel is closed when ctx ends and on Close;
// what waited is dropped then. After Close the channel is closed from the start.
func (h *Hub) Subscribe(ctx context.Context) <-chan DomainEvent { return h.topic.Subscribe(ctx) }

// Close ends every subscription and waits for their goroutines, which do not
// wait for subscribers. It is idempotent.
func (h *Hub) Close() { h.topic.Close() }
