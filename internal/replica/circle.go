package replica

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// circle is who is a member of which space, and which tickets wait, as of the last
// commit. It is read for every frame that comes from a peer, so it is kept in memory: 34
// bytes for each member of each space. The writer's goroutine changes it, before a commit
// returns.
type circle struct {
	loading sync.Mutex // held while it is read

	mu      sync.RWMutex
	warm    bool // it has been read
	crowds  map[core.SpaceID]*crowd
	waiting map[core.SpaceID]core.Awaited
}

// crowd is the members of a space.
type crowd struct {
	all  []person // in order of peer
	self bool     // the local member is one
}

type person struct {
	peer       core.PeerID
	role, kind uint8
}

func newCircle() *circle { return &circle{} }

func (c *crowd) has(peer core.PeerID) bool {
	_, found := slices.BinarySearchFunc(c.all, peer, func(p person, peer core.PeerID) int { return p.peer.Compare(peer) })
	return found
}

func newCrowd(self core.PeerID, members []core.MemberRecord) *crowd {
	c := &crowd{all: make([]person, len(members))}
	for i, m := range members {
		c.all[i] = person{m.Peer, m.Role, m.Kind}
	}
	slices.SortFunc(c.all, func(a, b person) int { return a.peer.Compare(b.peer) })
	c.self = c.has(self)
	return c
}

// reading calls fn, under the lock, with the circle, which it reads before if it must.
func (r *Replica) reading(ctx context.Context, fn func(*circle)) error {
	c := r.circle
	for {
		c.mu.RLock()
		if c.warm {
			fn(c)
			c.mu.RUnlock()
			return nil
		}
		c.mu.RUnlock()
		if err := r.loadCircle(ctx); err != nil {
			return err
		}
	}
}

// loadCircle reads the circle in a job, so that no commit comes between the reading and
// its being there.
func (r *Replica) loadCircle(ctx context.Context) error {
	c := r.circle
	c.loading.Lock()
	defer c.loading.Unlock()
	c.mu.RLock()
	warm := c.warm
	c.mu.RUnlock()
	if warm {
		return nil
	}
	return r.store.Write(ctx, func(tx core.Tx) error {
		crowds, err := readCrowds(tx, r.self.peer)
		if err != nil {
			return err
		}
		waiting, err := readWaits(tx)
		if err != nil {
			return err
		}
		tx.OnCommit(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.warm, c.crowds, c.waiting = true, crowds, waiting
		})
		return nil
	})
}

func readCrowds(v core.View, self core.PeerID) (map[core.SpaceID]*crowd, error) {
	crowds := map[core.SpaceID]*crowd{}
	for after := core.SpaceID(""); ; {
		page, err := v.Spaces(after, spacesPage)
		if err != nil || len(page) == 0 {
			return crowds, err
		}
		for _, space := range page {
			members, err := v.Members(space.Key)
			if err != nil {
				return nil, err
			}
			crowds[space.ID] = newCrowd(self, members)
			after = space.ID
		}
	}
}

func readWaits(v core.View) (map[core.SpaceID]core.Awaited, error) {
	waiting := map[core.SpaceID]core.Awaited{}
	for after := core.SpaceID(""); ; {
		page, err := v.Joinings(after, spacesPage)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return waiting, nil
		}
		for _, rec := range page {
			after = rec.Space
			j, err := decodeJoining(rec.Ticket)
			if err != nil {
				return nil, err
			}
			waiting[rec.Space] = j.awaited(rec.Space)
		}
	}
}

// forget has the circle read again before it is used.
func (c *circle) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warm, c.crowds, c.waiting = false, nil, nil
}

// membersAre notes who is a member of a space by now.
func (w *work) membersAre(space core.SpaceID, now *log.State) {
	w.tell(space).Members = true
	c, self := w.r.circle, w.r.self.peer
	members := newCrowd(self, memberRecords(now))
	w.OnCommit(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.warm {
			c.crowds[space] = members
		}
	})
}

// setJoining keeps a ticket for a space; nil drops it.
func (w *work) setJoining(space core.SpaceID, j *joining) error {
	w.tell(space).Members = true
	var kept []byte
	if j != nil {
		kept = j.encode()
	}
	c := w.r.circle
	w.OnCommit(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.warm {
			return
		}
		delete(c.waiting, space)
		if j != nil {
			c.waiting[space] = j.awaited(space)
		}
	})
	return w.SetJoining(space, kept)
}

