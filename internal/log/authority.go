package log

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// Authority is the admitted membership entries of one space, and who may do what
// after any of them. It is a function of that set: the order of Add does not
// matter. It is for one goroutine.
type Authority struct {
	g      *graph
	now    *State // of all nodes; nil when it has to be evaluated
	states map[string]*State
}

// maxStates bounds the states of parts of the space that are kept. One of a space of
// a thousand members takes up to a quarter of a megabyte.
const maxStates = 256

// NewAuthority returns the authority of a space without entries.
func NewAuthority() *Authority {
	return &Authority{g: newGraph(), states: map[string]*State{}}
}

// Len returns the number of entries.
func (a *Authority) Len() int { return len(a.g.nodes) }

// Has reports whether an entry was added.
func (a *Authority) Has(hash core.Hash) bool {
	_, ok := a.g.index[hash]
	return ok
}

// Add adds an admitted membership entry, for which Admit returned authSet. All of
// its past must have been added. Adding it again does nothing.
func (a *Authority) Add(e *Entry, authSet []core.Hash) error {
	if a.Has(e.Hash) {
		return nil
	}
	past, err := a.g.closure(authSet)
	if err != nil {
		return fmt.Errorf("evaluate entry %s: %w", e.Hash, err)
	}
	before, err := a.At(authSet)
	if err != nil {
		return fmt.Errorf("evaluate entry %s: %w", e.Hash, err)
	}
	n := len(a.g.nodes)
	now := a.now
	if n == 0 {
		now = before
	}
	a.g.append(e, authSet, past, before)
	a.now = nil
	if now != nil && past.End == n && past.whole() {
		a.now = now.extended(n)
	}
	return nil
}

// Truncate takes back the entries that were added after the first n.
func (a *Authority) Truncate(n int) {
	if n < len(a.g.nodes) {
		a.g.truncate(n)
		a.now = nil
		clear(a.states)
	}
}

// Now returns the state after all entries.
func (a *Authority) Now() *State {
	if a.now == nil {
		a.now = a.g.evaluate(a.g.everything())
	}
	return a.now
}

// At returns the state after the entries in heads and all in their past. Without
// heads nobody is a member. An unknown head is core.ErrCorrupt.
func (a *Authority) At(heads []core.Hash) (*State, error) {
	of, err := a.g.closure(heads)
	if err != nil {
		return nil, err
	}
	if of.End == len(a.g.nodes) && of.whole() {
		return a.Now(), nil
	}
	key := keyOf(heads)
	if s := a.states[key]; s != nil {
		return s, nil
	}
	s := a.evaluate(heads, of)
	if len(a.states) >= maxStates {
		clear(a.states)
	}
	a.states[key] = s
	return s, nil
}

// Unseen reports whether somebody is a member by a redemption that no owner has known of,
// of those who were one by effect. Until one does, an earlier one that turns up late may
// take its place.
func (a *Authority) Unseen(redemption core.Hash) bool {
	g, now := a.g, a.Now()
	n, known := g.index[redemption]
	if !known {
		return false
	}
	if m, _ := now.members.get(g.nodes[n].author); m.Role == 0 || m.Since != redemption {
		return false
	}
	for k := n + 1; k < len(g.nodes); k++ {
		by := &g.nodes[k]
		if !by.byOwner || !g.precedes(n, k) || now.roleAsOf(by.author, by.past) != RoleOwner {
			continue
		}
		if !slices.ContainsFunc(now.CutsOf(g.peerIDs[by.author]), func(c *Cut) bool { return g.concurrent(c.node, k) }) {
			return false
		}
	}
	return true
}

// CompareRank orders peers by when they were first added; those who never were come
// last.
func (a *Authority) CompareRank(p, q core.PeerID) int {
	x, y := a.g.firstAdd(p), a.g.firstAdd(q)
	if x < 0 || y < 0 {
		return cmp.Compare(y, x)
	}
	return a.g.compareActs(x, y)
}

// evaluate computes the state of a closure. After a single head it is the one
// before that head, extended, if that one is at hand.
func (a *Authority) evaluate(heads []core.Hash, of Region) *State {
	if len(heads) == 1 {
		n := a.g.index[heads[0]]
		parents := a.g.nodes[n].parents
		before := make([]core.Hash, len(parents))
		for i, p := range parents {
			before[i] = a.g.nodes[p].hash
		}
		if s := a.states[keyOf(before)]; s != nil {
			return s.extended(n)
		}
	}
	return a.g.evaluate(of)
}

func keyOf(heads []core.Hash) string {
	heads = sortedSet(heads)
	b := make([]byte, 0, len(heads)*hashBytes)
	for _, h := range heads {
		b = append(b, h[:]...)
	}
	return string(b)
}

// permits rejects an entry unless its author may do every op. before is the state
// after its membership past.
func (s *State) permits(e *Entry) error {
	if redeem, ok := e.Redemption(); ok {
		return s.admitsBy(e, redeem)
	}
	role := s.Role(e.Peer)
	if !role.Has(CapMember) { // also for an entry without ops
		return reject(ReasonNotMember, "%s", e.Peer)
	}
	for _, op := range e.Ops {
		number := op.Body.Number()
		if r, ok := RangeOf(number); !ok || !role.Has(r.Needs) && !mutate.On(mutate.Capability) {
			return reject(ReasonCapability, "%s is not for the role %s", number, role)
		}
		if number == OpInviteRedeem {
			return reject(ReasonInvite, "is not the only op of its entry")
		}
	}
	return nil
}

// Redemption returns the op of an entry that redeems an invite and does nothing else.
func (e *Entry) Redemption() (InviteRedeem, bool) {
	if len(e.Ops) != 1 {
		return InviteRedeem{}, false
	}
	redeem, ok := e.Ops[0].Body.(InviteRedeem)
	return redeem, ok
}

// admitsBy rejects a redemption unless the invite is open and was proven.
func (s *State) admitsBy(e *Entry, redeem InviteRedeem) error {
	v, known := s.Invite(redeem.Invite)
	switch {
	case !known:
		return reject(ReasonInvite, "%s was never made", redeem.Invite)
	case v.Revoked:
		return reject(ReasonInvite, "%s is revoked", redeem.Invite)
	case s.Role(e.Peer) == 0 && v.Uses <= 0 && !mutate.On(mutate.InviteUses):
		return reject(ReasonInvite, "%s is used up", redeem.Invite)
	case !redeem.proves(e.SpaceHash(), e.Peer):
		return reject(ReasonInvite, "not proven for %s", e.Peer)
	}
	return nil
}
