package sim

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/yjs"
)

// held is a unit as one entry holds it.
type held struct {
	unit
	by *log.Entry
}

// claims is what the kept entries say of one document: DESIGN 5.9 and 5.10.
type claims struct {
	space *plain.Space
	ranks []core.PeerID
	units map[yjs.ID][]held
	best  map[yjs.ID]unit         // of units, once they are settled
	first map[uint64][]*log.Entry // by client: the entries with content of it
	kept  []*log.Entry            // all content entries of the space that are
}

func readClaims(space *plain.Space, out *plain.Outcome, d *plain.Doc) (*claims, error) {
	c := &claims{space: space, ranks: out.Ranks(), units: map[yjs.ID][]held{}, first: map[uint64][]*log.Entry{}}
	for _, e := range space.Order {
		if e.Chain == core.ChainContent && !out.Void[e.Hash] {
			c.kept = append(c.kept, e)
		}
	}
	slices.SortFunc(c.kept, byLamport)
	for _, k := range d.Kept {
		s, err := parse(k.Update)
		if err != nil {
			return nil, err
		}
		for _, u := range s.units {
			c.units[u.id] = append(c.units[u.id], held{u, k.Entry})
			if list := c.first[u.id.Client]; !slices.Contains(list, k.Entry) {
				c.first[u.id.Client] = append(list, k.Entry)
			}
		}
	}
	return c, nil
}

func byLamport(a, b *log.Entry) int {
	return cmp.Or(cmp.Compare(a.Lamport, b.Lamport), bytes.Compare(a.Hash[:], b.Hash[:]))
}

// owner returns whose a clientID is: of the minimal claims, theirs which more members
// saw first and alone, then theirs who was added first, then that of the lower hash.
func (c *claims) owner(client uint64) core.PeerID {
	minimal := slices.DeleteFunc(slices.Clone(c.first[client]), func(e *log.Entry) bool {
		return slices.ContainsFunc(c.first[client], func(o *log.Entry) bool { return c.space.Past(e.Hash)[o.Hash] })
	})
	votes, voted := map[core.PeerID]int{}, map[core.PeerID]bool{}
	for _, e := range c.kept {
		seen := map[core.PeerID]bool{}
		for _, claim := range minimal {
			if claim == e || c.space.Past(e.Hash)[claim.Hash] {
				seen[claim.Peer] = true
			}
		}
		if len(seen) == 0 || voted[e.Peer] {
			continue
		}
		voted[e.Peer] = true
		for peer := range seen {
			if len(seen) == 1 {
				votes[peer]++
			}
		}
	}
	return slices.MinFunc(minimal, func(a, b *log.Entry) int {
		return cmp.Or(
			cmp.Compare(votes[b.Peer], votes[a.Peer]),
			cmp.Compare(slices.Index(c.ranks, a.Peer), slices.Index(c.ranks, b.Peer)),
			bytes.Compare(a.Hash[:], b.Hash[:]),
		)
	}).Peer
}

// settled returns each unit as it counts. It is whole if nobody holds another.
func (c *claims) settled() slip {
	owners := map[uint64]core.PeerID{}
	for client := range c.first {
		owners[client] = c.owner(client)
	}
	foreign := func(h held) int {
		if h.state == solid && h.by.Peer != owners[h.id.Client] {
			return 1
		}
		return 0
	}
	out := slip{whole: true}
	c.best = map[yjs.ID]unit{}
	for id, all := range c.units {
		best := slices.MinFunc(all, func(a, b held) int {
			return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(foreign(a), foreign(b)), byLamport(a.by, b.by))
		})
		c.best[id] = best.unit
		for _, h := range all {
			out.whole = out.whole && h.same(best.unit)
		}
		out.units = append(out.units, best.unit)
	}
	slices.SortFunc(out.units, func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.id.Client, b.id.Client), cmp.Compare(a.id.Clock, b.id.Clock))
	})
	return out
}

// same reports whether two units are one.
func (u unit) same(o unit) bool {
	ref := func(a, b *yjs.ID) bool { return a == b || a != nil && b != nil && *a == *b }
	return u.state == o.state && (u.state == collected || u.char == o.char && ref(u.origin, o.origin) && ref(u.right, o.right))
}

// reached returns the units of spans that an entry, or one in its past, holds as they
// count.
func (c *claims) reached(by *log.Entry, spans []span) []span {
	var out []span
	for id, all := range c.units {
		if slices.ContainsFunc(spans, func(s span) bool { return s.has(id) }) && slices.ContainsFunc(all, func(h held) bool {
			return h.same(c.best[id]) && (h.by == by || c.space.Past(by.Hash)[h.by.Hash])
		}) {
			out = append(out, span{id.Client, id.Clock, id.Clock + 1})
		}
	}
	return out
}
