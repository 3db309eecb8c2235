package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// past shows the log of one space to package log. It remembers what it read, for
// the length of one transaction.
type past struct {
	view  core.View
	space int64
	known map[core.Hash]log.Ancestor
	state func(heads []core.Hash) (*log.State, error)
}

func (w *work) pastOf(space *core.SpaceRecord) *past {
	if w.past == nil {
		w.past = map[int64]*past{}
	}
	p := w.past[space.Key]
	if p == nil {
		p = &past{view: w.Tx, space: space.Key, known: map[core.Hash]log.Ancestor{}}
		p.state = func(heads []core.Hash) (*log.State, error) {
			a, err := w.authority(space)
			if err != nil {
				return nil, err
			}
			return a.At(heads)
		}
		w.past[space.Key] = p
	}
	return p
}

// Ancestor implements log.Past.
func (p *past) Ancestor(hash core.Hash) (log.Ancestor, error) {
	if a, ok := p.known[hash]; ok {
		return a, nil
	}
	rec, err := p.view.EntryHeader(p.space, hash)
	if err != nil {
		return log.Ancestor{}, err
	}
	var authSet []core.Hash
	if rec.Auth != 0 {
		if authSet, err = p.view.AuthSet(rec.Auth); err != nil {
			return log.Ancestor{}, err
		}
	}
	header, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return log.Ancestor{}, err
	}
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	a := header.AsAncestor(hash, authSet)
	p.known[hash] = a
	return a, nil
}

// maxKnown bounds the ancestors that are remembered.
const maxKnown = 1 << 16

// State implements log.Past.
func (p *past) State(heads []core.Hash) (*log.State, error) { return p.state(heads) }

// parents returns the entries of its own chain kind that an entry builds upon.
func (p *past) parents(hash core.Hash) ([]core.Hash, error) {
	rec, err := p.view.EntryHeader(p.space, hash)
	if err != nil {
		return nil, err
	}
	h, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return nil, err
	}
	return parentsOf(&h), nil
}

func parentsOf(h *log.Header) []core.Hash {
	var parents []core.Hash
	if h.Seq > 1 {
		parents = append(parents, h.Prev)
	}
	if h.Chain == core.ChainMembership {
		return append(parents, h.Auth...)
	}
	return append(parents, h.Deps...)
}

// seesAll reports whether all content lies in the past of e, which is newly
// accepted. That holds for own entries, and makes walking back unnecessary.
func (w *work) seesAll(space *core.SpaceRecord, e *log.Entry) (bool, error) {
	frontier, err := w.frontier(space, core.ChainContent)
	return len(frontier) == 1 && frontier[0] == e.Hash, err
}

// below returns those of targets that lie in the past of an entry with the given
// parents. It walks back no further than the earliest target.
func (p *past) below(parents, targets []core.Hash) (map[core.Hash]bool, error) {
	open := make(map[core.Hash]bool, len(targets))
	floor := uint64(log.MaxCounter)
	for _, hash := range targets {
		a, err := p.Ancestor(hash)
		if err != nil {
			return nil, err
		}
		open[hash] = true
		floor = min(floor, a.Lamport)
	}
	found := make(map[core.Hash]bool, len(open))
	seen := make(map[core.Hash]bool)
	stack := append([]core.Hash(nil), parents...)
	for len(stack) > 0 && len(open) > 0 {
		hash := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		if open[hash] {
			delete(open, hash)
			found[hash] = true
		}
		a, err := p.Ancestor(hash)
		if err != nil {
			return nil, err
		}
		if a.Lamport <= floor {
			continue
		}
		more, err := p.parents(hash)
		if err != nil {
			return nil, err
		}
		stack = append(stack, more...)
	}
	return found, nil
}
