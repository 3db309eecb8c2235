package events

import (
	"context"
	"sync"
)

// Hub delivers events to subscribers. Its methods are safe for concurrent use.
type Hub struct {
	limit int
	done  chan struct{} // closed by Close
	wg    sync.WaitGroup

	mu     sync.Mutex // taken before any subscription.mu
	closed bool
	subs   map[*subscription]struct{}
}

// NewHub returns a hub without subscribers. It owns no goroutine until the
// first Subscribe.
func NewHub() *Hub {
	return &Hub{limit: MaxPending, done: make(chan struct{}), subs: map[*subscription]struct{}{}}
}

// Emit gives the events to every subscription, in order. It never blocks on a
// subscriber, and does nothing after Close. Call it after the commit that it
// tells of, with AtMs from the clock that the commit used.
//
// Emit loses nothing: a time out of range, from a broken clock, is moved into
// it, and an event that Validate refuses goes out as a widened spaces-changed.
func (h *Hub) Emit(events ...DomainEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		e.AtMs = min(max(e.AtMs, 0), MaxAtMs)
		if e.Validate() != nil {
			e = widenToSpaces(e)
			e.Source = SourceDaemon
		}
		for s := range h.subs {
			s.push(e)
		}
	}
}

// Subscribe returns a channel of the events emitted from now on: it is
// registered before Subscribe returns. Events wait in a set without repeats, so
// the channel may be read at any pace, and a reader that is behind sees each
// thing that changed once, with the newest time; MaxPending says what happens
// past the limit.
//
// To unsubscribe, cancel ctx. The channel is closed when ctx ends and on Close;
// what waited is dropped then. After Close the channel is closed from the start.
func (h *Hub) Subscribe(ctx context.Context) <-chan DomainEvent {
	s := &subscription{
		out:     make(chan DomainEvent),
		wake:    make(chan struct{}, 1),
		pending: newQueue(h.limit),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || ctx.Err() != nil {
		close(s.out)
		return s.out
	}
	h.subs[s] = struct{}{}
	h.wg.Go(func() {
		defer close(s.out)
		s.deliver(ctx, h.done)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, s)
	})
	return s.out
}

// Close ends every subscription and waits for their goroutines, which do not
// wait for subscribers. It is idempotent.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// subscription is one subscriber's channel and the events that wait for it.
type subscription struct {
	out  chan DomainEvent
	wake chan struct{} // has a value when pending's oldest event changed

	mu      sync.Mutex
	pending *queue
}

func (s *subscription) push(e DomainEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pending.push(e) {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is already on its way
	}
}

func (s *subscription) deliver(ctx context.Context, done <-chan struct{}) {
	for {
		e, ok := s.peek()
		var out chan<- DomainEvent // nil blocks: nothing waits
		if ok {
			out = s.out
		}
		select {
		case out <- e:
			s.taken()
		case <-s.wake: // offer the newer form of the event
		case <-ctx.Done():
			return
		case <-done:
			return
		}
	}
}

func (s *subscription) peek() (DomainEvent, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.peek()
}

func (s *subscription) taken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.taken()
}