// Shared implements core.SharedSpaces.
func (r *Replica) Shared(ctx context.Context, peer core.PeerID) (spaces []core.SpaceID, err error) {
	err = r.reading(ctx, func(c *circle) {
		for id, crowd := range c.crowds {
			if crowd.self && crowd.has(peer) {
				spaces = append(spaces, id)
			}
		}
	})
	slices.Sort(spaces)
	return spaces, err
}

// IsShared implements core.SharedSpaces.
func (r *Replica) IsShared(ctx context.Context, space core.SpaceID, peer core.PeerID) (is bool, err error) {
	err = r.reading(ctx, func(c *circle) {
		crowd := c.crowds[space]
		is = crowd != nil && crowd.self && crowd.has(peer)
	})
	return is, err
}

// SharedIDs implements core.SharedSpaces.
func (r *Replica) SharedIDs(ctx context.Context) (spaces []core.SpaceID, err error) {
	err = r.reading(ctx, func(c *circle) {
		for id, crowd := range c.crowds {
			if crowd.self {
				spaces = append(spaces, id)
			}
		}
	})
	slices.Sort(spaces)
	return spaces, err
}

// Left implements core.SharedSpaces.
func (r *Replica) Left(ctx context.Context, peer core.PeerID) (left []core.SpaceID, err error) {
	var without []core.SpaceID
	err = r.reading(ctx, func(c *circle) {
		for id, crowd := range c.crowds {
			if !crowd.self && crowd.has(peer) {
				without = append(without, id)
			}
		}
	})
	if err != nil || len(without) == 0 {
		return nil, err
	}
	slices.Sort(without)
	err = r.store.Read(ctx, func(v core.View) error {
		writers, err := v.WritersOf(r.self.peer)
		if err != nil {
			return err
		}
		for _, id := range without {
			acted, err := actedIn(v, id, writers)
			if err != nil {
				return err
			}
			if acted {
				left = append(left, id)
			}
		}
		return nil
	})
	return left, err
}

// actedIn reports whether one of the writers has made a membership entry in a space: to
// leave it, or to join.
func actedIn(v core.View, id core.SpaceID, writers []core.WriterRecord) (bool, error) {
	space, err := v.Space(id)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, writer := range writers {
		_, err := v.WriterHead(space.Key, writer.Key, core.ChainMembership)
		if err == nil || !isNotFound(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// Partners implements core.SharedSpaces.
func (r *Replica) Partners(ctx context.Context, space core.SpaceID) (members []core.MemberRecord, err error) {
	err = r.reading(ctx, func(c *circle) {
		seen := map[core.PeerID]bool{r.self.peer: true}
		take := func(crowd *crowd) {
			if crowd == nil || !crowd.self {
				return
			}
			for _, p := range crowd.all {
				if !seen[p.peer] {
					seen[p.peer] = true
					members = append(members, core.MemberRecord{Peer: p.peer, Role: p.role, Kind: p.kind})
				}
			}
		}
		if space != "" {
			take(c.crowds[space])
			return
		}
		for _, id := range slices.Sorted(maps.Keys(c.crowds)) {
			take(c.crowds[id])
		}
	})
	slices.SortFunc(members, func(a, b core.MemberRecord) int { return a.Peer.Compare(b.Peer) })
	return members, err
}

// Awaited implements core.SharedSpaces.
func (r *Replica) Awaited(ctx context.Context) (all []core.Awaited, err error) {
	err = r.reading(ctx, func(c *circle) {
		for _, id := range slices.Sorted(maps.Keys(c.waiting)) {
			a := c.waiting[id]
			a.Key, a.Addresses = slices.Clone(a.Key), slices.Clone(a.Addresses)
			all = append(all, a)
		}
	})
	return all, err
}

// isAwaited reports whether a ticket waits for a space.
func (r *Replica) isAwaited(ctx context.Context, space core.SpaceID) (is bool, err error) {
	err = r.reading(ctx, func(c *circle) { _, is = c.waiting[space] })
	return is, err
}

// Invited implements core.SharedSpaces. An invite that has expired by the clock of this
// machine is not open here.
func (r *Replica) Invited(ctx context.Context, id core.SpaceID, invite core.InviteID) (open bool, err error) {
	err = r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
		if _, err := v.Member(space.Key, r.self.peer); err != nil {
			return err
		}
		invites, err := v.Invites(space.Key)
		for _, i := range invites {
			if i.ID == invite {
				open = i.ExpiresMs == 0 || r.now().UnixMilli() <= i.ExpiresMs
			}
		}
		return err
	})
	if isNotFound(err) {
		return false, nil
	}
	return open, err
}
