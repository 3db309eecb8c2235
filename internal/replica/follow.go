package replica

import (
	"bytes"
	"context"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// DocChange is what a commit did to a document.
type DocChange struct {
	Update []byte // what it got, nil for what only reading it again tells
	Epoch  []byte // after the change
	Origin any    // of the write, nil for none
}

// MaxPendingDocBytes bounds the updates that wait for one follower of a document, each
// counted with pendingDocBytes more. Past it they become one change without an update.
const MaxPendingDocBytes = 4 << 20

const pendingDocBytes = 256

// docFeeds tells of documents, change by change.
type docFeeds struct {
	mu     sync.Mutex
	closed bool
	topics map[liveKey]*docTopic
}

type docTopic struct {
	*events.Topic[DocChange]
	followers int
}

func newDocFeeds() *docFeeds { return &docFeeds{topics: map[liveKey]*docTopic{}} }

// FollowDoc returns a channel of what commits do to a document, in their order, from
// before FollowDoc returned. It is closed when ctx ends and on CloseFollowers. The
// document need not exist.
func (r *Replica) FollowDoc(ctx context.Context, space core.SpaceID, doc core.DocumentID) <-chan DocChange {
	return r.docs.follow(ctx, liveKey{space, doc})
}

// CloseFollowers ends all channels of FollowDoc, and those to come.
func (r *Replica) CloseFollowers() { r.docs.close() }

func (f *docFeeds) follow(ctx context.Context, key liveKey) <-chan DocChange {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[key]
	if t == nil {
		t = &docTopic{Topic: events.NewTopic(func() events.Pending[DocChange] { return &docQueue{} })}
		if f.closed {
			t.Close()
		} else {
			f.topics[key] = t
		}
	}
	t.followers++
	context.AfterFunc(ctx, func() { f.leave(key, t) })
	return t.Subscribe(ctx)
}

func (f *docFeeds) leave(key liveKey, t *docTopic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.followers--; t.followers == 0 && f.topics[key] == t {
		delete(f.topics, key)
	}
}

func (f *docFeeds) of(key liveKey) *docTopic {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.topics[key]
}

func (f *docFeeds) close() {
	f.mu.Lock()
	f.closed = true
	topics := f.topics
	f.topics = map[liveKey]*docTopic{}
	f.mu.Unlock()
	for _, t := range topics {
		t.Close()
	}
}

// followed is a change of the job to a document.
type followed struct {
	key    liveKey
	change DocChange
}

// changedBy is changed for a document that got nothing but an update, which is not
// changed any more.
func (w *work) changedBy(space core.SpaceID, doc core.DocumentID, update []byte) {
	w.changed(events.DocumentChanged, space, doc, "")
	w.docs[len(w.docs)-1].change.Update = update
}

// tellFollowers tells, once the job is committed, those who follow its documents.
func (w *work) tellFollowers() error {
	for _, d := range w.docs {
		t := w.r.docs.of(d.key)
		if t == nil {
			continue
		}
		epoch, err := w.epochNow(d.key)
		if err != nil {
			return err
		}
		d.change.Epoch, d.change.Origin = epoch, w.origin
		w.OnCommit(func() { t.Emit(d.change) })
	}
	return nil
}

func (w *work) epochNow(key liveKey) ([]byte, error) {
	space, err := w.space(key.space)
	if err != nil {
		return nil, err
	}
	h, err := w.head(space.Key, key.doc)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(h.Epoch), nil
}

// docQueue is the changes that wait for one follower.
type docQueue struct {
	changes []DocChange
	size    int
	offered bool // the first, a copy of which is on its way
}

// Len implements events.Pending.
func (q *docQueue) Len() int { return len(q.changes) }

// Push implements events.Pending. One change without an update stands for all that wait
// beside it, of which the last says the epoch.
func (q *docQueue) Push(c DocChange) (changed bool) {
	q.changes = append(q.changes, c)
	if q.size += pendingDocBytes + len(c.Update); q.size <= MaxPendingDocBytes && c.Update != nil {
		return len(q.changes) == 1
	}
	kept := 0
	if q.offered { // who takes it may have read before this one came
		kept = 1
	}
	clear(q.changes[kept:])
	q.changes = append(q.changes[:kept], DocChange{Epoch: c.Epoch})
	q.size = pendingDocBytes * len(q.changes)
	if q.offered {
		q.size += len(q.changes[0].Update)
	}
	return kept == 0
}

// Peek implements events.Pending.
func (q *docQueue) Peek() (DocChange, bool) {
	if len(q.changes) == 0 {
		return DocChange{}, false
	}
	q.offered = true
	return q.changes[0], true
}

// Taken implements events.Pending.
func (q *docQueue) Taken() {
	q.offered = false
	q.size -= pendingDocBytes + len(q.changes[0].Update)
	q.changes[0] = DocChange{}
	if q.changes = q.changes[1:]; len(q.changes) == 0 {
		q.changes = nil
	}
}
