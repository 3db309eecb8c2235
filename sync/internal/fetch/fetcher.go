package fetch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/retry"
)

// Limits of fetching.
const (
	// Parallel is how many blobs come at a time because they are wanted, and ParallelAll
	// with those that a caller waits for.
	Parallel    = 4
	ParallelAll = 8
	// MaxRemembered is of how many blobs it is remembered that they were not to be had.
	// Others are asked for each time that a round comes to them.
	MaxRemembered = 1 << 14

	// pageSize is how many wanted blobs are read at a time.
	pageSize = 64
)

// When a blob is tried again.
const (
	firstRetry   = time.Second      // after a cut
	longestRetry = 2 * time.Minute  // after many without a byte
	firstIdle    = 15 * time.Second // if nobody has it, and nobody else connects
	longestIdle  = 10 * time.Minute
	waitedRetry  = 5 * time.Second // at the latest, while a caller waits
	fullRetry    = 5 * time.Minute // if there is no room
	busyRetry    = time.Second     // if somebody else brings it

	// scanShare is how much longer than a round over all that is wanted the pause after it is.
	scanShare = 20
	shortScan = 10 * time.Millisecond
)

// Sources are the peers that are connected. It must be safe for concurrent use.
type Sources interface {
	// Peers returns the members of a space that are connected, the best first.
	Peers(space core.SpaceID) []core.PeerID
	// Open opens a stream of /soma/blob/1.
	Open(ctx context.Context, peer core.PeerID) (Source, error)
}

// Options are what a Fetcher need not have.
type Options struct {
	// Offend is told of what a peer did that breaks the protocol. It must not wait.
	Offend func(peer core.PeerID, err error)
	Logger *slog.Logger // nil for none
}

// Fetcher brings the bytes of wanted blobs here while Run runs. It is safe for concurrent use.
type Fetcher struct {
	blobs   core.SharedBlobs
	sources Sources
	o       Options

	wake chan struct{}
	ends chan struct{} // closed when Run ends
	runs sync.WaitGroup
	scan scan // of Run's goroutine

	mu      sync.Mutex
	jobs    map[key]*job
	current map[key]*job // those that run
	active  map[core.PeerID]int
	dirty   bool // something may be wanted that was not, or be to be had
	ended   bool
}

