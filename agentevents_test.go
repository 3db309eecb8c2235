package soma_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

func ExampleDB_PublishAgentEvent() {
	dir, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	agents := db.SubscribeAgentEvents(context.Background())
	err = db.PublishAgentEvent(soma.AgentRuntimeEvent{
		Kind: soma.AgentStatus, AtMs: 1700000000000, Provider: soma.ProviderAgentd, BaseURL: "http://localhost:8080",
		Models: json.RawMessage(`[{"id":"small"}]`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := json.Marshal(<-agents) // for the renderer
	fmt.Println(string(payload), err)
	// Output:
	// {"kind":"status","atMs":1700000000000,"provider":"agentd","baseUrl":"http://localhost:8080","models":[{"id":"small"}]} <nil>
}

func TestAgentEvents(t *testing.T) {
	db, err := soma.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, ended := db.SubscribeAgentEvents(t.Context()), db.SubscribeAgentEvents(ctx)
	want := soma.AgentRuntimeEvent{Kind: soma.AgentError, AtMs: 1, Provider: soma.ProviderOpenAICompatible, BaseURL: "u", Error: "refused"}
	if err := db.PublishAgentEvent(want); err != nil {
		t.Fatal(err)
	}
	if err := db.PublishAgentEvent(soma.AgentRuntimeEvent{Kind: soma.AgentReady}); !errors.Is(err, soma.ErrInvalidEvent) {
		t.Errorf("PublishAgentEvent = %v, want ErrInvalidEvent", err)
	}
	if got := <-first; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	cancel()
	for range ended { // until it is closed
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if e, ok := <-first; ok {
		t.Errorf("%+v after Close", e)
	}
	if e, ok := <-db.SubscribeAgentEvents(t.Context()); ok {
		t.Errorf("%+v from a subscription after Close", e)
	}
}

// Agent events and domain events are kept apart, and so are two DBs.
func TestAgentEventsAreApart(t *testing.T) {
	one, other := somatest.Open(t), somatest.Open(t)
	domain, agents, others := one.Subscribe(t.Context()), one.SubscribeAgentEvents(t.Context()), other.SubscribeAgentEvents(t.Context())
	ready := func(url string) soma.AgentRuntimeEvent {
		return soma.AgentRuntimeEvent{Kind: soma.AgentReady, Provider: soma.ProviderAgentd, BaseURL: url}
	}
	if err := errors.Join(one.PublishAgentEvent(ready("one")), other.PublishAgentEvent(ready("other"))); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Spaces().Create(t.Context(), soma.NewSpace{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if e := <-domain; e.Kind != soma.SpacesChanged {
		t.Errorf("domain event %+v, want spaces-changed", e)
	}
	if a, b := <-agents, <-others; a.BaseURL != "one" || b.BaseURL != "other" {
		t.Errorf("got %+v and %+v", a, b)
	}
}
