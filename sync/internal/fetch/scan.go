package fetch

import (
	"context"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/retry"
)

// scan goes round all that is wanted, so that each blob has its turn, whatever becomes of
// the others. It keeps a page of it in memory.
type scan struct {
	page  []core.WantedBlob
	after core.WantedBlob
	more  bool                  // the round has not come to its end
	has   map[core.SpaceID]bool // whether somebody is connected, in this round
	began time.Time             // the round
	took  time.Duration         // reading in this round
	next  time.Time             // when the next round may begin, at the earliest
	retry time.Time             // when the first of what was passed over is to be tried again
}

// startWanted starts what is wanted, as long as there is room, and returns when to go on.
func (f *Fetcher) startWanted(ctx context.Context) (next time.Time) {
	for f.hasRoom() {
		want, ok, err := f.nextWanted(ctx)
		if err != nil {
			if ctx.Err() == nil {
				f.o.Logger.Warn("wanted blobs not read", "err", err)
			}
			return time.Now().Add(retry.Jitter(longestRetry))
		}
		if !ok {
			return f.nextRound()
		}
		f.startOne(ctx, key{want.Space, want.Hash})
	}
	return time.Time{} // what ends wakes
}

func (f *Fetcher) hasRoom() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.current) < Parallel
}

func (f *Fetcher) startOne(ctx context.Context, k key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j := f.job(k); !j.running {
		f.start(ctx, j)
	}
}

// nextWanted returns the next blob that is to be tried now, unless the round is over and
// no other may begin.
func (f *Fetcher) nextWanted(ctx context.Context) (want core.WantedBlob, ok bool, err error) {
	s := &f.scan
	if !s.more && len(s.page) == 0 && !f.beginRound() {
		return want, false, nil
	}
	for {
		for len(s.page) > 0 {
			want, s.page = s.page[0], s.page[1:]
			if f.isDue(want) {
				return want, true, nil
			}
		}
		if !s.more {
			s.next = time.Now().Add(max(shortScan, s.took) * scanShare)
			return want, false, nil
		}
		began := time.Now()
		if s.page, err = f.blobs.Wanted(ctx, "", s.after, pageSize); err != nil {
			return want, false, err
		}
		s.took += time.Since(began)
		if s.more = len(s.page) == pageSize; len(s.page) > 0 {
			s.after = s.page[len(s.page)-1]
		}
	}
}

// beginRound begins one if there is a reason to, and it is time.
func (f *Fetcher) beginRound() bool {
	s := &f.scan
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	due := !s.retry.IsZero() && !s.retry.After(now)
	if !f.dirty && !due || s.next.After(now) {
		return false
	}
	f.dirty = false
	*s = scan{more: true, began: now, has: map[core.SpaceID]bool{}}
	return true
}

// nextRound returns when the next round is to begin, if nothing changes.
func (f *Fetcher) nextRound() time.Time {
	s := &f.scan
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, j := range f.jobs {
		has, known := s.has[k.space]
		switch {
		case j.running || len(j.waiters) > 0 || known && !has:
		case j.until.Before(s.began) && !f.dirty: // it was not met in this round
			delete(f.jobs, k)
		case s.retry.IsZero() || j.until.Before(s.retry):
			s.retry = j.until
		}
	}
	switch {
	case f.dirty:
		return s.next
	case s.retry.IsZero():
		return time.Time{}
	case s.retry.Before(s.next):
		return s.next
	}
	return s.retry
}

// isDue reports whether a blob is to be tried now. Where nobody is connected none is.
func (f *Fetcher) isDue(want core.WantedBlob) bool {
	s := &f.scan
	has, known := s.has[want.Space]
	if !known {
		has = len(f.sources.Peers(want.Space)) > 0
		s.has[want.Space] = has
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[key{want.Space, want.Hash}]
	switch {
	case j == nil:
		return has
	case j.running:
		return false
	case j.until.After(time.Now()):
		if s.retry.IsZero() || j.until.Before(s.retry) {
			s.retry = j.until
		}
		return false
	}
	return has
}
