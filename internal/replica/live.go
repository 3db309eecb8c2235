package replica

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// MaxLiveBytes and MaxLiveDocs bound the documents that are kept in memory after they
// were edited or viewed: by the memory that they take, as estimated, and in number. One
// that is in use counts, and stays.
const (
	MaxLiveBytes = 64 << 20
	MaxLiveDocs  = 1024
)

// livePatience is how long a host's function may have a document to itself. After that
// who waits takes another instance: so an Edit inside of an Edit comes to an end.
const livePatience = 50 * time.Millisecond

// liveDocs keeps documents in memory, so that an edit costs what it changes and not what
// the document costs. It is safe for concurrent use.
type liveDocs struct {
	maxBytes int64
	maxDocs  int

	mu    sync.Mutex
	docs  map[liveKey]*liveDoc
	used  list.List // of *liveDoc, the one used last in front
	bytes int64

	jobs, running uint64 // of the writer, from 1 on: that began, and of these that have not ended

	clock    uint64          // rises whenever documents were made anew
	allMade  uint64          // when all of them were
	remaking map[liveKey]int // by jobs that run, or wait for their commit; the zero key is all
}

type liveKey struct {
	space core.SpaceID
	doc   core.DocumentID
}

// liveDoc is a document in memory: in one instance, unless functions of hosts ran for long.
type liveDoc struct {
	key       liveKey
	instances []*instance
	bytes     int64
	users     int    // calls that have an instance, or wait for one
	made      uint64 // when it was last made anew
	place     *list.Element
}

// instance is a document as it was committed, to be brought up to date. All fields but
// the first four belong to who holds it.
type instance struct {
	of    *liveDoc
	held  chan struct{}             // holds one value while somebody has the instance
	since atomic.Pointer[time.Time] // when the host's function began, nil while none runs
	kept  int64                     // size as it was at the last release, guarded by liveDocs.mu

	doc      *yjs.Doc       // nil for none
	rec      core.DocRecord // as it was when all ops, and the tail, were in doc
	writable bool           // by the local member
	read     uint64         // when doc was read, by liveDocs.clock
	jobs     uint64         // that had been when it was brought up to date, 0 for not known
	client   uint64         // under which it writes, 0 for none yet
	end      uint64         // of that client, as committed
	size     int64          // in memory, as estimated
	counted  int64          // size when it was last counted
}

func newLiveDocs() *liveDocs {
	return &liveDocs{maxBytes: MaxLiveBytes, maxDocs: MaxLiveDocs, jobs: 1, docs: map[liveKey]*liveDoc{}, remaking: map[liveKey]int{}}
}

// acquire returns an instance of a document. The caller alone has it, until release.
func (l *liveDocs) acquire(ctx context.Context, key liveKey) (*instance, error) {
	d := l.enter(key)
	for n := 0; ; n++ {
		in := l.instance(d, n)
		held, err := in.hold(ctx)
		if err != nil {
			l.leave(d)
			return nil, err
		}
		if held {
			return in, nil
		}
	}
}

// enter keeps a document in memory until leave.
func (l *liveDocs) enter(key liveKey) *liveDoc {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.docs[key]
	if d == nil {
		d = &liveDoc{key: key}
		d.place = l.used.PushFront(d)
		l.docs[key] = d
	}
	l.used.MoveToFront(d.place)
	d.users++
	l.trim()
	return d
}

func (l *liveDocs) instance(d *liveDoc, n int) *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == len(d.instances) {
		d.instances = append(d.instances, &instance{of: d, held: make(chan struct{}, 1)})
	}
	return d.instances[n]
}

// hold waits for the instance, as long as no host's function has it for longer than
// livePatience.
func (in *instance) hold(ctx context.Context) (bool, error) {
	select {
	case in.held <- struct{}{}:
		return true, nil
	default:
	}
	for {
		left := livePatience
		if since := in.since.Load(); since != nil {
			left -= time.Since(*since)
		}
		if left <= 0 {
			return false, nil
		}
		timer := time.NewTimer(left)
		select {
		case in.held <- struct{}{}:
			timer.Stop()
			return true, nil
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		case <-timer.C:
		}
	}
}

