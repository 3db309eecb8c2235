package ywebsocket

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// session is a document on a connection.
type session struct {
	socket    *socket
	room      *room
	named     bool
	name      string // before each message, if it is named
	prefix    string // equal where messages are
	readOnly  bool
	ended     atomic.Bool
	presences map[uint64]struct{} // of whom it told, guarded by room.mu
}

// readOnlyReason is what y-websocket shows of an update that is not stored.
const readOnlyReason = "read-only"

func (s *session) encode(m yprotocol.Message) []byte {
	if s.named {
		return yprotocol.AppendNamed(nil, s.name, m)
	}
	return yprotocol.Encode(m)
}

func (s *session) tell(m yprotocol.Message) { s.socket.send(s.encode(m)) }

// end closes the document, which for y-websocket is the connection.
func (s *session) end(why closing) {
	if s.ended.Swap(true) {
		return
	}
	if s.named && !why.passes() {
		s.tell(yprotocol.Closed(why.reason))
	} else {
		s.socket.end(why)
	}
	s.room.leave(s)
}

// ask asks the client for what the store lacks. Of a rebuilt document it asks for all that
// the client has, which may be what does not count.
func (s *session) ask(ctx context.Context) error {
	if s.room.rebuilt() {
		s.tell(yprotocol.SyncStep1(nothing))
		return nil
	}
	rev, err := s.documents().Revision(ctx, s.room.space, s.room.document)
	if err == nil {
		s.tell(yprotocol.SyncStep1(rev.StateVector))
	}
	return err
}

func (s *session) documents() soma.Documents { return s.room.h.db.Documents() }

// handle takes in a message. What it returns closes the document.
func (s *session) handle(ctx context.Context, m yprotocol.Message) error {
	switch m := m.(type) {
	case yprotocol.SyncStep1:
		if err := s.answer(ctx, m); err != nil || !s.named {
			return err
		}
		return s.ask(ctx) // Hocuspocus asks last
	case yprotocol.SyncReply:
		if step1, ok := m.SyncMessage.(yprotocol.SyncStep1); ok {
			return s.answer(ctx, step1)
		}
		return s.handle(ctx, m.SyncMessage)
	case yprotocol.SyncStep2:
		return s.take(ctx, m, true)
	case yprotocol.Update:
		return s.take(ctx, m, false)
	case yprotocol.AwarenessUpdate:
		return s.room.present(s, m)
	case yprotocol.QueryAwareness:
		s.tell(s.room.presences())
	}
	return nil
}

// answer sends what a holder of a state vector lacks.
func (s *session) answer(ctx context.Context, vector []byte) error {
	if err := yjs.ValidateStateVector(vector); err != nil {
		return errors.Join(soma.ErrInvalidStateVector, err)
	}
	update, err := s.documents().Diff(ctx, s.room.space, s.room.document, vector)
	switch {
	case errors.Is(err, soma.ErrNotFound):
		update = noUpdate
	case err != nil:
		return err
	}
	s.tell(yprotocol.SyncStep2(update))
	return nil
}

// noUpdate is a Yjs update without content, nothing a state vector of it.
var (
	noUpdate = []byte{0, 0}
	nothing  = []byte{0}
)

// take has an update stored, if that is allowed. It waits while too much of the connection
// is on its way to the disk.
func (s *session) take(ctx context.Context, update []byte, answer bool) error {
	if bytes.Equal(update, noUpdate) { // which would bring a deleted document back
		s.acknowledge(true)
		return nil
	}
	if answer && s.room.rebuilt() {
		if err := s.documents().Fits(ctx, s.room.space, s.room.document, update); err != nil {
			return err
		}
	}
	if s.readOnly {
		had := false
		if answer {
			var err error
			if had, err = s.has(ctx, update); err != nil {
				return err
			}
		}
		s.acknowledge(had)
		return nil
	}
	held := min(int64(len(update))+queuedBytes, MaxUnstoredBytes)
	if err := s.socket.unstored.Acquire(ctx, held); err != nil {
		return err
	}
	s.room.submit(write{session: s, update: update, held: held})
	return nil
}

// stored says what became of an update.
func (s *session) stored(w write, err error) {
	s.socket.unstored.Release(w.held)
	switch {
	case err == nil:
		s.acknowledge(true)
	case errors.Is(err, soma.ErrForbidden): // the member of the DB may not write, for now
		s.acknowledge(false)
	default:
		s.fail(err)
	}
}

func (s *session) fail(err error) {
	s.room.h.logger.Info("document closed", "document", s.room.document, "err", err)
	s.end(closingFor(err))
}

// acknowledge answers an update.
func (s *session) acknowledge(stored bool) {
	switch {
	case s.ended.Load(): // the client counts afresh once it opens the document again
	case s.named:
		s.tell(yprotocol.SyncStatus(stored))
	case !stored:
		s.tell(yprotocol.PermissionDenied(readOnlyReason))
	}
}

// has reports whether all of an update is stored.
func (s *session) has(ctx context.Context, update []byte) (bool, error) {
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		return false, errors.Join(soma.ErrInvalidUpdate, err)
	}
	state, err := s.documents().Diff(ctx, s.room.space, s.room.document, nil)
	if errors.Is(err, soma.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	all, err := yjs.ParseUpdate(state)
	if err != nil {
		return false, err
	}
	return len(yjs.Without(u.Content(), all.Content())) == 0 && len(yjs.Without(u.Deleted(), all.Deleted())) == 0, nil
}
