package events

import (
	"encoding/json"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/strictjson"
)

// MarshalJSON writes the canonical form: the keys kind, source, atMs, spaceId,
// documentId and reason in this order, absent fields left out, no white space.
// It reports core.ErrInvalidEvent for an event that Validate refuses.
func (e DomainEvent) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return strictjson.Marshal(struct {
		Kind       EventKind       `json:"kind"`
		Source     EventSource     `json:"source"`
		AtMs       int64           `json:"atMs"`
		SpaceID    core.SpaceID    `json:"spaceId,omitempty"`
		DocumentID core.DocumentID `json:"documentId,omitempty"`
		Reason     string          `json:"reason,omitempty"`
	}(e))
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
	var e DomainEvent
	seen, err := strictjson.Object(data, e.setField)
	if err != nil {
		return DomainEvent{}, invalid("%v", err)
	}
	f, ok := fieldsOf(e.Kind)
	if !ok {
		return DomainEvent{}, invalid("kind %q is unknown", e.Kind)
	}
	// Validate cannot tell an absent field from an empty one.
	for _, field := range []field{
		{"source", true}, {"atMs", true}, {"spaceId", f.space}, {"documentId", f.document},
	} {
		if problem := field.misplaced(seen); problem != "" {
			return DomainEvent{}, invalid("%s %s", e.Kind, problem)
		}
	}
	if err := e.Validate(); err != nil {
		return DomainEvent{}, err
	}
	return e, nil
}

// field is a field that a shape must have, or must not have.
type field struct {
	name   string
	wanted bool
}

// misplaced says what is wrong, "" for nothing.
func (f field) misplaced(seen strictjson.Fields) string {
	switch {
	case f.wanted && !seen[f.name]:
		return "without " + f.name
	case !f.wanted && seen[f.name]:
		return "with " + f.name
	}
	return ""
}

func (e *DomainEvent) setField(name string, raw json.RawMessage) (err error) {
	switch name {
	case "kind":
		return setString(&e.Kind, name, raw)
	case "source":
		return setString(&e.Source, name, raw)
	case "spaceId":
		return setString(&e.SpaceID, name, raw)
	case "documentId":
		return setString(&e.DocumentID, name, raw)
	case "reason":
		return setString(&e.Reason, name, raw)
	case "atMs":
		e.AtMs, err = strictjson.Integer(name, raw)
		return err
	default:
		return strictjson.Unknown(name)
	}
}

func setString[S ~string](to *S, name string, raw json.RawMessage) error {
	s, err := strictjson.String(name, raw)
	*to = S(s)
	return err
}
