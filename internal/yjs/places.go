package yjs

// maxPlaces is how many places of a sequence are remembered, as in yjs.
const maxPlaces = 80

// places are positions of a sequence at which something was edited, so that the next
// edit near by need not count from the start. They are the search markers of yjs
// (https://github.com/yjs/yjs, AbstractType.js) to the letter, because the place from
// which one counts decides on which side of deleted content an insertion goes, and so
// the bytes that it makes.
//
// The marker bit of an item keeps two places from meeting at one item. yjs sets the bit
// of every place again with each insertion; here that is put off (unset) until a place
// has to move.
type places struct {
	index []int64 // of at
	at    []*item
	used  []uint64 // when last, in turns
	turns uint64
	moved bool // a place may be at an item that is deleted or not countable
	unset bool // the bits are those of before the last insertion
}

// remembered returns an item near index from which yjs counts, with the index of that
// item, and remembers the place. ok is false if yjs counts from the start: it keeps
// places of arrays, and of texts while they have no formats.
func (t *Type) remembered(index uint64, near bool) (at *item, start uint64, ok bool) {
	if !near || t.formatted || t.kind != KindArray && !t.isText() || t.start == nil || index == 0 {
		return nil, 0, false
	}
	if t.places == nil {
		t.places = &places{}
	}
	at, start = t.places.find(t, index)
	return at, min(start, index), true
}

// disturb notes that an item which places may be at is deleted.
func (m *places) disturb() {
	if m != nil {
		m.moved = true
	}
}

// forget drops all places. Their bits stay, as in yjs.
func (m *places) forget() {
	if m == nil {
		return
	}
	m.setBits()
	clear(m.at)
	m.index, m.at, m.used = m.index[:0], m.at[:0], m.used[:0]
	m.moved = false
}

func (m *places) setBits() {
	if m.unset {
		for _, it := range m.at {
			it.bits |= flagMarked
		}
		m.unset = false
	}
}

// find returns an item near index, and the index of that item.
func (m *places) find(t *Type, index uint64) (at *item, start uint64) {
	near := m.nearest(int64(index))
	p, pos := t.start, int64(0)
	if near >= 0 {
		p, pos = m.at[near], m.index[near]
		m.use(near)
	}
	p, pos = t.walk(p, pos, int64(index))
	p, pos = t.runStart(p, pos)
	if near >= 0 && distance(m.index[near], pos)*maxPlaces < int64(t.length) {
		m.move(near, p, pos)
	} else {
		m.add(p, pos)
	}
	return p, uint64(max(pos, 0))
}

// walk goes from an item at pos to the one that holds the unit at index, or begins
// there. Coming from the left, it is what follows the unit before, deleted or not.
func (t *Type) walk(p *item, pos, index int64) (*item, int64) {
	steps := 0
	for ; p.right != nil && pos < index; steps++ {
		if steps == nearBy && t.spans != nil {
			it, before, _ := t.holder(uint64(index))
			if p, pos = it, int64(before); pos+int64(it.length) == index && it.right != nil {
				p, pos = it.right, index
			}
			return p, pos
		}
		if !p.isGap() {
			if index < pos+int64(p.length) {
				break
			}
			pos += int64(p.length)
		}
		p = p.right
	}
	for ; p.left != nil && pos > index; steps++ {
		if steps == nearBy && t.spans != nil && uint64(index) < t.length {
			it, before, _ := t.holder(uint64(index) + 1)
			return it, int64(before)
		}
		if p = p.left; !p.isGap() {
			pos -= int64(p.length)
		}
	}
	t.walked(steps)
	return p, pos
}

// runStart goes from an item at pos to the first of those before it that were written
// one after the other, because they may be merged.
func (t *Type) runStart(p *item, pos int64) (*item, int64) {
	steps := 0
	for ; p.left != nil && p.left.continues(p); steps++ {
		if leaf := p.left.span; t.spans != nil && leaf != p.span && leaf.isRun() {
			s := leaf.widestRun()
			p, pos = s.firstItem(), pos-int64(s.length)
			continue
		}
		p = p.left
		pos -= int64(p.visibleLen())
	}
	t.walked(steps)
	return p, pos
}

