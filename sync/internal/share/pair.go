package share

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Limits of a pair.
const (
	// MaxGuests bounds the spaces that a peer is let into by proof before it is a member.
	MaxGuests = 32
	// GuestTime is how long that lasts, unless the proof is shown again.
	GuestTime = 10 * time.Minute
	// MaxAdmissions bounds how many Hellos with joins, and Reminds, a pair looks at, besides one
	// for each AdmissionTime: each costs an HMAC for each space that is here.
	MaxAdmissions = 32
	AdmissionTime = 10 * time.Second
	// CompareTime is how long AwaitCompared waits.
	CompareTime = 20 * time.Second
	// AskAgainTime is how long a ticket that the peer did not accept is not shown to it again.
	AskAgainTime = 5 * time.Second
)

// ErrNotCompared says that it is not known yet whether the peer has entries of the local
// writer that are not here, so that it must not be given any.
var ErrNotCompared = errors.New("soma: the peer's log has not been compared yet")

// Spaces is what a Pair asks a replica.
type Spaces interface {
	Self() core.PeerID
	core.SharedSpaces
}

// Pair is the local member and a peer while the two are connected. It is safe for
// concurrent use. What it holds is bounded by the spaces that the two share, or shared.
type Pair struct {
	r    Spaces
	self core.PeerID
	peer core.PeerID

	mu       sync.Mutex
	names    map[core.SpaceID]*name // of all spaces that either called by a tag, or may
	in       map[Tag]core.SpaceID   // tags by which the peer may call them
	guests   map[core.SpaceID]guest
	recalled bool // see recall
	since    time.Time
	looked   int           // Hellos with joins
	compared chan struct{} // closed and replaced when one more space is
	refused  refusals
}

// name is what is known of a space on this pair.
type name struct {
	out, in  Tag
	was      bool // the peer was a member
	asked    bool // for a ticket that waits
	try      try
	told     bool      // the end of the membership
	reminded time.Time // when the peer was, last
	doubted  bool      // what the peer said of it did not make it a member
	compared bool
}

// try is how the peer was last asked for the space of a ticket.
type try struct {
	ticket   core.InviteID
	at       time.Time // zero if it never was
	declined bool
}

// guest is a peer that holds the key of an invite.
type guest struct {
	invite core.InviteID
	until  time.Time
}

// NewPair returns the pair of the local member and a peer whose key is proven. It is to be
// made anew for each time that the two meet.
func NewPair(r Spaces, peer core.PeerID) *Pair {
	return &Pair{
		r: r, self: r.Self(), peer: peer, names: map[core.SpaceID]*name{}, in: map[Tag]core.SpaceID{},
		guests: map[core.SpaceID]guest{}, compared: make(chan struct{}), since: time.Now(),
	}
}

// Peer returns who the other is.
func (p *Pair) Peer() core.PeerID { return p.peer }

// Out returns how the local member calls a space to the peer. Whether it may is not asked.
func (p *Pair) Out(space core.SpaceID) Tag {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.name(space); n != nil {
		return n.out
	}
	return Tag{}
}

// name returns the name of a space, nil if it is no space's ID.
func (p *Pair) name(space core.SpaceID) *name {
	n := p.names[space]
	if n == nil {
		genesis, err := space.Hash()
		if err != nil {
			return nil
		}
		n = &name{out: TagOf(genesis, p.self, p.peer), in: TagOf(genesis, p.peer, p.self)}
		p.names[space] = n
		p.in[n.in] = space
	}
	return n
}

// Called returns the tag by which the peer calls a space.
func (p *Pair) Called(space core.SpaceID) Tag {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.name(space); n != nil {
		return n.in
	}
	return Tag{}
}

