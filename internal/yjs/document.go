package yjs

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Options say how a Doc behaves.
type Options struct {
	// Live makes the Doc behave like a Y.Doc that an editor is bound to, also where
	// that depends on the order of arrival: it deletes redundant formats after
	// changes from outside, in the text types that were declared or are nested, and
	// what had to wait loses lone surrogates in formats and embeds, because yjs
	// keeps it in the format v2. Both become part of the document, so leave it off
	// for anything that stores, merges or only reads.
	Live bool
	// ClientID is the one that Transact writes under; 0 stands for a random one.
	ClientID uint64
}

// Doc is a document that integrates updates. Deleted content is dropped, as by a
// Y.Doc with gc.
type Doc struct {
	opts       Options
	bySet      bool // the state follows from the set of updates, see load
	cutKeyed   bool // a run of values under one key was cut, see Compact
	clients    map[uint64]*structs
	lastClient *structs // the one used last
	roots      []*Type  // in order of first mention
	rootIndex  map[string]*Type
	stamps     uint64  // last conflict stamp, see resolveConflict
	expected   *cursor // the client that is about to get structs

	pending        []byte            // structs that miss others, as an update; nil for none
	missing        map[uint64]uint64 // client -> a clock at or below which pending may be waiting
	pendingDeletes *deleteSet        // of content that is not had; nil for none

	txn          *transaction
	spare        transaction // reused
	transactions uint64
	ended        []*transaction // not finished yet,
	finished     int            // except for so many

	clientID  uint64
	edited    bool // Transact was used
	observed  bool // somebody is told what changes
	observers map[*Type][]*observer
	listeners []*listener
	scratch   writer // of emit
	extension extension

	unfaithful bool // see Faithful
}

// NewDoc returns an empty document.
func NewDoc(opts Options) *Doc {
	return &Doc{opts: opts, clientID: opts.ClientID, clients: map[uint64]*structs{}, rootIndex: map[string]*Type{}}
}

// root returns the root type of a name, making an undeclared one.
func (d *Doc) root(name string) *Type {
	t := d.rootIndex[name]
	if t == nil {
		t = &Type{doc: d, name: name}
		d.rootIndex[name] = t
		d.roots = append(d.roots, t)
	}
	return t
}

// Apply integrates an update. Content that misses other content waits inside the
// Doc and is integrated once it can be; see Load about where yjs waits longer. On an
// error the document is unchanged. The update is not kept. Inside Transact it belongs to
// that transaction.
func (d *Doc) Apply(update []byte) error {
	u, err := ParseUpdate(update)
	if err != nil {
		return err
	}
	d.transact(func() { d.apply(u) })
	return nil
}

func (d *Doc) apply(u *Update) {
	rest, missing := d.integrateAll(u)
	retry := false
	if d.pending != nil {
		for client, clock := range d.missing {
			if clock < d.state(client) {
				retry = true
			}
		}
		if rest != nil {
			for client, clock := range missing {
				noteMissing(d.missing, client, clock)
			}
			d.pending = mustMerge(d.pending, rest)
		}
	} else {
		d.pending, d.missing = rest, missing
	}
	d.applyDeletes(u.deletes)
	if retry {
		again, err := parseOwned(d.pending)
		if err != nil { // unreachable: written by this package
			panic(err)
		}
		d.pending, d.missing = nil, nil
		d.apply(again)
	}
}

// noteMissing keeps, by client, the lowest clock that something waits for.
func noteMissing(missing map[uint64]uint64, client, clock uint64) {
	if known, ok := missing[client]; !ok || clock < known {
		missing[client] = clock
	}
}

// mustMerge merges updates that this package wrote.
func mustMerge(updates ...[]byte) []byte {
	merged, err := Merge(updates...)
	if err != nil {
		panic(err)
	}
	return merged
}

