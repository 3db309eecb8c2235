package plain

import (
	"bytes"
	"cmp"
	"maps"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Set is a set of entries.
type Set map[core.Hash]bool

// Space is all admitted entries of a space.
type Space struct {
	Entries map[core.Hash]*log.Entry
	Order   []*log.Entry // each after its past

	auth    map[core.Hash]Set // by entry: the membership entries in its past
	content map[core.Hash]Set // by content entry: the content entries in its past
	before  map[core.Hash]*Verdict
}

// New returns a space of entries, which must come each after its past.
func New(entries []*log.Entry) *Space {
	s := &Space{
		Entries: map[core.Hash]*log.Entry{}, auth: map[core.Hash]Set{}, content: map[core.Hash]Set{},
		before: map[core.Hash]*Verdict{},
	}
	for _, e := range entries {
		s.add(e)
	}
	return s
}

func (s *Space) add(e *log.Entry) {
	auth, content := Set{}, Set{}
	for _, h := range e.Auth {
		auth[h] = true
		maps.Copy(auth, s.auth[h])
	}
	for _, h := range e.Deps {
		content[h] = true
		maps.Copy(content, s.content[h])
	}
	if e.Seq > 1 {
		maps.Copy(auth, s.auth[e.Prev])
		if e.Chain == core.ChainMembership {
			auth[e.Prev] = true
		} else {
			content[e.Prev] = true
			maps.Copy(content, s.content[e.Prev])
		}
	}
	s.Entries[e.Hash], s.Order = e, append(s.Order, e)
	s.auth[e.Hash], s.content[e.Hash] = auth, content
}

// All returns all membership entries.
func (s *Space) All() Set {
	all := Set{}
	for _, e := range s.Order {
		if e.Chain == core.ChainMembership {
			all[e.Hash] = true
		}
	}
	return all
}

// Auth returns the membership entries in the past of an entry.
func (s *Space) Auth(e core.Hash) Set { return s.auth[e] }

// Past returns the content entries in the past of a content entry.
func (s *Space) Past(e core.Hash) Set { return s.content[e] }

// Before returns the verdict on the membership past of an entry.
func (s *Space) Before(e core.Hash) *Verdict {
	v := s.before[e]
	if v == nil {
		v = s.Judge(s.auth[e])
		s.before[e] = v
	}
	return v
}

func compare(a, b *log.Entry) int {
	return cmp.Or(cmp.Compare(a.Lamport, b.Lamport), bytes.Compare(a.Hash[:], b.Hash[:]))
}
