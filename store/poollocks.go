package store

import (
	"context"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// hashLocks keep those apart who change the same bytes. Who waits for the writer may hold
// them; nobody takes one inside of a transaction.
type hashLocks struct {
	mu   sync.Mutex
	held map[core.Hash]*hashLock
}

type hashLock struct {
	free  chan struct{}
	users int // holders and waiters
}

// lock waits for the bytes as long as ctx lasts. Several have to be locked in order.
func (l *hashLocks) lock(ctx context.Context, hash core.Hash) (unlock func(), err error) {
	l.mu.Lock()
	h := l.held[hash]
	if h == nil {
		h = &hashLock{free: make(chan struct{}, 1)}
		h.free <- struct{}{}
		l.held[hash] = h
	}
	h.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, hash)
		}
	}
	select {
	case <-h.free:
		return func() { h.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
