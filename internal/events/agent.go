package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// AgentEventKind says what an agent runtime tells.
type AgentEventKind string

// The kinds of agent runtime event.
const (
	AgentReady  AgentEventKind = "ready"  // it answers
	AgentStatus AgentEventKind = "status" // it answers, with these models
	AgentError  AgentEventKind = "error"  // it does not, and why
)

// AgentProvider says what speaks at a base URL.
type AgentProvider string

// The providers of agents.
const (
	ProviderAgentd           AgentProvider = "agentd"
	ProviderOpenAICompatible AgentProvider = "openai-compatible"
)

// MaxAgentEventBytes bounds BaseURL, Models and Error of one agent runtime event
// together.
const MaxAgentEventBytes = 1 << 20

// AgentRuntimeEvent says how an agent runtime is. BaseURL is set for every kind, Models
// for AgentStatus only, and Error for AgentError only.
type AgentRuntimeEvent struct {
	Kind     AgentEventKind
	AtMs     int64 // milliseconds since 1970, 0 to MaxAtMs
	Provider AgentProvider
	BaseURL  string
	Models   json.RawMessage // a JSON array, kept as it is, byte for byte
	Error    string
}

// Validate reports core.ErrInvalidEvent unless e is one of the three shapes: a known
// kind and provider, a time from 0 to MaxAtMs, a base URL that is not empty, and exactly
// the fields of its kind, of which the error is not empty either. Texts must be UTF-8,
// because JSON cannot carry anything else. More than MaxAgentEventBytes is
// core.ErrTooLarge as well.
func (e AgentRuntimeEvent) Validate() error {
	f, ok := agentFieldsOf(e.Kind)
	size := len(e.BaseURL) + len(e.Models) + len(e.Error)
	switch {
	case !ok:
		return invalidAgent("kind %q is unknown", e.Kind)
	case e.AtMs < 0 || e.AtMs > MaxAtMs:
		return invalidAgent("atMs %d is out of range", e.AtMs)
	case e.Provider != ProviderAgentd && e.Provider != ProviderOpenAICompatible:
		return invalidAgent("provider %q is unknown", e.Provider)
	case size > MaxAgentEventBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed: %w", invalidAgent("baseUrl, models and error"), size, MaxAgentEventBytes, core.ErrTooLarge)
	case e.BaseURL == "":
		return invalidAgent("%s without baseUrl", e.Kind)
	case !utf8.ValidString(e.BaseURL):
		return invalidAgent("baseUrl is not UTF-8")
	case f.models && e.Models == nil:
		return invalidAgent("%s without models", e.Kind)
	case !f.models && e.Models != nil:
		return invalidAgent("%s with models", e.Kind)
	case f.models && !isArray(e.Models):
		return invalidAgent("models is not a JSON array")
	case f.err && e.Error == "":
		return invalidAgent("%s without error", e.Kind)
	case !f.err && e.Error != "":
		return invalidAgent("%s with error", e.Kind)
	case !utf8.ValidString(e.Error):
		return invalidAgent("error is not UTF-8")
	}
	return nil
}

// agentFields says which fields a kind carries.
type agentFields struct{ models, err bool }

func agentFieldsOf(k AgentEventKind) (agentFields, bool) {
	switch k {
	case AgentReady:
		return agentFields{}, true
	case AgentStatus:
		return agentFields{models: true}, true
	case AgentError:
		return agentFields{err: true}, true
	default:
		return agentFields{}, false
	}
}

// isArray reports whether b is a JSON array in UTF-8, and nothing before or after it.
func isArray(b []byte) bool {
	return len(b) > 1 && b[0] == '[' && b[len(b)-1] == ']' && utf8.Valid(b) && json.Valid(b)
}

func invalidAgent(format string, args ...any) error {
	return fmt.Errorf("agent event: "+format+": %w", append(args, core.ErrInvalidEvent)...)
}

// MaxPendingAgentEvents bounds the agent events that wait for one subscriber.
const MaxPendingAgentEvents = 256

// AgentHub delivers agent events to subscribers. Its methods are safe for concurrent use.
type AgentHub struct {
	topic *Topic[AgentRuntimeEvent]
}

// NewAgentHub returns a hub without subscribers.
func NewAgentHub() *AgentHub {
	return &AgentHub{NewTopic(func() Pending[AgentRuntimeEvent] { return newAgentQueue(MaxPendingAgentEvents) })}
}

// Publish gives an event to every subscription. It returns what Validate does; it never
// blocks on a subscriber, and does nothing after Close. It keeps no slice of e.
func (h *AgentHub) Publish(e AgentRuntimeEvent) error {
	if err := e.Validate(); err != nil {
		return err
	}
	h.topic.Emit(e)
	return nil
}

// Subscribe is Topic.Subscribe. Of each kind, provider and base URL the latest event
// waits, in the order in which these were published. When more than
// MaxPendingAgentEvents wait, the one that was published before all others is dropped:
// what it tells is the least likely to be so still.
func (h *AgentHub) Subscribe(ctx context.Context) <-chan AgentRuntimeEvent {
	return h.topic.Subscribe(ctx)
}

// Close is Topic.Close.
func (h *AgentHub) Close() { h.topic.Close() }

// agentKey is what an agent event is the latest news of.
type agentKey struct {
	kind     AgentEventKind
	provider AgentProvider
	baseURL  string
}

// agentQueue is the events that wait for one subscriber, with models of its own.
type agentQueue struct {
	*Latest[agentKey, AgentRuntimeEvent]
}

func newAgentQueue(limit int) agentQueue {
	return agentQueue{NewLatest(limit, func(e AgentRuntimeEvent) agentKey {
		return agentKey{e.Kind, e.Provider, e.BaseURL}
	}, (*Latest[agentKey, AgentRuntimeEvent]).DropFirst)}
}

// Push implements Pending.
func (q agentQueue) Push(e AgentRuntimeEvent) bool {
	e.Models = bytes.Clone(e.Models)
	return q.Latest.Push(e)
}
