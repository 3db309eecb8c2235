package yjs

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
	"sort"
)

// structReader reads the structs of an update one by one.
type structReader struct {
	reader
	sections uint64 // not yet started
	structs  uint64 // left in the current section
	next     ID
	cur      *item // nil at the end
	slab     []item
	started  []uint64            // clients of the sections so far, descending
	seen     map[uint64]struct{} // the same, once they are not in descending order
	root     *Type               // the last root reference
}

// newStructReader starts to read an update. Strings and binaries alias it.
func newStructReader(update []byte) *structReader {
	r := &structReader{}
	r.start(update)
	return r
}

// start begins with the first struct of an update.
func (r *structReader) start(update []byte) {
	r.buf = update
	r.sections = r.uint()
	r.advance()
}

// advance reads the next struct into cur, nil at the end or after an error.
func (r *structReader) advance() {
	for r.structs == 0 && r.sections > 0 && r.err == nil {
		r.sections--
		r.startSection()
	}
	if r.structs == 0 || r.err != nil {
		r.cur = nil
		return
	}
	r.structs--
	it := r.alloc()
	if r.readStruct(r.next, it); r.err != nil {
		r.cur = nil
		return
	}
	r.next.Clock = it.end()
	r.cur = it
}

func (r *structReader) startSection() {
	r.structs = r.uint()
	r.next = r.id()
	client := r.next.Client
	if r.seen == nil {
		if n := len(r.started); n == 0 || client < r.started[n-1] {
			r.started = append(r.started, client)
			return
		}
		// yjs writes higher clients first. In any other order a client could come
		// twice, of which yjs would lose one section.
		r.seen = make(map[uint64]struct{}, len(r.started)+1)
		for _, c := range r.started {
			r.seen[c] = struct{}{}
		}
	}
	if _, twice := r.seen[client]; twice {
		r.fail("client %d comes twice", client)
	}
	r.seen[client] = struct{}{}
}

// alloc takes items from slabs, which are bounded by what the input can hold.
func (r *structReader) alloc() *item {
	if len(r.slab) == 0 {
		const maxSlab = 128
		r.slab = make([]item, min(r.structs+1, uint64(r.rest())/2+1, maxSlab))
	}
	it := &r.slab[0]
	r.slab = r.slab[1:]
	return it
}

// rootRef returns a reference to a root. Neighbours mostly share it.
func (r *structReader) rootRef(name []byte) *Type {
	if r.root == nil || r.root.name != string(name) {
		r.root = &Type{kind: kindRootRef, name: string(name)}
	}
	return r.root
}

// structWriter writes structs of ascending clocks, client after client.
type structWriter struct {
	body     writer
	sections []sectionEnd
	next     ID // after the last struct
}

type sectionEnd struct{ structs, end int }

// write writes a struct from offset on. A gap before it becomes a Skip.
func (w *structWriter) write(it *item, offset uint64) {
	clock := it.id.Clock + offset
	if len(w.sections) == 0 || w.next.Client != it.id.Client {
		w.sections = append(w.sections, sectionEnd{})
		w.body.uint(it.id.Client)
		w.body.uint(clock)
	}
	s := &w.sections[len(w.sections)-1]
	if s.structs > 0 && clock > w.next.Clock {
		w.body.byte(refSkip)
		w.body.uint(clock - w.next.Clock)
		s.structs++
	}
	it.write(&w.body, offset)
	s.structs++
	s.end = len(w.body.buf)
	w.next = ID{it.id.Client, it.end()}
}

// finish returns the update.
func (w *structWriter) finish(ds *deleteSet) []byte {
	out := writer{make([]byte, 0, len(w.body.buf)+2*len(w.sections)+16)}
	out.uint(uint64(len(w.sections)))
	start := 0
	for _, s := range w.sections {
		out.uint(uint64(s.structs))
		out.buf = append(out.buf, w.body.buf[start:s.end]...)
		start = s.end
	}
	ds.write(&out)
	return out.buf
}

// Update is a decoded update: what a store has to know to keep only what is new.
type Update struct {
	sections []section
	deletes  *deleteSet
}

