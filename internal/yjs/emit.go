package yjs

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Emission is the update of one transaction.
type Emission struct {
	Update []byte // the receiver's
	Local  bool   // made here, by Transact or by cleaning formats, not brought by Apply
}

type listener struct{ fn func(Emission) }

// OnUpdate calls fn with the update of each transaction that changed the document, at
// its end, until cancel is called. fn must not use the document. What it panics with,
// Transact or Apply panics with once everything is finished.
func (d *Doc) OnUpdate(fn func(Emission)) (cancel func()) {
	l := &listener{fn}
	d.listeners = append(slices.Clip(d.listeners), l)
	return func() {
		d.listeners = slices.DeleteFunc(slices.Clone(d.listeners), func(other *listener) bool { return other == l })
	}
}

// emit encodes what a transaction changed.
func (d *Doc) emit(t *transaction, calls *guarded) {
	if len(d.listeners) == 0 || len(t.touched) == 0 && t.deletes.empty() {
		return
	}
	if len(t.before) > len(t.touched) {
		t.touched = t.touched[:0]
		for client, before := range t.before {
			t.touched = append(t.touched, touch{d.clients[client], before})
		}
	}
	if len(t.touched) > 1 {
		slices.SortFunc(t.touched, func(a, b touch) int { return cmp.Compare(b.client, a.client) })
	}
	w := &d.scratch
	w.buf = w.buf[:0]
	w.uint(uint64(len(t.touched)))
	for _, s := range t.touched {
		s.write(w, s.before)
	}
	t.deletes.write(w)
	for _, l := range d.listeners {
		calls.call(func() { l.fn(Emission{slices.Clone(w.buf), t.local}) })
	}
	if cap(w.buf) > maxScratch {
		w.buf = nil
	}
}

// maxScratch bounds the buffer that a document keeps for its next update.
const maxScratch = 1 << 20

// ClientID returns the client that Transact writes as.
func (d *Doc) ClientID() uint64 {
	if d.clientID == 0 {
		d.newClientID()
	}
	return d.clientID
}

// SetClientID changes the client that Transact writes as, as assigning to
// ydoc.clientID does. Nobody else must write under it. Beyond 2^53-1 edits are ErrClock.
func (d *Doc) SetClientID(id uint64) { d.clientID = id }

// newClientID draws a client that wrote nothing here, from 32 bits as yjs does.
func (d *Doc) newClientID() {
	d.clientID = 0
	for d.clientID == 0 || d.clients[d.clientID] != nil {
		d.clientID = uint64(rand.Uint32())
	}
}
