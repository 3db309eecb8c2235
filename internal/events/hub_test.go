package events_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func document(space, id string, atMs int64) events.DomainEvent {
	return events.DomainEvent{
		Kind: events.DocumentChanged, Source: events.SourceRenderer, AtMs: atMs,
		SpaceID: core.SpaceID(space), DocumentID: id,
	}
}

func pages(space string, atMs int64) events.DomainEvent {
	return events.DomainEvent{Kind: events.PagesChanged, Source: events.SourceRenderer, AtMs: atMs, SpaceID: core.SpaceID(space)}
}

func space(id string, atMs int64) events.DomainEvent {
	return events.DomainEvent{Kind: events.SpaceChanged, Source: events.SourceRenderer, AtMs: atMs, SpaceID: core.SpaceID(id)}
}

func spaces(atMs int64) events.DomainEvent {
	return events.DomainEvent{Kind: events.SpacesChanged, Source: events.SourceRenderer, AtMs: atMs}
}

func with(e events.DomainEvent, source events.EventSource, reason string) events.DomainEvent {
	e.Source, e.Reason = source, reason
	return e
}

// settled returns what a subscriber gets that starts to read when the hub is quiet.
func settled(ch <-chan events.DomainEvent) []events.DomainEvent {
	var got []events.DomainEvent
	for {
		synctest.Wait()
		select {
		case e, ok := <-ch:
			if !ok {
				return got
			}
			got = append(got, e)
		default:
			return got
		}
	}
}

// inBubble runs fn with a hub that is closed at its end.
func inBubble(t *testing.T, fn func(t *testing.T, h *events.Hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := events.NewHub()
		defer h.Close()
		fn(t, h)
	})
}

func TestDeliversInOrderToEverySubscription(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		h.Emit(spaces(1)) // before any subscription: nobody's
		a, b := h.Subscribe(t.Context()), h.Subscribe(t.Context())
		want := []events.DomainEvent{document("s", "d", 2), pages("s", 3), space("s", 4), spaces(5), document("t", "d", 6)}
		h.Emit(want[:2]...)
		h.Emit(want[2:]...)
		for name, ch := range map[string]<-chan events.DomainEvent{"a": a, "b": b} {
			if got := settled(ch); !slices.Equal(got, want) {
				t.Errorf("subscription %s got %+v, want %+v", name, got, want)
			}
		}
	})
}

func TestSlowSubscriberSeesEachThingOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ch := h.Subscribe(t.Context())
		for i := range int64(10_000) {
			h.Emit(document("s", "a", i), document("s", "b", i))
			if i == 0 {
				synctest.Wait() // "a" is on offer while the rest comes
			}
		}
		want := []events.DomainEvent{document("s", "a", 9_999), document("s", "b", 9_999)}
		if got := settled(ch); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		h.Emit(document("s", "a", 10_000))
		if got, want := settled(ch), []events.DomainEvent{document("s", "a", 10_000)}; !slices.Equal(got, want) {
			t.Errorf("after reading all: got %+v, want %+v", got, want)
		}
	})
}

