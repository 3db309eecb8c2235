package share

import (
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// MaxRefused bounds the chains of which a pair remembers that something was refused. Of
// more, the oldest are forgotten, and asked for again.
const MaxRefused = 1024

// refusals are entries that the peer offers and that were not taken: asking for them, or
// for what builds upon them, again is of no use.
type refusals struct {
	of    map[spaceChain]Refusal
	order []spaceChain // in which they came
}

type spaceChain struct {
	space core.SpaceID
	chain core.ChainID
}

// Refusal is the first entry of a chain that was refused.
type Refusal struct {
	Seq   uint64
	Hash  core.Hash
	Final bool      // it breaks a rule; else it waits for what the peer has not given
	Until time.Time // when to try again, if it is not final
	Row   core.Hash // of the peer's row at that time, as the caller likes
}

// Refuse notes a refusal. An earlier one of the chain stays if it is of a lower seq.
func (p *Pair) Refuse(space core.SpaceID, chain core.ChainID, r Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := spaceChain{space, chain}
	f := &p.refused
	if old, is := f.of[key]; is {
		if r.Seq < old.Seq {
			f.of[key] = r
		}
		return
	}
	if f.of == nil {
		f.of = map[spaceChain]Refusal{}
	}
	for len(f.order) > 0 && len(f.of) >= MaxRefused {
		delete(f.of, f.order[0])
		f.order = f.order[1:]
	}
	f.of[key] = r
	f.order = append(f.order, key)
}

// Refused returns what was refused of a chain.
func (p *Pair) Refused(space core.SpaceID, chain core.ChainID) (Refusal, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, is := p.refused.of[spaceChain{space, chain}]
	return r, is
}

// Unrefuse forgets what was refused of a chain.
func (p *Pair) Unrefuse(space core.SpaceID, chain core.ChainID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := spaceChain{space, chain}
	if _, is := p.refused.of[key]; !is {
		return
	}
	delete(p.refused.of, key)
	for i, k := range p.refused.order {
		if k == key {
			p.refused.order = append(p.refused.order[:i:i], p.refused.order[i+1:]...)
			break
		}
	}
}
