package collection

import (
	"context"
	"sync"
)

// hub tells watches of changes. Its methods are safe for concurrent use.
type hub struct {
	done chan struct{} // closed by close
	wg   sync.WaitGroup

	mu      sync.Mutex // taken before any watch.mu
	closed  bool
	watches map[string]map[*watch]struct{} // by collection
}

func newHub() *hub {
	return &hub{done: make(chan struct{}), watches: map[string]map[*watch]struct{}{}}
}

// publish gives changes to the watches of their collections. It waits for nobody.
func (h *hub) publish(changes ...Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, change := range changes {
		for w := range h.watches[change.Collection] {
			w.push(change)
		}
	}
}

// close ends all watches and waits for their goroutines, which wait for no reader.
func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// add registers a watch, and reports false if that is too late.
func (h *hub) add(name string, w *watch) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if h.watches[name] == nil {
		h.watches[name] = map[*watch]struct{}{}
	}
	h.watches[name][w] = struct{}{}
	h.wg.Add(1)
	return true
}

func (h *hub) remove(name string, w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches[name], w)
	if len(h.watches[name]) == 0 {
		delete(h.watches, name)
	}
	h.wg.Done()
}

// watch is what waits for one reader.
type watch struct {
	wake chan struct{} // has a value when there is news

	mu      sync.Mutex
	pending *pending
}

func (w *watch) push(change Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending.push(change)
	select {
	case w.wake <- struct{}{}:
	default: // a wake-up is already on its way
	}
}

func (w *watch) peek() (Change, int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending.peek()
}

func (w *watch) taken(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending.taken(n)
}

// Watch returns a channel of the changes of a collection from now on, in the form that
// convert gives them, which must not keep or change a Value. It is closed when ctx ends and
// by Close; what waited is dropped then.
func Watch[E any](ctx context.Context, c *Collections, name string, convert func(Change) E) <-chan E {
	out := make(chan E)
	w := &watch{wake: make(chan struct{}, 1), pending: newPending()}
	if ctx.Err() != nil || !c.changes.add(name, w) {
		close(out)
		return out
	}
	go func() {
		defer c.changes.remove(name, w)
		defer close(out)
		deliver(ctx, c.changes.done, w, out, convert)
	}()
	return out
}

func deliver[E any](ctx context.Context, done <-chan struct{}, w *watch, out chan<- E, convert func(Change) E) {
	var event E
	for last := 0; ; {
		change, n, ok := w.peek()
		to := out
		switch {
		case !ok:
			to = nil // blocks: nothing waits
		case n != last:
			event, last = convert(change), n
		}
		select {
		case to <- event:
			w.taken(n)
		case <-w.wake: // there may be a newer form of it
		case <-ctx.Done():
			return
		case <-done:
			return
		}
	}
}
