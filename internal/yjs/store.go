package yjs

import "slices"

// structs holds what one client wrote, without gaps, in order of clock.
type structs struct {
	client    uint64
	list      []*item // with unused places, hole many from gap on, so that cutting and merging
	gap, hole int     // near by moves little
	touchedIn uint64  // sequence number of the last transaction that added a struct
	before    uint64  // state when that transaction began
}

func (s *structs) len() int { return len(s.list) - s.hole }

func (s *structs) at(i int) *item {
	if i >= s.gap {
		i += s.hole
	}
	return s.list[i]
}

func (s *structs) set(i int, it *item) {
	if i >= s.gap {
		i += s.hole
	}
	s.list[i] = it
}

// state is the first clock that is not had.
func (s *structs) state() uint64 {
	if n := s.len(); n > 0 {
		return s.at(n - 1).end()
	}
	return 0
}

// find returns the index of the struct that holds clock, which must be had.
func (s *structs) find(clock uint64) int {
	low, high := 0, s.len()-1
	if s.at(high).id.Clock <= clock {
		return high
	}
	for low+1 < high { // low starts at or before clock, high after it
		mid := int(uint(low+high) >> 1)
		if s.at(mid).id.Clock <= clock {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// push adds a struct at the end.
func (s *structs) push(it *item) {
	if s.hole > 0 && s.gap == s.len() {
		s.list[s.gap] = it
		s.gap++
		s.hole--
		return
	}
	s.list = append(s.list, it)
}

// insert places a struct behind index i.
func (s *structs) insert(i int, it *item) {
	if s.hole == 0 {
		s.gap = i + 1
		s.hole = minHole + len(s.list)/8
		s.list = slices.Insert(s.list, s.gap, make([]*item, s.hole)...)
	}
	s.moveGap(i + 1)
	s.list[s.gap] = it
	s.gap++
	s.hole--
}

// minHole is how many places are made at least when one is needed.
const minHole = 16

// remove drops the structs from one index up to another.
func (s *structs) remove(from, to int) {
	if from == to {
		return
	}
	if s.gap < from || s.gap > to || s.hole == 0 {
		s.moveGap(from)
	}
	clear(s.list[from:s.gap])
	clear(s.list[s.gap+s.hole : to+s.hole])
	s.gap, s.hole = from, s.hole+to-from
}

// moveGap moves the unused places to an index.
func (s *structs) moveGap(to int) {
	from := s.gap
	s.gap = to
	switch {
	case s.hole == 0:
	case to < from:
		copy(s.list[to+s.hole:], s.list[to:from])
		clear(s.list[to:min(from, to+s.hole)])
	case to > from:
		copy(s.list[from:], s.list[from+s.hole:to+s.hole])
		clear(s.list[max(to, from+s.hole) : to+s.hole])
	}
}

// write encodes what is from clock on, which must be had.
func (s *structs) write(w *writer, clock uint64) {
	first := s.find(clock)
	w.uint(uint64(s.len() - first))
	w.uint(s.client)
	w.uint(clock)
	s.at(first).write(w, clock-s.at(first).id.Clock)
	for i := first + 1; i < s.len(); i++ {
		s.at(i).write(w, 0)
	}
}

// sizeFrom estimates how long that is.
func (s *structs) sizeFrom(clock uint64) int {
	first := s.find(clock)
	size := 20 + 20*(s.len()-first)
	for i := first; i < s.len(); i++ {
		if c, ok := s.at(i).content.(*stringContent); ok {
			size += len(c.text)
		}
	}
	return size
}

// clientStructs returns the structs of a client, or nil.
func (d *Doc) clientStructs(client uint64) *structs {
	if d.lastClient != nil && d.lastClient.client == client {
		return d.lastClient
	}
	s := d.clients[client]
	if s != nil {
		d.lastClient = s
	}
	return s
}

func (d *Doc) state(client uint64) uint64 {
	if s := d.clientStructs(client); s != nil {
		return s.state()
	}
	return 0
}

// addStruct appends an integrated struct.
func (d *Doc) addStruct(it *item) {
	s := d.clientStructs(it.id.Client)
	if s == nil {
		s = &structs{client: it.id.Client}
		if c := d.expected; c != nil && c.client == s.client {
			s.list = make([]*item, 0, len(c.structs))
		}
		d.clients[s.client] = s
		d.lastClient = s
	}
	d.touch(s)
	s.push(it)
}

// touch notes that a client is about to get content. What observers add is new in the
// update and the events of the transaction that they were told of too, as in yjs.
func (d *Doc) touch(s *structs) {
	if s.touchedIn == d.txn.seq {
		return
	}
	s.touchedIn, s.before = d.txn.seq, s.state()
	d.txn.touched = append(d.txn.touched, touch{s, s.before})
	for _, t := range d.ended[d.finished:] {
		if _, known := t.before[s.client]; !known && t.before != nil {
			t.before[s.client] = s.before
		}
	}
}

// at returns the struct that holds id, which must be had.
func (d *Doc) at(id ID) *item {
	s := d.clientStructs(id.Client)
	return s.at(s.find(id.Clock))
}

// cleanStart returns the struct that starts at id, cutting one if needed.
func (d *Doc) cleanStart(id ID) *item {
	s := d.clientStructs(id.Client)
	i := s.find(id.Clock)
	it := s.at(i)
	if it.id.Clock < id.Clock && !it.isGC() {
		right := d.split(it, id.Clock-it.id.Clock)
		s.insert(i, right)
		return right
	}
	return it
}

// cleanEnd returns the struct that ends with id, cutting one if needed.
func (d *Doc) cleanEnd(id ID) *item {
	s := d.clientStructs(id.Client)
	i := s.find(id.Clock)
	it := s.at(i)
	if it.end() != id.Clock+1 && !it.isGC() {
		s.insert(i, d.split(it, id.Clock-it.id.Clock+1))
	}
	return it
}

// split cuts an integrated item in its list. The caller adds the right part to
// the structs.
func (d *Doc) split(left *item, offset uint64) *item {
	right := left.cut(offset, true)
	if d.txn.local && right.startsReplaced() {
		d.unfaithful = true // perhaps a pair was cut, and nothing tells others so
	}
	d.cutKeyed = d.cutKeyed || left.parentSub != nil
	right.left, right.right = left, left.right
	left.right = right
	if right.right != nil {
		right.right.left = right
	} else if right.parentSub != nil {
		right.parent.entries.set(right.parentSub, right)
	}
	if right.parentSub == nil {
		left.grow(-right.visibleLen())
		right.enter()
	}
	d.txn.toMerge = append(d.txn.toMerge, right)
	return right
}
