package yjs

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"slices"
	"sort"
)

// Merge joins updates into one without building a document. The result holds
// everything that the inputs hold, gaps as Skip structs, and equals the bytes of
// Y.mergeUpdates. It takes near-linear time in the size of the inputs, which it
// does not keep.
//
// Where inputs hold the same clocks once as content and once as GC, yjs orders
// them by a comparison that contradicts itself, so that its choice depends on the
// sort of the JavaScript engine. Up to 63 inputs Merge follows V8 there.
func Merge(updates ...[]byte) ([]byte, error) { return merge(updates, likeYjs) }

// Union is Merge except that its result does not depend on the order of the
// inputs: of structs that start at the same clock it takes content before deleted
// content before GC, then the longer one.
func Union(updates ...[]byte) ([]byte, error) { return merge(updates, contentFirst) }

// UnionOf is Union, decoded.
func UnionOf(updates ...[]byte) (*Update, error) {
	owned := make([][]byte, len(updates))
	for i, update := range updates {
		owned[i] = bytes.Clone(update)
	}
	return unionOf(owned)
}

// tieRule says which of several structs at the same clock is taken.
type tieRule int

const (
	likeYjs      tieRule = iota
	contentFirst         // see Union: whatever the order of inputs
)

func merge(updates [][]byte, rule tieRule) ([]byte, error) {
	if len(updates) == 1 {
		if err := Validate(updates[0]); err != nil {
			return nil, err
		}
		return bytes.Clone(updates[0]), nil
	}
	var w structWriter
	ds, err := mergeTo(&w, updates, rule)
	if errors.Is(err, errUnsorted) {
		if updates, err = sortSections(updates); err != nil {
			return nil, err
		}
		w = structWriter{}
		ds, err = mergeTo(&w, updates, rule)
	}
	if err != nil {
		return nil, err
	}
	return w.finish(ds), nil
}

// errUnsorted is returned by mergeTo for an update whose clients are not in
// descending order. yjs, which writes none, loses content of such updates when it
// merges them.
var errUnsorted = errors.New("yjs: clients are not in descending order")

// sortSections writes updates anew, in order.
func sortSections(updates [][]byte) ([][]byte, error) {
	sorted := make([][]byte, len(updates))
	for i, update := range updates {
		u, err := parseOwned(update)
		if err != nil {
			return nil, err
		}
		sorted[i] = u.Encode()
	}
	return sorted, nil
}

// union is Union without encoding the result, for updates that may be kept.
func union(updates [][]byte) (*Update, error) {
	if len(updates) == 1 {
		return parseOwned(updates[0])
	}
	u := &Update{}
	var err error
	u.deletes, err = mergeTo(u, updates, contentFirst)
	if errors.Is(err, errUnsorted) {
		if updates, err = sortSections(updates); err != nil {
			return nil, err
		}
		u = &Update{}
		u.deletes, err = mergeTo(u, updates, contentFirst)
	}
	return u, err
}

// structSink takes structs of ascending clocks, client after client.
type structSink interface {
	write(it *item, offset uint64)
}

// mergeTo writes the structs of all updates and returns their deletions.
func mergeTo(sink structSink, updates [][]byte, rule tieRule) (*deleteSet, error) {
	all := make([]mergeReader, len(updates))
	live := make([]*mergeReader, 0, len(updates))
	for i, update := range updates {
		m := &all[i]
		m.order = i
		m.start(update)
		m.skipGaps()
		if m.cur != nil {
			live = append(live, m)
		}
	}
	if rule == likeYjs && len(live) < v8MinRun {
		mergeStructs((*v8Sorted)(&live), sink, rule)
	} else {
		mergeStructs(newMergeHeap(live, rule), sink, rule)
	}
	ds := &deleteSet{}
	for i := range all {
		m := &all[i]
		m.deletesInto(ds)
		if err := m.done(); err != nil {
			return nil, err
		}
		if m.seen != nil {
			return nil, errUnsorted
		}
	}
	ds.normalize()
	return ds, nil
}

