package live

import (
	"maps"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// The limits of a queue. Past them what waits is dropped, and the peer is told to ask.
const (
	MaxQueueEntries = 1024
	MaxQueueBytes   = 4 << 20
	// MaxQueueNotes is of how many spaces a queue remembers what to tell; past it the
	// peer is told to ask for all spaces.
	MaxQueueNotes = 1024
	// MaxPushedEntry is the size up to which an entry is pushed. A peer pulls larger ones.
	MaxPushedEntry = 256 << 10
	// MaxNewsRows is how many rows news name at most. Without rows the digest is all they say.
	MaxNewsRows = 32
)

// How long news wait for more of the same, and for the entries to come by another way.
const (
	newsDelay    = 200 * time.Millisecond // of what was taken from others
	carriedDelay = 2 * time.Second        // of own entries that go another way
	relayedDelay = 10 * time.Second       // of what was taken, where entries go another way
)

// Queue is what a peer is to be told. Memory is bounded, and adding never waits: what is
// too much becomes a note that the peer is to catch up.
type Queue struct {
	feed *Feed
	wake chan struct{} // has a value when there is something new

	mu     sync.Mutex
	items  []item
	bytes  int
	notes  map[core.SpaceID]*note
	behind bool // in all spaces
}

// item is an own entry that waits.
type item struct {
	space core.SpaceID
	entry core.Entry
}

// note is what to tell of a space, besides entries.
type note struct {
	behind  bool // entries were dropped: the peer is to ask
	members bool // who is a member changed
	due     time.Time
	news    bool // something is new: newest says what
	newest  tips // nil when there are too many
	late    bool // they can wait for longer than newsDelay
}

// Close takes the queue off its feed.
func (q *Queue) Close() {
	q.feed.drop(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clear()
}

func (q *Queue) clear() {
	q.items, q.bytes = nil, 0
	clear(q.notes)
}

// Lost says that what was taken off the queue may not have arrived: the peer has to ask
// for everything.
func (q *Queue) Lost() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loseAll()
}

// loseAll forgets what waits: all of it is on disk, where the peer finds it.
func (q *Queue) loseAll() {
	q.clear()
	q.behind = true
	notify(q.wake)
}

// Shed drops the entries that wait while no stream takes them: by the time that one does,
// the peer has asked for them, or is told to.
func (q *Queue) Shed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fallBehind()
}

// add queues what a commit brought.
func (q *Queue) add(n core.News, newest tips) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n.Members {
		if k := q.note(n.Space); k != nil {
			k.members = true
		}
	}
	switch {
	case len(n.Entries) == 0:
	case !n.Own:
		q.tellLocked(n.Space, newest, newsDelay, false)
	default:
		q.push(n.Space, n.Entries)
	}
	notify(q.wake)
}

// push queues own entries.
func (q *Queue) push(space core.SpaceID, entries []core.Entry) {
	for _, e := range entries {
		if q.behind {
			return
		}
		if k := q.notes[space]; k != nil && k.behind {
			return // what it asks for then includes this one
		}
		if e.Size() > MaxPushedEntry {
			q.tellLocked(space, tipsOf([]core.Entry{e}), 0, false)
			continue
		}
		if len(q.items) == MaxQueueEntries || q.bytes+e.Size() > MaxQueueBytes {
			q.fallBehind()
			if k := q.note(space); k != nil {
				k.behind = true
			}
			return
		}
		q.items = append(q.items, item{space, e})
		q.bytes += e.Size()
	}
}

// fallBehind drops the entries that wait.
func (q *Queue) fallBehind() {
	dropped := q.items
	q.items, q.bytes = nil, 0
	for _, it := range dropped {
		if k := q.note(it.space); k != nil {
			k.behind = true
		}
	}
}

// tell notes news that can wait for a while, and are late if that is because the entries
// go another way.
func (q *Queue) tell(space core.SpaceID, newest tips, wait time.Duration, late bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tellLocked(space, newest, wait, late)
}

// tellLocked notes news. The earliest time counts, so that a stream of them is told of.
func (q *Queue) tellLocked(space core.SpaceID, newest tips, wait time.Duration, late bool) {
	k := q.note(space)
	if k == nil || k.behind {
		return
	}
	due := time.Now().Add(wait)
	if !k.news {
		k.news, k.due, k.newest, k.late = true, due, make(tips), late
	}
	if due.Before(k.due) && (late || !k.late || wait == 0) {
		k.due = due
	}
	if newest == nil || k.newest == nil {
		k.newest = nil
		return
	}
	maps.Copy(k.newest, newest)
	if len(k.newest) > MaxNewsRows {
		k.newest = nil
	}
}

// note returns the note of a space, or nil when the peer has to ask for all anyway.
func (q *Queue) note(space core.SpaceID) *note {
	if q.behind {
		return nil
	}
	k := q.notes[space]
	if k != nil {
		return k
	}
	if len(q.notes) == MaxQueueNotes {
		q.loseAll()
		return nil
	}
	k = &note{}
	q.notes[space] = k
	return k
}

// told is what to tell of a space now.
type told struct {
	space core.SpaceID
	note
}

// take removes entries up to a size from the queue, which it returns in order, and the
// notes that are due; behind is whether the peer has to ask for all spaces. next is when
// the next note is due, zero for no time. Of a space whose news are due its entries go first.
func (q *Queue) take(now time.Time, maxBytes int) (items []item, notes []told, behind bool, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.items) && (n == 0 || size+q.items[n].entry.Size() <= maxBytes) {
		size += q.items[n].entry.Size()
		n++
	}
	items = q.items[:n:n]
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = nil
	}
	q.bytes -= size
	behind, q.behind = q.behind, false
	for space, k := range q.notes {
		switch {
		case k.behind || k.members || len(q.items) == 0 && !k.due.After(now):
			notes = append(notes, told{space, *k})
			delete(q.notes, space)
		case next.IsZero() || k.due.Before(next):
			next = k.due
		}
	}
	return items, notes, behind, next
}
