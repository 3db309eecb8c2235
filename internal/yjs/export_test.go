package yjs

import (
	"errors"
	"fmt"
	"slices"
)

// What tests of the codecs reach beside the exported API.

// DecodeValue reads one value in lib0's "any" encoding that fills the bytes.
func DecodeValue(b []byte) (any, error) {
	r := reader{buf: b}
	v := r.value()
	return v, r.done()
}

// EncodeValue writes a value in lib0's "any" encoding.
func EncodeValue(v any) []byte {
	var w writer
	w.value(v)
	return w.buf
}

// UTF16Len counts UTF-16 units.
func UTF16Len(b []byte) uint64 { return utf16Len(b) }

// UTF16Offset returns the byte at which a UTF-16 unit starts.
func UTF16Offset(b []byte, units uint64) (at int, inPair bool) { return utf16Offset(b, units) }

// ReplaceSurrogates is what a TextEncoder makes of lone surrogates.
func ReplaceSurrogates(s string) string {
	b := []byte(s)
	replaceSurrogates(b)
	return string(b)
}

// CompareUTF16 compares as JavaScript compares strings.
func CompareUTF16(a, b string) int { return compareUTF16(a, b) }

// ArrayIndex reports whether a key is an array index.
func ArrayIndex(key string) (uint32, bool) { return arrayIndex(key) }

// NewObject adds members as JavaScript assigns properties.
func NewObject(members ...Member) Object {
	var b objectBuilder
	for _, m := range members {
		b.set(m.Key, m.Value)
	}
	return b.object()
}

// Structs counts the structs that a document holds.
func (d *Doc) Structs() int {
	n := 0
	for _, s := range d.clients {
		n += s.len()
	}
	return n
}

// KeyedRuns reports whether some key holds a run of several values, as no yjs
// client writes it. Once such a run is cut, by another item that names its middle
// as a neighbour, all parts live on, as in yjs; but whoever loads the parts deletes
// all but the last. So the state is not stable, though every read returns the same.
func (d *Doc) KeyedRuns() bool {
	for _, s := range d.clients {
		for i := range s.len() {
			it := s.at(i)
			if it.parentSub != nil && !it.deleted() && (it.length > 1 || it.right != nil) {
				return true
			}
		}
	}
	return false
}

// AddRange adds to ranges that are in order and merged.
func AddRange(ranges []Range, r Range) []Range { return addRange(ranges, r) }

// SubtractRanges returns what of ranges is not in others.
func SubtractRanges(ranges, others []Range) []Range { return subtractRanges(ranges, others) }

// Intersect returns what two lists of ranges have in common.
func Intersect(a, b []Range) []Range { return intersect(a, b) }

// Shown returns a struct of an update that lies in the ranges and still shows
// something, "" for none: only places may be there, and empty types.
func Shown(update []byte, void []ClientRange) string {
	u, err := ParseUpdate(update)
	if err != nil {
		return err.Error()
	}
	for _, s := range u.sections {
		for _, it := range s.structs {
			for _, v := range void {
				in := v.Client == s.client && it.id.Clock < v.Range.end() && v.Range.Clock < it.end()
				if in && it.content != nil && it.content.ref() != refDeleted && it.content.ref() != refType {
					return fmt.Sprintf("%v: %T", it.id, it.content)
				}
			}
		}
	}
	return ""
}

// Reindex makes the index of a sequence.
func (t *Type) Reindex() { t.indexItems() }

// DropIndex forgets the index of a sequence.
func (t *Type) DropIndex() { t.spans = nil }

// CheckIndex compares the index of a sequence with the sequence.
func (t *Type) CheckIndex() error {
	if t.spans == nil {
		return nil
	}
	it, now := t.start, formats{}
	var units uint64
	var walk func(s *span) error
	walk = func(s *span) error {
		before := units
		was := now.clone()
		if s.kids == nil {
			if s.first != it {
				return fmt.Errorf("a leaf starts at %v, the list is at %v", s.first, it)
			}
			for range s.items {
				if it.span != s {
					return fmt.Errorf("item %v is of another leaf", it.id)
				}
				if n := it.visibleLen(); n > 0 {
					for _, at := range []uint64{units + 1, units + n} {
						if got, start, _ := t.holder(at); got != it || start != units {
							return fmt.Errorf("unit %d is in %v from %d, want %v from %d", at, got.id, start, it.id, units)
						}
					}
					units += n
				}
				if f, ok := it.content.(*formatContent); ok && !it.deleted() {
					now.apply(f)
				}
				it = it.right
			}
		}
		for _, kid := range s.kids {
			if kid.up != s {
				return errors.New("a span has another parent")
			}
			if err := walk(kid); err != nil {
				return err
			}
		}
		if units-before != s.length {
			return fmt.Errorf("a span has %d units, want %d", s.length, units-before)
		}
		if s.changes().applyTo(&was); !slices.EqualFunc(was.list(), now.list(), func(f, g *formatContent) bool { return f.first() == g.first() }) {
			return fmt.Errorf("formats after a span are %v, want %v", was.list(), now.list())
		}
		return nil
	}
	if err := walk(t.spans); err != nil {
		return err
	}
	if it != nil {
		return fmt.Errorf("item %v is in no leaf", it.id)
	}
	return nil
}

// StructList is the list of one client's structs.
type StructList struct{ s structs }

// Push, Insert (behind an index), Remove and Clocks do what structs do, with structs of
// which only the clock counts.
func (l *StructList) Push(clock uint64)          { l.s.push(&item{id: ID{Clock: clock}}) }
func (l *StructList) Insert(i int, clock uint64) { l.s.insert(i, &item{id: ID{Clock: clock}}) }
func (l *StructList) Remove(from, to int)        { l.s.remove(from, to) }

// Clocks returns the clocks in order, and an error if an unused place is not empty.
func (l *StructList) Clocks() ([]uint64, error) {
	clocks := make([]uint64, l.s.len())
	for i := range clocks {
		clocks[i] = l.s.at(i).id.Clock
	}
	used := 0
	for _, it := range l.s.list {
		if it != nil {
			used++
		}
	}
	if used != len(clocks) {
		return clocks, fmt.Errorf("%d places are used for %d structs", used, len(clocks))
	}
	return clocks, nil
}
