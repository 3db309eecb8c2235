package core_test

import (
	"context"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func TestWatchers(t *testing.T) {
	t.Parallel()
	var w core.Watchers
	w.Changed() // nobody is there
	ctx, cancel := context.WithCancel(t.Context())
	a, b := w.Add(ctx), w.Add(t.Context())
	w.Changed()
	w.Changed() // is one with the one before
	for name, ch := range map[string]<-chan struct{}{"a": a, "b": b} {
		if _, ok := <-ch; !ok {
			t.Errorf("channel %s is closed, want a value", name)
		}
		select {
		case _, ok := <-ch:
			t.Errorf("channel %s has another value (open: %v), want none", name, ok)
		default:
		}
	}
	cancel()
	if _, ok := <-a; ok {
		t.Error("the channel of a context that ended has a value, want it closed")
	}
	w.Changed()
	if _, ok := <-b; !ok {
		t.Error("the other channel is closed, want a value")
	}
	w.Close()
	w.Close()
	w.Changed()
	for name, ch := range map[string]<-chan struct{}{"of before": b, "of after": w.Add(t.Context())} {
		if _, ok := <-ch; ok {
			t.Errorf("the channel %s Close has a value, want it closed", name)
		}
	}
}

func TestWatchersComeAndGo(t *testing.T) {
	t.Parallel()
	var w core.Watchers
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				ch := w.Add(ctx)
				w.Changed()
				<-ch
				cancel()
				for range ch {
				}
			}
		})
	}
	wg.Wait()
	w.Close()
}
