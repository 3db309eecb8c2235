package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// validAgent pairs events with their canonical JSON.
var validAgent = []struct {
	name  string
	event events.AgentRuntimeEvent
	json  string
}{
	{
		"ready",
		events.AgentRuntimeEvent{Kind: events.AgentReady, Provider: events.ProviderAgentd, BaseURL: "http://localhost:1"},
		`{"kind":"ready","atMs":0,"provider":"agentd","baseUrl":"http://localhost:1"}`,
	},
	{
		"status",
		events.AgentRuntimeEvent{
			Kind: events.AgentStatus, AtMs: events.MaxAtMs, Provider: events.ProviderOpenAICompatible, BaseURL: "u",
			Models: json.RawMessage("[ {\"id\":\"<&>\",\"id\":1.0,\n\"n\":9007199254740993,\"s\":\"\\ud83d\"} ,null]"),
		},
		`{"kind":"status","atMs":9007199254740991,"provider":"openai-compatible","baseUrl":"u","models":` +
			"[ {\"id\":\"<&>\",\"id\":1.0,\n\"n\":9007199254740993,\"s\":\"\\ud83d\"} ,null]}",
	},
	{
		"no models",
		events.AgentRuntimeEvent{Kind: events.AgentStatus, AtMs: 1, Provider: events.ProviderAgentd, BaseURL: "u", Models: json.RawMessage("[]")},
		`{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":[]}`,
	},
	{
		"error",
		events.AgentRuntimeEvent{Kind: events.AgentError, AtMs: 1, Provider: events.ProviderAgentd, BaseURL: "<&>", Error: "a\"\n\U0001f600"},
		`{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"<&>","error":"a\"\n` + "\U0001f600" + `"}`,
	},
}

func TestAgentCanonicalJSON(t *testing.T) {
	for _, tt := range validAgent {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.event.MarshalJSON()
			if err != nil || string(got) != tt.json {
				t.Errorf("MarshalJSON() = %s, %v, want %s", got, err, tt.json)
			}
			parsed, err := events.ParseAgentRuntimeEvent([]byte(tt.json))
			if err != nil || !reflect.DeepEqual(parsed, tt.event) {
				t.Errorf("ParseAgentRuntimeEvent(%s) = %+v, %v, want %+v", tt.json, parsed, err, tt.event)
			}
			var decoded events.AgentRuntimeEvent
			if err := json.Unmarshal([]byte(tt.json), &decoded); err != nil || !reflect.DeepEqual(decoded, tt.event) {
				t.Errorf("json.Unmarshal(%s) = %+v, %v, want %+v", tt.json, decoded, err, tt.event)
			}
		})
	}
}

