package yjs

import (
	"errors"
	"fmt"
)

// ErrTooLarge is returned by Split for a single value that exceeds the limit.
var ErrTooLarge = errors.New("yjs: value exceeds the limit")

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

// splitOverhead is what an update costs beside its structs: counts, the client,
// the clock, an empty delete set, and a struct's own header when it is cut.
const splitOverhead = 64

// Split cuts an update into updates of at most limit bytes each, which together
// are the same update and can be applied in order. It cuts between structs, in
// text (never inside a surrogate pair), in runs of values and in the deletions. It
// returns ErrTooLarge if one indivisible value exceeds the limit.
func Split(update []byte, limit int) ([][]byte, error) {
	if len(update) <= limit {
		if err := Validate(update); err != nil {
			return nil, err
		}
		return [][]byte{update}, nil
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

// add writes a struct, cutting it as often as needed.
func (s *splitter) add(it *item) error {
	if it.isSkip() {
		return nil // the writer fills gaps
	}
	for {
		var w writer
		it.write(&w, 0)
		if s.size+len(w.buf) <= s.limit {
			break
		}
		if s.size > 0 {
			s.flush()
			continue
		}
		cut := it.cutAt(s.limit)
		if cut == 0 {
			return fmt.Errorf("struct of %d bytes at clock %d of client %d: %w", len(w.buf), it.id.Clock, it.id.Client, ErrTooLarge)
		}
		right := it.splitOff(cut)
		s.write(it)
		s.flush()
		it = right
	}
	s.write(it)
	return nil
}

func (s *splitter) write(it *item) {
	before := len(s.w.body.buf)
	s.w.write(it, 0)
	s.size += len(s.w.body.buf) - before
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
		at := limit
		for c.text[at]&0xC0 == 0x80 { // between characters
			at--
		}
		return utf16Len(c.text[:at])
	case *anyContent:
		return cutValues(c, len(c.values), limit)
	case *jsonContent:
		return cutValues(c, len(c.values), limit)
	}
	return 0
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

// cutValues finds by halving how many values fit.
func cutValues(c content, n, limit int) uint64 {
	fits, over := 0, n
	for over-fits > 1 {
		mid := (fits + over) / 2
		var whole, rest writer
		c.write(&whole, uint64(n), 0)
		c.write(&rest, uint64(n), uint64(mid))
		if len(whole.buf)-len(rest.buf) <= limit {
			fits = mid
		} else {
			over = mid
		}
	}
	return uint64(fits)
}

func (s *splitter) addDelete(client uint64, r Range) {
	const rangeSize = 28 // at most: client, count, clock, length
	if s.size+rangeSize > s.limit {
		s.flush()
	}
	s.deletes.add(client, r)
	s.size += rangeSize
}
