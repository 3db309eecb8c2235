package events

import (
	"context"
	"sync"
)

// Topic delivers values of one type to subscribers. What waits for each of them is for
// the topic's Pending to say. Its methods are safe for concurrent use.
type Topic[E any] struct {
	pending func() Pending[E]
	done    chan struct{} // closed by Close
	wg      sync.WaitGroup

	mu     sync.Mutex // taken before any subscription.mu
	closed bool
	subs   map[*subscription[E]]struct{}
}

// Pending is what waits for one subscriber. It is bounded, and used by one goroutine at
// a time.
type Pending[E any] interface {
	// Push adds a value and reports whether what Peek returns has changed.
	Push(E) bool
	// Peek returns what the subscriber is to get next, of which a copy is on its way
	// from now on.
	Peek() (E, bool)
	// Taken says that the copy arrived which the last Peek returned. What came since
	// Peek still waits.
	Taken()
	// Len returns how many values wait.
	Len() int
}

// NewTopic returns a topic without subscribers; pending makes what waits for one. It
// owns no goroutine until the first Subscribe.
func NewTopic[E any](pending func() Pending[E]) *Topic[E] {
	return &Topic[E]{pending: pending, done: make(chan struct{}), subs: map[*subscription[E]]struct{}{}}
}

// Emit gives the values to every subscription, in order. It never blocks on a
// subscriber, and does nothing after Close.
func (t *Topic[E]) Emit(values ...E) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range values {
		for s := range t.subs {
			s.push(e)
		}
	}
}

// Subscribe returns a channel of what is emitted from now on: it is registered before
// Subscribe returns, and may be read at any pace.
//
// To unsubscribe, cancel ctx. The channel is closed when ctx ends and on Close; what
// waited is dropped then. After Close the channel is closed from the start.
func (t *Topic[E]) Subscribe(ctx context.Context) <-chan E {
	s := t.subscription()
	s.out = make(chan E)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || ctx.Err() != nil {
		close(s.out)
		return s.out
	}
	t.subs[s] = struct{}{}
	t.wg.Go(func() {
		defer close(s.out)
		s.deliver(ctx, t.done)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subs, s)
	})
	return s.out
}

func (t *Topic[E]) subscription() *subscription[E] {
	return &subscription[E]{wake: make(chan struct{}, 1), pending: t.pending()}
}

// Close ends every subscription and waits for their goroutines, which do not
// wait for subscribers. It is idempotent.
func (t *Topic[E]) Close() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.done)
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// subscription is one subscriber's channel and the values that wait for it.
type subscription[E any] struct {
	out  chan E
	wake chan struct{} // has a value when what is to be offered changed

	mu      sync.Mutex
	pending Pending[E]
}

func (s *subscription[E]) push(e E) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pending.Push(e) {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is already on its way
	}
}

func (s *subscription[E]) deliver(ctx context.Context, done <-chan struct{}) {
	for {
		e, ok := s.peek()
		var out chan<- E // nil blocks: nothing waits
		if ok {
			out = s.out
		}
		select {
		case out <- e:
			s.taken()
		case <-s.wake: // offer the newer form of the value
		case <-ctx.Done():
			return
		case <-done:
			return
		}
	}
}

func (s *subscription[E]) peek() (E, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.Peek()
}

func (s *subscription[E]) taken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.Taken()
}
