package yprotocol

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/yjs"
)

// SyncMessage is a message of the sync protocol:
//
//	SyncStep1, SyncStep2, Update
type SyncMessage interface {
	Message
	// appendSync appends the message as it is without a kind around it.
	appendSync(b []byte) []byte
}

// SyncStep1 is a state vector. It asks for what its sender lacks, as a SyncStep2.
type SyncStep1 []byte

// SyncStep2 is an update, the answer to a SyncStep1.
type SyncStep2 []byte

// Update is an update that nobody asked for.
type Update []byte

// Kinds of sync messages.
const (
	syncStep1 = iota
	syncStep2
	syncUpdate
)

func (m SyncStep1) appendSync(b []byte) []byte { return appendBytes(append(b, syncStep1), m) }
func (m SyncStep2) appendSync(b []byte) []byte { return appendBytes(append(b, syncStep2), m) }
func (m Update) appendSync(b []byte) []byte    { return appendBytes(append(b, syncUpdate), m) }

func (m SyncStep1) appendTo(b []byte) []byte { return m.appendSync(append(b, kindSync)) }
func (m SyncStep2) appendTo(b []byte) []byte { return m.appendSync(append(b, kindSync)) }
func (m Update) appendTo(b []byte) []byte    { return m.appendSync(append(b, kindSync)) }

// EncodeSync returns the bytes of a message as y-protocols writes it by itself;
// [Encode] is for y-websocket.
func EncodeSync(m SyncMessage) []byte { return m.appendSync(nil) }

// DecodeSync reads what EncodeSync wrote. It is as Decode otherwise.
func DecodeSync(b []byte) (SyncMessage, error) { return read(b, (*reader).sync) }

func (r *reader) sync() SyncMessage {
	switch kind := r.uint(); kind {
	case syncStep1:
		return SyncStep1(r.bytes())
	case syncStep2:
		return SyncStep2(r.bytes())
	case syncUpdate:
		return Update(r.bytes())
	default:
		r.fail(ErrUnknownMessage, "sync message %d", kind)
		return nil
	}
}

// Document is what is synced. Its methods may block, on a disk for example.
type Document interface {
	// StateVector returns what is had.
	StateVector(ctx context.Context) ([]byte, error)
	// Diff returns an update with what a holder of the state vector lacks. The vector is
	// valid and belongs to the caller.
	Diff(ctx context.Context, stateVector []byte) ([]byte, error)
	// Apply takes an update in, or refuses bytes that are none and changes nothing. They
	// belong to the caller.
	Apply(ctx context.Context, update []byte) error
}

// Ask returns the message that asks a peer for what a document lacks. Each side sends
// it once connected.
func Ask(ctx context.Context, doc Document) (SyncStep1, error) {
	vector, err := doc.StateVector(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for updates: %w", err)
	}
	return vector, nil
}

// Answer takes in what a peer sent and returns the reply, nil for none: to a SyncStep1 a
// SyncStep2. Errors: ErrInvalid for a SyncStep1 that is no state vector, and those of the
// document.
func Answer(ctx context.Context, doc Document, m SyncMessage) (SyncMessage, error) {
	switch m := m.(type) {
	case SyncStep1:
		if err := yjs.ValidateStateVector(m); err != nil {
			return nil, fmt.Errorf("answer a state vector: %w: %w", ErrInvalid, err)
		}
		update, err := doc.Diff(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("answer a state vector: %w", err)
		}
		return SyncStep2(update), nil
	case SyncStep2:
		return nil, apply(ctx, doc, m)
	case Update:
		return nil, apply(ctx, doc, m)
	default:
		return nil, fmt.Errorf("answer %T: %w", m, ErrUnknownMessage)
	}
}

func apply(ctx context.Context, doc Document, update []byte) error {
	if err := doc.Apply(ctx, update); err != nil {
		return fmt.Errorf("apply an update of a peer: %w", err)
	}
	return nil
}