// applyDeletes deletes what is had, of the set and of the pending deletions. The
// rest is pending, in the order of yjs: what is deleted first decides which formats
// are cleaned.
func (d *Doc) applyDeletes(ds *deleteSet) {
	rest := d.deleteRanges(ds)
	if d.pendingDeletes != nil {
		again := d.deleteRanges(d.pendingDeletes)
		switch {
		case rest == nil:
			rest = again
		case again != nil:
			rest.addAll(again)
			rest.normalize()
		}
	}
	if rest != nil {
		rest.sort()
	}
	d.pendingDeletes = rest
}

// deleteRanges deletes what is had of a set and returns the rest, nil for none.
func (d *Doc) deleteRanges(ds *deleteSet) *deleteSet {
	var rest *deleteSet
	for _, c := range ds.clients {
		s := d.clientStructs(c.client)
		state := d.state(c.client)
		for _, r := range c.ranges {
			if r.end() > state {
				if rest == nil {
					rest = &deleteSet{}
				}
				from := max(r.Clock, state)
				rest.add(c.client, Range{from, r.end() - from})
			}
			if r.Clock < state {
				d.deleteRange(s, r)
			}
		}
	}
	return rest
}

func (d *Doc) deleteRange(s *structs, r Range) {
	i := s.find(r.Clock)
	if it := s.at(i); !it.deleted() && it.id.Clock < r.Clock {
		s.insert(i, d.split(it, r.Clock-it.id.Clock))
		i++
	}
	for ; i < s.len() && s.at(i).id.Clock < r.end(); i++ {
		it := s.at(i)
		if it.deleted() {
			continue
		}
		if r.end() < it.end() {
			s.insert(i, d.split(it, r.end()-it.id.Clock))
		}
		d.delete(it)
	}
}

// cursor walks over the structs of one client in an update.
type cursor struct {
	section
	next int
	dead bool // what is left of it waits
}

func (c *cursor) take() *item {
	it := c.structs[c.next]
	c.next++
	return it
}

// integration is one pass over an update: structs are integrated after those
// that they depend on. What misses something that the update does not bring is
// put aside, with all later structs of that client.
type integration struct {
	d       *Doc
	cursors []cursor // higher clients first
	stack   []*item  // each waits for the next
	rest    map[uint64][]*item
	missing map[uint64]uint64
}

// integrateAll integrates what it can and returns the rest as an update, nil for
// none, with the clocks that it misses.
func (d *Doc) integrateAll(u *Update) (rest []byte, missing map[uint64]uint64) {
	u.sortSections()
	in := integration{d: d, cursors: make([]cursor, len(u.sections))}
	for i, s := range u.sections {
		in.cursors[i].section = s
	}
	for i := range in.cursors {
		d.expected = &in.cursors[i]
		for c := &in.cursors[i]; c.next < len(c.structs); {
			in.place(c.take())
		}
	}
	d.expected = nil
	if in.rest == nil {
		return nil, nil
	}
	left := &Update{deletes: &deleteSet{}}
	for client, items := range in.rest {
		if d.opts.Live {
			throughV2(items)
		}
		left.sections = append(left.sections, section{client, items})
	}
	return left.Encode(), in.missing
}

func (in *integration) cursor(client uint64) *cursor {
	at, ok := slices.BinarySearchFunc(in.cursors, client, func(c cursor, client uint64) int {
		return cmp.Compare(client, c.client)
	})
	if !ok || in.cursors[at].dead {
		return nil
	}
	return &in.cursors[at]
}

// place integrates a struct after everything that it depends on, or puts it aside.
func (in *integration) place(it *item) {
	d := in.d
	for {
		if !it.isSkip() {
			state := d.state(it.id.Client)
			if state < it.id.Clock {
				in.putAside(it, it.id.Client, it.id.Clock-1)
			} else if client, waits := d.resolve(it); waits {
				if c := in.cursor(client); c != nil && c.next < len(c.structs) {
					in.stack = append(in.stack, it)
					it = c.take()
					continue
				}
				in.putAside(it, client, d.state(client))
			} else if offset := state - it.id.Clock; offset < it.length {
				d.integrate(it, offset)
			}
		}
		if len(in.stack) == 0 {
			return
		}
		it = in.stack[len(in.stack)-1]
		in.stack = in.stack[:len(in.stack)-1]
	}
}