func TestCoalesce(t *testing.T) {
	const renderer, daemon = events.SourceRenderer, events.SourceDaemon
	d, s := document("s", "d", 1), space("s", 1)
	for _, tt := range []struct {
		name    string
		emitted []events.DomainEvent
		want    events.DomainEvent
	}{
		{"the later time", []events.DomainEvent{document("s", "d", 3), document("s", "d", 9), document("s", "d", 5)}, document("s", "d", 9)},
		{"renderer then daemon", []events.DomainEvent{with(d, renderer, ""), with(d, daemon, "")}, with(d, daemon, "")},
		{"daemon then renderer", []events.DomainEvent{with(d, daemon, ""), with(d, renderer, "")}, with(d, daemon, "")},
		{"both renderer", []events.DomainEvent{with(d, renderer, ""), with(d, renderer, "")}, with(d, renderer, "")},
		{"the same reason stays", []events.DomainEvent{with(s, daemon, "blobs"), with(s, daemon, "blobs")}, with(s, daemon, "blobs")},
		{"a hint then none", []events.DomainEvent{with(s, daemon, "blobs"), with(s, daemon, "")}, with(s, daemon, "")},
		{"none then a hint", []events.DomainEvent{with(s, daemon, ""), with(s, daemon, "blobs")}, with(s, daemon, "")},
		{"two hints", []events.DomainEvent{with(s, daemon, "blobs"), with(s, daemon, "members")}, with(s, daemon, "")},
		{"rebuilt then none", []events.DomainEvent{with(d, daemon, "rebuilt"), with(d, daemon, "")}, with(d, daemon, "rebuilt")},
		{"a hint then rebuilt", []events.DomainEvent{with(d, daemon, "hint"), with(d, renderer, "rebuilt")}, with(d, daemon, "rebuilt")},
		{"widened then a hint", []events.DomainEvent{with(s, daemon, "widened"), with(s, daemon, "blobs")}, with(s, daemon, "widened")},
		{"a hint then widened", []events.DomainEvent{with(s, daemon, "blobs"), with(s, daemon, "widened")}, with(s, daemon, "widened")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *events.Hub) {
				before, after := h.Subscribe(t.Context()), h.Subscribe(t.Context())
				h.Emit(pages("other", 1)) // keeps the queue of after from offering what follows
				if got := settled(before); len(got) != 1 {
					t.Fatalf("got %+v, want one event", got)
				}
				for _, e := range tt.emitted {
					h.Emit(e)
					synctest.Wait()
				}
				if got := settled(before); !slices.Equal(got, []events.DomainEvent{tt.want}) {
					t.Errorf("coalesced on offer: got %+v, want %+v", got, tt.want)
				}
				if got := settled(after); !slices.Equal(got, []events.DomainEvent{pages("other", 1), tt.want}) {
					t.Errorf("coalesced in the queue: got %+v, want %+v last", got, tt.want)
				}
			})
		})
	}
}

// What comes between the moment an event was offered and the moment the
// subscriber has it must not get lost with it.
func TestCoalescedAfterTheOfferComesAgain(t *testing.T) {
	q := events.NewQueue(8)
	q.Push(with(document("s", "d", 1), events.SourceDaemon, "rebuilt"))
	q.Push(pages("s", 2))
	offered, _ := q.Peek()
	q.Push(document("s", "d", 3))
	q.Push(document("s", "d", 4))
	q.Taken()
	got := append([]events.DomainEvent{offered}, drain(q)...)
	want := []events.DomainEvent{
		with(document("s", "d", 1), events.SourceDaemon, "rebuilt"),
		pages("s", 2), document("s", "d", 4),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The same when the event on offer widens meanwhile: the copy may be taken or not.
func TestCoalescedAfterTheOfferWidens(t *testing.T) {
	for _, taken := range []bool{false, true} {
		q := events.NewQueue(2)
		q.Push(document("s", "d", 1))
		q.Peek()
		q.Push(with(document("s", "d", 5), events.SourceDaemon, ""))
		q.Push(document("s", "e", 2))
		q.Push(document("s", "f", 3))
		if taken {
			q.Taken()
		}
		want := []events.DomainEvent{with(space("s", 5), events.SourceDaemon, "widened")}
		if got := drain(q); !slices.Equal(got, want) {
			t.Errorf("offered copy taken %t: got %+v, want %+v", taken, got, want)
		}
	}
}

func drain(q events.Queue) (got []events.DomainEvent) {
	for e, ok := q.Peek(); ok; e, ok = q.Peek() {
		q.Taken()
		got = append(got, e)
	}
	return got
}

func TestWidensToSpacePastTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ch := h.Subscribe(t.Context())
		want := []events.DomainEvent{spaces(1), document("b", "d", 2), space("c", 3), space("a", 4), pages("a", 5)}
		for i := len(want); i < events.MaxPending; i++ {
			want = append(want, document("a", fmt.Sprint(i), int64(i)))
		}
		h.Emit(want...)
		if got := settled(ch); !slices.Equal(got, want) {
			t.Fatalf("at the bound: got %d events that differ from the %d emitted", len(got), len(want))
		}

		h.Emit(want...)
		h.Emit(with(document("a", "one more", 9_000), events.SourceDaemon, ""))
		want = []events.DomainEvent{
			spaces(1),
			with(space("b", 2), events.SourceRenderer, "widened"),
			space("c", 3),
			with(space("a", 9_000), events.SourceDaemon, "widened"),
		}
		h.Emit(document("a", "absorbed", 10), pages("b", 3), document("c", "not absorbed", 11))
		want = append(want, document("c", "not absorbed", 11))
		want[1].AtMs = 3
		if got := settled(ch); !slices.Equal(got, want) {
			t.Errorf("past the bound: got %+v, want %+v", got, want)
		}

		h.Emit(document("a", "exact again", 12))
		if got, want := settled(ch), []events.DomainEvent{document("a", "exact again", 12)}; !slices.Equal(got, want) {
			t.Errorf("after reading all: got %+v, want %+v", got, want)
		}
	})
}

func TestWidensToSpacesPastTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ch := h.Subscribe(t.Context())
		for i := range int64(events.MaxPending) {
			h.Emit(document(fmt.Sprint(i), "d", i))
		}
		// One more, of a space that is there: the pages and documents of each space
		// become one event, and that fits exactly.
		h.Emit(document("0", "e", 5_000))
		got := settled(ch)
		if len(got) != events.MaxPending {
			t.Fatalf("got %d events, want %d", len(got), events.MaxPending)
		}
		for i, e := range got {
			want := with(space(fmt.Sprint(i), int64(i)), events.SourceRenderer, "widened")
			if i == 0 {
				want.AtMs = 5_000
			}
			if e != want {
				t.Fatalf("event %d = %+v, want %+v", i, e, want)
			}
		}

		for i := range int64(events.MaxPending) {
			h.Emit(space(fmt.Sprint(i), i))
		}
		h.Emit(space("one more", 1))
		h.Emit(with(document("x", "d", 6_000), events.SourceDaemon, "rebuilt"), pages("y", 2), space("z", 3), spaces(4))
		want := []events.DomainEvent{with(spaces(6_000), events.SourceDaemon, "widened")}
		if got := settled(ch); !slices.Equal(got, want) {
			t.Errorf("past the bound: got %d events, first %+v, want %+v", len(got), got[:1], want)
		}
	})
}

// An ordinary spaces-changed or space-changed says nothing about documents, so
// it must not absorb them.
func TestOnlyWidenedEventsAbsorb(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ch := h.Subscribe(t.Context())
		want := []events.DomainEvent{spaces(1), space("s", 2), document("s", "d", 3), pages("s", 4)}
		h.Emit(want...)
		if got := settled(ch); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestEmitRepairsWhatItCannotSend(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ch := h.Subscribe(t.Context())
		late, early := document("s", "late", 0), document("s", "early", 0)
		late.AtMs, early.AtMs = events.MaxAtMs+1, -1
		h.Emit(late, early, events.DomainEvent{Kind: "unknown", AtMs: 7})
		late.AtMs, early.AtMs = events.MaxAtMs, 0
		want := []events.DomainEvent{late, early, with(spaces(7), events.SourceDaemon, "widened")}
		if got := settled(ch); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestContextEndCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		ctx, cancel := context.WithCancel(t.Context())
		idle, busy, other := h.Subscribe(ctx), h.Subscribe(ctx), h.Subscribe(t.Context())
		h.Emit(spaces(1))
		settled(idle)
		cancel()
		synctest.Wait()
		for name, ch := range map[string]<-chan events.DomainEvent{"idle": idle, "busy": busy} {
			if e, ok := <-ch; ok {
				t.Errorf("%s subscription got %+v after ctx ended, want a closed channel", name, e)
			}
		}
		if n := h.Subscriptions(); n != 1 {
			t.Errorf("the hub holds %d subscriptions, want 1", n)
		}
		h.Emit(spaces(2))
		if got, want := settled(other), []events.DomainEvent{spaces(2)}; !slices.Equal(got, want) {
			t.Errorf("the other subscription got %+v, want %+v", got, want)
		}
		if e, ok := <-h.Subscribe(ctx); ok {
			t.Errorf("Subscribe with an ended ctx gave %+v, want a closed channel", e)
		}
	})
}

