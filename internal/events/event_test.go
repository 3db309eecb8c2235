package events_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// valid pairs events with their canonical JSON.
var valid = []struct {
	name  string
	event events.DomainEvent
	json  string
}{
	{
		"spaces",
		events.DomainEvent{Kind: events.SpacesChanged, Source: events.SourceDaemon},
		`{"kind":"spaces-changed","source":"daemon","atMs":0}`,
	},
	{
		"space",
		events.DomainEvent{Kind: events.SpaceChanged, Source: events.SourceDaemon, AtMs: events.MaxAtMs, SpaceID: "s", Reason: "blobs"},
		`{"kind":"space-changed","source":"daemon","atMs":9007199254740991,"spaceId":"s","reason":"blobs"}`,
	},
	{
		"pages",
		events.DomainEvent{Kind: events.PagesChanged, Source: events.SourceRenderer, AtMs: 1, SpaceID: "s"},
		`{"kind":"pages-changed","source":"renderer","atMs":1,"spaceId":"s"}`,
	},
	{
		"document",
		events.DomainEvent{Kind: events.DocumentChanged, Source: events.SourceRenderer, AtMs: 1, SpaceID: "s", DocumentID: "d", Reason: "rebuilt"},
		`{"kind":"document-changed","source":"renderer","atMs":1,"spaceId":"s","documentId":"d","reason":"rebuilt"}`,
	},
	{
		"text as JSON.stringify writes it",
		events.DomainEvent{Kind: events.DocumentChanged, Source: events.SourceRenderer, AtMs: 1, SpaceID: "<&>", DocumentID: "a\"\\b\n\U0001f600", Reason: "\ufffd"},
		`{"kind":"document-changed","source":"renderer","atMs":1,"spaceId":"<&>","documentId":"a\"\\b\n` + "\U0001f600" + `","reason":"` + "\ufffd" + `"}`,
	},
}

func TestCanonicalJSON(t *testing.T) {
	for _, tt := range valid {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.event.MarshalJSON()
			if err != nil || string(got) != tt.json {
				t.Errorf("MarshalJSON() = %s, %v, want %s", got, err, tt.json)
			}
			parsed, err := events.ParseDomainEvent([]byte(tt.json))
			if err != nil || parsed != tt.event {
				t.Errorf("ParseDomainEvent(%s) = %+v, %v, want %+v", tt.json, parsed, err, tt.event)
			}
			var decoded events.DomainEvent
			viaJSON, err := json.Marshal(tt.event)
			if err != nil {
				t.Fatalf("json.Marshal: %v", err)
			}
			if err := json.Unmarshal(viaJSON, &decoded); err != nil || decoded != tt.event {
				t.Errorf("json.Unmarshal(%s) = %+v, %v, want %+v", viaJSON, decoded, err, tt.event)
			}
		})
	}
}

func TestParseAcceptsOtherSpellings(t *testing.T) {
	document := events.DomainEvent{Kind: events.DocumentChanged, Source: events.SourceDaemon, AtMs: 7, SpaceID: "s", DocumentID: "d"}
	emoji := document
	emoji.DocumentID = "\U0001f600"
	backslash := document
	backslash.DocumentID = `\ud83d`
	replaced := document
	replaced.DocumentID = "\ufffd"
	for _, tt := range []struct {
		name string
		json string
		want events.DomainEvent
	}{
		{"any order and white space", " {\n\"documentId\": \"d\", \"spaceId\":\"s\",\t\"atMs\": 7, \"source\":\"daemon\",\r\"kind\":\"document-changed\" } ", document},
		{"escaped field name", `{"\u006bind":"document-changed","source":"daemon","atMs":7,"spaceId":"s","documentId":"d"}`, document},
		{"an empty reason is none", `{"kind":"document-changed","source":"daemon","atMs":7,"spaceId":"s","documentId":"d","reason":""}`, document},
		{"a surrogate pair", `{"kind":"document-changed","source":"daemon","atMs":7,"spaceId":"s","documentId":"\ud83d\uDE00"}`, emoji},
		{"an escaped backslash before u", `{"kind":"document-changed","source":"daemon","atMs":7,"spaceId":"s","documentId":"\\ud83d"}`, backslash},
		{"an escaped replacement character", `{"kind":"document-changed","source":"daemon","atMs":7,"spaceId":"s","documentId":"\ufffd"}`, replaced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := events.ParseDomainEvent([]byte(tt.json))
			if err != nil || got != tt.want {
				t.Errorf("ParseDomainEvent(%s) = %+v, %v, want %+v", tt.json, got, err, tt.want)
			}
		})
	}
}

