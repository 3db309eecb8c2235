package yjs

import "slices"

const (
	maxLeaf = 64 // items of a leaf
	maxKids = 32 // of an inner span

	nearBy  = 16  // items that are walked over before the index is asked
	farAway = 128 // so many items walked over make an index
)

// span is a node of the index over a sequence, which finds the item of a position
// without counting from the start: a tree whose leaves are runs of the list. A sequence
// has one only after something was far away in it; its items then know their leaf.
type span struct {
	up     *span
	kids   []*span        // of an inner span
	first  *item          // of a leaf
	items  int            // of a leaf
	length uint64         // countable, undeleted units
	sum    *formatChanges // of its formats, nil if not known
	run    answer         // of isRun
}

// walked makes an index if it took many steps to find a place.
func (t *Type) walked(steps int) {
	if steps > farAway && t.spans == nil {
		t.indexItems()
	}
}

// indexItems makes the index of a sequence.
func (t *Type) indexItems() {
	var level []*span
	for it := t.start; it != nil; it = it.right {
		if n := len(level); n == 0 || level[n-1].items == maxLeaf/2 {
			level = append(level, &span{first: it})
		}
		leaf := level[len(level)-1]
		leaf.items++
		leaf.length += it.visibleLen()
		it.span = leaf
	}
	for len(level) > 1 {
		var above []*span
		for kids := range slices.Chunk(level, maxKids/2) {
			up := &span{kids: slices.Clone(kids)}
			for _, kid := range kids {
				kid.up = up
				up.length += kid.length
			}
			above = append(above, up)
		}
		level = above
	}
	if len(level) == 1 {
		t.spans = level[0]
	}
}

// visibleLen is how many units an item adds to its sequence.
func (it *item) visibleLen() uint64 {
	if it.isGap() {
		return 0
	}
	return it.length
}

// holder returns the item of an indexed sequence that holds the nth unit, counted from
// 1, the units before it, and the formats in force before it. There must be so many.
func (t *Type) holder(n uint64) (it *item, before uint64, now formats) {
	s, left := t.spans, n
	for s.kids != nil {
		for _, kid := range s.kids {
			if kid.length >= left {
				s = kid
				break
			}
			left -= kid.length
			if t.formats {
				kid.changes().applyTo(&now)
			}
		}
	}
	for it = s.first; ; it = it.right {
		if f, ok := it.content.(*formatContent); ok && !it.deleted() {
			now.apply(f)
		}
		length := it.visibleLen()
		if length >= left {
			return it, n - left, now
		}
		left -= length
	}
}

// lastItem returns the last item of an indexed sequence.
func (t *Type) lastItem() *item {
	s := t.spans
	for s.kids != nil {
		s = s.kids[len(s.kids)-1]
	}
	it := s.first
	for it.right != nil {
		it = it.right
	}
	return it
}

// grow adds to the length of an item's sequence; a negative number wraps.
func (it *item) grow(units uint64) {
	for s := it.span; s != nil; s = s.up {
		s.length += units
	}
}

// reformat notes that a format at an item came or went.
func (it *item) reformat() {
	for s := it.span; s != nil; s = s.up {
		s.sum = nil
	}
}

// enter adds an item that was just linked, and its units, to the index.
func (it *item) enter() {
	var leaf *span
	switch {
	case it.parent.spans == nil:
		return
	case it.left != nil:
		leaf = it.left.span
	default:
		leaf = it.right.span
		leaf.first = it
	}
	it.span = leaf
	leaf.items++
	leaf.forgetRun()
	it.grow(it.visibleLen())
	if leaf.items > maxLeaf {
		leaf.halve(it.parent)
	}
}

// leave takes an item out that is about to be merged into its left neighbour.
func (it *item) leave() {
	leaf := it.span
	if leaf == nil || it.parent.spans == nil {
		return
	}
	if left := it.left.span; left != leaf {
		units := it.visibleLen()
		it.grow(-units)
		it.left.grow(units)
	}
	leaf.items--
	leaf.forgetRun()
	if leaf.items == 0 {
		leaf.remove()
	} else if leaf.first == it {
		leaf.first = it.right
	}
}