func TestClose(t *testing.T) {
	inBubble(t, func(t *testing.T, h *events.Hub) {
		idle, busy := h.Subscribe(t.Context()), h.Subscribe(t.Context())
		h.Emit(spaces(1))
		settled(idle)
		h.Close() // nobody reads busy
		h.Close()
		for name, ch := range map[string]<-chan events.DomainEvent{"idle": idle, "busy": busy, "late": h.Subscribe(t.Context())} {
			if e, ok := <-ch; ok {
				t.Errorf("%s subscription got %+v after Close, want a closed channel", name, e)
			}
		}
		h.Emit(spaces(2))
		if n := h.Subscriptions(); n != 0 {
			t.Errorf("the hub holds %d subscriptions after Close, want 0", n)
		}
	})
}

// Many emitters, a subscriber that stays and must see everything covered, and
// others that come and go; -race watches.
func TestConcurrentUse(t *testing.T) {
	const emitters, each, docs = 8, 500, 40
	synctest.Test(t, func(t *testing.T) {
		h := events.NewHubWithLimit(16) // widening happens all the time
		ctx, cancel := context.WithCancel(t.Context())
		stays := h.Subscribe(ctx)
		var got []events.DomainEvent
		var running sync.WaitGroup
		running.Go(func() {
			for e := range stays {
				got = append(got, e)
			}
		})
		for i := range emitters {
			running.Go(func() {
				for n := range each {
					h.Emit(document(fmt.Sprint(i%4), fmt.Sprint(n%docs), int64(n)))
				}
			})
		}
		for range 4 {
			running.Go(func() {
				for range 50 {
					ctx, cancel := context.WithCancel(ctx)
					<-h.Subscribe(ctx) // one event, or closed because the rest is done
					cancel()
				}
			})
		}
		synctest.Wait() // all is emitted, and all that waited for stays is read
		cancel()
		running.Wait()
		h.Close()
		for i := range 4 {
			for n := each - docs; n < each; n++ { // the newest event of each document
				e := document(fmt.Sprint(i), fmt.Sprint(n%docs), int64(n))
				if !slices.ContainsFunc(got, func(g events.DomainEvent) bool { return covers(g, e) }) {
					t.Errorf("nothing received covers %+v", e)
				}
			}
		}
	})
}

// Close while others emit, subscribe and read.
func TestCloseInTheMiddle(t *testing.T) {
	h := events.NewHub()
	var running sync.WaitGroup
	for i := range 4 {
		running.Go(func() {
			for e := range h.Subscribe(t.Context()) {
				if err := e.Validate(); err != nil {
					t.Errorf("got %+v: %v", e, err)
				}
			}
		})
		running.Go(func() {
			for n := range 200 {
				h.Emit(document(fmt.Sprint(i), fmt.Sprint(n), int64(n)))
			}
		})
	}
	running.Go(h.Close)
	running.Go(h.Close)
	running.Wait()
}

// covers reports whether a host that handles got has handled e.
func covers(got, e events.DomainEvent) bool {
	if got.AtMs < e.AtMs || e.Source == events.SourceDaemon && got.Source != events.SourceDaemon {
		return false
	}
	if got.Reason == events.ReasonWidened {
		switch got.Kind {
		case events.SpacesChanged:
			return true
		case events.SpaceChanged:
			return e.Kind != events.SpacesChanged && got.SpaceID == e.SpaceID
		case events.PagesChanged, events.DocumentChanged:
		}
	}
	if got.Kind != e.Kind || got.SpaceID != e.SpaceID || got.DocumentID != e.DocumentID {
		return false
	}
	switch e.Reason {
	case events.ReasonWidened, events.ReasonRebuilt: // obliges
		return got.Reason == e.Reason
	default: // a host that knows the hint may look at less than at none
		return got.Reason == e.Reason || got.Reason == "" || got.Reason == events.ReasonRebuilt
	}
}