// lend runs a host's function that has the document to itself.
func (in *instance) lend(fn func() error) error {
	now := time.Now()
	in.since.Store(&now)
	defer in.since.Store(nil)
	return fn()
}

// drop forgets the content, and the client: nothing of what was done to it must be seen
// in what it writes next.
func (in *instance) drop() {
	in.doc, in.client, in.size, in.counted = nil, 0, 0, 0
}

// What is added to the estimate of a document's memory, at least as much as it takes.
const (
	docBytes    = 4 << 10 // for a document, whatever is in it
	updateBytes = 512     // for an update, beside
	perByte     = 8       // of the update
)

// count estimates the memory that an instance takes.
func (in *instance) count() {
	in.size = docBytes + in.doc.Footprint()
	in.counted = in.size
}

// grow adds an update to the estimate. Once that has doubled, it is made anew.
func (in *instance) grow(update []byte) {
	in.size += updateBytes + perByte*int64(len(update))
	if in.size > 2*in.counted {
		in.count()
	}
}

// release gives an instance back.
func (l *liveDocs) release(in *instance) {
	l.mu.Lock()
	l.bytes += in.size - in.kept
	in.of.bytes += in.size - in.kept
	in.kept = in.size
	l.mu.Unlock()
	<-in.held
	l.leave(in.of)
}

// leave ends what enter began.
func (l *liveDocs) leave(d *liveDoc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.users--; d.users == 0 && d.bytes > l.maxBytes {
		l.forget(d) // it alone is too large, which is no reason to forget all others
	}
	l.trim()
}

// trim keeps the bounds.
func (l *liveDocs) trim() {
	for at := l.used.Back(); at != nil && (l.bytes > l.maxBytes || len(l.docs) > l.maxDocs); {
		oldest := at.Value.(*liveDoc)
		at = at.Prev()
		if oldest.users == 0 {
			l.forget(oldest)
		}
	}
}

func (l *liveDocs) forget(d *liveDoc) {
	delete(l.docs, d.key)
	l.used.Remove(d.place)
	l.bytes -= d.bytes
}

// jobBegins counts a job of the writer, of whatever kind. Its caller calls ended once the
// job is done and what it did can be read.
func (l *liveDocs) jobBegins() (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs++
	l.running++
	return func() {
		l.mu.Lock()
		l.running--
		l.mu.Unlock()
	}
}

// nothingSince reports whether no job began since there were so many.
func (l *liveDocs) nothingSince(jobs uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs == jobs
}

// afterOwn returns the number of jobs, if one of the caller is the only one since there were
// so many, or else 0.
func (l *liveDocs) afterOwn(jobs uint64) uint64 {
	if jobs == 0 || !l.nothingSince(jobs+1) {
		return 0
	}
	return jobs + 1
}

// now returns the time, to compare with what is made anew later, and the number of jobs
// that what is read from now on shows, 0 if that is not known.
func (l *liveDocs) now() (clock, jobs uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == 0 {
		jobs = l.jobs
	}
	return l.clock, jobs
}

// follows reports whether ops alone lead from the state of an instance to the one that
// was read just now.
func (l *liveDocs) follows(in *instance) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remaking[in.of.key] == 0 && l.remaking[liveKey{}] == 0 && in.read >= max(in.of.made, l.allMade)
}

// remake tells that a job makes a document anew, the zero key all documents. ended must
// be called once it is known whether that was committed: until then no instance can tell
// which state it has read.
func (l *liveDocs) remake(key liveKey) (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remaking[key]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.remaking[key]--; l.remaking[key] == 0 {
			delete(l.remaking, key)
		}
		l.clock++
		if key == (liveKey{}) {
			l.allMade = l.clock
		} else if d := l.docs[key]; d != nil {
			d.made = l.clock
		}
	}
}

// outdate tells those who have a document in memory that the job makes it anew, or, with
// the zero key, all documents.
func (w *work) outdate(key liveKey) {
	ended := w.r.live.remake(key)
	w.OnRollback(ended)
	w.ended = append(w.ended, ended)
}