// refused is everything that is not an event, by what is wrong with it.
var refused = map[string]string{
	"nothing":                       ``,
	"null":                          `null`,
	"a string":                      `"spaces-changed"`,
	"an array":                      `[{"kind":"spaces-changed","source":"daemon","atMs":1}]`,
	"an empty object":               `{}`,
	"cut off":                       `{"kind":"spaces-changed","source":"daemon","atMs":1`,
	"a trailing comma":              `{"kind":"spaces-changed","source":"daemon","atMs":1,}`,
	"trailing data":                 `{"kind":"spaces-changed","source":"daemon","atMs":1} x`,
	"a second event":                `{"kind":"spaces-changed","source":"daemon","atMs":1}{"kind":"spaces-changed","source":"daemon","atMs":1}`,
	"a comment":                     `{"kind":"spaces-changed","source":"daemon","atMs":1/**/}`,
	"a byte order mark":             "\ufeff" + `{"kind":"spaces-changed","source":"daemon","atMs":1}`,
	"no kind":                       `{"source":"daemon","atMs":1}`,
	"an unknown kind":               `{"kind":"blobs-changed","source":"daemon","atMs":1,"spaceId":"s"}`,
	"a kind in capitals":            `{"kind":"Spaces-Changed","source":"daemon","atMs":1}`,
	"an empty kind":                 `{"kind":"","source":"daemon","atMs":1}`,
	"kind null":                     `{"kind":null,"source":"daemon","atMs":1}`,
	"kind a number":                 `{"kind":1,"source":"daemon","atMs":1}`,
	"no source":                     `{"kind":"spaces-changed","atMs":1}`,
	"an unknown source":             `{"kind":"spaces-changed","source":"main","atMs":1}`,
	"an empty source":               `{"kind":"spaces-changed","source":"","atMs":1}`,
	"source null":                   `{"kind":"spaces-changed","source":null,"atMs":1}`,
	"source an array":               `{"kind":"spaces-changed","source":["daemon"],"atMs":1}`,
	"no atMs":                       `{"kind":"spaces-changed","source":"daemon"}`,
	"atMs negative":                 `{"kind":"spaces-changed","source":"daemon","atMs":-1}`,
	"atMs minus zero":               `{"kind":"spaces-changed","source":"daemon","atMs":-0}`,
	"atMs with a fraction":          `{"kind":"spaces-changed","source":"daemon","atMs":1.5}`,
	"atMs with a point":             `{"kind":"spaces-changed","source":"daemon","atMs":1.0}`,
	"atMs with an exponent":         `{"kind":"spaces-changed","source":"daemon","atMs":1e3}`,
	"atMs with a leading zero":      `{"kind":"spaces-changed","source":"daemon","atMs":01}`,
	"atMs with a plus":              `{"kind":"spaces-changed","source":"daemon","atMs":+1}`,
	"atMs unsafe":                   `{"kind":"spaces-changed","source":"daemon","atMs":9007199254740992}`,
	"atMs beyond 64 bits":           `{"kind":"spaces-changed","source":"daemon","atMs":18446744073709551617}`,
	"atMs a string":                 `{"kind":"spaces-changed","source":"daemon","atMs":"1"}`,
	"atMs null":                     `{"kind":"spaces-changed","source":"daemon","atMs":null}`,
	"atMs true":                     `{"kind":"spaces-changed","source":"daemon","atMs":true}`,
	"atMs NaN":                      `{"kind":"spaces-changed","source":"daemon","atMs":NaN}`,
	"spaces with spaceId":           `{"kind":"spaces-changed","source":"daemon","atMs":1,"spaceId":"s"}`,
	"spaces with empty spaceId":     `{"kind":"spaces-changed","source":"daemon","atMs":1,"spaceId":""}`,
	"spaces with documentId":        `{"kind":"spaces-changed","source":"daemon","atMs":1,"documentId":"d"}`,
	"space without spaceId":         `{"kind":"space-changed","source":"daemon","atMs":1}`,
	"space with empty spaceId":      `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":""}`,
	"space with spaceId null":       `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":null}`,
	"space with spaceId a number":   `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":1}`,
	"space with spaceId an object":  `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":{"kind":"x"}}`,
	"space with documentId":         `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"s","documentId":"d"}`,
	"space with empty documentId":   `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"s","documentId":""}`,
	"pages without spaceId":         `{"kind":"pages-changed","source":"daemon","atMs":1}`,
	"pages with documentId":         `{"kind":"pages-changed","source":"daemon","atMs":1,"spaceId":"s","documentId":"d"}`,
	"document without spaceId":      `{"kind":"document-changed","source":"daemon","atMs":1,"documentId":"d"}`,
	"document without documentId":   `{"kind":"document-changed","source":"daemon","atMs":1,"spaceId":"s"}`,
	"document, empty documentId":    `{"kind":"document-changed","source":"daemon","atMs":1,"spaceId":"s","documentId":""}`,
	"document, documentId null":     `{"kind":"document-changed","source":"daemon","atMs":1,"spaceId":"s","documentId":null}`,
	"reason null":                   `{"kind":"spaces-changed","source":"daemon","atMs":1,"reason":null}`,
	"reason a number":               `{"kind":"spaces-changed","source":"daemon","atMs":1,"reason":1}`,
	"reason an object":              `{"kind":"spaces-changed","source":"daemon","atMs":1,"reason":{}}`,
	"an unknown field":              `{"kind":"spaces-changed","source":"daemon","atMs":1,"extra":1}`,
	"a field with an empty name":    `{"kind":"spaces-changed","source":"daemon","atMs":1,"":1}`,
	"a field in other case":         `{"Kind":"spaces-changed","source":"daemon","atMs":1}`,
	"a second name in other case":   `{"kind":"spaces-changed","source":"daemon","atMs":1,"ATMS":1}`,
	"kind twice":                    `{"kind":"spaces-changed","kind":"spaces-changed","source":"daemon","atMs":1}`,
	"source twice":                  `{"kind":"spaces-changed","source":"renderer","source":"daemon","atMs":1}`,
	"atMs twice":                    `{"kind":"spaces-changed","source":"daemon","atMs":1,"atMs":1}`,
	"reason twice, once escaped":    `{"kind":"spaces-changed","source":"daemon","atMs":1,"reason":"","\u0072eason":""}`,
	"not UTF-8":                     "{\"kind\":\"spaces-changed\",\"source\":\"daemon\",\"atMs\":1,\"reason\":\"\xff\"}",
	"not UTF-8 after the event":     "{\"kind\":\"spaces-changed\",\"source\":\"daemon\",\"atMs\":1}\xff",
	"a high surrogate alone":        `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83d"}`,
	"a high surrogate before text":  `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83dabcdef"}`,
	"a high surrogate before \\n":   `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83d\nde00"}`,
	"two high surrogates":           `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83d\ud83d\ude00"}`,
	"a low surrogate alone":         `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\uDE00"}`,
	"a low surrogate after a pair":  `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83d\ude00\ude00"}`,
	"a lone surrogate after \\\\":   `{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\\\ud83d"}`,
	"an agent event":                `{"kind":"ready","atMs":1,"provider":"agentd","baseUrl":"http://localhost"}`,
	"a control character in a text": "{\"kind\":\"spaces-changed\",\"source\":\"daemon\",\"atMs\":1,\"reason\":\"\n\"}",
}

