package yprotocol

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// OutdatedTimeout is how long the state of a client lives that says nothing.
	OutdatedTimeout = 30 * time.Second
	// CheckInterval is how often Renew and RemoveOutdated are to be called.
	CheckInterval = OutdatedTimeout / 10
)

// ErrUnknownClient is returned for clients that an Awareness never heard of, or has
// forgotten.
var ErrUnknownClient = errors.New("yprotocol: unknown client")

// Awareness knows who is there: for each client a state, some JSON such as a name and
// a cursor. It follows the rules of y-protocols:
//
//   - Each client counts its states with a clock, and the higher clock wins. At equal
//     clocks no state wins: so a client may be declared gone by others.
//   - Nobody else removes the own state: its clock goes up instead, and the next update
//     that is sent contradicts.
//   - A client that is silent for OutdatedTimeout is gone. Renew keeps the own state alive.
//   - A client that nobody knew is news from its second state on, at clock 1.
//
// It holds no more than MaxClients states of MaxStates bytes in all. It remembers the
// clocks of those that are gone, of the last MaxClients at least, where y-protocols
// remembers all. And it says that nothing changed where a number beyond the range of
// JavaScript became null, as it does in JSON.
//
// A client is whoever says so: who relays updates checks with DecodeStates that a peer
// speaks for itself.
//
// Methods that change something return what. Send on what they return:
//
//	if clients := changes.Clients(); len(clients) > 0 {
//		update, err := awareness.Encode(clients...)
//	}
//
// An Awareness is not safe for concurrent use, and its methods never block.
type Awareness struct {
	own    *presence
	now    func() time.Time
	all    []*presence // in order of first mention, with those that are gone
	index  map[uint64]*presence
	shown  int    // how many have a state
	size   int    // bytes of the states
	events uint64 // counts what happened
}

// presence is what is known of a client.
type presence struct {
	client uint64
	clock  uint64
	state  []byte    // JSON, nil for none; never changed in place
	heard  time.Time // when the clock was learnt
	since  uint64    // the event that made the state appear
	last   uint64    // the last event
}

// NewAwareness returns an Awareness of a client, the clientID of a document as a rule,
// whose state is {} at clock 0. 0, and what is no integer in JavaScript, stand for a
// random client. A server that is not there itself calls RemoveLocal. The clock now is
// asked whenever something happens.
func NewAwareness(client uint64, now func() time.Time) *Awareness {
	if client == 0 || client > maxSafe {
		client = uint64(max(rand.Uint32(), 1)) //nolint:gosec // not secret
	}
	a := &Awareness{now: now, index: map[uint64]*presence{}}
	a.own = a.mention(client)
	a.set(a.own, 0, []byte("{}"), now())
	return a
}

// Client returns the own client.
func (a *Awareness) Client() uint64 { return a.own.client }

// State returns the state of a client as JSON, nil for none. The caller must not change
// it.
func (a *Awareness) State(client uint64) []byte {
	if p := a.index[client]; p != nil {
		return p.state
	}
	return nil
}

// Clock returns the clock of a client, also of one that is gone. Errors:
// ErrUnknownClient.
func (a *Awareness) Clock(client uint64) (uint64, error) {
	p := a.index[client]
	if p == nil {
		return 0, fmt.Errorf("clock of client %d: %w", client, ErrUnknownClient)
	}
	return p.clock, nil
}

// Clients returns the clients that have a state, in the order in which they came.
func (a *Awareness) Clients() []uint64 {
	present := make([]*presence, 0, a.shown)
	for _, p := range a.all {
		if p.state != nil {
			present = append(present, p)
		}
	}
	slices.SortFunc(present, func(p, q *presence) int { return cmp.Compare(p.since, q.since) })
	clients := make([]uint64, len(present))
	for i, p := range present {
		clients[i] = p.client
	}
	return clients
}

// Encode returns an update with the states of the clients; without a state they are
// declared gone. Errors: ErrUnknownClient.
func (a *Awareness) Encode(clients ...uint64) (AwarenessUpdate, error) {
	states := make([]ClientState, len(clients))
	for i, client := range clients {
		p := a.index[client]
		if p == nil {
			return nil, fmt.Errorf("encode client %d: %w", client, ErrUnknownClient)
		}
		states[i] = ClientState{Client: client, Clock: p.clock, State: p.state}
		if falsy(p.state) {
			states[i].State = nil
		}
	}
	return encodeStates(states), nil
}

// SetLocal replaces the own state by some JSON. null removes it. Errors: ErrInvalid,
// ErrLimit.
func (a *Awareness) SetLocal(state []byte) (Changes, error) {
	state, err := normalState(state)
	if err == nil {
		err = a.checkRoom(ClientState{Client: a.own.client, State: state})
	}
	if err != nil {
		return Changes{}, fmt.Errorf("set the own state: %w", err)
	}
	return a.setLocal(state), nil
}

// RemoveLocal removes the own state: before disconnecting, so that others need not wait
// until it is outdated.
func (a *Awareness) RemoveLocal() Changes { return a.setLocal(nil) }

