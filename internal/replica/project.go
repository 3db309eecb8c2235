package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// project brings a document's clients, deletions and pending content up to date
// with an update, and returns what the update added, nil for nothing. Its cost is that of
// the update: it does not read the content.
func (w *work) project(h *head, u *yjs.Update) ([]byte, error) {
	h.trim(u)
	return w.projectFresh(h, u)
}

// projectOwn is project for what an editor of this machine sends, which may be all that
// it has: then the content is read, to compare.
func (w *work) projectOwn(h *head, u *yjs.Update) ([]byte, error) {
	own := u.OwnDeletes()
	h.trim(u)
	if own != nil && !u.HasContent() {
		if err := w.forgetImplied(h, u, own); err != nil {
			return nil, err
		}
	}
	return w.projectFresh(h, u)
}

// trim cuts off the content of an update that the document has.
func (h *head) trim(u *yjs.Update) {
	u.Trim(h.end)
	u.SubtractRanges(h.waiting.held)
}

// projectFresh is project for an update of whose content nothing is had.
func (w *work) projectFresh(h *head, u *yjs.Update) ([]byte, error) {
	if err := w.newDeletes(h, u); err != nil {
		return nil, err
	}
	if u.Empty() {
		return nil, nil
	}
	fresh := u.Encode()
	return fresh, w.advanceDoc(h, u)
}

// forgetImplied leaves out of a full state, of which all content is had, deletions
// that nobody made because they follow from the content: of values that were set for
// one key at the same time all but one are deleted, and so is what was put into
// something that was deleted meanwhile. Else a document would differ from its own
// state.
func (w *work) forgetImplied(h *head, u *yjs.Update, own map[uint64][]yjs.Range) error {
	known := true
	for client, ranges := range own {
		for _, r := range ranges {
			had, err := w.DeletedRanges(h.Key, client, r.Clock, r.Clock+r.Len)
			if err != nil {
				return err
			}
			known = known && len(had) == 1 && had[0].Clock <= r.Clock && had[0].Clock+had[0].Len >= r.Clock+r.Len
		}
	}
	if known {
		return nil
	}
	s := &stored{DocRecord: h.DocRecord}
	if err := s.read(w.Tx); err != nil {
		return err
	}
	d, err := yjs.Load(yjs.Options{}, s.updates...)
	if err != nil {
		return damaged("content", h, err)
	}
	u.ForgetDeletes(own, d.Deleted())
	return nil
}

// newDeletes leaves in the update only deletions that are new, and records them.
func (w *work) newDeletes(h *head, u *yjs.Update) error {
	fresh := map[uint64][]yjs.Range{}
	err := u.Deletes(func(client uint64, r yjs.Range) error {
		parts, err := w.AddDeleted(h.Key, client, core.ClockRange{Clock: r.Clock, Len: r.Len})
		for _, p := range parts {
			fresh[client] = append(fresh[client], yjs.Range{Clock: p.Clock, Len: p.Len})
		}
		return err
	})
	u.SetDeletes(fresh)
	return err
}

// advanceDoc moves the clients' ends over what can be integrated, of an update and of
// what waited for it, and lets the rest wait.
func (w *work) advanceDoc(h *head, u *yjs.Update) error {
	rest, missing, err := w.advanceClients(h, u)
	if err != nil {
		return err
	}
	if !h.waiting.freed(h) {
		if rest == nil {
			return nil
		}
		return w.wait(h, rest, missing)
	}
	if u, err = h.waiting.with(rest); err != nil {
		return damaged("pending content", h, err)
	}
	if rest, missing, err = w.advanceClients(h, u); err != nil {
		return err
	}
	h.waiting = waiting{}
	if err := w.TrimDocPending(h.Key, 0); err != nil || rest == nil {
		return err
	}
	return w.wait(h, rest, missing)
}

// advanceClients moves the clients' ends over what can be integrated of an update and
// returns the rest, with the clocks that it waits for.
func (w *work) advanceClients(h *head, u *yjs.Update) (rest *yjs.Update, missing map[uint64]uint64, err error) {
	clients := u.Clients()
	ends := make(map[uint64]uint64, len(clients))
	for _, client := range clients {
		ends[client] = h.end(client)
	}
	rest, missing = u.Advance(ends)
	for client, end := range ends {
		c, known := h.clients[client]
		if end == c.End {
			continue
		}
		if !known {
			c = core.DocClient{Client: client}
			w.r.heads.clients++
		}
		c.End = end
		h.clients[client] = c
		h.vector = nil
		if err := w.PutDocClient(h.Key, c); err != nil {
			return nil, nil, err
		}
	}
	return rest, missing, nil
}
