package yjs

import (
	"cmp"
	"slices"
	"sort"
)

// ClientRange is a run of clocks of one client.
type ClientRange struct {
	Client uint64
	Range  Range
}

// Placed is what Place makes.
type Placed struct {
	State []byte        // an update: everything kept, and places of what is void
	Void  []ClientRange // what the void updates alone hold, by client and clock
}

// Place joins the updates that are kept, and leaves as much of the void ones as
// keeps the others in their places: a struct that something kept is a neighbour of
// becomes deleted content with its own neighbours, a type that has kept children
// stays, empty, what lies before kept content of the same client becomes GC, and the
// rest is gone. Deletions in void updates do not count, nor do those of what is gone.
// The updates may be overwritten.
func Place(kept, void [][]byte) (Placed, error) {
	k, err := unionOf(kept)
	if err != nil {
		return Placed{}, err
	}
	v, err := unionOf(void)
	if err != nil {
		return Placed{}, err
	}
	v.Subtract(k)
	p := &placement{kept: k, void: map[uint64][]*item{}, ends: map[uint64]uint64{}, parents: map[*item]bool{}}
	var out Placed
	for _, s := range v.sections {
		for _, it := range s.structs {
			if it.isSkip() {
				continue
			}
			p.void[s.client] = append(p.void[s.client], it)
			out.Void = appendRange(out.Void, ClientRange{s.client, Range{it.id.Clock, it.length}})
		}
	}
	if len(out.Void) > 0 {
		slices.SortFunc(out.Void, compareClientRanges)
		p.place()
	}
	out.State = k.Encode()
	return out, nil
}

func unionOf(updates [][]byte) (*Update, error) {
	if len(updates) == 0 {
		return &Update{deletes: &deleteSet{}}, nil
	}
	return union(updates)
}

// DeletesOf returns what updates delete, by client and clock.
func DeletesOf(updates [][]byte) ([]ClientRange, error) {
	all, err := unionOf(updates)
	if err != nil {
		return nil, err
	}
	var out []ClientRange
	err = all.Deletes(func(client uint64, r Range) error {
		out = append(out, ClientRange{client, r})
		return nil
	})
	slices.SortFunc(out, compareClientRanges)
	return out, err
}

func compareClientRanges(a, b ClientRange) int {
	return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Range.Clock, b.Range.Clock))
}

// appendRange appends a range, joined with the last one if they touch.
func appendRange(ranges []ClientRange, r ClientRange) []ClientRange {
	if n := len(ranges); n > 0 && ranges[n-1].Client == r.Client && ranges[n-1].Range.end() == r.Range.Clock {
		ranges[n-1].Range.Len += r.Range.Len
		return ranges
	}
	return append(ranges, r)
}

// placement decides what stays of the void structs.
type placement struct {
	kept    *Update
	void    map[uint64][]*item // in order of clock
	needed  []*item
	isHere  map[*item]bool
	parents map[*item]bool    // that something which stays is a child of
	ends    map[uint64]uint64 // by client: the end of what stays
}

func (p *placement) place() {
	p.isHere = map[*item]bool{}
	for _, s := range p.kept.sections {
		for _, it := range s.structs {
			p.need(it)
		}
	}
	for len(p.needed) > 0 {
		it := p.needed[len(p.needed)-1]
		p.needed = p.needed[:len(p.needed)-1]
		p.need(it)
	}
	gone := map[uint64][]Range{}
	for client, items := range p.void {
		places := p.placesOf(items, p.ends[client])
		if n := len(places); n < len(items) {
			for _, it := range items[n:] {
				gone[client] = append(gone[client], Range{it.id.Clock, it.length})
			}
		}
		p.kept.insert(client, places)
	}
	p.kept.forget(gone)
}

// need notes that a struct stays, and what it needs of the void ones.
func (p *placement) need(it *item) {
	if it.isSkip() {
		return
	}
	p.ends[it.id.Client] = max(p.ends[it.id.Client], it.end())
	mark := func(id ID) *item {
		at := p.at(id)
		if at != nil && !p.isHere[at] {
			p.isHere[at] = true
			p.needed = append(p.needed, at)
		}
		return at
	}
	if it.is(flagOrigin) {
		mark(it.origin)
	}
	if it.is(flagRightOrigin) {
		mark(it.rightOrigin)
	}
	if it.parent != nil && it.parent.kind == kindItemRef {
		if at := mark(it.parent.ref); at != nil {
			p.parents[at] = true
		}
	}
	// A child beside a void sibling names no parent, but has one.
	if at := p.at(it.origin); it.is(flagOrigin) && at != nil && at.parent != nil && at.parent.kind == kindItemRef {
		if up := mark(at.parent.ref); up != nil {
			p.parents[up] = true
		}
	}
}

