// Package events holds the domain event, its strict JSON form, and the hub that
// coalesces events and delivers them to subscribers.
//
// It is a package of its own so that internal/replica can emit without
// importing the root, which aliases the types for hosts.
package events

import (
	"fmt"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// EventKind says what changed.
type EventKind string

// The kinds of domain event.
const (
	// SpacesChanged says that the list of spaces changed: one was created,
	// joined, left or deleted, or its name or the own role in it changed.
	SpacesChanged EventKind = "spaces-changed"
	// SpaceChanged says that one space changed: its name, its members, the blobs
	// that it can read. With ReasonWidened it stands for anything inside the space.
	SpaceChanged EventKind = "space-changed"
	// PagesChanged says that the page tree of one space changed.
	PagesChanged EventKind = "pages-changed"
	// DocumentChanged says that one document changed.
	DocumentChanged EventKind = "document-changed"
)

// EventSource says which side of the host caused a change.
type EventSource string

// The sources of a domain event.
const (
	// SourceRenderer is a change that the host made itself, through a call.
	SourceRenderer EventSource = "renderer"
	// SourceDaemon is a change that the host has not seen yet: a remote or a
	// background one. A host refetches on these.
	SourceDaemon EventSource = "daemon"
)

// Reasons that oblige a subscriber to more than its Kind does. They survive
// coalescing; any other reason is a hint, and is dropped when events with
// different hints coalesce.
const (
	// ReasonWidened marks a space-changed that covers everything in the space,
	// its pages and documents too, or a spaces-changed that covers everything in
	// every space. It also covers a ReasonRebuilt.
	ReasonWidened = "widened"
	// ReasonRebuilt marks a document-changed after which updates made against the
	// earlier state no longer fit: load the document afresh.
	ReasonRebuilt = "rebuilt"
)

// MaxAtMs is the greatest time an event can carry: JavaScript's
// Number.MAX_SAFE_INTEGER.
const MaxAtMs = 1<<53 - 1

// DomainEvent says that canonical data changed. It is a notification, not the
// data: a host reads the data again through the services of the DB.
//
// SpaceID is set for every kind but SpacesChanged, DocumentID for
// DocumentChanged only. Reason is optional, "" when absent.
type DomainEvent struct {
	Kind       EventKind
	Source     EventSource
	AtMs       int64 // milliseconds since 1970, 0 to MaxAtMs
	SpaceID    core.SpaceID
	DocumentID core.DocumentID
	Reason     string
}

// Validate reports core.ErrInvalidEvent unless e is one of the four shapes: a
// known kind and source, a time from 0 to MaxAtMs, and exactly the IDs of its
// kind. Strings must be UTF-8, because JSON cannot carry anything else.
func (e DomainEvent) Validate() error {
	f, ok := fieldsOf(e.Kind)
	switch {
	case !ok:
		return invalid("kind %q is unknown", e.Kind)
	case e.Source != SourceRenderer && e.Source != SourceDaemon:
		return invalid("source %q is unknown", e.Source)
	case e.AtMs < 0 || e.AtMs > MaxAtMs:
		return invalid("atMs %d is out of range", e.AtMs)
	case f.space && e.SpaceID == "":
		return invalid("%s without spaceId", e.Kind)
	case !f.space && e.SpaceID != "":
		return invalid("%s with spaceId", e.Kind)
	case f.document && e.DocumentID == "":
		return invalid("%s without documentId", e.Kind)
	case !f.document && e.DocumentID != "":
		return invalid("%s with documentId", e.Kind)
	case !utf8.ValidString(string(e.SpaceID)):
		return invalid("spaceId is not UTF-8")
	case !utf8.ValidString(e.DocumentID):
		return invalid("documentId is not UTF-8")
	case !utf8.ValidString(e.Reason):
		return invalid("reason is not UTF-8")
	}
	return nil
}

// fields says which IDs a kind carries.
type fields struct{ space, document bool }

func fieldsOf(k EventKind) (fields, bool) {
	switch k {
	case SpacesChanged:
		return fields{}, true
	case SpaceChanged, PagesChanged:
		return fields{space: true}, true
	case DocumentChanged:
		return fields{space: true, document: true}, true
	default:
		return fields{}, false
	}
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("domain event: "+format+": %w", append(args, core.ErrInvalidEvent)...)
}