func TestParseRefuses(t *testing.T) {
	for name, data := range refused {
		t.Run(name, func(t *testing.T) {
			got, err := events.ParseDomainEvent([]byte(data))
			if !errors.Is(err, core.ErrInvalidEvent) || got != (events.DomainEvent{}) {
				t.Errorf("ParseDomainEvent(%s) = %+v, %v, want ErrInvalidEvent", data, got, err)
			}
			before := events.DomainEvent{Kind: events.SpacesChanged, Source: events.SourceDaemon, AtMs: 5}
			after := before
			if err := after.UnmarshalJSON([]byte(data)); !errors.Is(err, core.ErrInvalidEvent) || after != before {
				t.Errorf("UnmarshalJSON(%s) = %v and %+v, want ErrInvalidEvent and no change", data, err, after)
			}
		})
	}
}

// encoding/json calls UnmarshalJSON for a null value too, where most types stay
// as they are.
func TestUnmarshalRefusesNullInside(t *testing.T) {
	var list []events.DomainEvent
	if err := json.Unmarshal([]byte(`[null]`), &list); !errors.Is(err, core.ErrInvalidEvent) {
		t.Errorf("json.Unmarshal([null]) = %v, want ErrInvalidEvent", err)
	}
}

func TestValidateRefuses(t *testing.T) {
	document := valid[3].event
	for name, change := range map[string]func(*events.DomainEvent){
		"no kind":                    func(e *events.DomainEvent) { e.Kind = "" },
		"an unknown kind":            func(e *events.DomainEvent) { e.Kind = "ready" },
		"no source":                  func(e *events.DomainEvent) { e.Source = "" },
		"an unknown source":          func(e *events.DomainEvent) { e.Source = "main" },
		"atMs negative":              func(e *events.DomainEvent) { e.AtMs = -1 },
		"atMs unsafe":                func(e *events.DomainEvent) { e.AtMs = events.MaxAtMs + 1 },
		"no space":                   func(e *events.DomainEvent) { e.SpaceID = "" },
		"no document":                func(e *events.DomainEvent) { e.DocumentID = "" },
		"pages with a document":      func(e *events.DomainEvent) { e.Kind = events.PagesChanged },
		"space with a document":      func(e *events.DomainEvent) { e.Kind = events.SpaceChanged },
		"spaces with a space":        func(e *events.DomainEvent) { e.Kind, e.DocumentID = events.SpacesChanged, "" },
		"spaces with a document":     func(e *events.DomainEvent) { e.Kind, e.SpaceID = events.SpacesChanged, "" },
		"space ID not UTF-8":         func(e *events.DomainEvent) { e.SpaceID = "\xff" },
		"document ID not UTF-8":      func(e *events.DomainEvent) { e.DocumentID = "a\xff" },
		"reason not UTF-8":           func(e *events.DomainEvent) { e.Reason = "\xc0\x80" },
		"reason an encoded half (1)": func(e *events.DomainEvent) { e.Reason = "\xed\xa0\xbd" },
	} {
		t.Run(name, func(t *testing.T) {
			e := document
			change(&e)
			if err := e.Validate(); !errors.Is(err, core.ErrInvalidEvent) {
				t.Errorf("Validate(%+v) = %v, want ErrInvalidEvent", e, err)
			}
			if data, err := json.Marshal(e); !errors.Is(err, core.ErrInvalidEvent) {
				t.Errorf("json.Marshal(%+v) = %s, %v, want ErrInvalidEvent", e, data, err)
			}
		})
	}
}