// In returns the space that the peer calls by a tag, if it may see it now. Else it returns
// core.ErrNotFound, whatever the reason.
func (p *Pair) In(ctx context.Context, tag Tag) (core.SpaceID, error) {
	space, err := p.find(ctx, tag)
	if err != nil {
		return "", err
	}
	ok, err := p.May(ctx, space)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errUnknown
	}
	return space, nil
}

var errUnknown = fmt.Errorf("tag of a space: %w", core.ErrNotFound)

// From returns the space that the peer calls by a tag, if entries of it are to be taken
// from the peer: it may see the space, or it was asked to let the local member in. Else it
// returns core.ErrNotFound.
func (p *Pair) From(ctx context.Context, tag Tag) (core.SpaceID, error) {
	space, err := p.find(ctx, tag)
	if err != nil {
		return "", err
	}
	ok, err := p.Takes(ctx, space)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errUnknown
	}
	return space, nil
}

// find returns the space of a tag, which may be one that the peer must not see.
func (p *Pair) find(ctx context.Context, tag Tag) (core.SpaceID, error) {
	p.mu.Lock()
	space, known := p.in[tag]
	p.mu.Unlock()
	if known {
		return space, nil
	}
	if _, err := p.Shared(ctx); err != nil { // which names what is new
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if space, known = p.in[tag]; !known {
		return "", errUnknown
	}
	return space, nil
}

// May reports whether the peer may see a space now: as a member, as the local one is, or
// as who holds the key of an open invite and has shown it.
func (p *Pair) May(ctx context.Context, space core.SpaceID) (bool, error) {
	member, err := p.r.IsShared(ctx, space, p.peer)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return false, err
	}
	p.mu.Lock()
	if member {
		if n := p.name(space); n != nil {
			n.was, n.told = true, false
		}
		delete(p.guests, space)
	}
	g, is := p.guests[space]
	p.mu.Unlock()
	if member || !is {
		return member, nil
	}
	open, err := p.r.Invited(ctx, space, g.invite)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return false, err
	}
	if open && time.Now().Before(g.until) {
		return true, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guests[space] == g {
		delete(p.guests, space)
	}
	return false, nil
}

// Takes reports whether entries of a space are to be taken from the peer: it may see it, or
// the local member has a ticket for it, waits, and asked the peer.
func (p *Pair) Takes(ctx context.Context, space core.SpaceID) (bool, error) {
	if ok, err := p.May(ctx, space); ok || err != nil {
		return ok, err
	}
	p.mu.Lock()
	n := p.names[space]
	asked := n != nil && n.asked
	p.mu.Unlock()
	if !asked {
		return false, nil
	}
	awaited, err := p.r.Awaited(ctx)
	return slices.ContainsFunc(awaited, func(a core.Awaited) bool { return a.Space == space }), err
}

// Shared returns the spaces that the peer may see now, in order of ID.
func (p *Pair) Shared(ctx context.Context) ([]core.SpaceID, error) {
	shared, err := p.r.Shared(ctx, p.peer)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	for _, space := range shared {
		if n := p.name(space); n != nil {
			n.was, n.told = true, false
		}
		delete(p.guests, space)
	}
	p.mu.Unlock()
	guests, err := p.Guests(ctx)
	if err != nil || len(guests) == 0 {
		return shared, err
	}
	shared = append(slices.Clip(shared), guests...)
	slices.Sort(shared)
	return slices.Compact(shared), nil
}

// Guests returns the spaces that the peer may see because of a ticket that it holds.
func (p *Pair) Guests(ctx context.Context) ([]core.SpaceID, error) {
	p.mu.Lock()
	spaces := make([]core.SpaceID, 0, len(p.guests))
	for space := range p.guests {
		spaces = append(spaces, space)
	}
	p.mu.Unlock()
	var open []core.SpaceID
	for _, space := range spaces {
		ok, err := p.May(ctx, space)
		if err != nil {
			return nil, err
		}
		if ok {
			open = append(open, space)
		}
	}
	slices.Sort(open)
	return open, nil
}

