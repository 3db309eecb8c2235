package soma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
)

func ExampleParseDomainEvent() {
	event, err := soma.ParseDomainEvent([]byte(
		`{"kind":"document-changed","source":"daemon","atMs":1700000000000,"spaceId":"bafy","documentId":"page-1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Kind == soma.DocumentChanged, event.SpaceID, event.DocumentID)

	_, err = soma.ParseDomainEvent([]byte(`{"kind":"document-changed","source":"daemon","atMs":1700000000000,"spaceId":"bafy"}`))
	fmt.Println(err)
	// Output:
	// true bafy page-1
	// domain event: document-changed without documentId: soma: invalid event
}

// The union that the renderer knows, by the names that hosts use.
func TestDomainEventUnion(t *testing.T) {
	for _, tt := range []struct {
		event soma.DomainEvent
		want  string
	}{
		{
			soma.DomainEvent{Kind: soma.SpacesChanged, Source: soma.SourceDaemon, AtMs: 1},
			`{"kind":"spaces-changed","source":"daemon","atMs":1}`,
		},
		{
			soma.DomainEvent{Kind: soma.SpaceChanged, Source: soma.SourceDaemon, AtMs: 1, SpaceID: "s", Reason: soma.ReasonWidened},
			`{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"s","reason":"widened"}`,
		},
		{
			soma.DomainEvent{Kind: soma.PagesChanged, Source: soma.SourceRenderer, AtMs: 1, SpaceID: "s"},
			`{"kind":"pages-changed","source":"renderer","atMs":1,"spaceId":"s"}`,
		},
		{
			soma.DomainEvent{Kind: soma.DocumentChanged, Source: soma.SourceRenderer, AtMs: 1, SpaceID: "s", DocumentID: "d", Reason: soma.ReasonRebuilt},
			`{"kind":"document-changed","source":"renderer","atMs":1,"spaceId":"s","documentId":"d","reason":"rebuilt"}`,
		},
	} {
		got, err := json.Marshal(tt.event)
		if err != nil || string(got) != tt.want {
			t.Errorf("json.Marshal(%+v) = %s, %v, want %s", tt.event, got, err, tt.want)
		}
		if parsed, err := soma.ParseDomainEvent([]byte(tt.want)); err != nil || parsed != tt.event {
			t.Errorf("ParseDomainEvent(%s) = %+v, %v, want %+v", tt.want, parsed, err, tt.event)
		}
	}
	if _, err := json.Marshal(soma.DomainEvent{}); !errors.Is(err, core.ErrInvalidEvent) {
		t.Errorf("json.Marshal of the zero event = %v, want ErrInvalidEvent", err)
	}
}
