package collection

import (
	"hash/maphash"

	"github.com/soma-sdk/soma/internal/core"
)

// maxReplaced is how many replaced versions of the rows of a collection are remembered
// while the store is open. What a row itself remembers can be too little for a window that
// slept while another one typed.
const maxReplaced = 1 << 16

// replaced is a set of versions that rows had, the last maxReplaced.
type replaced struct {
	seed  maphash.Seed
	set   map[uint64]struct{}
	order []uint64 // a ring, once it is full
	next  int
}

func newReplaced() *replaced {
	return &replaced{seed: maphash.MakeSeed(), set: map[uint64]struct{}{}}
}

func (r *replaced) hash(key, version string) uint64 {
	return maphash.String(r.seed, key) ^ 3*maphash.String(r.seed, version)
}

func (r *replaced) add(key, version string) {
	h := r.hash(key, version)
	if _, known := r.set[h]; known {
		return
	}
	r.set[h] = struct{}{}
	if len(r.order) < maxReplaced {
		r.order = append(r.order, h)
		return
	}
	delete(r.set, r.order[r.next])
	r.order[r.next] = h
	r.next = (r.next + 1) % maxReplaced
}

func (r *replaced) has(key, version string) bool {
	_, known := r.set[r.hash(key, version)]
	return known
}

// watch makes the storage remember versions from now on, because a window is about to
// have some.
func (s *storage) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replaced == nil {
		s.replaced = newReplaced()
	}
}

func (s *storage) hadVersion(key, version string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaced != nil && s.replaced.has(key, version)
}

// supersede is told that a row gets another version, and returns what it has seen then.
func (b *Batch) supersede(was core.RecordRow) []byte {
	s := &b.c.state(b.name).storage
	s.mu.Lock()
	if s.replaced != nil {
		s.replaced.add(was.Key, was.VersionKey)
	}
	s.mu.Unlock()
	return remember(was.Seen, was.VersionKey)
}
