// Package yprotocol is the wire format of Yjs providers: the sync and awareness
// protocols of y-protocols 1.0 (https://github.com/yjs/y-protocols) in the messages
// of y-websocket.
//
//	for each frame from a client:
//		m, err := yprotocol.Decode(frame)
//		switch m := m.(type) {
//		case yprotocol.SyncMessage:
//			reply, err := yprotocol.Answer(ctx, document, m)
//		case yprotocol.AwarenessUpdate:
//			changes, err := awareness.Apply(m)
//		case yprotocol.QueryAwareness:
//			update, err := awareness.Encode(awareness.Clients()...)
//		}
//
// Nothing here opens a connection, starts a goroutine or waits.
//
// Bytes from outside are decoded completely and checked before anything is applied.
// Bad ones return an error wrapping ErrInvalid and change nothing. Nothing here panics
// on them, or allocates more than a small multiple of them.
package yprotocol

import (
	"errors"
	"fmt"
)

// ErrInvalid is wrapped by every error about bytes from outside.
var ErrInvalid = errors.New("yprotocol: invalid message")

// More precise than ErrInvalid, which both wrap.
var (
	// ErrLimit: a limit of this package is exceeded.
	ErrLimit = fmt.Errorf("over a limit: %w", ErrInvalid)
	// ErrUnknownMessage: a message of a kind that is not known here. Clients of
	// y-websocket ignore such messages.
	ErrUnknownMessage = fmt.Errorf("unknown kind: %w", ErrInvalid)
)

// What is taken from outside. Messages that are encoded here have no limit of their own.
const (
	MaxMessage       = 64 << 20 // bytes of a message, or of an awareness update
	MaxReason        = 4 << 10  // bytes of the reason of a PermissionDenied
	MaxUpdateClients = 4096     // clients in an awareness update
	MaxState         = 64 << 10 // bytes of the JSON of one state
	MaxClients       = 4096     // clients with a state in an Awareness
	MaxStates        = 16 << 20 // bytes of the states in an Awareness

	// MaxClock bounds the clocks in awareness updates. It leaves room for those that
	// an Awareness counts itself, which end at 1<<53 - 1 as all numbers in Yjs.
	MaxClock = 1<<53 - 1<<32
)

// maxSafe is JavaScript's Number.MAX_SAFE_INTEGER.
const maxSafe = 1<<53 - 1
