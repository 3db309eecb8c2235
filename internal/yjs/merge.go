package yjs

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
)

// Merge joins updates into one without building a document. The result holds
// everything that the inputs hold, gaps as Skip structs, and equals the bytes of
// Y.mergeUpdates. It takes near-linear time in the size of the inputs, which it
// does not keep.
func Merge(updates ...[]byte) ([]byte, error) {
	if len(updates) == 1 {
		if err := Validate(updates[0]); err != nil {
			return nil, err
		}
		return bytes.Clone(updates[0]), nil
	}
	readers := make(mergeHeap, 0, len(updates))
	all := make([]*mergeReader, len(updates))
	for i, update := range updates {
		m := &mergeReader{structReader: newStructReader(update), order: i}
		m.skipGaps()
		all[i] = m
		if m.cur != nil {
			readers = append(readers, m)
		}
	}
	heap.Init(&readers)
	var w structWriter
	readers.mergeStructs(&w)

	var ds deleteSet
	for _, m := range all {
		ds.addAll(m.deleteSet())
		if err := m.done(); err != nil {
			return nil, err
		}
	}
	ds.normalize()
	return w.finish(&ds), nil
}

// mergeReader is one input of Merge.
type mergeReader struct {
	*structReader
	order int // among inputs at the same struct, the lower one comes first
}

// step reads the next struct that is not a gap.
func (m *mergeReader) step() {
	m.advance()
	m.skipGaps()
}

func (m *mergeReader) skipGaps() {
	for m.cur != nil && m.cur.isSkip() {
		m.advance()
	}
}

// mergeHeap orders inputs by their current struct: higher clients first, then
// lower clocks.
type mergeHeap []*mergeReader

func (h mergeHeap) Len() int { return len(h) }

func (h mergeHeap) Less(i, j int) bool {
	a, b := h[i].cur.id, h[j].cur.id
	switch {
	case a.Client != b.Client:
		return a.Client > b.Client
	case a.Clock != b.Clock:
		return a.Clock < b.Clock
	}
	return h[i].order < h[j].order
}

func (h mergeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)   { *h = append(*h, x.(*mergeReader)) }

func (h *mergeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// mergeStructs writes the structs of all inputs. It takes the same decisions as
// yjs, which sorts its inputs stably after each step: the input that was read
// last comes before others at the same struct.
func (h *mergeHeap) mergeStructs(w *structWriter) {
	var cur *item // read, not yet written: the next one may join or extend it
	reads := 0
	for ; len(*h) > 0; h.fix(&reads) {
		m := (*h)[0]
		client := m.cur.id.Client
		if cur == nil {
			cur = m.cur
			m.step()
		} else {
			skipped := false
			for m.cur != nil && m.cur.end() <= cur.end() && m.cur.id.Client >= cur.id.Client {
				m.step()
				skipped = true
			}
			if m.cur == nil || m.cur.id.Client != client || (skipped && m.cur.id.Clock > cur.end()) {
				continue // another input may come first now
			}
			cur = m.mergeInto(cur, w)
		}
		for m.cur != nil && m.cur.id.Client == client && m.cur.id.Clock == cur.end() {
			w.write(cur, 0)
			cur = m.cur
			m.step()
		}
	}
	if cur != nil {
		w.write(cur, 0)
	}
}

// fix restores the order after the first input was read.
func (h *mergeHeap) fix(reads *int) {
	if (*h)[0].cur == nil {
		heap.Pop(h)
		return
	}
	*reads--
	(*h)[0].order = *reads
	heap.Fix(h, 0)
}

// mergeInto places the reader's struct after cur and returns what is to be
// written next.
func (m *mergeReader) mergeInto(cur *item, w *structWriter) *item {
	next := m.cur
	switch {
	case next.id.Client != cur.id.Client:
		w.write(cur, 0)
		m.step()
		return next
	case cur.end() < next.id.Clock:
		if cur.isSkip() {
			cur.length = next.end() - cur.id.Clock
			return cur
		}
		w.write(cur, 0)
		return &item{id: ID{cur.id.Client, cur.end()}, length: next.id.Clock - cur.end(), bits: flagSkip}
	}
	if overlap := cur.end() - next.id.Clock; overlap > 0 {
		if cur.isSkip() {
			cur.length -= overlap // the other may know more than the gap
		} else {
			whole := *next // the input keeps its place in the order
			next = whole.splitOff(overlap)
		}
	}
	if cur.isGC() && next.isGC() {
		cur.length += next.length
		return cur
	}
	w.write(cur, 0)
	m.step()
	return next
}

// Diff returns the part of an update that a holder of the state vector lacks, and
// all of its deletions: the bytes of Y.diffUpdate.
func Diff(update, stateVector []byte) ([]byte, error) {
	known, err := decodeStateVector(stateVector)
	if err != nil {
		return nil, err
	}
	r := newStructReader(update)
	var w structWriter
	for r.cur != nil {
		client := r.cur.id.Client
		from := known[client]
		switch {
		case r.cur.isSkip():
			r.advance() // the first struct written must not be a gap
		case r.cur.end() > from:
			w.write(r.cur, max(from, r.cur.id.Clock)-r.cur.id.Clock)
			for r.advance(); r.cur != nil && r.cur.id.Client == client; r.advance() {
				w.write(r.cur, 0)
			}
		default:
			r.advance()
		}
	}
	ds := r.deleteSet()
	if err := r.done(); err != nil {
		return nil, err
	}
	return w.finish(ds), nil
}

// StateVector returns the encoded state vector of what an update holds without
// gaps from clock 0 on: the bytes of Y.encodeStateVectorFromUpdate.
func StateVector(update []byte) ([]byte, error) {
	r := newStructReader(update)
	var w writer
	size := uint64(0)
	for r.cur != nil {
		client, end := r.cur.id.Client, uint64(0)
		for r.cur != nil && r.cur.id.Client == client {
			if !r.cur.isSkip() && r.cur.id.Clock == end {
				end = r.cur.end()
			}
			r.advance()
		}
		if end > 0 {
			size++
			w.uint(client)
			w.uint(end)
		}
	}
	r.deleteSet()
	if err := r.done(); err != nil {
		return nil, err
	}
	out := writer{make([]byte, 0, len(w.buf)+4)}
	out.uint(size)
	out.buf = append(out.buf, w.buf...)
	return out.buf, nil
}

// decodeStateVector returns client -> first clock that is not had.
func decodeStateVector(stateVector []byte) (map[uint64]uint64, error) {
	r := reader{buf: stateVector}
	n := r.uint()
	known := make(map[uint64]uint64, min(n, uint64(r.rest())/2))
	for ; n > 0 && r.err == nil; n-- {
		client := r.uint()
		known[client] = r.uint()
	}
	return known, r.done()
}

// EncodeStateVector encodes client -> first clock that is not had, higher
// clients first, as yjs does.
func EncodeStateVector(ends map[uint64]uint64) []byte {
	clients := make([]uint64, 0, len(ends))
	for client, end := range ends {
		if end > 0 {
			clients = append(clients, client)
		}
	}
	slices.SortFunc(clients, func(a, b uint64) int { return cmp.Compare(b, a) })
	w := writer{make([]byte, 0, 1+10*len(clients))}
	w.uint(uint64(len(clients)))
	for _, client := range clients {
		w.uint(client)
		w.uint(ends[client])
	}
	return w.buf
}