// continues reports whether right was written straight after it, by the same client.
func (it *item) continues(right *item) bool {
	return it.id.Client == right.id.Client && it.end() == right.id.Clock
}

// nearest returns which place is nearest to index, the last of equal ones, -1 for none.
func (m *places) nearest(index int64) int {
	near, best := -1, int64(1<<63-1)
	for i := len(m.index) - 1; i >= 0 && best > 0; i-- {
		if d := distance(index, m.index[i]); d < best {
			near, best = i, d
		}
	}
	return near
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

func (m *places) use(i int) {
	m.turns++
	m.used[i] = m.turns
}

// add remembers a place, in the place of the one that was not used for longest.
func (m *places) add(p *item, index int64) {
	if len(m.at) == maxPlaces {
		oldest := 0
		for i, used := range m.used {
			if used < m.used[oldest] {
				oldest = i
			}
		}
		m.move(oldest, p, index)
		return
	}
	m.index, m.at, m.used = append(m.index, 0), append(m.at, p), append(m.used, 0)
	m.set(len(m.at)-1, p, index)
}

func (m *places) move(i int, p *item, index int64) {
	if old := m.at[i]; old != p {
		if m.unset && m.shared(i) {
			m.setBits()
		}
		old.bits &^= flagMarked
	}
	m.set(i, p, index)
}

// shared reports whether another place is at the same item.
func (m *places) shared(i int) bool {
	for j, at := range m.at {
		if at == m.at[i] && j != i {
			return true
		}
	}
	return false
}

func (m *places) set(i int, p *item, index int64) {
	m.at[i], m.index[i] = p, index
	p.bits |= flagMarked | flagPointed
	m.moved = m.moved || p.isGap()
	m.use(i)
}

// inserted adjusts the places to an insertion of length units at index, before it is
// made.
func (m *places) inserted(index, length uint64) {
	if m == nil || length == 0 {
		return
	}
	if m.moved {
		m.settle()
	} else {
		m.unset = true
	}
	for i, at := range m.index { // each edit does this: no branches
		before := (at - int64(index)) >> 63
		m.index[i] = at + int64(length)&^before
	}
}

// settle moves places off items that are deleted, to the left, and drops those that
// have nowhere to go or would meet others.
func (m *places) settle() {
	m.setBits()
	m.moved = false
	for i := len(m.at) - 1; i >= 0; i-- {
		p := m.at[i]
		p.bits &^= flagMarked
		for p != nil && p.isGap() {
			if p = p.left; p != nil && !p.isGap() {
				m.index[i] -= int64(p.length)
			}
		}
		if p == nil || p.is(flagMarked) {
			m.remove(i)
			continue
		}
		m.at[i] = p
		p.bits |= flagMarked | flagPointed
	}
}

func (m *places) remove(i int) {
	m.index = append(m.index[:i], m.index[i+1:]...)
	copy(m.at[i:], m.at[i+1:])
	m.at[len(m.at)-1] = nil
	m.at = m.at[:len(m.at)-1]
	m.used = append(m.used[:i], m.used[i+1:]...)
}

// deleted adjusts the places to a deletion of length units at index.
func (m *places) deleted(index, length uint64) {
	if m == nil {
		return
	}
	for i, at := range m.index {
		m.index[i] = min(at, max(int64(index), at-int64(length)))
	}
}

// merged moves the places at right to left, into which right is merged.
func (m *places) merged(left, right *item) {
	if m == nil {
		return
	}
	for i, at := range m.at {
		if at != right {
			continue
		}
		m.setBits()
		m.at[i] = left
		left.bits |= flagPointed
		m.moved = m.moved || left.isGap()
		if !left.isGap() {
			m.index[i] -= int64(left.length)
		}
	}
}