// Asks returns the spaces that the local member has tickets for, those of only unless that
// is nil, and how to ask the peer to be let into them: up to wire.MaxJoins, first those of
// which it was not asked yet, then those of which that is longest ago. What the peer
// declined is left out for AskAgainTime.
func (p *Pair) Asks(ctx context.Context, only []core.SpaceID) (spaces []core.SpaceID, joins []wire.Join, err error) {
	awaited, err := p.r.Awaited(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range p.due(awaited, only) {
		genesis, err := a.Space.Hash()
		if err != nil {
			return nil, nil, err
		}
		j, err := ask(genesis, a.Key, p.self, p.peer)
		if err != nil {
			return nil, nil, err
		}
		p.mu.Lock()
		p.name(a.Space).asked = true // it is a space's ID, which has a hash
		p.mu.Unlock()
		spaces, joins = append(spaces, a.Space), append(joins, j)
	}
	return spaces, joins, nil
}

// due returns the tickets to show to the peer now.
func (p *Pair) due(awaited []core.Awaited, only []core.SpaceID) []core.Awaited {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var due []core.Awaited
	for _, a := range awaited {
		t := p.tried(a)
		if (only == nil || slices.Contains(only, a.Space)) && (!t.declined || now.Sub(t.at) >= AskAgainTime) {
			due = append(due, a)
		}
	}
	slices.SortStableFunc(due, func(a, b core.Awaited) int { return p.tried(a).at.Compare(p.tried(b).at) })
	return due[:min(len(due), wire.MaxJoins)]
}

// tried returns how the peer was last asked with a ticket.
func (p *Pair) tried(a core.Awaited) try {
	if n := p.names[a.Space]; n != nil && n.try.ticket == inviteOf(a) {
		return n.try
	}
	return try{}
}

func inviteOf(a core.Awaited) core.InviteID {
	return core.InviteID(a.Key.Public().(ed25519.PublicKey))
}

// Asked notes that the peer has answered a Hello with the joins of spaces, and which of them
// it did not let the local member into.
func (p *Pair) Asked(ctx context.Context, spaces, declined []core.SpaceID) error {
	if len(spaces) == 0 {
		return nil
	}
	awaited, err := p.r.Awaited(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range awaited {
		if slices.Contains(spaces, a.Space) {
			p.name(a.Space).try = try{inviteOf(a), time.Now(), slices.Contains(declined, a.Space)}
		}
	}
	return nil
}

// Unasked reports whether there are tickets of which the peer has not been asked yet.
func (p *Pair) Unasked(awaited []core.Awaited) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(awaited, func(a core.Awaited) bool { return p.tried(a).at.IsZero() })
}

// Admit lets the peer into the spaces to which it proves to hold an invite that is open. It
// returns how many it had not been let into before. What is wrong with the others the peer does not learn.
func (p *Pair) Admit(ctx context.Context, joins []wire.Join) (fresh int, err error) {
	if len(joins) == 0 {
		return 0, nil
	}
	err = p.search(ctx, func(space core.SpaceID, genesis core.Hash, tag Tag) error {
		for _, j := range joins {
			if !bytes.Equal(j.Tag[:], tag[:]) {
				continue
			}
			is, err := p.admit(ctx, space, genesis, j)
			if err != nil {
				return err
			}
			if is {
				fresh++
			}
		}
		return nil
	})
	return fresh, err
}

// search calls fn with all spaces in which the local member is one, and the tags by which the
// peer would call them; with none if the peer has asked for that too often.
func (p *Pair) search(ctx context.Context, fn func(core.SpaceID, core.Hash, Tag) error) error {
	p.mu.Lock()
	p.looked++
	late := p.looked > MaxAdmissions+int(time.Since(p.since)/AdmissionTime)
	p.mu.Unlock()
	if late {
		return nil
	}
	here, err := p.r.SharedIDs(ctx)
	if err != nil {
		return err
	}
	for _, space := range here {
		genesis, err := space.Hash()
		if err != nil {
			return err
		}
		if err := fn(space, genesis, TagOf(genesis, p.peer, p.self)); err != nil {
			return err
		}
	}
	return nil
}

// admit reports whether a join makes the peer a guest that was none.
func (p *Pair) admit(ctx context.Context, space core.SpaceID, genesis core.Hash, j wire.Join) (bool, error) {
	invite, ok := opened(genesis, j, p.peer, p.self)
	if !ok {
		return false, nil
	}
	member, err := p.r.IsShared(ctx, space, p.peer)
	if err != nil || member {
		return false, err
	}
	open, err := p.r.Invited(ctx, space, invite)
	if err != nil || !open {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, before := p.guests[space]
	if !before && len(p.guests) >= MaxGuests {
		return false, nil
	}
	p.guests[space] = guest{invite, time.Now().Add(GuestTime)}
	if n := p.name(space); j.Empty && !n.compared {
		n.compared = true
		p.wake()
	}
	return !before, nil
}

// recall notes once the spaces that the local member left while the peer was away: they
// share them no more, and the peer, a member of them, may not know.
func (p *Pair) recall(ctx context.Context) error {
	p.mu.Lock()
	done := p.recalled
	p.mu.Unlock()
	if done {
		return nil
	}
	left, err := p.r.Left(ctx, p.peer)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recalled {
		return nil
	}
	p.recalled = true
	for _, space := range left {
		if n := p.name(space); n != nil {
			n.was = true
		}
	}
	return nil
}

// Gone returns the spaces that the two shared since they met, or before the local member left
// them, and share no more, of which the peer has not been told yet (TellGone).
func (p *Pair) Gone(ctx context.Context) ([]core.SpaceID, error) {
	if err := p.recall(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	var were []core.SpaceID
	for space, n := range p.names {
		if n.was && !n.told {
			were = append(were, space)
		}
	}
	p.mu.Unlock()
	var gone []core.SpaceID
	for _, space := range were {
		ok, err := p.May(ctx, space)
		if err != nil {
			return nil, err
		}
		if !ok {
			gone = append(gone, space)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// TellGone returns the space that the peer calls by a tag if it is one of Gone, and takes
// it from them: a peer is told once.
func (p *Pair) TellGone(ctx context.Context, tag Tag) (core.SpaceID, error) {
	p.mu.Lock()
	space, known := p.in[tag]
	p.mu.Unlock()
	if !known {
		return "", errUnknown
	}
	if ok, err := p.May(ctx, space); ok || err != nil {
		return "", errors.Join(err, errUnknown)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[space]
	if !n.was || n.told {
		return "", errUnknown
	}
	n.told = true
	return space, nil
}

// MarkCompared notes that the peer's rows of spaces have been compared with the local
// writer's (core.SharedLog.OwnAhead), so that own entries may go to it.
func (p *Pair) MarkCompared(spaces ...core.SpaceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, space := range spaces {
		if n := p.name(space); n != nil {
			n.compared = true
		}
	}
	p.wake()
}

// wake wakes those who wait in AwaitCompared.
func (p *Pair) wake() {
	close(p.compared)
	p.compared = make(chan struct{})
}

// Compared reports whether MarkCompared was called for a space.
func (p *Pair) Compared(space core.SpaceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[space]
	return n != nil && n.compared
}

// AwaitCompared waits for MarkCompared of a space, up to CompareTime. Errors:
// ErrNotCompared, ctx's.
func (p *Pair) AwaitCompared(ctx context.Context, space core.SpaceID) error {
	ctx, stop := context.WithTimeoutCause(ctx, CompareTime, ErrNotCompared)
	defer stop()
	for {
		p.mu.Lock()
		changed := p.compared
		n := p.names[space]
		is := n != nil && n.compared
		p.mu.Unlock()
		if is {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
