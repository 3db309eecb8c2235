package replica

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// derived is what a document should be: all that follows from the log and the tail.
type derived struct {
	resolution
	state   []byte // canonical, with places of void content
	ends    map[uint64]uint64
	deleted map[uint64][]core.ClockRange
	waiting *yjs.Update // nil for nothing
	missing map[uint64]uint64
	hidden  bool
}

// derive computes a document from its ops. It only reads, and it is the only definition:
// what is stored equals it, however the ops came in.
func (w *work) derive(space *core.SpaceRecord, rec *core.DocRecord) (*derived, error) {
	h := &head{DocRecord: *rec}
	d := &derived{ends: map[uint64]uint64{}, deleted: map[uint64][]core.ClockRange{}}
	var err error
	if d.resolution, err = w.resolver(space).resolve(rec.Key, nil); err != nil {
		return nil, damaged("content", h, err)
	}
	if err := d.read(); err != nil {
		return nil, damaged("content", h, err)
	}
	tail, err := w.Tail(rec.Key)
	if err != nil {
		return nil, err
	}
	h.TailCount = int64(len(tail))
	d.hidden, err = w.isHidden(space, h, !d.empty)
	return d, err
}

// read takes apart the state. What is void counts as had, so that no editor that still
// shows it brings it back.
func (d *derived) read() error {
	u, err := yjs.ParseUpdate(d.State)
	if err != nil {
		return err
	}
	err = u.Deletes(func(client uint64, r yjs.Range) error {
		d.deleted[client] = append(d.deleted[client], core.ClockRange{Clock: r.Clock, Len: r.Len})
		return nil
	})
	if err != nil {
		return err
	}
	for _, client := range u.Clients() {
		d.ends[client] = 0
	}
	d.waiting, d.missing = u.Advance(d.ends)
	void := yjs.ByClient(d.Void)
	if d.waiting != nil { // its places: what waits for them would not
		void = yjs.Without(void, d.waiting.Content())
	}
	for client, void := range void {
		d.ends[client] = endOver(d.ends[client], void)
	}
	maps.DeleteFunc(d.ends, func(_, end uint64) bool { return end == 0 })
	d.state, err = yjs.Compact(d.State)
	return err
}

// putDerived makes a document what it should be.
func (w *work) putDerived(space *core.SpaceRecord, h *head, d *derived) error {
	w.outdate(liveKey{space.ID, h.ID})
	if err := w.ResetDoc(h.Key); err != nil {
		return err
	}
	w.r.heads.clients += len(d.ends) - min(w.r.heads.clients, len(h.clients))
	h.clients, h.waiting, h.vector, h.unseen = make(map[uint64]core.DocClient, len(d.ends)), waiting{}, nil, nil
	for client, end := range d.ends {
		c := core.DocClient{Client: client, End: end}
		h.clients[client] = c
		if err := w.PutDocClient(h.Key, c); err != nil {
			return err
		}
	}
	for client, ranges := range d.deleted {
		for _, r := range ranges {
			if _, err := w.AddDeleted(h.Key, client, r); err != nil {
				return err
			}
		}
	}
	if d.waiting != nil {
		if err := w.wait(h, d.waiting, d.missing); err != nil {
			return err
		}
	}
	if err := w.SetDocSnapshot(h.Key, d.state); err != nil {
		return err
	}
	if err := w.setLost(space, h, d.lost); err != nil {
		return err
	}
	h.SnapBytes, h.OpBytes, h.ThroughN = int64(len(d.state)), 0, h.LastN
	h.Epoch, h.void, h.Hidden = d.epoch, voidIn(&d.resolution), d.hidden
	return w.save(h)
}

// difference is a part of a document that is not what it should be.
type difference struct {
	table  string
	detail string
	shows  bool // to who reads or writes the document
}

// differences collects what is not as it should be.
type differences []difference

// compare notes a difference in what nobody sees from outside.
func (c *differences) compare(table, what string, got, want any) {
	c.add(table, what, got, want, false)
}

// compareShown notes one that does show.
func (c *differences) compareShown(table, what string, got, want any) {
	c.add(table, what, got, want, true)
}

func (c *differences) add(table, what string, got, want any, shows bool) {
	if got != want {
		*c = append(*c, difference{table, fmt.Sprintf("%s is %v, should be %v", what, got, want), shows})
	}
}

// compareBytes tells of sizes, since what differs can be long.
func (c *differences) compareBytes(table, what string, got, want []byte) {
	if !bytes.Equal(got, want) {
		*c = append(*c, difference{table, fmt.Sprintf("%s of %d bytes differs from the log's of %d", what, len(got), len(want)), true})
	}
}

