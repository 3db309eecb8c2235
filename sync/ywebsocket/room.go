package ywebsocket

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// maxBatch is how many bytes of updates are stored at once.
const maxBatch = 1 << 20

type roomKey struct {
	space    soma.SpaceID
	document soma.DocumentID
}

// room is a document that clients have open. What they send waits for the commit before,
// and is stored in one: so the more they write, the less each update costs. What is
// committed, by whomever, goes to all.
type room struct {
	roomKey
	h *Handler

	users int // guarded by h.mu

	opening sync.Mutex
	stop    context.CancelFunc // nil until it is open
	epoch   []byte             // of the document; with another one it is another room

	mu        sync.Mutex
	sessions  map[*session]struct{}
	awareness *yprotocol.Awareness
	waiting   []write
	writing   bool // a goroutine stores what waits
}

// write is an update that a client sent.
type write struct {
	session *session
	update  []byte
	held    int64 // of session.unstored
}

// enter opens a document. The caller leaves it.
func (h *Handler) enter(ctx context.Context, space soma.SpaceID, document soma.DocumentID) (*room, error) {
	key := roomKey{space, document}
	h.mu.Lock()
	r := h.rooms[key]
	if r == nil {
		r = &room{roomKey: key, h: h, sessions: map[*session]struct{}{}, awareness: yprotocol.NewAwareness(0, time.Now)}
		r.awareness.RemoveLocal()
		h.rooms[key] = r
	}
	r.users++
	h.mu.Unlock()
	if err := r.open(ctx); err != nil {
		r.exit()
		return nil, err
	}
	return r, nil
}

func (r *room) open(ctx context.Context) error {
	r.opening.Lock()
	defer r.opening.Unlock()
	if r.stop != nil {
		return nil
	}
	following, stop := context.WithCancel(r.h.ctx)
	changes, err := r.h.db.Documents().Follow(following, r.space, r.document)
	if err != nil {
		stop()
		return err
	}
	rev, err := r.h.db.Documents().Revision(ctx, r.space, r.document)
	if err != nil {
		stop()
		return err
	}
	r.epoch, r.stop = rev.Epoch, stop
	r.h.work.Go(func() { r.follow(changes) })
	return nil
}

// rebuilt reports whether content was taken out of the document, ever.
func (r *room) rebuilt() bool { return len(r.epoch) > 0 }

// exit ends what enter began.
func (r *room) exit() {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	r.h.forget(r)
	if r.stop != nil {
		r.stop()
	}
}

// forget has the next client that comes open the document anew.
func (h *Handler) forget(r *room) {
	if h.rooms[r.roomKey] == r {
		delete(h.rooms, r.roomKey)
	}
}

func (r *room) join(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s] = struct{}{}
	if clients := r.awareness.Clients(); len(clients) > 0 {
		if states, err := r.awareness.Encode(clients...); err == nil {
			s.tell(states)
		}
	}
}

// leave takes a client out, and those of whom it alone told.
func (r *room) leave(s *session) {
	r.mu.Lock()
	_, joined := r.sessions[s]
	if joined {
		delete(r.sessions, s)
		var gone []uint64
		for client := range s.presences {
			if !r.told(client) {
				gone = append(gone, client)
			}
		}
		slices.Sort(gone)
		r.tellPresence(r.awareness.Remove(gone...))
	}
	r.mu.Unlock()
	if joined {
		r.exit()
	}
}

func (r *room) told(client uint64) bool {
	for s := range r.sessions {
		if _, ok := s.presences[client]; ok {
			return true
		}
	}
	return false
}

// end closes the document for all clients.
func (r *room) end(why closing) {
	r.h.mu.Lock()
	r.h.forget(r)
	r.h.mu.Unlock()
	r.mu.Lock()
	sessions := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		sessions = append(sessions, s)
	}
	r.mu.Unlock()
	for _, s := range sessions {
		s.end(why)
	}
}

// broadcast sends a message to all clients but one, which may be nil.
func (r *room) broadcast(m yprotocol.Message, except any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broadcastLocked(m, except)
}

func (r *room) broadcastLocked(m yprotocol.Message, except any) {
	var encoded map[string][]byte // by prefix: clients of one protocol share the bytes
	for s := range r.sessions {
		if any(s) == except {
			continue
		}
		message := encoded[s.prefix]
		if message == nil {
			if encoded == nil {
				encoded = make(map[string][]byte, 1)
			}
			message = s.encode(m)
			encoded[s.prefix] = message
		}
		s.socket.send(message)
	}
}