type section struct {
	client  uint64
	structs []*item
}

// ParseUpdate decodes an update completely. The Update does not alias it.
func ParseUpdate(update []byte) (*Update, error) {
	return parseOwned(bytes.Clone(update))
}

// parseOwned is ParseUpdate for bytes that may be kept.
func parseOwned(update []byte) (*Update, error) {
	r := newStructReader(update)
	u := &Update{}
	for r.cur != nil {
		s := section{client: r.cur.id.Client, structs: make([]*item, 0, min(r.structs+1, uint64(r.rest())/2+1))}
		for r.cur != nil && r.cur.id.Client == s.client {
			s.structs = append(s.structs, r.cur)
			r.advance()
		}
		u.sections = append(u.sections, s)
	}
	u.deletes = r.deleteSet()
	u.deletes.normalize() // in order, deleting splits at the end of what is left
	return u, r.done()
}

// write appends a struct of the merge to its client's section.
func (u *Update) write(it *item, _ uint64) {
	if n := len(u.sections); n == 0 || u.sections[n-1].client != it.id.Client {
		u.sections = append(u.sections, section{client: it.id.Client})
	}
	if it.is(flagOrigin | flagRightOrigin) {
		it.parent, it.parentSub = nil, nil // of a cut struct: not in its encoding
	}
	s := &u.sections[len(u.sections)-1]
	s.structs = append(s.structs, it)
}

// Validate reports whether the bytes are an update that Apply accepts.
func Validate(update []byte) error {
	_, err := ParseUpdate(update)
	return err
}

// Empty reports whether the update holds neither content nor deletions.
func (u *Update) Empty() bool { return len(u.sections) == 0 && u.deletes.empty() }

// Encode returns the update's bytes.
func (u *Update) Encode() []byte {
	u.sortSections()
	var w structWriter
	for _, s := range u.sections {
		for _, it := range s.structs {
			w.write(it, 0)
		}
	}
	u.deletes.normalize()
	return w.finish(u.deletes)
}

func (u *Update) sortSections() { slices.SortFunc(u.sections, compareSections) }

// compareSections orders higher clients first, as yjs writes them.
func compareSections(a, b section) int { return cmp.Compare(b.client, a.client) }

// Clients returns, without repetition, the clients that wrote the update's
// content and those whose content it refers to or deletes.
func (u *Update) Clients() []uint64 {
	var clients []uint64
	for _, s := range u.sections {
		clients = append(clients, s.client)
		for _, it := range s.structs {
			it.refs(func(id ID) {
				if id.Client != s.client && clients[len(clients)-1] != id.Client {
					clients = append(clients, id.Client)
				}
			})
		}
	}
	for _, c := range u.deletes.clients {
		clients = append(clients, c.client)
	}
	slices.Sort(clients)
	return slices.Compact(clients)
}

// refs calls fn with each struct that it must wait for.
func (it *item) refs(fn func(ID)) {
	if it.is(flagOrigin) {
		fn(it.origin)
	}
	if it.is(flagRightOrigin) {
		fn(it.rightOrigin)
	}
	if it.parent != nil && it.parent.kind == kindItemRef {
		fn(it.parent.ref)
	}
}

// Trim drops the content that lies below end(client), and gaps.
func (u *Update) Trim(end func(client uint64) uint64) {
	kept := u.sections[:0]
	for _, s := range u.sections {
		known := end(s.client)
		structs := s.structs[:0]
		for _, it := range s.structs {
			switch {
			case it.isSkip() || it.end() <= known:
			case it.id.Clock < known:
				structs = append(structs, it.splitOff(known-it.id.Clock))
			default:
				structs = append(structs, it)
			}
		}
		if len(structs) > 0 {
			kept = append(kept, section{s.client, structs})
		}
	}
	u.sections = kept
}

