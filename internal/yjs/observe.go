package yjs

import "slices"

// Event says what a transaction changed in one type. It is valid until its observer
// returns.
type Event struct {
	Target *Type
	Local  bool // changed by Transact, not by Apply

	t     *transaction
	part  *change
	depth int
	from  *Type // that the observer observes, nil for the target itself
}

// change is what is known of a change to a type.
type change struct {
	list  bool
	keys  []string // in order
	known map[string]bool
}

// note remembers that a type changed, in its sequence or at a key.
func (t *transaction) note(typ *Type, key *string) {
	part := t.parts[typ]
	if part == nil {
		if t.parts == nil {
			t.parts = map[*Type]*change{}
		}
		part = &change{known: map[string]bool{}}
		t.parts[typ] = part
	}
	if key == nil {
		part.list = true
	} else if !part.known[*key] {
		part.known[*key] = true
		part.keys = append(part.keys, *key)
	}
}

type observer struct {
	one func(*Event)
	all func([]*Event)
}

// Observe calls fn after each transaction that from now on changes the type itself, before
// its update is emitted, until cancel is called. fn may read the document and edit it,
// which makes a transaction of its own; what it adds is in that update too, as in yjs.
// What it panics with, Transact or Apply panics with once everything is finished.
func (t *Type) Observe(fn func(*Event)) (cancel func()) { return t.observe(&observer{one: fn}) }

// ObserveDeep is Observe for a type and all that lie in it. fn is called once for a
// transaction, with the events of types that are not deleted, outer types first.
func (t *Type) ObserveDeep(fn func([]*Event)) (cancel func()) { return t.observe(&observer{all: fn}) }

// observe panics for a free-standing type, of which nobody would ever be told.
func (t *Type) observe(o *observer) (cancel func()) {
	d := t.doc
	if d == nil {
		panic(ErrForeign)
	}
	if d.observers == nil {
		d.observers = map[*Type][]*observer{}
	}
	d.observers[t] = append(slices.Clip(d.observers[t]), o)
	d.observed = true
	return func() {
		rest := slices.DeleteFunc(slices.Clone(d.observers[t]), func(other *observer) bool { return other == o })
		if d.observers[t] = rest; len(rest) == 0 {
			delete(d.observers, t)
		}
		d.observed = len(d.observers) > 0
	}
}

// notify calls the observers of what a transaction changed.
func (d *Doc) notify(t *transaction, calls *guarded) {
	t.before = make(map[uint64]uint64, len(t.touched))
	for _, s := range t.touched {
		t.before[s.client] = s.before
	}
	var events []*Event
	for _, typ := range slices.Clone(t.changed) {
		part := t.parts[typ]
		if part == nil || typ.isDeleted() {
			continue
		}
		e := &Event{Target: typ, Local: t.local, t: t, part: part}
		events = append(events, e)
		for _, o := range d.observers[typ] {
			if o.one != nil {
				calls.call(func() { o.one(e) })
			}
		}
	}
	d.notifyDeep(events, calls)
}

// notifyDeep calls those who observe a type and what lies in it.
func (d *Doc) notifyDeep(events []*Event, calls *guarded) {
	in := nesting{d.observers, map[*Type]level{}}
	deep := map[*Type][]*Event{}
	var outer []*Type // of deep, in order
	for _, e := range events {
		at := in.level(e.Target)
		e.depth = at.depth
		for up := at.observed; up != nil; up = in.level(up.parent()).observed {
			if _, known := deep[up]; !known {
				outer = append(outer, up)
			}
			deep[up] = append(deep[up], e)
		}
	}
	for _, typ := range outer {
		for _, o := range d.observers[typ] {
			if o.all == nil || typ.isDeleted() {
				continue
			}
			events := slices.DeleteFunc(slices.Clone(deep[typ]), func(e *Event) bool { return e.Target.isDeleted() })
			for _, e := range events {
				e.from = typ
			}
			slices.SortStableFunc(events, func(a, b *Event) int { return a.depth - b.depth })
			calls.call(func() { o.all(events) })
		}
	}
}

func (t *Type) isDeleted() bool { return t.item != nil && t.item.deleted() }

// nesting finds observed types around others. It walks over each type once, because
// nesting may be as deep as an update is long.
type nesting struct {
	observers map[*Type][]*observer
	levels    map[*Type]level
}

// level is how many types a type lies in, and the next observed one of them and itself.
type level struct {
	depth    int
	observed *Type
}

func (n *nesting) level(t *Type) level {
	at := level{depth: -1}
	var unknown []*Type
	for ; t != nil; t = t.parent() {
		if l, ok := n.levels[t]; ok {
			at = l
			break
		}
		unknown = append(unknown, t)
	}
	for _, t := range slices.Backward(unknown) {
		at.depth++
		if len(n.observers[t]) > 0 {
			at.observed = t
		}
		n.levels[t] = at
	}
	return at
}

// parent returns the type that a type lies in, nil for a root.
func (t *Type) parent() *Type {
	if t.item == nil {
		return nil
	}
	return t.item.parent
}