func (a *Awareness) setLocal(state []byte) Changes {
	p, before := a.own, a.own.state
	a.set(p, p.clock+1, state, a.now())
	var c Changes
	switch {
	case state == nil:
		c.Removed = append(c.Removed, p.client)
	case before == nil:
		c.Added = append(c.Added, p.client)
	default:
		c.update(p.client, sameState(before, state))
	}
	return c
}

// Apply takes in an update of a peer, all of it or, on an error, nothing. Limits count as
// if each state in it were accepted. Errors: ErrInvalid, ErrLimit.
func (a *Awareness) Apply(update AwarenessUpdate) (Changes, error) {
	states, err := DecodeStates(update)
	if err == nil {
		err = a.checkRoom(states...)
	}
	if err != nil {
		return Changes{}, fmt.Errorf("apply states of a peer: %w", err)
	}
	var c Changes
	now := a.now()
	for _, s := range states {
		a.apply(s, now, &c)
	}
	a.forget()
	return c, nil
}

func (a *Awareness) apply(s ClientState, now time.Time, c *Changes) {
	p := a.index[s.Client]
	if known := p != nil; !known {
		if s.Clock == 0 {
			return
		}
		a.set(a.mention(s.Client), s.Clock, s.State, now)
		if s.State != nil {
			c.Added = append(c.Added, s.Client)
		}
		return
	}
	if s.Clock < p.clock || s.Clock == p.clock && (s.State != nil || p.state == nil) {
		return
	}
	before := p.state
	switch {
	case s.State != nil:
		a.set(p, s.Clock, s.State, now)
		c.update(p.client, sameState(s.State, before))
	case p == a.own && !falsy(p.state):
		a.set(p, s.Clock+1, p.state, now)
		c.Removed = append(c.Removed, p.client)
	default:
		a.set(p, s.Clock, nil, now)
		c.Removed = append(c.Removed, p.client)
	}
}

// Remove removes the states of clients, as of those whose connection ended. Those
// without a state are passed over.
func (a *Awareness) Remove(clients ...uint64) Changes {
	var c Changes
	for _, client := range clients {
		p := a.index[client]
		switch {
		case p == nil || p.state == nil:
			continue
		case p == a.own:
			a.set(p, p.clock+1, nil, a.now())
		default:
			a.set(p, p.clock, nil, p.heard)
		}
		c.Removed = append(c.Removed, client)
	}
	a.forget()
	return c
}

// Renew counts up the own clock if half of OutdatedTimeout has passed since it was.
func (a *Awareness) Renew() Changes {
	var c Changes
	if now := a.now(); !falsy(a.own.state) && now.Sub(a.own.heard) >= OutdatedTimeout/2 {
		a.set(a.own, a.own.clock+1, a.own.state, now)
		c.update(a.own.client, true)
	}
	return c
}

// RemoveOutdated removes the states of others that were silent for OutdatedTimeout.
func (a *Awareness) RemoveOutdated() Changes {
	now := a.now()
	var outdated []uint64
	for _, p := range a.all {
		if p != a.own && p.state != nil && now.Sub(p.heard) >= OutdatedTimeout {
			outdated = append(outdated, p.client)
		}
	}
	return a.Remove(outdated...)
}

// mention makes a client known.
func (a *Awareness) mention(client uint64) *presence {
	p := &presence{client: client}
	a.all = append(a.all, p)
	a.index[client] = p
	return p
}

// set is the only place where a presence changes. A clock at its end stays there, as in
// JavaScript.
func (a *Awareness) set(p *presence, clock uint64, state []byte, heard time.Time) {
	a.events++
	p.last = a.events
	switch {
	case p.state == nil && state != nil:
		a.shown++
		p.since = a.events
	case p.state != nil && state == nil:
		a.shown--
	}
	a.size += len(state) - len(p.state)
	p.clock, p.state, p.heard = min(clock, maxSafe), state, heard
}

// checkRoom returns ErrLimit if not all of the states can be held.
func (a *Awareness) checkRoom(states ...ClientState) error {
	shown, size := a.shown, a.size
	for _, s := range states {
		held := len(a.State(s.Client))
		if held == 0 && s.State != nil {
			shown++
		}
		size += max(0, len(s.State)-held)
	}
	if shown > MaxClients || size > MaxStates {
		return fmt.Errorf("%d states of %d bytes: %w", shown, size, ErrLimit)
	}
	return nil
}

// forget bounds how many are known that are gone. It waits until there are twice as
// many, so that it costs little each time.
func (a *Awareness) forget() {
	if len(a.all)-a.shown <= 2*MaxClients {
		return
	}
	gone := make([]*presence, 0, len(a.all)-a.shown)
	for _, p := range a.all {
		if p.state == nil && p != a.own {
			gone = append(gone, p)
		}
	}
	slices.SortFunc(gone, func(p, q *presence) int { return cmp.Compare(q.last, p.last) })
	for _, p := range gone[MaxClients:] {
		delete(a.index, p.client)
	}
	a.all = slices.DeleteFunc(a.all, func(p *presence) bool { return a.index[p.client] != p })
}
