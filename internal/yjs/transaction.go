package yjs

import "slices"

// Transaction lets a function edit a document. It is over when the function returns.
type Transaction struct {
	doc *Doc
	seq uint64
}

// Doc returns the document.
func (tx *Transaction) Doc() *Doc { return tx.doc }

func (tx *Transaction) open() bool {
	return tx != nil && tx.doc != nil && tx.doc.txn != nil && tx.doc.txn.seq == tx.seq
}

// transaction collects what is changed, until its end.
type transaction struct {
	local   bool
	seq     uint64 // tells transactions apart, see Type.changedIn
	deletes deleteSet
	touched []touch           // clients that got structs
	before  map[uint64]uint64 // client -> first clock that is new to observers, see touch
	changed []*Type           // types that existed before, some perhaps deleted since
	parts   map[*Type]*change // what changed in them, if somebody observes
	toMerge []*item           // may merge with neighbours, beside new and deleted structs
}

// touch remembers where a client's new structs start.
type touch struct {
	*structs
	before uint64
}

// stateBefore returns a client's state at the start of the transaction.
func (t *transaction) stateBefore(d *Doc, client uint64) uint64 {
	s := d.clientStructs(client)
	switch {
	case s == nil:
		return 0
	case s.touchedIn == t.seq:
		return s.before
	}
	return s.state()
}

// change notes that a type changed, in its sequence or at a key, unless the type is new
// itself. Cleaning formats, observers, and what an edited document remembers ask for it.
func (t *transaction) change(d *Doc, typ *Type, key *string) {
	if !d.opts.Live && !d.edited && !d.observed {
		return
	}
	if typ.changedIn != t.seq {
		if it := typ.item; it != nil && (it.id.Clock >= t.stateBefore(d, it.id.Client) || it.deleted()) {
			return
		}
		typ.changedIn = t.seq
		t.changed = append(t.changed, typ)
	}
	if d.observed {
		t.note(typ, key)
	}
}

func (t *transaction) unchange(typ *Type) {
	if typ.changedIn == t.seq {
		typ.changedIn = 0
	}
}

// Transact runs fn as one transaction. When fn ends, with an error or a panic too, the
// transaction is finished: what it did stays done and is emitted as one update, as in
// yjs. Nothing of a transaction can be used after its end; inside fn another Transact
// belongs to the same one. The error is that of fn.
func (d *Doc) Transact(fn func(tx *Transaction) error) error {
	if d.txn != nil {
		return fn(&Transaction{d, d.txn.seq})
	}
	d.edited = true
	t := d.begin(true)
	defer d.end(t)
	return fn(&Transaction{d, t.seq})
}

// transact runs fn, which brings in what others wrote, as a transaction, or as part of
// the one that is open, which is not local then, as in yjs. The places of what changed
// are dropped at once: in yjs edits go astray until the end.
func (d *Doc) transact(fn func()) {
	if t := d.txn; t != nil {
		t.local = false
		fn()
		t.forgetPlaces()
		return
	}
	t := d.begin(false)
	fn()
	d.end(t)
}

func (d *Doc) begin(local bool) *transaction {
	t := &d.spare
	if len(d.ended) > 0 { // inside the end of another one
		t = &transaction{}
	}
	d.transactions++
	t.local, t.seq = local, d.transactions
	d.txn = t
	return t
}

// end finishes a transaction. Observers and cleaning formats may begin others, which
// are finished after it, as in yjs.
func (d *Doc) end(t *transaction) {
	d.txn, d.extension = nil, extension{}
	d.ended = append(d.ended, t)
	if len(d.ended) > 1 {
		return
	}
	var calls guarded
	for i := 0; i < len(d.ended); i++ {
		t := d.ended[i]
		d.finished = i
		t.deletes.normalize()
		own := d.clientID
		taken := !t.local && d.edited && t.touches(own) // somebody else writes under it
		if !t.local && d.edited {
			t.forgetPlaces()
		}
		clean := !t.local && d.opts.Live && t.changedFormats()
		if d.observed {
			d.notify(t, &calls)
		}
		if clean {
			cleaning := d.begin(true)
			d.cleanFormats(t)
			d.end(cleaning)
		}
		d.tidy(t)
		if taken && d.clientID == own {
			d.newClientID()
		}
		d.emit(t, &calls)
		t.reset()
	}
	clear(d.ended)
	d.ended, d.finished = d.ended[:0], 0
	if calls.panicked != nil {
		panic(calls.panicked)
	}
}

// guarded calls functions of others. What the first of them panics with is kept, so that
// it harms no document.
type guarded struct{ panicked any }

