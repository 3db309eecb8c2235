package soma

import "github.com/soma-sdk/soma/internal/events"

// DomainEvent says that canonical data changed: spaces, one space, its pages,
// or one document. It is a notification, not the data; a host reads the data
// again through the services of the DB.
//
// Its JSON is the domain event of the host's renderer, strict both ways:
// MarshalJSON, UnmarshalJSON and Validate report ErrInvalidEvent for anything
// that is not one of the four shapes.
//
// A subscription holds each distinct event once, however slowly it is read.
// Events of equal Kind and IDs become one with the later AtMs. Its Source is
// SourceDaemon if the sources differ, because a host refetches on these. Of two
// different reasons the one that obliges survives (ReasonWidened, ReasonRebuilt);
// others are hints, and are dropped. When more than MaxPendingEvents distinct
// events wait, they widen: see ReasonWidened.
type DomainEvent = events.DomainEvent

// EventKind says what changed.
type EventKind = events.EventKind

// The kinds of DomainEvent.
const (
	// SpacesChanged says that the list of spaces changed. It carries no ID.
	SpacesChanged = events.SpacesChanged
	// SpaceChanged says that the space SpaceID changed: its name, its members, the
	// blobs that it can read, or what Forks reports of it.
	SpaceChanged = events.SpaceChanged
	// PagesChanged says that the page tree of SpaceID changed.
	PagesChanged = events.PagesChanged
	// DocumentChanged says that the document DocumentID of SpaceID changed.
	DocumentChanged = events.DocumentChanged
)

// EventSource says which side of the host caused a change.
type EventSource = events.EventSource

// The sources of a DomainEvent.
const (
	// SourceRenderer is a change that the host made itself, through a call.
	SourceRenderer = events.SourceRenderer
	// SourceDaemon is a change that the host has not seen yet: a remote or a
	// background one.
	SourceDaemon = events.SourceDaemon
)

// Reasons of a DomainEvent that oblige a host to more than the Kind does.
const (
	// ReasonWidened marks an event that stands for more than fitted: a
	// SpaceChanged then covers everything in the space, its pages and documents
	// too, and a SpacesChanged everything in every space.
	ReasonWidened = events.ReasonWidened
	// ReasonRebuilt marks a DocumentChanged after which updates made against the
	// earlier state no longer fit: load the document afresh. An event with
	// ReasonWidened may stand for one of these.
	ReasonRebuilt = events.ReasonRebuilt
)

// MaxPendingEvents bounds the distinct events that wait for one subscription.
const MaxPendingEvents = events.MaxPending

// ParseDomainEvent reads one event from JSON. It reports ErrInvalidEvent for an
// unknown kind or source, a missing, extra or repeated field, a wrong type (null
// too), an AtMs that is not a plain integer from 0 to 2^53-1, an empty ID, bytes
// that are not UTF-8, and data after the event. Field names are case-sensitive
// and may come in any order. An empty reason is accepted and means none.
func ParseDomainEvent(data []byte) (DomainEvent, error) { return events.ParseDomainEvent(data) }