// remove takes an empty span out of the index, which has others.
func (s *span) remove() {
	up := s.up
	up.kids = slices.DeleteFunc(up.kids, func(kid *span) bool { return kid == s })
	if len(up.kids) == 0 {
		up.remove()
	}
}

// halve moves the second half of a full span to a new one.
func (s *span) halve(t *Type) {
	right := &span{}
	if s.kids == nil {
		it := s.first
		for range s.items / 2 {
			it = it.right
		}
		right.first, right.items = it, s.items-s.items/2
		s.items -= right.items
		for range right.items {
			it.span = right
			right.length += it.visibleLen()
			it = it.right
		}
	} else {
		half := len(s.kids) / 2
		right.kids = slices.Clone(s.kids[half:])
		clear(s.kids[half:])
		s.kids = s.kids[:half]
		for _, kid := range right.kids {
			kid.up = right
			right.length += kid.length
		}
	}
	s.length -= right.length
	s.sum, s.run = nil, unknown
	if s.up == nil {
		s.up = &span{kids: []*span{s}, length: s.length + right.length}
		t.spans = s.up
	}
	right.up = s.up
	s.up.kids = slices.Insert(s.up.kids, 1+slices.Index(s.up.kids, s), right)
	if len(s.up.kids) > maxKids {
		s.up.halve(t)
	}
}

// answer is one that is kept until something changes.
type answer uint8

const (
	unknown answer = iota
	yes
	no
)

func (s *span) forgetRun() {
	for ; s != nil; s = s.up {
		s.run = unknown
	}
}

// isRun reports whether the items of a span were written one after the other.
func (s *span) isRun() bool {
	if s.run != unknown {
		return s.run == yes
	}
	s.run = no
	for i, kid := range s.kids {
		first := kid.firstItem()
		if !kid.isRun() || i > 0 && !first.left.continues(first) {
			return false
		}
	}
	it := s.first
	for range max(s.items-1, 0) {
		if !it.continues(it.right) {
			return false
		}
		it = it.right
	}
	s.run = yes
	return true
}

// widestRun returns the widest span that ends where a run does and is one itself.
func (s *span) widestRun() *span {
	for s.up != nil && s.up.kids[len(s.up.kids)-1] == s && s.up.isRun() {
		s = s.up
	}
	return s
}

func (s *span) firstItem() *item {
	for s.kids != nil {
		s = s.kids[0]
	}
	return s.first
}

// changes returns what the formats of a span do to those in force before it.
func (s *span) changes() *formatChanges {
	if s.sum != nil {
		return s.sum
	}
	s.sum = &formatChanges{}
	if s.kids == nil {
		it := s.first
		for range s.items {
			if f, ok := it.content.(*formatContent); ok && !it.deleted() {
				s.sum.add(f)
			}
			it = it.right
		}
	}
	for _, kid := range s.kids {
		for _, f := range kid.changes().last.order {
			if f != nil {
				s.sum.add(f)
			}
		}
	}
	return s.sum
}

// formatChanges are what a run of formats does, each key once, in the order in which
// keys came into force. Keys that were ended before are marked: they go behind others.
type formatChanges struct{ last formats }

func (c *formatChanges) add(f *formatContent) {
	was := c.last.get(f.key)
	ended := was != nil && was.value == nil && f.value != nil
	if f.anew || ended {
		c.last.remove(f.key)
	}
	if !f.anew && (ended || was != nil && was.anew) {
		f = f.again()
		f.anew = true
	}
	c.last.set(f)
}

func (c *formatChanges) applyTo(now *formats) {
	for _, f := range c.last.order {
		if f == nil {
			continue
		}
		if f.anew {
			now.remove(f.key)
		}
		now.apply(f)
	}
}