func FuzzDomainEvent(f *testing.F) {
	for _, tt := range valid {
		f.Add([]byte(tt.json))
	}
	for _, data := range refused {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := events.ParseDomainEvent(data)
		if err != nil {
			if !errors.Is(err, core.ErrInvalidEvent) {
				t.Fatalf("ParseDomainEvent(%q) = %v, want ErrInvalidEvent", data, err)
			}
			return
		}
		canonical, err := e.MarshalJSON()
		if err != nil {
			t.Fatalf("MarshalJSON(%+v): %v", e, err)
		}
		again, err := events.ParseDomainEvent(canonical)
		if err != nil || again != e {
			t.Fatalf("ParseDomainEvent(%s) = %+v, %v, want %+v", canonical, again, err, e)
		}
		if twice, err := again.MarshalJSON(); err != nil || string(twice) != string(canonical) {
			t.Fatalf("MarshalJSON = %s, %v, want %s", twice, err, canonical)
		}
		// The canonical form says the same as the input to a lenient reader.
		want, got := lenient(t, data), lenient(t, canonical)
		maps.DeleteFunc(want, func(name string, value any) bool { return name == "reason" && value == "" })
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %s", data, canonical)
		}
	})
}

func lenient(t *testing.T, data []byte) map[string]any {
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("json.Unmarshal(%q): %v", data, err)
	}
	return m
}
