package replica

import (
	"bytes"
	"fmt"
	"slices"

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

	frontier func(space int64, chain core.Chain) ([]core.FrontierRecord, error)
	placed   map[core.Hash]placed // content entries
	count    int64                // of content entries, -1 if it is not known
}

// placed is where a content entry stands, and what lies in its past.
type placed struct {
	pos  int
	past log.Region
}

// newPast returns a past for asking what lies in whose past.
func newPast(v core.View, space int64) *past {
	return &past{
		view: v, space: space, known: map[core.Hash]log.Ancestor{},
		frontier: v.Frontier, placed: map[core.Hash]placed{}, count: -1,
	}
}

func (w *work) pastOf(space *core.SpaceRecord) *past {
	if w.past == nil {
		w.past = map[int64]*past{}
	}
	p := w.past[space.Key]
	if p == nil {
		p = newPast(w.Tx, space.Key)
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

// maxGaps bounds the spans that are stored for the past of an entry. More come about
// where entries of histories that do not know of each other arrive in turns.
const maxGaps = 256

// manyGaps stands for more than maxGaps: whoever wants to know has to walk back.
var manyGaps = []byte{0}

// place gives a content entry, before it is stored, its position and the gaps of its
// past, both by the order in which entries came here.
func (p *past) place(h *log.Header, rec *core.EntryRecord) error {
	if p.count < 0 {
		n, err := p.view.ContentCount(p.space)
		if err != nil {
			return err
		}
		p.count = n
	}
	rec.Pos = p.count
	p.count++
	past, known, err := p.join(parentsOf(h))
	switch {
	case err != nil:
		return err
	case !known || len(past.Gaps) > maxGaps:
		rec.Gaps = manyGaps
		return p.joinsAll(h, rec)
	}
	rec.Gaps = past.EncodeGaps(int(rec.Pos))
	p.remember(rec, past)
	return nil
}

// join returns the positions of some entries and their pasts, if those are known.
func (p *past) join(heads []core.Hash) (past log.Region, known bool, err error) {
	for _, hash := range heads {
		at, here := p.placed[hash]
		if !here {
			rec, err := p.view.EntryHeader(p.space, hash)
			if err != nil {
				return past, false, err
			}
			if at.past, known, err = p.pastOf(&rec); err != nil || !known {
				return past, false, err
			}
			at.pos = int(rec.Pos)
		}
		past = past.Join(at.past.With(at.pos))
	}
	return past, true, nil
}

// joinsAll finds out whether an entry ends the confusion: it cites all that nobody
// cited before.
func (p *past) joinsAll(h *log.Header, rec *core.EntryRecord) error {
	frontier, err := p.frontier(p.space, core.ChainContent)
	if err != nil {
		return err
	}
	parents := parentsOf(h)
	for _, f := range frontier {
		if !slices.Contains(parents, f.Hash) {
			return nil
		}
	}
	rec.Gaps = nil
	return nil
}

// pastOf returns the positions of all that lies in the past of a content entry, if they
// are known.
func (p *past) pastOf(rec *core.EntryRecord) (past log.Region, known bool, err error) {
	if at, ok := p.placed[rec.Hash]; ok {
		return at.past, true, nil
	}
	if bytes.Equal(rec.Gaps, manyGaps) {
		return past, false, nil
	}
	if past, err = log.DecodeGaps(rec.Gaps, int(rec.Pos)); err != nil {
		return past, false, fmt.Errorf("entry %s: %w", rec.Hash, err)
	}
	p.remember(rec, past)
	return past, true, nil
}

func (p *past) remember(rec *core.EntryRecord, past log.Region) {
	if len(p.placed) >= maxKnown {
		clear(p.placed)
	}
	p.placed[rec.Hash] = placed{int(rec.Pos), past}
}

// seesAll reports whether all content that came before an entry lies in its past.
func seesAll(rec *core.EntryRecord) bool { return len(rec.Gaps) == 0 }

// knows reports which of some content entries lie in the past of another.
func (p *past) knows(rec *core.EntryRecord, others []core.EntryRecord) ([]bool, error) {
	in := make([]bool, len(others))
	past, known, err := p.pastOf(rec)
	if err != nil {
		return nil, err
	}
	if known {
		for i := range others {
			in[i] = past.Has(int(others[i].Pos))
		}
		return in, nil
	}
	var targets []core.Hash
	for i := range others {
		if others[i].Pos < rec.Pos {
			targets = append(targets, others[i].Hash)
		}
	}
	h, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return nil, err
	}
	found, err := p.walk(parentsOf(&h), targets)
	for i := range others {
		in[i] = found[others[i].Hash]
	}
	return in, err
}

// walk returns those of targets that lie in the past of an entry with the given
// parents. It goes back no further than the earliest target.
func (p *past) walk(parents, targets []core.Hash) (map[core.Hash]bool, error) {
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
