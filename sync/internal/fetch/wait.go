package fetch

import (
	"context"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// waiter is a caller that waits for a blob. Its numbers are guarded by Fetcher.mu.
type waiter struct {
	done       chan error // has room for the one value that comes
	moves      chan struct{}
	came, size int64
}

func (w *waiter) move(came, size int64) {
	w.came, w.size = came, size
	select {
	case w.moves <- struct{}{}:
	default:
	}
}

// Fetch brings the bytes of a blob here, before what nobody waits for, and returns when
// they are. Progress, which may be nil, is called in the caller's goroutine. If ctx ends, they come all
// the same, later. Errors: those of core.SharedBlobs.Want and Resume, core.ErrNotHere if
// they are not wanted any more, core.ErrSyncOff once Run has ended, ctx's.
func (f *Fetcher) Fetch(ctx context.Context, space core.SpaceID, hash core.Hash, progress func(done, size int64)) error {
	if err := f.blobs.Want(ctx, space, hash); err != nil {
		return err
	}
	w := &waiter{done: make(chan error, 1), moves: make(chan struct{}, 1)}
	k := key{space, hash}
	if !f.await(k, w) {
		return core.ErrSyncOff
	}
	defer f.leave(k, w)
	tell := func() {
		f.mu.Lock()
		came, size := w.came, w.size
		f.mu.Unlock()
		if progress != nil && size > 0 {
			progress(came, size)
		}
	}
	for {
		select {
		case <-w.moves:
			tell()
		case err := <-w.done:
			if err == nil {
				tell()
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.ends:
			return core.ErrSyncOff
		}
	}
}

// await adds a waiter, whose blob is tried at once.
func (f *Fetcher) await(k key, w *waiter) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	j := f.job(k)
	j.waiters[w] = true
	if !j.running {
		j.until = time.Time{}
	}
	f.ring()
	return true
}

func (f *Fetcher) leave(k key, w *waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j := f.jobs[k]; j != nil {
		delete(j.waiters, w)
	}
}