// refusedAgent is everything that is not an event, by what is wrong with it.
var refusedAgent = map[string]string{
	"nothing":                      ``,
	"null":                         `null`,
	"an array":                     `[]`,
	"an empty object":              `{}`,
	"cut off":                      `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u"`,
	"trailing data":                `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u"}{}`,
	"no kind":                      `{"atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"an unknown kind":              `{"kind":"gone","atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"a domain event":               `{"kind":"spaces-changed","source":"daemon","atMs":1}`,
	"kind null":                    `{"kind":null,"atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"no atMs":                      `{"kind":"ready","provider":"agentd","baseUrl":"u"}`,
	"atMs negative":                `{"kind":"ready","atMs":-1,"provider":"agentd","baseUrl":"u"}`,
	"atMs minus zero":              `{"kind":"ready","atMs":-0,"provider":"agentd","baseUrl":"u"}`,
	"atMs with a point":            `{"kind":"ready","atMs":1.0,"provider":"agentd","baseUrl":"u"}`,
	"atMs unsafe":                  `{"kind":"ready","atMs":9007199254740992,"provider":"agentd","baseUrl":"u"}`,
	"atMs a string":                `{"kind":"ready","atMs":"1","provider":"agentd","baseUrl":"u"}`,
	"no provider":                  `{"kind":"ready","atMs":1,"baseUrl":"u"}`,
	"an unknown provider":          `{"kind":"ready","atMs":1,"provider":"openai","baseUrl":"u"}`,
	"an empty provider":            `{"kind":"ready","atMs":1,"provider":"","baseUrl":"u"}`,
	"no baseUrl":                   `{"kind":"ready","atMs":1,"provider":"agentd"}`,
	"an empty baseUrl":             `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":""}`,
	"baseUrl null":                 `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":null}`,
	"baseUrl with half a pair":     `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"\ud83d"}`,
	"baseurl in other case":        `{"kind":"ready","atMs":1,"provider":"agentd","baseURL":"u"}`,
	"ready with models":            `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u","models":[]}`,
	"ready with models null":       `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u","models":null}`,
	"ready with error":             `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u","error":"e"}`,
	"ready with an empty error":    `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"u","error":""}`,
	"ready with a source":          `{"kind":"ready","source":"daemon","atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"status without models":        `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"models null":                  `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":null}`,
	"models an object":             `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":{}}`,
	"models a string":              `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":"[]"}`,
	"models twice":                 `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":[],"models":[]}`,
	"models that are no JSON":      `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":[1,]}`,
	"models that are not UTF-8":    "{\"kind\":\"status\",\"atMs\":1,\"provider\":\"agentd\",\"baseUrl\":\"u\",\"models\":[\"\xff\"]}",
	"status with error":            `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":[],"error":"e"}`,
	"error without error":          `{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"u"}`,
	"error with an empty error":    `{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"u","error":""}`,
	"error with an error object":   `{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"u","error":{}}`,
	"error with models":            `{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"u","error":"e","models":[]}`,
	"error twice, once escaped":    `{"kind":"error","atMs":1,"provider":"agentd","baseUrl":"u","error":"e","\u0065rror":"e"}`,
	"more than MaxAgentEventBytes": `{"kind":"status","atMs":1,"provider":"agentd","baseUrl":"u","models":["` + strings.Repeat("x", 1<<20-4) + `"]}`,
}

func TestParseAgentRefuses(t *testing.T) {
	for name, data := range refusedAgent {
		t.Run(name, func(t *testing.T) {
			got, err := events.ParseAgentRuntimeEvent([]byte(data))
			if !errors.Is(err, core.ErrInvalidEvent) || !reflect.DeepEqual(got, events.AgentRuntimeEvent{}) {
				t.Errorf("ParseAgentRuntimeEvent(%.200s) = %+v, %v, want ErrInvalidEvent", data, got, err)
			}
			before := validAgent[1].event
			after := before
			if err := after.UnmarshalJSON([]byte(data)); !errors.Is(err, core.ErrInvalidEvent) || !reflect.DeepEqual(after, before) {
				t.Errorf("UnmarshalJSON(%.200s) = %v and %+v, want ErrInvalidEvent and no change", data, err, after)
			}
		})
	}
	largest := strings.Replace(refusedAgent["more than MaxAgentEventBytes"], "x", "", 1)
	if _, err := events.ParseAgentRuntimeEvent([]byte(largest)); err != nil {
		t.Errorf("the largest event = %v", err)
	}
}

func TestAgentValidateRefuses(t *testing.T) {
	status, failed := validAgent[1].event, validAgent[3].event
	set := func(e events.AgentRuntimeEvent, change func(*events.AgentRuntimeEvent)) events.AgentRuntimeEvent {
		change(&e)
		return e
	}
	for name, e := range map[string]events.AgentRuntimeEvent{
		"the zero event":       {},
		"no kind":              set(status, func(e *events.AgentRuntimeEvent) { e.Kind = "" }),
		"an unknown provider":  set(status, func(e *events.AgentRuntimeEvent) { e.Provider = "x" }),
		"atMs negative":        set(status, func(e *events.AgentRuntimeEvent) { e.AtMs = -1 }),
		"atMs unsafe":          set(status, func(e *events.AgentRuntimeEvent) { e.AtMs = events.MaxAtMs + 1 }),
		"no base URL":          set(status, func(e *events.AgentRuntimeEvent) { e.BaseURL = "" }),
		"base URL not UTF-8":   set(status, func(e *events.AgentRuntimeEvent) { e.BaseURL = "\xff" }),
		"no models":            set(status, func(e *events.AgentRuntimeEvent) { e.Models = nil }),
		"empty models":         set(status, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage{} }),
		"space before models":  set(status, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage(" []") }),
		"space after models":   set(status, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage("[] ") }),
		"two arrays":           set(status, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage("[],[]") }),
		"models not UTF-8":     set(status, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage("[\"\xff\"]") }),
		"status with an error": set(status, func(e *events.AgentRuntimeEvent) { e.Error = "e" }),
		"error without":        set(failed, func(e *events.AgentRuntimeEvent) { e.Error = "" }),
		"error not UTF-8":      set(failed, func(e *events.AgentRuntimeEvent) { e.Error = "\xed\xa0\xbd" }),
		"error with models":    set(failed, func(e *events.AgentRuntimeEvent) { e.Models = json.RawMessage("[]") }),
		"ready with models": set(failed, func(e *events.AgentRuntimeEvent) {
			e.Kind, e.Error, e.Models = events.AgentReady, "", json.RawMessage("[]")
		}),
		"ready with an error": set(failed, func(e *events.AgentRuntimeEvent) { e.Kind = events.AgentReady }),
		"too large":           set(failed, func(e *events.AgentRuntimeEvent) { e.Error = strings.Repeat("x", events.MaxAgentEventBytes) }),
	} {
		if err := e.Validate(); !errors.Is(err, core.ErrInvalidEvent) || errors.Is(err, core.ErrTooLarge) != (name == "too large") {
			t.Errorf("%s: Validate() = %v, want ErrInvalidEvent", name, err)
		}
		if data, err := json.Marshal(e); !errors.Is(err, core.ErrInvalidEvent) {
			t.Errorf("%s: json.Marshal() = %.100s, %v, want ErrInvalidEvent", name, data, err)
		}
		h := events.NewAgentHub()
		if err := h.Publish(e); !errors.Is(err, core.ErrInvalidEvent) {
			t.Errorf("%s: Publish() = %v, want ErrInvalidEvent", name, err)
		}
		h.Close()
	}
}

