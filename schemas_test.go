package soma_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/soma-sdk/soma"
)

func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join("docs", "schemas", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fields are the values that an event may have by name, the good ones first.
type fields map[string][]any

// payload generates objects near the events of a union: right ones, and ones with a
// field too few, too many, or of another kind.
func payload(of fields) *rapid.Generator[map[string]any] {
	odd := []any{nil, "", "x", 0.0, -1.0, 1.5, 9007199254740991.0, 9007199254740992.0, true, []any{}, []any{1.0}, map[string]any{}}
	names := slices.Sorted(maps.Keys(of))
	return rapid.Custom(func(t *rapid.T) map[string]any {
		p := map[string]any{}
		for _, name := range names {
			if rapid.IntRange(0, 9).Draw(t, "omit "+name) > 3 {
				p[name] = rapid.SampledFrom(of[name]).Draw(t, name)
			}
		}
		for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "changes") {
			name := rapid.SampledFrom(append(names, "extra", "Kind", "")).Draw(t, "changed")
			p[name] = rapid.SampledFrom(odd).Draw(t, "to")
		}
		return p
	})
}

// completeEvent gives an object the fields of one of the kinds of events, and no others.
func completeEvent(of fields, required map[string][]string) func(*rapid.T, map[string]any) {
	return func(t *rapid.T, p map[string]any) {
		kind := rapid.SampledFrom(slices.Sorted(maps.Keys(required))).Draw(t, "of kind")
		maps.DeleteFunc(p, func(name string, _ any) bool { return !slices.Contains(required[kind], name) && name != "reason" })
		addMissing(t, p, of, required[kind])
		p["kind"] = kind
	}
}

func addMissing(t *rapid.T, p map[string]any, of fields, names []string) {
	for _, name := range names {
		if _, has := p[name]; !has {
			p[name] = rapid.SampledFrom(of[name]).Draw(t, name)
		}
	}
}

// agree fails unless a schema accepts just what Parse accepts. Of the payloads, half are
// completed, so that some are right.
func agree(t *testing.T, s *jsonschema.Schema, of fields, complete func(*rapid.T, map[string]any), parse func([]byte) error) {
	t.Helper()
	accepted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := payload(of).Draw(t, "payload")
		if rapid.Bool().Draw(t, "complete") {
			complete(t, p)
		}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		schemaErr, parseErr := s.Validate(instance), parse(data)
		if (schemaErr == nil) != (parseErr == nil) {
			t.Fatalf("%s: the schema says %v, Parse says %v", data, schemaErr, parseErr)
		}
		if parseErr == nil {
			accepted++
		} else {
			refused++
		}
	})
	if accepted < 5 || refused < 5 {
		t.Errorf("%d payloads were right and %d were not, want some of both", accepted, refused)
	}
}

func TestDomainEventSchema(t *testing.T) {
	s := schema(t, "domain-event.schema.json")
	of := fields{
		"kind":       {"spaces-changed", "space-changed", "pages-changed", "document-changed", "blobs-changed"},
		"source":     {"renderer", "daemon"},
		"atMs":       {0.0, 1.0, 9007199254740991.0},
		"spaceId":    {"s", "é\U0001f600"},
		"documentId": {"d", "a/b"},
		"reason":     {"", "widened", "x"},
	}
	required := map[string][]string{
		"spaces-changed":   {"kind", "source", "atMs"},
		"space-changed":    {"kind", "source", "atMs", "spaceId"},
		"pages-changed":    {"kind", "source", "atMs", "spaceId"},
		"document-changed": {"kind", "source", "atMs", "spaceId", "documentId"},
	}
	agree(t, s, of, completeEvent(of, required), func(data []byte) error {
		_, err := soma.ParseDomainEvent(data)
		return err
	})
}

func TestAgentRuntimeEventSchema(t *testing.T) {
	s := schema(t, "agent-runtime-event.schema.json")
	of := fields{
		"kind":     {"ready", "status", "error", "gone"},
		"atMs":     {0.0, 1.0, 9007199254740991.0},
		"provider": {"agentd", "openai-compatible"},
		"baseUrl":  {"http://localhost:1", "x"},
		"models":   {[]any{}, []any{map[string]any{"id": "m"}, nil, 1.5}},
		"error":    {"e", "\n"},
	}
	required := map[string][]string{
		"ready":  {"kind", "atMs", "provider", "baseUrl"},
		"status": {"kind", "atMs", "provider", "baseUrl", "models"},
		"error":  {"kind", "atMs", "provider", "baseUrl", "error"},
	}
	agree(t, s, of, completeEvent(of, required), func(data []byte) error {
		_, err := soma.ParseAgentRuntimeEvent(data)
		return err
	})
}

func TestUploadJobSchema(t *testing.T) {
	s := schema(t, "upload-job.schema.json")
	required := []string{"id", "spaceId", "size", "state", "attempts", "sentBytes", "createdAtMs", "updatedAtMs"}
	of := fields{
		"id":      {"abcdefghijklmnopqrstuvwx27", "abcdefghijklmnopqrstuvwxyz", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "a", "abcdefghijklmnopqrstuvwx27a", "ABCDEFGHIJKLMNOPQRSTUVWX27"},
		"spaceId": {"s"}, "path": {"/a", `C:\a`, "c:/", `\\host\a`, "", "a", "C:a", `\a`}, "spooled": {true, false, false, false},
		"name": {"n", ""}, "mime": {"text/plain"}, "size": {0.0, 9007199254740991.0},
		"cid": {
			"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
			"", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykz", "bafkreizdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		},
		"state":    {"queued", "hashing", "uploading", "verifying", "waiting", "done", "failed", "cancelled", "removed", "list-again"},
		"attempts": {0.0}, "sentBytes": {1.0}, "lastError": {"e"}, "permanent": {true}, "nextAttemptAtMs": {1.0}, "createdAtMs": {1.0}, "updatedAtMs": {1.0},
		"renderer": {map[string]any{"a": 1.0}},
	}
	complete := func(t *rapid.T, p map[string]any) {
		addMissing(t, p, of, required)
		for _, name := range []string{"extra", "Kind", ""} {
			delete(p, name)
		}
		if rapid.Bool().Draw(t, "sound") { // by chance alone hardly any are
			for name := range p {
				p[name] = of[name][0]
			}
			delete(p, "spooled")
			delete(p, "cid")
		}
	}
	agree(t, s, of, complete, func(data []byte) error {
		_, err := soma.ParseUploadJob(data)
		return err
	})
}

// What no schema can say, as the files tell: these Parse alone refuses.
func TestSchemasCannotSay(t *testing.T) {
	s := schema(t, "domain-event.schema.json")
	for _, data := range []string{
		`{"kind":"spaces-changed","source":"daemon","atMs":1.0}`,
		`{"kind":"spaces-changed","source":"daemon","atMs":1e3}`,
		`{"kind":"spaces-changed","source":"daemon","atMs":1,"atMs":1}`,
		`{"kind":"space-changed","source":"daemon","atMs":1,"spaceId":"\ud83d"}`,
	} {
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(data)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(instance); err != nil {
			t.Errorf("the schema refuses %s: %v", data, err)
		}
		if _, err := soma.ParseDomainEvent([]byte(data)); err == nil {
			t.Errorf("ParseDomainEvent(%s) = nil", data)
		}
	}
}