// follow passes on what is committed.
func (r *room) follow(changes <-chan soma.DocumentChange) {
	outdated := time.NewTicker(yprotocol.OutdatedTimeout / 2)
	defer outdated.Stop()
	for {
		select {
		case change, ok := <-changes:
			if !ok {
				r.end(closeDown) // nobody is left, or the DB is closed
				return
			}
			r.pass(change)
		case <-outdated.C:
			r.mu.Lock()
			r.tellPresence(r.awareness.RemoveOutdated())
			r.mu.Unlock()
		}
	}
}

func (r *room) pass(change soma.DocumentChange) {
	switch {
	case !bytes.Equal(change.Epoch, r.epoch):
		r.end(closeRebuilt)
	case change.Update != nil:
		r.broadcast(yprotocol.Update(change.Update), change.Origin)
	default:
		state, err := r.h.db.Documents().Diff(r.h.ctx, r.space, r.document, nil)
		if errors.Is(err, soma.ErrNotFound) { // deleted: an update brings it back
			return
		}
		if err != nil {
			r.h.logger.Error("document not read", "document", r.document, "err", err)
			r.end(closingFor(err))
			return
		}
		r.broadcast(yprotocol.Update(state), nil)
	}
}

// present takes in what a client tells of the awareness of clients.
func (r *room) present(s *session, update yprotocol.AwarenessUpdate) error {
	states, err := yprotocol.DecodeStates(update)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.hasRoom(s, states) {
		return nil
	}
	changes, err := r.awareness.Apply(update)
	if errors.Is(err, yprotocol.ErrLimit) {
		return nil // others fill it
	}
	for _, client := range slices.Concat(changes.Added, changes.Updated) {
		s.presences[client] = struct{}{}
	}
	r.tellPresence(changes)
	return err
}

// hasRoom reports whether a client may tell of states, beside those that it told of and
// that are still there.
func (r *room) hasRoom(s *session, states []yprotocol.ClientState) bool {
	size := 0
	for client := range s.presences {
		state := r.awareness.State(client)
		if state == nil {
			delete(s.presences, client)
		}
		size += len(state)
	}
	told := len(s.presences)
	for _, state := range states {
		held := r.awareness.State(state.Client)
		size += max(0, len(state.State)-len(held))
		if held == nil && state.State != nil {
			told++
		}
	}
	return told <= MaxPresences && size <= MaxPresenceBytes
}

// tellPresence tells all clients whose state changed, also who told it: one that is alone
// hears its own state, and so knows that the connection is there.
func (r *room) tellPresence(changes yprotocol.Changes) {
	clients := changes.Clients()
	if len(clients) == 0 {
		return
	}
	if states, err := r.awareness.Encode(clients...); err == nil {
		r.broadcastLocked(states, nil)
	}
}

func (r *room) presences() yprotocol.AwarenessUpdate {
	r.mu.Lock()
	defer r.mu.Unlock()
	states, err := r.awareness.Encode(r.awareness.Clients()...)
	if err != nil { // who is there is known
		return nil
	}
	return states
}

// submit has an update stored. Its session is told.
func (r *room) submit(w write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, w)
	if !r.writing {
		r.writing = true
		r.h.work.Go(r.write)
	}
}

// write stores what waits, until nothing does.
func (r *room) write() {
	for {
		batch := r.next()
		if batch == nil {
			return
		}
		r.store(batch)
		clear(batch) // what waits behind it may keep the memory
	}
}

func (r *room) next() []write {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(r.waiting) && (n == 0 || size+len(r.waiting[n].update) <= maxBatch) {
		size += len(r.waiting[n].update)
		n++
	}
	if n == 0 {
		r.waiting, r.writing = nil, false
		return nil
	}
	batch := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	return batch
}

// store stores updates together or, if that fails, one by one: what is wrong with one is
// nothing to the others.
func (r *room) store(batch []write) {
	if len(batch) > 1 {
		if err := r.storeMerged(batch); err == nil {
			for _, w := range batch {
				w.session.stored(w, nil)
			}
			return
		}
	}
	for _, w := range batch {
		w.session.stored(w, r.upsert(w.update, w.session))
	}
}

func (r *room) storeMerged(batch []write) error {
	var origin any = batch[0].session
	updates := make([][]byte, len(batch))
	for i, w := range batch {
		updates[i] = w.update
		if any(w.session) != origin {
			origin = r // of several, each of whom lacks what the others sent
		}
	}
	merged, err := yjs.Merge(updates...)
	if err != nil {
		return err
	}
	return r.upsert(merged, origin)
}

func (r *room) upsert(update []byte, origin any) error {
	_, err := r.h.db.Documents().Upsert(r.h.ctx, r.space, r.document, update, soma.WithEpoch(r.epoch), soma.WithOrigin(origin))
	return err
}
