package events

import (
	"bytes"
	"encoding/json"

	"github.com/soma-sdk/soma/internal/strictjson"
)

// MarshalJSON writes the canonical form: the keys kind, atMs, provider, baseUrl, models
// and error in this order, absent fields left out, no white space but in models, which
// stays as it is. (json.Marshal takes white space out of what a MarshalJSON returns, and
// escapes <, > and & in it; calling this one keeps every byte.) It reports what Validate
// does.
func (e AgentRuntimeEvent) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	head, err := strictjson.Marshal(struct {
		Kind     AgentEventKind `json:"kind"`
		AtMs     int64          `json:"atMs"`
		Provider AgentProvider  `json:"provider"`
		BaseURL  string         `json:"baseUrl"`
		Error    string         `json:"error,omitempty"`
	}{e.Kind, e.AtMs, e.Provider, e.BaseURL, e.Error})
	if err != nil || e.Models == nil {
		return head, err
	}
	head = append(bytes.TrimSuffix(head, []byte("}")), `,"models":`...)
	return append(append(head, e.Models...), '}'), nil
}

// UnmarshalJSON is ParseAgentRuntimeEvent into e, which keeps its value on an error.
func (e *AgentRuntimeEvent) UnmarshalJSON(data []byte) error {
	parsed, err := ParseAgentRuntimeEvent(data)
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}

// ParseAgentRuntimeEvent is ParseDomainEvent for an AgentRuntimeEvent. An empty baseUrl
// and an empty error are refused as an empty ID is. What is in models is kept as it is:
// it need only be JSON.
func ParseAgentRuntimeEvent(data []byte) (AgentRuntimeEvent, error) {
	var e AgentRuntimeEvent
	seen, err := strictjson.Object(data, e.setField)
	if err != nil {
		return AgentRuntimeEvent{}, invalidAgent("%v", err)
	}
	f, ok := agentFieldsOf(e.Kind)
	if !ok {
		return AgentRuntimeEvent{}, invalidAgent("kind %q is unknown", e.Kind)
	}
	// Validate cannot tell an absent field from an empty one.
	for _, field := range []field{
		{"atMs", true}, {"provider", true}, {"baseUrl", true}, {"models", f.models}, {"error", f.err},
	} {
		if problem := field.misplaced(seen); problem != "" {
			return AgentRuntimeEvent{}, invalidAgent("%s %s", e.Kind, problem)
		}
	}
	if err := e.Validate(); err != nil {
		return AgentRuntimeEvent{}, err
	}
	return e, nil
}

func (e *AgentRuntimeEvent) setField(name string, raw json.RawMessage) (err error) {
	switch name {
	case "kind":
		return setString(&e.Kind, name, raw)
	case "provider":
		return setString(&e.Provider, name, raw)
	case "baseUrl":
		return setString(&e.BaseURL, name, raw)
	case "error":
		return setString(&e.Error, name, raw)
	case "models":
		e.Models = raw // of its own: Decode made it
		return nil
	case "atMs":
		e.AtMs, err = strictjson.Integer(name, raw)
		return err
	default:
		return strictjson.Unknown(name)
	}
}
