package events_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/events"
)

// Whatever the interleaving of emits, offers and reads: every event is covered
// by one that the subscriber gets and that was offered after the emit, no more
// than the limit wait, and a queue that never overflowed is in order of first
// insertion.
func TestEveryEventIsCovered(t *testing.T) {
	type delivery struct {
		event     events.DomainEvent
		offeredAt int // number of events pushed before the offer
	}
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	event := rapid.Custom(func(t *rapid.T) events.DomainEvent {
		at := rapid.Int64Range(0, 50).Draw(t, "atMs") // clocks step back
		e := rapid.SampledFrom([]events.DomainEvent{
			spaces(at),
			space(name.Draw(t, "space"), at),
			pages(name.Draw(t, "space"), at),
			document(name.Draw(t, "space"), name.Draw(t, "document"), at),
			document(name.Draw(t, "space"), name.Draw(t, "document"), at),
		}).Draw(t, "event")
		source := rapid.SampledFrom([]events.EventSource{events.SourceRenderer, events.SourceDaemon}).Draw(t, "source")
		reasons := []string{"", "", "hint", "other hint"}
		if e.Kind == events.DocumentChanged {
			reasons = append(reasons, events.ReasonRebuilt)
		}
		return with(e, source, rapid.SampledFrom(reasons).Draw(t, "reason"))
	})
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		q := events.NewQueue(limit)
		var pushed []events.DomainEvent
		var delivered []delivery
		var offer *delivery
		look := func(*rapid.T) {
			offer = nil
			if e, ok := q.Peek(); ok {
				offer = &delivery{e, len(pushed)}
			}
		}
		take := func(t *rapid.T) {
			if offer == nil {
				t.Skip("nothing is on offer")
			}
			q.Taken()
			delivered = append(delivered, *offer)
			offer = nil
		}
		push := func(t *rapid.T) {
			e := event.Draw(t, "push")
			before := offer
			changed := q.Push(e)
			pushed = append(pushed, e)
			if before == nil && q.Len() == 1 && !changed {
				t.Fatalf("the queue has its first event and does not say so")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": push, "push again": push, "push once more": push,
			"look": look, "take": take,
			"": func(t *rapid.T) {
				if q.Len() > limit {
					t.Fatalf("%d events wait, the limit is %d", q.Len(), limit)
				}
			},
		})
		for look(t); offer != nil; look(t) {
			take(t)
		}
		if q.Len() != 0 {
			t.Fatalf("%d events wait in a queue that was read to its end", q.Len())
		}
		for i, e := range pushed {
			if !slices.ContainsFunc(delivered, func(d delivery) bool { return d.offeredAt > i && covers(d.event, e) }) {
				t.Fatalf("event %d %+v of %+v is not covered by %+v", i, e, pushed, delivered)
			}
		}
	})
}

// Without overflow the queue is the distinct events in order of first insertion.
func TestOrderOfFirstInsertion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := events.NewQueue(5)
		var want []events.DomainEvent
		for at := range rapid.Int64Range(0, 40).Draw(t, "events") {
			id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "document")
			e := document("s", id, at)
			q.Push(e)
			i := slices.IndexFunc(want, func(w events.DomainEvent) bool { return w.DocumentID == id })
			if i < 0 {
				want = append(want, e)
			} else {
				want[i] = e
			}
		}
		if got := drain(q); !slices.Equal(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