// mergeReader is one input of Merge.
type mergeReader struct {
	structReader
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

// mergeInputs are the inputs that are not at their end, ordered by their current
// struct: higher clients first, then lower clocks.
type mergeInputs interface {
	// first restores the order after the first input was read, and returns the
	// new first one, nil at the end of all.
	first() *mergeReader
}

// v8Sorted keeps the inputs as Array.prototype.sort of V8 leaves them. Below
// v8MinRun elements that is the binary insertion of TimSort
// (https://v8.dev/blog/array-sort).
type v8Sorted []*mergeReader

const v8MinRun = 64

func (v *v8Sorted) first() *mergeReader {
	*v = slices.DeleteFunc(*v, func(m *mergeReader) bool { return m.cur == nil })
	a := *v
	if len(a) == 0 {
		return nil
	}
	for start := sortedRun(a); start < len(a); start++ {
		pivot := a[start]
		at := sort.Search(start, func(i int) bool { return compareLikeYjs(pivot, a[i]) < 0 })
		copy(a[at+1:start+1], a[at:start])
		a[at] = pivot
	}
	return a[0]
}

// sortedRun returns the length of the ascending run at the start, which it makes
// by reversing a descending one.
func sortedRun(a []*mergeReader) int {
	if len(a) < 2 {
		return len(a)
	}
	descending := compareLikeYjs(a[1], a[0]) < 0
	n := 2
	for n < len(a) && (compareLikeYjs(a[n], a[n-1]) < 0) == descending {
		n++
	}
	if descending {
		slices.Reverse(a[:n])
	}
	return n
}

// compareLikeYjs is not symmetric: of an item and a GC at the same clock, each
// comes before the other.
func compareLikeYjs(a, b *mergeReader) int {
	if c := compareIDs(a.cur.id, b.cur.id); c != 0 {
		return c
	}
	if a.cur.isGC() != b.cur.isGC() {
		return -1
	}
	return 0
}

func compareIDs(a, b ID) int {
	if a.Client != b.Client {
		return cmp.Compare(b.Client, a.Client)
	}
	return cmp.Compare(a.Clock, b.Clock)
}

// mergeHeap orders any number of inputs. Among inputs at the same clock the one
// that was read last comes first, as with a stable sort.
type mergeHeap struct {
	inputs []*mergeReader
	rule   tieRule
	reads  int
}

func newMergeHeap(inputs []*mergeReader, rule tieRule) *mergeHeap {
	h := &mergeHeap{inputs: inputs, rule: rule}
	heap.Init(h)
	return h
}

func (h *mergeHeap) first() *mergeReader {
	if len(h.inputs) > 0 && h.inputs[0].cur == nil {
		heap.Pop(h)
	} else if len(h.inputs) > 0 {
		h.reads--
		h.inputs[0].order = h.reads
		heap.Fix(h, 0)
	}
	if len(h.inputs) == 0 {
		return nil
	}
	return h.inputs[0]
}

func (h *mergeHeap) Len() int { return len(h.inputs) }

func (h *mergeHeap) Less(i, j int) bool {
	a, b := h.inputs[i], h.inputs[j]
	if a.cur == nil || b.cur == nil { // only the first one, about to be popped
		return a.cur == nil && b.cur != nil
	}
	if c := compareIDs(a.cur.id, b.cur.id); c != 0 {
		return c < 0
	}
	if h.rule == contentFirst {
		return compareContent(a.cur, b.cur) < 0
	}
	return a.order < b.order
}

// compareContent orders structs that start at the same clock. Only those with the
// same bytes are equal.
func compareContent(a, b *item) int {
	if c := cmp.Compare(a.rank(), b.rank()); c != 0 {
		return c
	}
	if c := cmp.Compare(b.length, a.length); c != 0 {
		return c
	}
	var x, y writer
	a.write(&x, 0)
	b.write(&y, 0)
	return bytes.Compare(x.buf, y.buf)
}

// rank orders what different inputs may hold of the same clock.
func (it *item) rank() int {
	if it.content == nil {
		return 2
	}
	if it.content.ref() == refDeleted {
		return 1
	}
	return 0
}

func (h *mergeHeap) Swap(i, j int) { h.inputs[i], h.inputs[j] = h.inputs[j], h.inputs[i] }
func (h *mergeHeap) Push(x any)    { h.inputs = append(h.inputs, x.(*mergeReader)) }

func (h *mergeHeap) Pop() any {
	last := h.inputs[len(h.inputs)-1]
	h.inputs = h.inputs[:len(h.inputs)-1]
	return last
}

// mergeStructs writes the structs of all inputs. It takes the same decisions as
// yjs, oddities included; with contentFirst except that it never goes on with an
// input before it looked at all others, or the order of inputs would count.
func mergeStructs(inputs mergeInputs, w structSink, rule tieRule) {
	var cur *item // read, not yet written: the next one may join or extend it
	for m := inputs.first(); m != nil; m = inputs.first() {
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
			if m.cur == nil || m.cur.id.Client != client || (skipped && (m.cur.id.Clock > cur.end() || rule == contentFirst)) {
				continue // another input may come first now
			}
			cur = m.mergeInto(cur, w)
		}
		for rule == likeYjs && m.cur != nil && m.cur.id.Client == client && m.cur.id.Clock == cur.end() {
			w.write(cur, 0)
			cur = m.cur
			m.step()
		}
	}
	if cur != nil {
		w.write(cur, 0)
	}
}

// mergeInto places the reader's struct after cur and returns what is to be
// written next.
func (m *mergeReader) mergeInto(cur *item, w structSink) *item {
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

// ValidateStateVector reports whether the bytes are an encoded state vector.
func ValidateStateVector(stateVector []byte) error {
	_, err := decodeStateVector(stateVector)
	return err
}

// Beyond reports whether a state vector has structs that another one, base, has not.
func Beyond(stateVector, base []byte) (bool, error) {
	ends, err := decodeStateVector(stateVector)
	if err != nil {
		return false, err
	}
	known, err := decodeStateVector(base)
	if err != nil {
		return false, err
	}
	for client, end := range ends {
		if end > known[client] {
			return true, nil
		}
	}
	return false, nil
}