// putAside keeps a struct, and all that wait for it, for later. yjs notes only what the
// struct itself misses. That can be later content of a client of which the others need
// less: they are not tried again when that arrives, and for ever if what is missed builds
// upon them. Where the set alone matters it is noted of each what it waits for.
func (in *integration) putAside(it *item, client, clock uint64) {
	if in.rest == nil {
		in.rest, in.missing = map[uint64][]*item{}, map[uint64]uint64{}
	}
	noteMissing(in.missing, client, clock)
	waiting := append(in.stack, it)
	if in.d.bySet {
		for _, next := range waiting[1:] {
			noteMissing(in.missing, next.id.Client, in.d.state(next.id.Client))
		}
	}
	for _, it := range waiting {
		if c := in.cursor(it.id.Client); c != nil {
			from := c.next - 1
			for c.structs[from] != it { // only in a cycle, which no yjs client writes
				from--
			}
			in.rest[c.client] = c.structs[from:]
			c.next, c.dead = len(c.structs), true
		}
	}
	in.stack = in.stack[:0]
}

// throughV2 changes the values of formats and embeds as their encoding in the
// format v2 does, which is not JSON but lib0's "any".
func throughV2(items []*item) {
	for _, it := range items {
		switch c := it.content.(type) {
		case *formatContent:
			c.value = reencode(c.value)
		case *embedContent:
			c.value = reencode(c.value)
		}
	}
}

func reencode(v any) any {
	var w writer
	w.value(v)
	r := reader{buf: w.buf}
	return r.value()
}

// HasPending reports whether content or deletions wait for content that is not had.
func (d *Doc) HasPending() bool { return d.pending != nil || d.pendingDeletes != nil }

// Ends returns client -> first clock that is not had.
func (d *Doc) Ends() map[uint64]uint64 {
	ends := make(map[uint64]uint64, len(d.clients))
	for client, s := range d.clients {
		ends[client] = s.state()
	}
	return ends
}

// StateVector returns the encoded state vector of the integrated content.
func (d *Doc) StateVector() []byte { return EncodeStateVector(d.Ends()) }

// Encode returns an update with what a holder of the state vector lacks, all
// deletions, and what waits. A nil state vector stands for an empty document.
func (d *Doc) Encode(stateVector []byte) ([]byte, error) {
	known := map[uint64]uint64{}
	if stateVector == nil {
		stateVector = []byte{0}
	} else {
		var err error
		if known, err = decodeStateVector(stateVector); err != nil {
			return nil, err
		}
	}
	updates := [][]byte{d.encodeIntegrated(known)}
	if d.pendingDeletes != nil {
		var w structWriter
		updates = append(updates, w.finish(d.pendingDeletes))
	}
	if d.pending != nil {
		diff, err := Diff(d.pending, stateVector)
		if err != nil {
			return nil, err
		}
		updates = append(updates, diff)
	}
	if len(updates) == 1 {
		return updates[0], nil
	}
	return Merge(updates...)
}

func (d *Doc) encodeIntegrated(known map[uint64]uint64) []byte {
	var news []*structs
	size := 0
	for _, client := range d.sortedClients() {
		if s := d.clients[client]; known[client] < s.state() {
			news = append(news, s)
			size += s.sizeFrom(known[client])
		}
	}
	w := writer{make([]byte, 0, size)}
	w.uint(uint64(len(news)))
	for _, s := range news {
		s.write(&w, known[s.client])
	}
	d.deleted().write(&w)
	return w.buf
}

// sortedClients returns the clients, higher ones first.
func (d *Doc) sortedClients() []uint64 {
	return slices.SortedFunc(maps.Keys(d.clients), func(a, b uint64) int { return cmp.Compare(b, a) })
}

