package events_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/events"
)

// What a writer pays per event, by what its one subscriber, who never reads, makes of it.
func BenchmarkEmit(b *testing.B) {
	documents := make([]events.DomainEvent, events.MaxPending)
	for i := range documents {
		documents[i] = document(fmt.Sprint(i%16), fmt.Sprint(i), int64(i))
	}
	for _, bb := range []struct {
		name  string
		first []events.DomainEvent
		next  func(i int) events.DomainEvent
	}{
		{"coalesce", documents, func(i int) events.DomainEvent { return documents[i%len(documents)] }},
		{"absorb", append(slices.Clip(documents), document("0", "one more", 1)), func(i int) events.DomainEvent { return documents[i%len(documents)] }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := events.NewHub()
			defer h.Close()
			h.Subscribe(b.Context())
			h.Emit(bb.first...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.Emit(bb.next(i))
			}
		})
	}
}

// From Emit to the subscriber and back.
func BenchmarkDeliver(b *testing.B) {
	h := events.NewHub()
	defer h.Close()
	ch := h.Subscribe(b.Context())
	e := document("s", "d", 1)
	b.ReportAllocs()
	for b.Loop() {
		h.Emit(e)
		<-ch
	}
}

func BenchmarkParseDomainEvent(b *testing.B) {
	data, err := document("s", "d", 1).MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.ParseDomainEvent(data); err != nil {
			b.Fatal(err)
		}
	}
}
