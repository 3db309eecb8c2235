package collection

import "container/list"

// What waits for one watch at most, in changes and in bytes of their values.
const (
	MaxPendingChanges = 4096
	MaxPendingBytes   = 4 << 20
)

// pending is the changes that wait for one watch, each key once, in the order in which
// they became news. One too many makes all of them one Reset. It is not safe for
// concurrent use.
type pending struct {
	order list.List // of *waiting
	byKey map[pendingKey]*list.Element
	bytes int
	count int // of pushes
}

// pendingKey is what makes two changes one. Cleared and Reset have no key.
type pendingKey struct {
	kind ChangeKind // Put stands for Deleted too
	key  string
}

type waiting struct {
	change Change
	n      int // the push that brought it into this form
}

func newPending() *pending { return &pending{byKey: map[pendingKey]*list.Element{}} }

func pendingKeyOf(change Change) pendingKey {
	if change.Kind == Deleted {
		return pendingKey{Put, change.Key}
	}
	return pendingKey{change.Kind, change.Key}
}

// push adds a change.
func (p *pending) push(change Change) {
	p.count++
	if p.byKey[pendingKey{Reset, ""}] != nil {
		change = Change{Collection: change.Collection, Kind: Reset, Seq: change.Seq}
	}
	if change.Kind == Reset {
		p.order.Init()
		clear(p.byKey)
		p.bytes = 0
	}
	if change.Kind == Cleared {
		p.clear(change.UpdatedAtMs)
	}
	key := pendingKeyOf(change)
	p.bytes += len(change.Value)
	if at := p.byKey[key]; at != nil {
		was := at.Value.(*waiting)
		p.bytes -= len(was.change.Value)
		was.change, was.n = change, p.count
	} else {
		p.byKey[key] = p.order.PushBack(&waiting{change, p.count})
	}
	if p.order.Len() > MaxPendingChanges || p.bytes > MaxPendingBytes {
		p.push(Change{Collection: change.Collection, Kind: Reset, Seq: change.Seq})
	}
}

// clear drops what a Cleared says too.
func (p *pending) clear(updatedAtMs int64) {
	for at := p.order.Front(); at != nil; {
		next, was := at.Next(), at.Value.(*waiting).change
		if was.UpdatedAtMs <= updatedAtMs {
			p.remove(at)
		}
		at = next
	}
}

func (p *pending) remove(at *list.Element) {
	was := at.Value.(*waiting).change
	p.bytes -= len(was.Value)
	delete(p.byKey, pendingKeyOf(was))
	p.order.Remove(at)
}

// peek returns the oldest change, and by which push it is as it is.
func (p *pending) peek() (change Change, n int, ok bool) {
	at := p.order.Front()
	if at == nil {
		return Change{}, 0, false
	}
	first := at.Value.(*waiting)
	return first.change, first.n, true
}

// taken removes what peek returned, unless it has changed since.
func (p *pending) taken(n int) {
	if at := p.order.Front(); at != nil && at.Value.(*waiting).n == n {
		p.remove(at)
	}
}