// Deleted returns everything that is deleted: also what no update says so of, because
// it follows from others, as of values that were set at the same time.
func (d *Doc) Deleted() map[uint64][]Range {
	all := map[uint64][]Range{}
	for _, c := range d.deleted().clients {
		all[c.client] = c.ranges
	}
	return all
}

// deleted returns everything that is deleted.
func (d *Doc) deleted() *deleteSet {
	ds := &deleteSet{}
	for client, s := range d.clients {
		var ranges []Range
		for i := range s.len() {
			it := s.at(i)
			if !it.deleted() {
				continue
			}
			if n := len(ranges); n > 0 && ranges[n-1].end() == it.id.Clock {
				ranges[n-1].Len += it.length
			} else {
				ranges = append(ranges, Range{it.id.Clock, it.length})
			}
		}
		if ranges != nil {
			ds.clients = append(ds.clients, clientRanges{client, ranges})
		}
	}
	return ds
}

// Canonical merges all runs, also those that yjs would leave apart, and returns
// the whole state. It depends only on the set of structs and deletions applied.
func (d *Doc) Canonical() ([]byte, error) {
	for _, s := range d.clients {
		if s.len() > 1 {
			d.mergeFrom(s, 1)
		}
	}
	if d.pending != nil {
		var err error
		if d.pending, err = Coalesce(d.pending); err != nil {
			return nil, err
		}
	}
	return d.Encode(nil)
}

// Load returns a document with all of the updates applied, in whatever order
// they are given. What it is given later waits only for what it lacks. In a document of
// NewDoc content can wait on, as in yjs, though all that it misses has arrived, until it
// is applied once more.
func Load(opts Options, updates ...[]byte) (*Doc, error) {
	owned := make([][]byte, len(updates))
	for i, update := range updates {
		owned[i] = bytes.Clone(update)
	}
	return load(opts, owned)
}

// load is Load for updates that may be kept and overwritten.
//
// The state depends only on the set of structs and deletions, where that of yjs can
// depend on how runs were cut before: undoing and redoing can make an item whose right
// neighbour lies before its left one in the same run, and yjs puts it behind whatever
// is left of the run once that is cut for the right one. Here it goes behind its left
// neighbour, as at its author and as in yjs when the run was cut before.
func load(opts Options, updates [][]byte) (*Doc, error) {
	d := NewDoc(opts)
	d.bySet = true
	if len(updates) == 0 {
		return d, nil
	}
	u, err := union(updates)
	if err != nil {
		return nil, err
	}
	d.transact(func() { d.apply(u) })
	return d, nil
}

// Compact returns the canonical form of the updates: runs merged and deleted
// content dropped, the same bytes for any order and repetition of the inputs.
// What waits for content that is not had stays in it.
func Compact(updates ...[]byte) ([]byte, error) {
	state, cut, err := compact(updates)
	// Under a key each value replaces the one before: of a run that was cut, as no editor
	// writes one, the parts do when they are read again, and the state must not depend on
	// how often that happens.
	for again := 0; err == nil && cut && again < maxCompactions; again++ {
		var next []byte
		if next, cut, err = compact([][]byte{state}); bytes.Equal(next, state) {
			break
		}
		state = next
	}
	return state, err
}

// maxCompactions bounds how often Compact looks whether a state is stable.
const maxCompactions = 8

// compact also reports whether a run of values under one key was cut.
func compact(updates [][]byte) (state []byte, cut bool, err error) {
	size := 0
	for _, update := range updates {
		size += len(update)
	}
	all := make([]byte, 0, size) // one copy for all: the document does not outlive the call
	owned := make([][]byte, len(updates))
	for i, update := range updates {
		all = append(all, update...)
		owned[i] = all[len(all)-len(update) : len(all) : len(all)]
	}
	d, err := load(Options{}, owned)
	if err != nil {
		return nil, false, err
	}
	state, err = d.Canonical()
	return state, d.cutKeyed, err
}
