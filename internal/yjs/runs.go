package yjs

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrTooLarge is returned by Split for a single value that exceeds the limit, and by
// reads of more than MaxReadBytes.
var ErrTooLarge = errors.New("yjs: content exceeds the limit")

// Coalesce merges runs within an update without building a document: what was
// typed letter by letter becomes one struct. Nothing is lost, deleted text
// included, so the result stands for the same set of structs.
func Coalesce(update []byte) ([]byte, error) {
	u, err := ParseUpdate(update)
	if err != nil {
		return nil, err
	}
	u.Coalesce()
	return u.Encode(), nil
}

// Coalesce merges runs, see the function.
func (u *Update) Coalesce() {
	for i := range u.sections {
		items := u.sections[i].structs
		out := items[:1]
		for _, it := range items[1:] {
			if !out[len(out)-1].absorb(it) {
				out = append(out, it)
			}
		}
		u.sections[i].structs = out
	}
}

// absorb joins the struct that comes next, if both are one run, as far as that can
// be told without a document.
func (it *item) absorb(next *item) bool {
	if it.end() != next.id.Clock {
		return false
	}
	if it.content == nil || next.content == nil {
		if it.content != nil || next.content != nil || it.isSkip() != next.isSkip() {
			return false
		}
		it.length += next.length
		return true
	}
	// Values are left alone: in a map the next one replaces the one before, which a
	// joined run would hide, and an item with a neighbour does not say where it is.
	ref := it.content.ref()
	if (ref != refString && ref != refDeleted) || ref != next.content.ref() || !next.follows(it) {
		return false
	}
	it.content.(runContent).join(next.content)
	it.length += next.length
	return true
}

// What an update costs beside its structs, at most.
const (
	splitOverhead = 64 // counts, the first client and clock, an empty delete set, and the header of a struct that is cut
	sectionSize   = 24 // each further client: count, client, clock
	gapSize       = 9  // a Skip before a struct
	rangeSize     = 28 // a deleted range: client, count, clock, length
)

// Split cuts an update into updates of at most limit bytes each, which together
// are the same update and can be applied in order. It cuts between structs, in
// text (never inside a surrogate pair), in runs of values and in the deletions. It
// returns ErrTooLarge if one indivisible value exceeds the limit.
func Split(update []byte, limit int) ([][]byte, error) {
	if len(update) <= limit {
		if err := Validate(update); err != nil {
			return nil, err
		}
		return [][]byte{bytes.Clone(update)}, nil
	}
	if limit < splitOverhead+rangeSize {
		return nil, fmt.Errorf("split at %d bytes: %w", limit, ErrTooLarge)
	}
	u, err := ParseUpdate(update)
	if err != nil {
		return nil, err
	}
	s := splitter{limit: limit - splitOverhead}
	for _, sec := range u.sections {
		for _, it := range sec.structs {
			if err := s.add(it); err != nil {
				return nil, err
			}
		}
	}
	u.deletes.normalize()
	for _, c := range u.deletes.clients {
		for _, r := range c.ranges {
			s.addDelete(c.client, r)
		}
	}
	s.flush()
	return s.parts, nil
}

type splitter struct {
	limit   int
	parts   [][]byte
	w       structWriter
	size    int
	deletes deleteSet
}

func (s *splitter) flush() {
	if s.size > 0 {
		s.parts = append(s.parts, s.w.finish(&s.deletes))
		s.w, s.deletes, s.size = structWriter{}, deleteSet{}, 0
	}
}

// add writes a struct, cutting it as often as needed. It never encodes more than
// a part can hold, so that its cost is that of the parts.
func (s *splitter) add(it *item) error {
	if it.isSkip() {
		return nil // the writer fills gaps
	}
	for {
		size, fits := it.sizeWithin(s.limit - s.size - s.extra(it))
		if fits {
			s.size += s.extra(it) + size
			s.w.write(it, 0)
			return nil
		}
		if s.size > 0 {
			s.flush()
			continue
		}
		cut := it.cutAt(s.limit)
		if cut == 0 {
			return fmt.Errorf("struct at clock %d of client %d exceeds %d bytes: %w", it.id.Clock, it.id.Client, s.limit, ErrTooLarge)
		}
		right := it.splitOff(cut)
		s.w.write(it, 0)
		s.size = s.limit // full: it was cut to fit
		it = right
	}
}

// extra is what a struct costs beside its own bytes.
func (s *splitter) extra(it *item) int {
	switch {
	case s.size == 0: // part of splitOverhead
		return 0
	case s.w.next.Client != it.id.Client:
		return sectionSize
	case s.w.next.Clock != it.id.Clock:
		return gapSize
	}
	return 0
}

// sizeWithin returns how many bytes an item takes, if they are at most room.
func (it *item) sizeWithin(room int) (size int, fits bool) {
	switch c := it.content.(type) {
	case *stringContent:
		if len(c.text) > room {
			return 0, false
		}
	case valueList:
		if valuesWithin(c, room) < it.length {
			return 0, false
		}
	}
	var w writer
	it.write(&w, 0)
	return len(w.buf), len(w.buf) <= room
}

// cutAt returns where to cut so that the left part fits into limit bytes, 0 for
// nowhere.
func (it *item) cutAt(limit int) uint64 {
	limit -= splitOverhead + len(it.parentName())
	switch c := it.content.(type) {
	case *stringContent:
		if limit < 4 {
			return 0
		}
		at := min(limit, len(c.text)-1)
		for c.text[at]&0xC0 == 0x80 { // between characters
			at--
		}
		return utf16Len(c.text[:at])
	case valueList:
		return min(valuesWithin(c, limit), it.length-1)
	}
	return 0
}

// valueList is a run of values.
type valueList interface {
	content
	// writeValue encodes the value at an index, and reports whether there is one.
	writeValue(w *writer, at uint64) bool
}

// valuesWithin returns how many values from the first on fit into limit bytes.
func valuesWithin(c valueList, limit int) uint64 {
	var w writer
	for n := uint64(0); ; n++ {
		if !c.writeValue(&w, n) || len(w.buf) > limit {
			return n
		}
	}
}

// parentName returns the names that an item repeats when it is written.
func (it *item) parentName() string {
	name := ""
	if it.parentSub != nil {
		name = *it.parentSub
	}
	if it.parent != nil {
		name += it.parent.name
	}
	return name
}

func (s *splitter) addDelete(client uint64, r Range) {
	if s.size+rangeSize > s.limit {
		s.flush()
	}
	s.deletes.add(client, r)
	s.size += rangeSize
}
