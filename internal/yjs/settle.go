package yjs

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Standing is what becomes of one of several updates, by client, in order and merged.
type Standing struct {
	Held map[uint64][]Range // its content that stands
	Lost map[uint64][]Range // its content at clocks where another update's stands
}

// Settle decides between updates that hold different content at the same clocks:
// content stands before deleted content, and that before GC; of two of a kind the one
// of the update that before puts first. Equal content stands in each that holds it.
// An error of before ends it.
func Settle(updates []*Update, before func(client uint64, a, b int) (bool, error)) ([]Standing, error) {
	s := settling{before: before, standings: make([]Standing, len(updates))}
	for i := range s.standings {
		s.standings[i] = Standing{map[uint64][]Range{}, map[uint64][]Range{}}
	}
	byClient := map[uint64][]piece{}
	for i, u := range updates {
		for _, sec := range u.sections {
			for _, it := range sec.structs {
				if !it.isSkip() {
					byClient[sec.client] = append(byClient[sec.client], piece{i, it})
				}
			}
		}
	}
	for client, pieces := range byClient {
		if err := s.settle(client, pieces); err != nil {
			return nil, err
		}
	}
	return s.standings, nil
}

// piece is a struct of one of the updates.
type piece struct {
	update int
	item   *item
}

type settling struct {
	standings []Standing
	before    func(client uint64, a, b int) (bool, error)
}

// settle walks over the clocks of a client from one end of a struct to the next.
func (s *settling) settle(client uint64, pieces []piece) error {
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.item.id.Clock, b.item.id.Clock), cmp.Compare(a.update, b.update))
	})
	var open []piece // those that hold clock at
	for at, next := uint64(0), 0; next < len(pieces) || len(open) > 0; {
		open = slices.DeleteFunc(open, func(p piece) bool { return p.item.end() <= at })
		if len(open) == 0 && next < len(pieces) {
			at = max(at, pieces[next].item.id.Clock)
		}
		for ; next < len(pieces) && pieces[next].item.id.Clock <= at; next++ {
			open = append(open, pieces[next])
		}
		if len(open) == 0 {
			continue
		}
		end := open[0].item.end()
		for _, p := range open[1:] {
			end = min(end, p.item.end())
		}
		if next < len(pieces) {
			end = min(end, pieces[next].item.id.Clock)
		}
		if err := s.decide(client, Range{at, end - at}, open); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// decide gives a range, which each of the structs holds, to the best of them and to
// those that are like it.
func (s *settling) decide(client uint64, r Range, rivals []piece) error {
	best := rivals[0]
	differs := slices.ContainsFunc(rivals, func(p piece) bool { return !p.item.sameIn(rivals[0].item, r) })
	for _, p := range rivals[1:] {
		if !differs { // as where two import the same: nothing to decide
			break
		}
		better, err := s.better(client, p, best)
		if err != nil {
			return err
		}
		if better {
			best = p
		}
	}
	for _, p := range rivals {
		of := s.standings[p.update].Held
		if p != best && !p.item.sameIn(best.item, r) {
			of = s.standings[p.update].Lost
		}
		of[client] = addRange(of[client], r)
	}
	return nil
}

func (s *settling) better(client uint64, a, b piece) (bool, error) {
	if c := cmp.Compare(a.item.rank(), b.item.rank()); c != 0 {
		return c < 0, nil
	}
	if a.update == b.update {
		return false, nil
	}
	return s.before(client, a.update, b.update)
}

// sameIn reports whether two structs that hold a range are the same in it.
func (it *item) sameIn(other *item, r Range) bool {
	if it == other || it.isGC() && other.isGC() {
		return true
	}
	if it.rank() != other.rank() {
		return false
	}
	var a, b writer
	it.part(r).write(&a, 0)
	other.part(r).write(&b, 0)
	return bytes.Equal(a.buf, b.buf)
}

// part returns the part of a struct that lies in a range. The struct stays whole.
func (it *item) part(r Range) *item {
	p := *it
	switch c := it.content.(type) {
	case *stringContent:
		p.content = &stringContent{c.text}
	case *anyContent:
		p.content = &anyContent{c.values}
	case *jsonContent:
		p.content = &jsonContent{c.values}
	}
	part := &p
	if r.Clock > part.id.Clock {
		part = part.splitOff(r.Clock - part.id.Clock)
	}
	if r.end() < part.end() {
		part.splitOff(r.end() - part.id.Clock)
	}
	return part
}

// Rivals reports whether the update holds other content at clocks that state holds too,
// both being content that is neither deleted nor GC, and whether it holds anything else
// there than state does.
func (u *Update) Rivals(state *Update) (content, anything bool) {
	byClient := map[uint64][]*item{}
	for _, s := range state.sections {
		byClient[s.client] = s.structs
	}
	for _, s := range u.sections {
		held := byClient[s.client]
		for _, it := range s.structs {
			for len(held) > 0 && held[0].end() <= it.id.Clock {
				held = held[1:]
			}
			for _, h := range held {
				if h.id.Clock >= it.end() {
					break
				}
				first, end := max(it.id.Clock, h.id.Clock), min(it.end(), h.end())
				if it.isSkip() || h.isSkip() || it.sameIn(h, Range{first, end - first}) {
					continue
				}
				anything = true
				if it.rank() == 0 && h.rank() == 0 && !it.alike(h, Range{first, end - first}) {
					return true, true
				}
			}
		}
	}
	return false, anything
}

// alike is sameIn, except that in text U+FFFD, which is what remains of half a
// surrogate pair, equals any half.
func (it *item) alike(other *item, r Range) bool {
	a, b := it.part(r), other.part(r)
	x, isText := a.content.(*stringContent)
	y, both := b.content.(*stringContent)
	if !isText || !both {
		return false
	}
	var v, w writer
	a.content, b.content = deletedContent{}, deletedContent{}
	a.write(&v, 0)
	b.write(&w, 0)
	return bytes.Equal(v.buf, w.buf) && slices.EqualFunc(utf16Units(string(x.text)), utf16Units(string(y.text)), func(m, n rune) bool {
		return m == n || m == utf8.RuneError && isHalf(n) || n == utf8.RuneError && isHalf(m)
	})
}

func isHalf(unit rune) bool { return utf16.IsSurrogate(unit) }