// pathOf returns the keys and indices that lead from a type to one in it.
func pathOf(from, to *Type) []any {
	path := []any{}
	for ; to != from && to.item != nil; to = to.item.parent {
		if to.item.parentSub != nil {
			path = append(path, *to.item.parentSub)
		} else {
			path = append(path, to.item.index())
		}
	}
	slices.Reverse(path)
	return path
}

// index returns how many units lie before an item in its sequence.
func (it *item) index() uint64 {
	n := uint64(0)
	if leaf := it.span; leaf != nil && it.parent.spans != nil {
		for at := leaf.first; at != it; at = at.right {
			n += at.visibleLen()
		}
		for s := leaf; s.up != nil; s = s.up {
			for _, kid := range s.up.kids {
				if kid == s {
					break
				}
				n += kid.length
			}
		}
		return n
	}
	steps := 0
	for at := it.parent.start; at != nil && at != it; at = at.right {
		n += at.visibleLen()
		steps++
	}
	it.parent.walked(steps)
	return n
}

// Path returns the keys (string) and indices (uint64) that lead from the observed type
// to the target, which is no path at all for Observe.
func (e *Event) Path() []any {
	if e.from == nil {
		return nil
	}
	return pathOf(e.from, e.Target)
}

// ListChanged reports whether the sequence of the target changed.
func (e *Event) ListChanged() bool { return e.part.list }

func (e *Event) adds(it *item) bool {
	before, touched := e.t.before[it.id.Client]
	return touched && it.id.Clock >= before
}

func (e *Event) deletes(it *item) bool { return e.t.deletes.has(it.id) }

// KeyAction says how a key changed.
type KeyAction string

// The actions on a key.
const (
	KeyAdded   KeyAction = "add"
	KeyUpdated KeyAction = "update"
	KeyDeleted KeyAction = "delete"
)

// KeyChange is a change to a key of a map, or to an attribute.
type KeyChange struct {
	Key      string
	Action   KeyAction
	OldValue any // nil for an added one
}

// Keys returns the keys that changed, in the order in which they did.
func (e *Event) Keys() []KeyChange {
	var changes []KeyChange
	for _, key := range e.part.keys {
		it := e.Target.entries.get(key)
		var was *item // the value before
		if e.adds(it) {
			for was = it.left; was != nil && e.adds(was); {
				was = was.left
			}
		} else {
			was = it
		}
		had := was != nil && e.deletes(was)
		has := e.adds(it) && !e.deletes(it)
		switch {
		case has && had:
			changes = append(changes, KeyChange{key, KeyUpdated, was.last()})
		case has:
			changes = append(changes, KeyChange{key, KeyAdded, nil})
		case had:
			changes = append(changes, KeyChange{key, KeyDeleted, was.last()})
		}
	}
	return changes
}

// last returns the last value of an item, deleted or not.
func (it *item) last() any {
	if values := it.values(nil); len(values) > 0 {
		return values[len(values)-1]
	}
	return nil
}

// Delta returns what changed in the sequence of the target, as steps from its start:
// of a text as a text delta, of other types with []any for what was inserted. Steps that
// keep what follows the last change are left out.
//
// For a text yjs deletes redundant formats while it computes this. Here nothing is
// changed.
func (e *Event) Delta() []DeltaOp {
	if !e.part.list {
		return nil
	}
	if e.Target.isText() {
		return e.textDelta()
	}
	var delta deltaBuilder
	for it := e.Target.start; it != nil; it = it.right {
		switch {
		case it.deleted():
			if e.deletes(it) && !e.adds(it) {
				delta.delete(it.length)
			}
		case e.adds(it):
			delta.insertValues(it.values(nil))
		default:
			delta.retain(it.length, nil)
		}
	}
	return delta.trimmed()
}

// deltaBuilder joins equal steps that follow each other.
type deltaBuilder struct{ ops []DeltaOp }

func (b *deltaBuilder) lastOp() *DeltaOp {
	if len(b.ops) == 0 {
		return &DeltaOp{}
	}
	return &b.ops[len(b.ops)-1]
}

func (b *deltaBuilder) delete(n uint64) {
	if op := b.lastOp(); op.Delete > 0 {
		op.Delete += n
	} else {
		b.ops = append(b.ops, DeltaOp{Delete: n})
	}
}

func (b *deltaBuilder) retain(n uint64, attributes Object) {
	b.ops = append(b.ops, DeltaOp{Retain: n, Attributes: attributes})
	if n := len(b.ops); n > 1 && b.ops[n-2].Retain > 0 && b.ops[n-2].Attributes == nil && attributes == nil {
		b.ops[n-2].Retain += b.ops[n-1].Retain
		b.ops = b.ops[:n-1]
	}
}

func (b *deltaBuilder) insertValues(values []any) {
	op := b.lastOp()
	if list, ok := op.Insert.([]any); ok {
		op.Insert = append(list, values...)
	} else {
		b.ops = append(b.ops, DeltaOp{Insert: values})
	}
}

// trimmed leaves out steps at the end that keep everything as it is.
func (b *deltaBuilder) trimmed() []DeltaOp {
	for len(b.ops) > 0 && b.lastOp().Retain > 0 && b.lastOp().Attributes == nil {
		b.ops = b.ops[:len(b.ops)-1]
	}
	return b.ops
}
