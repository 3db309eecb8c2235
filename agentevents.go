package soma

import (
	"context"

	"github.com/soma-sdk/soma/internal/events"
)

// AgentRuntimeEvent says how an agent runtime is: ready, its status with its models, or an
// error. It is news of this machine: it is not stored, and goes to no other.
//
// Its JSON is the agent event of the host's renderer, strict both ways: Validate,
// MarshalJSON and UnmarshalJSON report ErrInvalidEvent for anything that is not one of the
// three shapes, and ErrTooLarge as well for more than MaxAgentEventBytes. Models is kept
// as it is, byte for byte (json.Marshal takes out white space and escapes <, > and &;
// MarshalJSON itself does not).
type AgentRuntimeEvent = events.AgentRuntimeEvent

// AgentEventKind says what an agent runtime tells.
type AgentEventKind = events.AgentEventKind

// The kinds of AgentRuntimeEvent.
const (
	// AgentReady says that it answers.
	AgentReady = events.AgentReady
	// AgentStatus says that it answers, and has Models.
	AgentStatus = events.AgentStatus
	// AgentError says that it does not, because of Error.
	AgentError = events.AgentError
)

// AgentProvider says what speaks at a BaseURL.
type AgentProvider = events.AgentProvider

// The providers of an AgentRuntimeEvent.
const (
	ProviderAgentd           = events.ProviderAgentd
	ProviderOpenAICompatible = events.ProviderOpenAICompatible
)

const (
	// MaxAgentEventBytes bounds BaseURL, Models and Error of one event together.
	MaxAgentEventBytes = events.MaxAgentEventBytes
	// MaxPendingAgentEvents bounds the agent events that wait for one subscription.
	MaxPendingAgentEvents = events.MaxPendingAgentEvents
)

// ParseAgentRuntimeEvent reads one event from JSON. It reports ErrInvalidEvent for an
// unknown kind or provider, a missing, extra or repeated field, a wrong type (null too),
// an AtMs that is not a plain integer from 0 to 2^53-1, an empty baseUrl or error, models
// that are no array, bytes that are not UTF-8, half a surrogate pair outside of models,
// and data after the event. Field names are case-sensitive and may come in any order.
func ParseAgentRuntimeEvent(data []byte) (AgentRuntimeEvent, error) {
	return events.ParseAgentRuntimeEvent(data)
}

// PublishAgentEvent gives an event to all subscriptions of SubscribeAgentEvents. It never
// blocks on a reader, and keeps no slice of the event. Errors: what Validate reports, and
// ErrClosed.
func (db *DB) PublishAgentEvent(event AgentRuntimeEvent) error {
	if err := db.begin(); err != nil {
		return err
	}
	defer db.end()
	return db.agents.Publish(event)
}

// SubscribeAgentEvents returns a channel of the events that are published from now on. The
// channel closes when ctx ends, which is how to unsubscribe, and on Close.
//
// A slow reader never blocks who publishes: of each Kind, Provider and BaseURL the latest
// event waits, in the order in which these were published. When more than
// MaxPendingAgentEvents wait, the one that was published first is dropped. An event
// belongs to who receives it, Models too.
func (db *DB) SubscribeAgentEvents(ctx context.Context) <-chan AgentRuntimeEvent {
	return db.agents.Subscribe(ctx)
}