// Deletes calls fn with each deleted range, merged and ordered by client and clock.
func (u *Update) Deletes(fn func(client uint64, r Range) error) error {
	u.deletes.normalize()
	for _, c := range u.deletes.clients {
		for _, r := range c.ranges {
			if err := fn(c.client, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Deleted returns what the update deletes, by client. It is not to be changed.
func (u *Update) Deleted() map[uint64][]Range {
	u.deletes.normalize()
	by := make(map[uint64][]Range, len(u.deletes.clients))
	for _, c := range u.deletes.clients {
		by[c.client] = c.ranges
	}
	return by
}

// Content returns what content the update holds, by client.
func (u *Update) Content() map[uint64][]Range {
	by := map[uint64][]Range{}
	u.AddContentTo(by)
	return by
}

// Shown returns what content the update holds that is not deleted in it, by client.
func (u *Update) Shown() map[uint64][]Range {
	by := map[uint64][]Range{}
	for _, s := range u.sections {
		for _, it := range s.structs {
			if !it.isSkip() && it.rank() == 0 {
				by[s.client] = addRange(by[s.client], Range{it.id.Clock, it.length})
			}
		}
	}
	return Without(by, u.Deleted())
}

// HasContentOf reports whether the update holds content of a client.
func (u *Update) HasContentOf(client uint64) bool {
	for _, s := range u.sections {
		if s.client == client {
			return slices.ContainsFunc(s.structs, func(it *item) bool { return !it.isSkip() })
		}
	}
	return false
}

// HasContent reports whether the update holds content, gaps aside.
func (u *Update) HasContent() bool { return len(u.sections) > 0 }

// OwnDeletes returns the deletions of content that the update itself holds, as a full
// state has them: nil for none.
func (u *Update) OwnDeletes() map[uint64][]Range {
	if len(u.sections) == 0 || u.deletes.empty() {
		return nil
	}
	var own map[uint64][]Range
	content := u.Content()
	u.deletes.normalize()
	for _, c := range u.deletes.clients {
		if both := intersect(content[c.client], c.ranges); len(both) > 0 {
			if own == nil {
				own = map[uint64][]Range{}
			}
			own[c.client] = both
		}
	}
	return own
}

// ForgetDeletes drops deletions, given as ranges in order, from the update, but for
// those that are not in deleted.
func (u *Update) ForgetDeletes(ranges, deleted map[uint64][]Range) {
	gone := map[uint64][]Range{}
	for client, list := range ranges {
		gone[client] = intersect(list, deleted[client])
	}
	u.forget(gone)
}

// SetDeletes replaces the deletions.
func (u *Update) SetDeletes(deletes map[uint64][]Range) {
	u.deletes = &deleteSet{}
	for client, ranges := range deletes {
		for _, r := range ranges {
			u.deletes.add(client, r)
		}
	}
}

// DeletesUpdate returns an update that only deletes.
func DeletesUpdate(deletes map[uint64][]Range) *Update {
	u := &Update{}
	u.SetDeletes(deletes)
	return u
}

// Advance moves ends (client -> first clock that is not had) over all content of
// the update that can be integrated on top of them, and returns what must wait:
// content after a gap, or with a neighbour or parent that is not had, and
// deletions of content that is not had. nil means that nothing waits. missing has,
// by client, the lowest clock that something waits for. The result takes over what
// it holds: the update must not be used afterwards.
func (u *Update) Advance(ends map[uint64]uint64) (rest *Update, missing map[uint64]uint64) {
	u.Trim(func(client uint64) uint64 { return ends[client] }) // gaps must not count as had
	cursors := make([]*cursor, len(u.sections))
	work := make([]*cursor, len(u.sections))
	for i, s := range u.sections {
		cursors[i] = &cursor{section: s}
		work[i] = cursors[i]
	}
	blocked := map[uint64]*waiters{} // by the client they wait for
	for len(work) > 0 {
		c := work[len(work)-1]
		work = work[:len(work)-1]
		for ; c.next < len(c.structs); c.next++ {
			it := c.structs[c.next]
			if on, waits := it.missing(ends); waits {
				if blocked[on.Client] == nil {
					blocked[on.Client] = &waiters{}
				}
				heap.Push(blocked[on.Client], waiter{on.Clock, c})
				break
			}
			ends[c.client] = it.end()
		}
		// Only those that can go on: waking all of them each time would be quadratic.
		for waiting := blocked[c.client]; waiting != nil && len(*waiting) > 0 && (*waiting)[0].clock < ends[c.client]; {
			work = append(work, heap.Pop(waiting).(waiter).section)
		}
	}
	rest = &Update{deletes: &deleteSet{}}
	missing = map[uint64]uint64{}
	for client, waiting := range blocked {
		if len(*waiting) > 0 {
			missing[client] = (*waiting)[0].clock
		}
	}
	for _, c := range cursors {
		if c.next < len(c.structs) {
			rest.sections = append(rest.sections, section{c.client, c.structs[c.next:]})
		}
	}
	for _, c := range u.deletes.clients {
		for _, r := range c.ranges {
			if end := ends[c.client]; r.end() > end {
				from := max(r.Clock, end)
				rest.deletes.add(c.client, Range{from, r.end() - from})
				if clock, waits := missing[c.client]; !waits || from < clock {
					missing[c.client] = from
				}
			}
		}
	}
	if rest.Empty() {
		return nil, nil
	}
	return rest, missing
}

// missing returns a unit of content that it waits for.
func (it *item) missing(ends map[uint64]uint64) (on ID, waits bool) {
	if ends[it.id.Client] < it.id.Clock {
		return ID{it.id.Client, it.id.Clock - 1}, true
	}
	it.refs(func(id ID) {
		if id.Client != it.id.Client && ends[id.Client] <= id.Clock {
			on, waits = id, true
		}
	})
	return on, waits
}

// waiter is a section that cannot go on before a clock is had.
type waiter struct {
	clock   uint64
	section *cursor
}

// waiters are all that wait for one client, as a heap by clock.
type waiters []waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].clock < w[j].clock }
func (w waiters) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiters) Push(x any)        { *w = append(*w, x.(waiter)) }

func (w *waiters) Pop() any {
	last := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	return last
}

// Subtract drops the content that other holds too.
func (u *Update) Subtract(other *Update) { u.SubtractRanges(other.Content()) }

// SubtractRanges drops content by client and clock. Ranges are in order, merged.
func (u *Update) SubtractRanges(had map[uint64][]Range) {
	kept := u.sections[:0]
	for _, s := range u.sections {
		structs := s.structs
		if ranges := had[s.client]; len(ranges) > 0 {
			structs = nil
			for _, it := range s.structs {
				structs = append(structs, it.without(ranges)...)
			}
		}
		if len(structs) > 0 {
			kept = append(kept, section{s.client, structs})
		}
	}
	u.sections = kept
}

// AddContentTo adds the content of the update to ranges by client, which stay in order
// and merged.
func (u *Update) AddContentTo(all map[uint64][]Range) {
	for _, s := range u.sections {
		if ranges := s.ranges(); len(ranges) > 0 { // else it holds a gap alone
			AddRanges(all, map[uint64][]Range{s.client: ranges})
		}
	}
}

// ranges returns the content of a section, merged and in order.
func (s *section) ranges() []Range {
	var ranges []Range
	for _, it := range s.structs {
		if !it.isSkip() {
			ranges = append(ranges, Range{it.id.Clock, it.length})
		}
	}
	return mergeRanges(ranges)
}

// without returns the parts of a struct that lie outside the ranges.
func (it *item) without(ranges []Range) []*item {
	if it.isSkip() {
		return nil
	}
	var parts []*item
	at := sort.Search(len(ranges), func(i int) bool { return ranges[i].end() > it.id.Clock })
	for ; at < len(ranges) && ranges[at].Clock < it.end(); at++ {
		if r := ranges[at]; r.Clock > it.id.Clock {
			rest := it.splitOff(r.Clock - it.id.Clock)
			parts = append(parts, it)
			it = rest
		}
		if ranges[at].end() >= it.end() {
			return parts
		}
		it = it.splitOff(ranges[at].end() - it.id.Clock)
	}
	return append(parts, it)
}