func FuzzAgentRuntimeEvent(f *testing.F) {
	for _, tt := range validAgent {
		f.Add([]byte(tt.json))
	}
	for _, data := range refusedAgent {
		f.Add([]byte(data[:min(len(data), 1000)]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := events.ParseAgentRuntimeEvent(data)
		if err != nil {
			if !errors.Is(err, core.ErrInvalidEvent) {
				t.Fatalf("ParseAgentRuntimeEvent(%q) = %v, want ErrInvalidEvent", data, err)
			}
			return
		}
		if !bytes.Contains(data, e.Models) {
			t.Fatalf("models %q are not in %q", e.Models, data)
		}
		canonical, err := e.MarshalJSON()
		if err != nil {
			t.Fatalf("MarshalJSON(%+v): %v", e, err)
		}
		again, err := events.ParseAgentRuntimeEvent(canonical)
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("ParseAgentRuntimeEvent(%s) = %+v, %v, want %+v", canonical, again, err, e)
		}
		if want, got := lenient(t, data), lenient(t, canonical); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %s", data, canonical)
		}
	})
}

func agentReady(url string, atMs int64) events.AgentRuntimeEvent {
	return events.AgentRuntimeEvent{Kind: events.AgentReady, AtMs: atMs, Provider: events.ProviderAgentd, BaseURL: url}
}

// settledAgents is settled for agent events.
func settledAgents(ch <-chan events.AgentRuntimeEvent) (got []events.AgentRuntimeEvent) {
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

func TestAgentHubDeliversTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := events.NewAgentHub()
		defer h.Close()
		ch := h.Subscribe(t.Context())
		other := h.Subscribe(t.Context())
		failed := agentReady("u", 3)
		failed.Kind, failed.Error = events.AgentError, "gone"
		compatible := agentReady("u", 4)
		compatible.Provider = events.ProviderOpenAICompatible
		for _, e := range []events.AgentRuntimeEvent{agentReady("u", 1), agentReady("v", 2), failed, compatible, agentReady("u", 5)} {
			if err := h.Publish(e); err != nil {
				t.Fatal(err)
			}
		}
		want := []events.AgentRuntimeEvent{agentReady("v", 2), failed, compatible, agentReady("u", 5)}
		for _, ch := range []<-chan events.AgentRuntimeEvent{ch, other} {
			if got := settledAgents(ch); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
}

func TestAgentHubIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := events.NewAgentHub()
		defer h.Close()
		ch := h.Subscribe(t.Context())
		var want []events.AgentRuntimeEvent
		for i := range 3 * events.MaxPendingAgentEvents {
			e := agentReady(fmt.Sprint(i), int64(i))
			want = append(want, e)
			if err := h.Publish(e); err != nil {
				t.Fatal(err)
			}
		}
		if got := settledAgents(ch); !reflect.DeepEqual(got, want[2*events.MaxPendingAgentEvents:]) {
			t.Errorf("got %d events, want the last %d", len(got), events.MaxPendingAgentEvents)
		}
	})
}

// Neither the publisher nor another subscriber shares models with a reader.
func TestAgentHubCopiesModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := events.NewAgentHub()
		defer h.Close()
		a, b := h.Subscribe(t.Context()), h.Subscribe(t.Context())
		e := validAgent[2].event
		e.Models = json.RawMessage(`["m"]`)
		if err := h.Publish(e); err != nil {
			t.Fatal(err)
		}
		e.Models[2] = 'x'
		got := settledAgents(a)
		got[0].Models[2] = 'y'
		if got := settledAgents(b); string(got[0].Models) != `["m"]` {
			t.Errorf("models are %s", got[0].Models)
		}
	})
}

func TestAgentHubClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := events.NewAgentHub()
		ch := h.Subscribe(t.Context())
		h.Close()
		if e, ok := <-ch; ok {
			t.Errorf("got %+v after Close", e)
		}
		if e, ok := <-h.Subscribe(t.Context()); ok {
			t.Errorf("got %+v from a subscription after Close", e)
		}
		if err := h.Publish(agentReady("u", 1)); err != nil {
			t.Errorf("Publish after Close = %v", err)
		}
	})
}
