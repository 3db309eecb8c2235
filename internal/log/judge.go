package log

import (
	"maps"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// Writing is a content entry as authority judges it: DESIGN 5.7.
type Writing struct {
	Peer    core.PeerID
	Writer  core.WriterID
	Seq     uint64
	AuthSet []core.Hash // what Admit returned for it
	// Needs returns the highest capability that its ops need. It is asked for where
	// a role was lowered and not taken.
	Needs func() (Capability, error)
	// LeadsTo reports whether the entry lies on one of the chains of its writer that
	// end with some heads. The slice is only read, and the same one for every entry that
	// is asked about a cut.
	LeadsTo func(heads []CutHead) (bool, error)
}

// Over is why an entry is over: written without knowing that its author had lost
// the right to.
type Over struct {
	Cut *Cut // nil: the acts that gave its author the right have no effect
}

// Entry returns the entry that took the right, zero where none did by itself.
func (o Over) Entry() core.Hash {
	if o.Cut == nil {
		return core.Hash{}
	}
	return o.Cut.Entry
}

// Over returns why an entry is over, nothing if it is not.
func (s *State) Over(w Writing) ([]Over, error) {
	p, known := s.g.peers[w.Peer]
	if !known || len(s.cuts) == 0 && len(s.ignored) == 0 {
		return nil, nil
	}
	past, err := s.g.closure(w.AuthSet)
	if err != nil {
		return nil, err
	}
	var over []Over
	for _, c := range s.CutsOf(w.Peer) {
		if past.Has(c.node) && !mutate.On(mutate.OwnPast) {
			continue
		}
		hit, err := c.hits(w)
		if err != nil {
			return nil, err
		}
		if hit {
			over = append(over, Over{c})
		}
	}
	if len(s.ignored) == 0 || mutate.On(mutate.MembershipLost) {
		return over, nil
	}
	needs, err := w.Needs()
	if err == nil && !s.roleAsOf(p, past).Has(needs) {
		over = append(over, Over{})
	}
	return over, err
}

// hits reports whether a cut takes away what an entry needs, and the entry is not
// within the cut.
func (c *Cut) hits(w Writing) (bool, error) {
	if c.Role != 0 {
		if needs, err := w.Needs(); err != nil || c.Role.Has(needs) {
			return false, err
		}
	}
	heads := c.headsOf(w.Writer)
	switch {
	case mutate.On(mutate.CutWithin):
		return true, nil
	case len(heads) == 0:
		return !mutate.On(mutate.CutUnnamed), nil
	}
	within, err := w.LeadsTo(heads)
	return !within, err
}

// headsOf returns what a cut names of one writer.
func (c *Cut) headsOf(writer core.WriterID) []CutHead {
	if c.byWriter == nil {
		c.byWriter = make(map[core.WriterID][]CutHead, len(c.Heads))
		for _, h := range c.Heads {
			id := WriterIDOf(c.Peer, h.Incarnation)
			c.byWriter[id] = append(c.byWriter[id], h)
		}
	}
	return c.byWriter[writer]
}

// Knows reports whether a membership past holds what makes an entry by peer over.
// What was written on top of that entry in ignorance of it vouches for the entry,
// DESIGN 5.8.
func (a *Authority) Knows(authSet []core.Hash, o Over, peer core.PeerID, needs Capability) (bool, error) {
	if o.Cut != nil {
		past, err := a.g.closure(authSet)
		return past.Has(o.Cut.node), err
	}
	s, err := a.At(authSet)
	return err == nil && !s.Allows(peer, needs), err
}

// CutsOf returns the cuts of a member in force. The slice is only read.
func (s *State) CutsOf(peer core.PeerID) []*Cut {
	if s.byPeer == nil {
		s.byPeer = map[core.PeerID][]*Cut{}
		for _, c := range s.cuts {
			s.byPeer[c.Peer] = append(s.byPeer[c.Peer], c)
		}
	}
	return s.byPeer[peer]
}

// NamedBy returns whose cuts name an entry.
func (s *State) NamedBy(entry core.Hash) []core.PeerID {
	if s.byHead == nil {
		s.byHead = map[core.Hash][]core.PeerID{}
		for _, c := range s.cuts {
			for _, h := range c.Heads {
				s.byHead[h.Hash] = append(s.byHead[h.Hash], c.Peer)
			}
		}
	}
	return s.byHead[entry]
}

// HasIgnored reports whether acts that were admitted have no effect.
func (s *State) HasIgnored() bool { return len(s.ignored) > 0 }

// Changed returns the peers whose entries have to be judged again after old became s.
func (s *State) Changed(old *State) map[core.PeerID]bool {
	peers := map[core.PeerID]bool{}
	cuts := map[Act]*Cut{}
	for _, c := range old.cuts {
		cuts[Act{c.Entry, c.Op}] = c
	}
	for _, c := range s.cuts {
		act := Act{c.Entry, c.Op}
		if cuts[act] == nil {
			peers[c.Peer] = true
		}
		delete(cuts, act)
	}
	for _, c := range cuts {
		peers[c.Peer] = true
	}
	if maps.Equal(s.ignored, old.ignored) {
		return peers
	}
	for _, pair := range [2][2]*State{{s, old}, {old, s}} {
		for i := range pair[0].ignored {
			if a := &s.g.acts[i]; !pair[1].ignored[i] && a.target >= 0 {
				peers[s.g.peerIDs[a.target]] = true
			}
		}
	}
	return peers
}

// Needs returns the highest capability that the ops of the entry need.
func (e *Entry) Needs() Capability {
	needs := CapMember
	for _, op := range e.Ops {
		if r, ok := RangeOf(op.Body.Number()); ok {
			needs = max(needs, r.Needs)
		}
	}
	return needs
}
