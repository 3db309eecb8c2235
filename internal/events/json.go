package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// MarshalJSON writes the canonical form: the keys kind, source, atMs, spaceId,
// documentId and reason in this order, absent fields left out, no white space.
// It reports core.ErrInvalidEvent for an event that Validate refuses.
func (e DomainEvent) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // as JSON.stringify writes it
	err := enc.Encode(struct {
		Kind       EventKind       `json:"kind"`
		Source     EventSource     `json:"source"`
		AtMs       int64           `json:"atMs"`
		SpaceID    core.SpaceID    `json:"spaceId,omitempty"`
		DocumentID core.DocumentID `json:"documentId,omitempty"`
		Reason     string          `json:"reason,omitempty"`
	}(e))
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// UnmarshalJSON is ParseDomainEvent into e, which keeps its value on an error.
func (e *DomainEvent) UnmarshalJSON(data []byte) error {
	parsed, err := ParseDomainEvent(data)
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}

// ParseDomainEvent reads one event from JSON and reports core.ErrInvalidEvent
// for anything but the four shapes: an unknown kind or source, a missing, extra
// or repeated field, a wrong type (null too), an atMs that is not a plain
// integer from 0 to MaxAtMs, an empty ID, text that is not UTF-8 or has half a
// surrogate pair, data after the event. Field names are case-sensitive.
//
// Fields may come in any order. An empty reason is accepted, because the
// TypeScript union allows it, and means the same as none: MarshalJSON leaves it out.
func ParseDomainEvent(data []byte) (DomainEvent, error) {
	// After these two checks the token stream below cannot fail on syntax, and
	// nothing follows the first value.
	if !utf8.Valid(data) {
		return DomainEvent{}, invalid("not UTF-8")
	}
	if !json.Valid(data) {
		return DomainEvent{}, invalid("not one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return DomainEvent{}, invalid("not a JSON object")
	}
	var e DomainEvent
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return DomainEvent{}, invalid("%v", err)
		}
		name, _ := token.(string) // an object key is always a string
		if seen[name] {
			return DomainEvent{}, invalid("field %q is repeated", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return DomainEvent{}, invalid("%v", err)
		}
		if err := e.setField(name, raw); err != nil {
			return DomainEvent{}, err
		}
	}
	f, ok := fieldsOf(e.Kind)
	if !ok {
		return DomainEvent{}, invalid("kind %q is unknown", e.Kind)
	}
	// Validate cannot tell an absent field from an empty one.
	for _, field := range []struct {
		name   string
		wanted bool
	}{{"source", true}, {"atMs", true}, {"spaceId", f.space}, {"documentId", f.document}} {
		switch {
		case field.wanted && !seen[field.name]:
			return DomainEvent{}, invalid("%s without %s", e.Kind, field.name)
		case !field.wanted && seen[field.name]:
			return DomainEvent{}, invalid("%s with %s", e.Kind, field.name)
		}
	}
	if err := e.Validate(); err != nil {
		return DomainEvent{}, err
	}
	return e, nil
}

func (e *DomainEvent) setField(name string, raw json.RawMessage) (err error) {
	switch name {
	case "kind":
		return setString((*string)(&e.Kind), name, raw)
	case "source":
		return setString((*string)(&e.Source), name, raw)
	case "spaceId":
		return setString((*string)(&e.SpaceID), name, raw)
	case "documentId":
		return setString(&e.DocumentID, name, raw)
	case "reason":
		return setString(&e.Reason, name, raw)
	case "atMs":
		// 1.0, 1e3 and -0 are refused: JSON.stringify writes none of them, and one
		// spelling per number keeps the canonical form unique.
		if e.AtMs, err = strconv.ParseInt(string(raw), 10, 64); err != nil || raw[0] == '-' {
			return invalid("atMs is not an integer from 0 to %d", int64(MaxAtMs))
		}
		return nil
	default:
		return invalid("field %q is unknown", name)
	}
}

func setString(to *string, name string, raw json.RawMessage) error {
	if raw[0] != '"' {
		return invalid("%s is not a string", name)
	}
	if hasLoneSurrogate(raw) { // encoding/json would turn it into U+FFFD: another ID
		return invalid("%s has half a surrogate pair", name)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return invalid("%s: %v", name, err)
	}
	return nil
}

// hasLoneSurrogate looks at the escapes of a valid JSON string.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		r, ok := unicodeEscape(raw[i:])
		if !ok {
			i++ // the escaped character, which may be a backslash
			continue
		}
		i += len(`\uXXXX`) - 1
		if !utf16.IsSurrogate(r) {
			continue
		}
		low, _ := unicodeEscape(raw[i+1:])
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return true
		}
		i += len(`\uXXXX`)
	}
	return false
}

// unicodeEscape returns the UTF-16 unit of the \uXXXX that b starts with.
func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < len(`\uXXXX`) || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}