// New returns a Fetcher of what blobs want.
func New(blobs core.SharedBlobs, sources Sources, o Options) *Fetcher {
	if o.Offend == nil {
		o.Offend = func(core.PeerID, error) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Fetcher{
		blobs: blobs, sources: sources, o: o, wake: make(chan struct{}, 1), ends: make(chan struct{}),
		jobs: map[key]*job{}, current: map[key]*job{}, active: map[core.PeerID]int{}, dirty: true,
	}
}

// Changed says that which blobs a space holds or wants may have changed (core.News.Blobs).
// It does not wait for anything.
func (f *Fetcher) Changed(space core.SpaceID) {
	f.mu.Lock()
	f.dirty = true
	for k, j := range f.current {
		if k.space == space {
			j.stale = true
		}
	}
	f.mu.Unlock()
	f.ring()
}

// PeersChanged says that a peer may have what nobody had: it is connected now, or a member.
func (f *Fetcher) PeersChanged() {
	f.mu.Lock()
	f.dirty = true
	for _, j := range f.jobs {
		if j.idle {
			j.idle, j.until = false, time.Time{}
		}
	}
	f.mu.Unlock()
	f.ring()
}

func (f *Fetcher) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run fetches until ctx ends, and returns when nothing of it runs any more. It can be
// called once.
func (f *Fetcher) Run(ctx context.Context) {
	defer f.runs.Wait()
	defer f.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		next := f.startWaited(ctx)
		if at := f.startWanted(ctx); next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
		if next.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// end lets nobody wait any more.
func (f *Fetcher) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	close(f.ends)
}

// startWaited starts what callers wait for, and returns when the next is to be tried again.
func (f *Fetcher) startWaited(ctx context.Context) (next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, j := range f.jobs {
		switch {
		case len(j.waiters) == 0 || j.running || len(f.current) >= ParallelAll:
		case !j.until.After(now):
			f.start(ctx, j)
		case next.IsZero() || j.until.Before(next):
			next = j.until
		}
	}
	return next
}

// job returns the job of a blob, a new one if there is none. f.mu is held.
func (f *Fetcher) job(k key) *job {
	j := f.jobs[k]
	if j == nil {
		j = &job{key: k, waiters: map[*waiter]bool{}}
		f.jobs[k] = j
	}
	return j
}

// start starts a job. f.mu is held.
func (f *Fetcher) start(ctx context.Context, j *job) {
	j.running, j.stale = true, false
	f.current[j.key] = j
	f.runs.Go(func() {
		moved, err := f.try(ctx, j)
		f.finish(ctx, j, moved, err)
	})
}

// finish draws the conclusions from an attempt.
func (f *Fetcher) finish(ctx context.Context, j *job, moved bool, err error) {
	result := err
	if errors.Is(err, errGone) || errors.Is(err, core.ErrNotFound) {
		result = f.isHere(ctx, j.key)
		err = nil
	}
	if err != nil && ctx.Err() == nil {
		f.o.Logger.Debug("blob not fetched", "space", j.space, "cid", core.CIDFromHash(j.hash), "err", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	j.running = false
	delete(f.current, j.key)
	if (err == nil || isFinal(err)) && ctx.Err() == nil {
		for w := range j.waiters {
			w.done <- result
		}
		clear(j.waiters)
	}
	if err == nil {
		delete(f.jobs, j.key)
	} else {
		j.postpone(moved, err)
		f.forgetSome(j)
	}
	f.ring()
}

// isHere returns nil if a blob is here, and else why it is not.
func (f *Fetcher) isHere(ctx context.Context, k key) error {
	content, err := f.blobs.OpenBlob(ctx, k.space, k.hash)
	if err != nil {
		return err
	}
	return content.Close()
}

// isFinal reports whether who waits for a blob has to be told that it does not come.
func isFinal(err error) bool {
	for _, final := range []error{core.ErrDiskFull, core.ErrQuota, core.ErrTooLarge, core.ErrClosed, core.ErrCorrupt} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// postpone says when a job is tried again.
func (j *job) postpone(moved bool, err error) {
	wait := firstRetry
	j.idle = false
	switch {
	case errors.Is(err, core.ErrExists):
		wait = busyRetry
	case isFinal(err):
		wait = fullRetry
	case errors.Is(err, errNoSource):
		j.idle = true
		wait = retry.Backoff(firstIdle, longestIdle, j.failures)
		j.failures++
	case moved:
		j.failures = 0
	default:
		wait = retry.Backoff(firstRetry, longestRetry, j.failures)
		j.failures++
	}
	if len(j.waiters) > 0 {
		wait = min(wait, waitedRetry)
	}
	j.until = time.Now().Add(retry.Jitter(wait))
}

// forgetSome bounds what is remembered, of which j is the newest.
func (f *Fetcher) forgetSome(j *job) {
	if len(f.jobs) <= MaxRemembered {
		return
	}
	now := time.Now()
	for k, old := range f.jobs {
		if !old.running && len(old.waiters) == 0 && !old.until.After(now) {
			delete(f.jobs, k)
		}
	}
	if len(f.jobs) > MaxRemembered && len(j.waiters) == 0 {
		delete(f.jobs, j.key)
	}
}

// pick returns the connected peer that is to be asked next, of those with the least to do the
// best. unpick must be called.
func (f *Fetcher) pick(j *job, tried map[core.PeerID]bool) (peer core.PeerID, ok bool) {
	peers := f.sources.Peers(j.space)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range peers {
		if tried[p] || j.bad[p] {
			continue
		}
		if !ok || f.active[p] < f.active[peer] {
			peer, ok = p, true
		}
	}
	if ok {
		f.active[peer]++
	}
	return peer, ok
}

func (f *Fetcher) unpick(peer core.PeerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active[peer]--; f.active[peer] == 0 {
		delete(f.active, peer)
	}
}

// blame is for a peer that broke the protocol, or sent wrong bytes. It is not asked for the
// blob again.
func (f *Fetcher) blame(j *job, peer core.PeerID, err error) {
	f.mu.Lock()
	if j.bad == nil {
		j.bad = map[core.PeerID]bool{}
	}
	j.bad[peer] = true
	f.mu.Unlock()
	f.o.Offend(peer, err)
}

func (f *Fetcher) isAlone(j *job) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return j.alone
}

func (f *Fetcher) setAlone(j *job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j.alone = true
}

// moved tells who waits how much of a blob has come, and reports whether somebody said that
// it may not be wanted any more.
func (f *Fetcher) moved(j *job, done, size int64) (stale bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range j.waiters {
		w.move(done, size)
	}
	stale, j.stale = j.stale, false
	return stale
}