func (g *guarded) call(fn func()) {
	defer func() {
		if p := recover(); p != nil && g.panicked == nil {
			g.panicked = p
		}
	}()
	fn()
}

func (t *transaction) forgetPlaces() {
	for _, typ := range t.changed {
		typ.places.forget()
	}
}

func (t *transaction) touches(client uint64) bool {
	return slices.ContainsFunc(t.touched, func(s touch) bool { return s.client == client })
}

func (t *transaction) reset() {
	t.deletes.reset()
	clear(t.touched)
	clear(t.changed)
	clear(t.toMerge)
	t.touched, t.changed, t.toMerge = t.touched[:0], t.changed[:0], t.toMerge[:0]
	t.parts, t.before = nil, nil
}

// tidy drops deleted content and merges runs, at the places where yjs tries.
func (d *Doc) tidy(t *transaction) {
	for _, c := range t.deletes.clients {
		d.collectRanges(c)
	}
	for _, s := range t.touched {
		d.mergeFrom(s.structs, max(s.find(s.before), 1))
	}
	for _, c := range t.deletes.clients {
		d.mergeRangesOf(c)
	}
	for _, it := range slices.Backward(t.toMerge) {
		d.mergeAround(it.id)
	}
}

func (d *Doc) collectRanges(c clientRanges) {
	s := d.clientStructs(c.client)
	for _, r := range slices.Backward(c.ranges) {
		for k := s.find(r.Clock); k < s.len() && s.at(k).id.Clock < r.end(); k++ {
			if it := s.at(k); it.content != nil && it.deleted() {
				d.collect(it)
			}
		}
	}
}

// mergeFrom merges all structs from index first on with what precedes them, in
// one pass. A merge at first goes on to the left, where yjs would.
func (d *Doc) mergeFrom(s *structs, first int) {
	n := s.len()
	if first >= n {
		return
	}
	out := first - 1
	mergedFirst := false
	for i := first; i < n; i++ {
		if join(s.at(out), s.at(i)) {
			mergedFirst = mergedFirst || i == first
			continue
		}
		if out++; out < i {
			s.set(out, s.at(i))
		}
	}
	s.remove(out+1, n)
	if mergedFirst {
		d.mergeLeft(s, first-1)
	}
}

// mergeRangesOf merges structs in and next to deleted ranges.
func (d *Doc) mergeRangesOf(c clientRanges) {
	s := d.clientStructs(c.client)
	for _, r := range slices.Backward(c.ranges) {
		i := min(s.len()-1, 1+s.find(r.end()-1))
		for i > 0 && s.at(i).id.Clock >= r.Clock {
			i -= 1 + d.mergeLeft(s, i)
		}
	}
}

// mergeAround tries to merge the struct at id with both neighbours.
func (d *Doc) mergeAround(id ID) {
	s := d.clientStructs(id.Client)
	i := s.find(id.Clock)
	if i+1 < s.len() && d.mergeLeft(s, i+1) > 1 {
		return
	}
	if i > 0 {
		d.mergeLeft(s, i)
	}
}

// mergeLeft merges the struct at index i into its left neighbour, and on while
// that works. It returns how many structs are gone. It finds the whole run first
// and joins from the left, because text grows at its end without being copied.
func (d *Doc) mergeLeft(s *structs, i int) int {
	left := i
	for left > 0 && joins(s.at(left-1), s.at(left)) {
		left--
	}
	if left < i {
		first := s.at(left)
		for k := left + 1; k <= i; k++ {
			join(first, s.at(k))
		}
		s.remove(left+1, i+1)
	}
	return i - left
}

// joins reports whether two structs, right at the clock where left ends, are one
// run. Whether each of them is joined with its other neighbour makes no difference.
func joins(left, right *item) bool {
	if left.deleted() != right.deleted() {
		return false
	}
	if left.content == nil || right.content == nil {
		return left.content == nil && right.content == nil
	}
	if left.right != right || !right.follows(left) || left.content.ref() != right.content.ref() {
		return false
	}
	_, run := left.content.(runContent)
	return run
}

// join merges right into left if they are one run.
func join(left, right *item) bool {
	if !joins(left, right) {
		return false
	}
	if left.content == nil {
		left.length += right.length
		return true
	}
	if right.is(flagPointed) {
		left.parent.places.merged(left, right)
	}
	if right.parentSub == nil {
		right.leave()
	}
	left.content.(runContent).join(right.content)
	if right.parentSub != nil && right.parent.entries.get(*right.parentSub) == right {
		right.parent.entries.set(right.parentSub, left)
	}
	left.right = right.right
	if left.right != nil {
		left.right.left = left
	}
	left.length += right.length
	return true
}