// at returns the void struct that holds an ID, or nil.
func (p *placement) at(id ID) *item {
	items := p.void[id.Client]
	i := sort.Search(len(items), func(i int) bool { return items[i].end() > id.Clock })
	if i < len(items) && items[i].id.Clock <= id.Clock {
		return items[i]
	}
	return nil
}

// placesOf turns void structs of a client into what stays of them, up to the end of
// what stays of the client.
func (p *placement) placesOf(items []*item, end uint64) []*item {
	for n, it := range items {
		switch {
		case it.id.Clock >= end:
			return items[:n]
		case !p.isHere[it]:
			it.becomeGC()
		case it.content != nil && (!p.parents[it] || it.content.ref() != refType):
			it.content = deletedContent{}
		}
	}
	return items
}

// insert adds structs of a client, which the update does not hold, in order.
func (u *Update) insert(client uint64, items []*item) {
	if len(items) == 0 {
		return
	}
	at := slices.IndexFunc(u.sections, func(s section) bool { return s.client == client })
	if at < 0 {
		u.sections = append(u.sections, section{client, items})
		return
	}
	all := slices.Concat(u.sections[at].structs, items)
	all = slices.DeleteFunc(all, (*item).isSkip)
	slices.SortFunc(all, func(a, b *item) int { return cmp.Compare(a.id.Clock, b.id.Clock) })
	u.sections[at].structs = all
}

// forget drops deletions of ranges that are gone, which are in order.
func (u *Update) forget(gone map[uint64][]Range) {
	u.deletes.normalize()
	left := &deleteSet{}
	for _, c := range u.deletes.clients {
		for _, r := range subtractRanges(c.ranges, gone[c.client]) {
			left.add(c.client, r)
		}
	}
	u.deletes = left
}

// Touches reports whether the update has to do with content in the ranges, which are by
// client and clock: is of the same client, or names it as a neighbour or parent.
func (u *Update) Touches(ranges []ClientRange) bool {
	from := func(client, clock uint64) int {
		return sort.Search(len(ranges), func(i int) bool {
			r := ranges[i]
			return r.Client > client || r.Client == client && r.Range.end() > clock
		})
	}
	for _, s := range u.sections {
		if first := from(s.client, 0); first < len(ranges) && ranges[first].Client == s.client {
			return true
		}
		for _, it := range s.structs {
			touches := false
			it.refs(func(id ID) {
				at := from(id.Client, id.Clock)
				touches = touches || at < len(ranges) && ranges[at].Client == id.Client && ranges[at].Range.Clock <= id.Clock
			})
			if touches {
				return true
			}
		}
	}
	for _, c := range u.deletes.clients {
		for _, d := range c.ranges {
			i := sort.Search(len(ranges), func(i int) bool {
				r := ranges[i]
				return r.Client > c.client || r.Client == c.client && r.Range.end() > d.Clock
			})
			if i < len(ranges) && ranges[i].Client == c.client && ranges[i].Range.Clock < d.end() {
				return true
			}
		}
	}
	return false
}

// Overlaps reports whether the update holds content in the ranges.
func (u *Update) Overlaps(ranges []ClientRange) bool {
	return Intersects(u.Content(), ByClient(ranges))
}

// Clashes reports whether the update holds, in the ranges, other content than the void
// updates there. Deleted content and GC are not other content: an editor may have
// dropped what it deleted.
func (u *Update) Clashes(ranges []ClientRange, void [][]byte) (bool, error) {
	v, err := UnionOf(void...)
	if err != nil {
		return false, err
	}
	there := &Update{deletes: &deleteSet{}}
	for client, in := range ByClient(ranges) {
		there.sections = append(there.sections, v.only(client, in).sections...)
	}
	content, _ := u.Rivals(there)
	return content, nil
}

// only returns an update with the content of a client in the ranges, cut out of this
// one, which must not be used afterwards.
func (u *Update) only(client uint64, ranges []Range) *Update {
	out := &Update{deletes: &deleteSet{}}
	for _, s := range u.sections {
		if s.client != client {
			continue
		}
		var structs []*item
		for _, it := range s.structs {
			if it.isSkip() {
				continue
			}
			for _, r := range intersect(ranges, []Range{{it.id.Clock, it.length}}) {
				if r.Clock > it.id.Clock {
					it = it.splitOff(r.Clock - it.id.Clock)
				}
				if r.end() < it.end() {
					rest := it.splitOff(r.end() - it.id.Clock)
					structs = append(structs, it)
					it = rest
					continue
				}
				structs = append(structs, it)
			}
		}
		if len(structs) > 0 {
			out.sections = append(out.sections, section{client, structs})
		}
	}
	return out
}