// differences compares the rows of a document with what they should be. It only reads.
func (w *work) differences(rec *core.DocRecord, d *derived) (differences, error) {
	var all differences
	for _, compare := range []func(*core.DocRecord, *derived, *differences) error{
		w.compareDoc, w.compareState, w.compareClients, w.compareDeleted, w.compareWaiting, w.compareLost,
	} {
		err := compare(rec, d, &all)
		switch {
		case errors.Is(err, core.ErrCorrupt): // a row that cannot be read
			all = append(all, difference{"doc", err.Error(), true})
		case err != nil:
			return nil, err
		}
	}
	return all, nil
}

func (w *work) compareDoc(rec *core.DocRecord, d *derived, c *differences) error {
	tail, err := w.Tail(rec.Key)
	if err != nil {
		return err
	}
	var tailBytes int64
	for _, t := range tail {
		tailBytes += int64(len(t.Update))
	}
	c.compare("doc", "tail_count", rec.TailCount, int64(len(tail)))
	c.compare("doc", "tail_bytes", rec.TailBytes, tailBytes)
	c.compareShown("doc", "hidden", rec.Hidden, d.hidden)
	c.compareShown("doc", "epoch", fmt.Sprintf("%x", rec.Epoch), fmt.Sprintf("%x", d.epoch))
	return nil
}

func (w *work) compareState(rec *core.DocRecord, d *derived, c *differences) error {
	snapshot, err := w.DocSnapshot(rec.Key)
	if err != nil {
		return err
	}
	c.compare("doc", "snap_bytes", rec.SnapBytes, int64(len(snapshot)))
	c.compare("doc", "through_n", rec.ThroughN, min(max(rec.ThroughN, 0), rec.LastN))
	var opBytes int64
	err = w.DocOps(rec.Key, rec.ThroughN, func(op core.DocOp) error {
		opBytes += int64(len(op.Update))
		return nil
	})
	if err != nil {
		return err
	}
	c.compare("doc", "op_bytes", rec.OpBytes, opBytes)
	s := &stored{DocRecord: *rec}
	if err := s.read(w.Tx); err != nil {
		return err
	}
	state, err := s.state()
	if err != nil {
		return err
	}
	c.compareBytes("doc_snapshot", "state", state, d.state)
	return nil
}

func (w *work) compareClients(rec *core.DocRecord, d *derived, c *differences) error {
	clients, err := w.DocClients(rec.Key)
	if err != nil {
		return err
	}
	c.compareShown("doc_client", "number of clients", len(clients), len(d.ends))
	for _, client := range clients {
		of := fmt.Sprintf(" of client %d", client.Client)
		c.compareShown("doc_client", "end_clock"+of, client.End, d.ends[client.Client])
	}
	return nil
}

func (w *work) compareDeleted(rec *core.DocRecord, d *derived, c *differences) error {
	deleted, err := w.DocDeleted(rec.Key)
	if err != nil {
		return err
	}
	clients := maps.Clone(deleted)
	maps.Copy(clients, d.deleted)
	for _, client := range slices.Sorted(maps.Keys(clients)) {
		if got, want := deleted[client], d.deleted[client]; !slices.Equal(got, want) {
			c.compareShown("doc_deleted", fmt.Sprintf("what is deleted of client %d", client), fmt.Sprint(got), fmt.Sprint(want))
		}
	}
	return nil
}

func (w *work) compareWaiting(rec *core.DocRecord, d *derived, c *differences) error {
	parts, err := w.DocPending(rec.Key)
	if err != nil {
		return err
	}
	var got, want []byte
	if len(parts) > 0 {
		updates := make([][]byte, len(parts))
		for i, p := range parts {
			updates[i] = p.Update
		}
		if got, err = yjs.Compact(updates...); err != nil {
			return damaged("pending content", &head{DocRecord: *rec}, err)
		}
	}
	if d.waiting != nil {
		if want, err = yjs.Compact(d.waiting.Encode()); err != nil {
			return err
		}
	}
	c.compareBytes("doc_pending", "what waits", got, want)
	return nil
}

func (w *work) compareLost(rec *core.DocRecord, d *derived, c *differences) error {
	all, err := w.Lost(rec.Space)
	if err != nil {
		return err
	}
	lost := slices.DeleteFunc(all, func(l core.LostRecord) bool { return l.Doc != rec.Key })
	if !slices.Equal(lost, d.lost) {
		c.compareShown("doc_lost", "what lost its clocks", fmt.Sprint(lost), fmt.Sprint(d.lost))
	}
	return nil
}
