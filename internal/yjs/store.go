package yjs

// structs holds what one client wrote, without gaps, in order of clock.
type structs struct {
	client    uint64
	items     []*item
	touchedIn uint64 // sequence number of the last transaction that added a struct
	before    uint64 // state when that transaction began
}

// state is the first clock that is not had.
func (s *structs) state() uint64 {
	if n := len(s.items); n > 0 {
		return s.items[n-1].end()
	}
	return 0
}

// find returns the index of the struct that holds clock, which must be had.
func (s *structs) find(clock uint64) int {
	low, high := 0, len(s.items)-1
	if s.items[high].id.Clock <= clock {
		return high
	}
	for low+1 < high { // items[low] starts at or before clock, items[high] after it
		mid := int(uint(low+high) >> 1)
		if s.items[mid].id.Clock <= clock {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// write encodes what is from clock on, which must be had.
func (s *structs) write(w *writer, clock uint64) {
	first := s.find(clock)
	w.uint(uint64(len(s.items) - first))
	w.uint(s.client)
	w.uint(clock)
	s.items[first].write(w, clock-s.items[first].id.Clock)
	for _, it := range s.items[first+1:] {
		it.write(w, 0)
	}
}

// sizeFrom estimates how long that is.
func (s *structs) sizeFrom(clock uint64) int {
	items := s.items[s.find(clock):]
	size := 20 + 20*len(items)
	for _, it := range items {
		if c, ok := it.content.(*stringContent); ok {
			size += len(c.text)
		}
	}
	return size
}

// insert places items behind index i.
func (s *structs) insert(i int, it *item) {
	s.items = append(s.items, nil)
	copy(s.items[i+2:], s.items[i+1:])
	s.items[i+1] = it
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
			s.items = make([]*item, 0, len(c.structs))
		}
		d.clients[s.client] = s
		d.lastClient = s
	}
	d.touch(s)
	s.items = append(s.items, it)
}

// touch notes that a client is about to get content.
func (d *Doc) touch(s *structs) {
	if s.touchedIn != d.txn.seq {
		s.touchedIn, s.before = d.txn.seq, s.state()
		d.txn.touched = append(d.txn.touched, touch{s, s.before})
	}
}

// at returns the struct that holds id, which must be had.
func (d *Doc) at(id ID) *item {
	s := d.clientStructs(id.Client)
	return s.items[s.find(id.Clock)]
}

// cleanStart returns the struct that starts at id, cutting one if needed.
func (d *Doc) cleanStart(id ID) *item {
	s := d.clientStructs(id.Client)
	i := s.find(id.Clock)
	it := s.items[i]
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
	it := s.items[i]
	if it.end() != id.Clock+1 && !it.isGC() {
		s.insert(i, d.split(it, id.Clock-it.id.Clock+1))
	}
	return it
}

// split cuts an integrated item in its list. The caller adds the right part to
// the structs.
func (d *Doc) split(left *item, offset uint64) *item {
	right := left.cut(offset, true)
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
