package upload

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// schedule says which job is next. The rows say what is to be done: what is in it without
// need is passed over.
type schedule struct {
	mu     sync.Mutex
	wake   *sync.Cond
	closed bool
	queue  []string // jobs whose time has come, in order
	timers map[string]*time.Timer
	runs   map[string]*run
	busy   map[target][]string // what is being uploaded, and the jobs that wait for its end
}

// target is what must not be uploaded twice at the same time.
type target struct {
	space core.SpaceID
	hash  core.Hash
}

// run is a job that a worker has.
type run struct {
	id    string
	ctx   context.Context //nolint:containedctx // it is the life of the run
	stop  context.CancelCauseFunc
	done  chan struct{}
	again bool // its time came once more

	live atomic.Bool // the sink has it, and sent is news
	sent atomic.Int64
}

func (s *schedule) init() {
	s.wake = sync.NewCond(&s.mu)
	s.timers, s.runs, s.busy = map[string]*time.Timer{}, map[string]*run{}, map[target][]string{}
}

// ready says that the time of a job has come.
func (s *schedule) ready(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(id)
}

func (s *schedule) enqueue(id string) {
	s.stopTimer(id)
	if s.closed {
		return
	}
	s.queue = append(s.queue, id)
	s.wake.Signal()
}

// later says that the time of a job comes after a while.
func (s *schedule) later(id string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopTimer(id)
	if s.closed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timers[id] == timer {
			s.enqueue(id)
		}
	})
	s.timers[id] = timer
}

// drop takes a job out that has nothing to be done any more.
func (s *schedule) drop(id string) {
	s.stopTimer(id)
	s.queue = slices.DeleteFunc(s.queue, func(q string) bool { return q == id })
}

func (s *schedule) stopTimer(id string) {
	if timer := s.timers[id]; timer != nil {
		timer.Stop()
		delete(s.timers, id)
	}
}

// forget says that there is nothing to be done of a job.
func (s *schedule) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// next waits for a job whose time has come, and returns nil once the schedule is closed.
func (s *schedule) next(background context.Context) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.queue) == 0 && !s.closed {
			s.wake.Wait()
		}
		if s.closed {
			return nil
		}
		id := s.queue[0]
		s.queue = s.queue[1:]
		if s.timers[id] != nil { // it was in the queue twice, and waits again
			continue
		}
		if r := s.runs[id]; r != nil { // it is about to end
			r.again = true
			continue
		}
		r := &run{id: id, done: make(chan struct{})}
		r.ctx, r.stop = context.WithCancelCause(background)
		s.runs[id] = r
		return r
	}
}

// leave ends a run.
func (s *schedule) leave(r *run) {
	r.stop(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r.id)
	if r.again {
		s.enqueue(r.id)
	}
	close(r.done)
}

func (s *schedule) runOf(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id]
}

// interrupt ends what a worker does of a job.
func (s *schedule) interrupt(id string, cause error) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
	r := s.runs[id]
	if r != nil {
		r.stop(cause)
	}
	return r
}

// acquire reports whether nothing else uploads a target, until release.
func (s *schedule) acquire(t target) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.busy[t]; taken {
		return false
	}
	s.busy[t] = nil
	return true
}

func (s *schedule) release(t target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.busy[t] {
		s.enqueue(id)
	}
	delete(s.busy, t)
}

// readyAfter is ready once a target is released.
func (s *schedule) readyAfter(t target, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.busy[t]; taken {
		s.busy[t] = append(s.busy[t], id)
		return
	}
	s.enqueue(id)
}

// shut makes next return nil.
func (s *schedule) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for id := range s.timers {
		s.stopTimer(id)
	}
	s.queue = nil
	s.wake.Broadcast()
}

// current adds to a job what was sent since its row was written.
func (s *schedule) current(j Job) Job {
	if j.State != Uploading {
		return j
	}
	if r := s.runOf(j.ID); r != nil && r.live.Load() {
		j.SentBytes = min(r.sent.Load(), j.Size)
	}
	return j
}
