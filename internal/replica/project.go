package replica

import (
	"bytes"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// project brings a document's clients, deletions and pending content up to date
// with an update by one writer, and returns what the update added, nil for
// nothing. Its cost is that of the update: it never reads the content.
func (w *work) project(h *head, u *yjs.Update, writer int64) ([]byte, error) {
	u.Trim(h.end)
	if err := w.newDeletes(h, u); err != nil {
		return nil, err
	}
	if h.pending != nil {
		waiting, err := yjs.ParseUpdate(h.pending)
		if err != nil {
			return nil, damaged("pending content", h, err)
		}
		u.Subtract(waiting)
	}
	if u.Empty() {
		return nil, nil
	}
	fresh := u.Encode()
	if h.pending != nil {
		all, err := yjs.Union(h.pending, fresh)
		if err != nil {
			return nil, damaged("pending content", h, err)
		}
		if u, err = yjs.ParseUpdate(all); err != nil {
			return nil, damaged("pending content", h, err)
		}
	}
	return fresh, w.advanceClients(h, u, writer)
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

// advanceClients moves the clients' ends over what can be integrated and keeps the
// rest as pending.
func (w *work) advanceClients(h *head, u *yjs.Update, writer int64) error {
	clients := u.Clients()
	ends := make(map[uint64]uint64, len(clients))
	for _, client := range clients {
		ends[client] = h.end(client)
	}
	var pending []byte
	if rest := u.Advance(ends); rest != nil {
		rest.Coalesce() // each later update merges with it
		pending = rest.Encode()
	}
	for client, end := range ends {
		c, known := h.clients[client]
		if end == c.End {
			continue
		}
		if !known {
			c = core.DocClient{Client: client, Owner: writer}
			w.r.heads.clients++
		}
		c.End = end
		h.clients[client] = c
		h.vector = nil
		if err := w.PutDocClient(h.Key, c); err != nil {
			return err
		}
	}
	if bytes.Equal(pending, h.pending) {
		return nil
	}
	h.pending = pending
	return w.SetDocPending(h.Key, pending)
}
