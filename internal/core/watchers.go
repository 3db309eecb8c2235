package core

import (
	"context"
	"sync"
)

// Watchers are channels on which somebody waits for a change of something. The zero
// Watchers has none. It is safe for concurrent use.
type Watchers struct {
	mu     sync.Mutex
	all    map[chan struct{}]func() bool // and what ends waiting for their contexts
	closed bool
}

// Add returns a channel that gets a value on Changed. It closes when ctx ends, and on Close.
func (w *Watchers) Add(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || ctx.Err() != nil {
		close(ch)
		return ch
	}
	if w.all == nil {
		w.all = map[chan struct{}]func() bool{}
	}
	w.all[ch] = context.AfterFunc(ctx, func() { w.remove(ch) })
	return ch
}

func (w *Watchers) remove(ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.all[ch]; ok {
		delete(w.all, ch)
		close(ch)
	}
}

// Changed tells all watchers, and waits for none: who has not read yet is told already.
func (w *Watchers) Changed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.all {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Close closes all channels, and those that Add returns from then on.
func (w *Watchers) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for ch, stop := range w.all {
		stop()
		close(ch)
	}
	clear(w.all)
}
