package replica

import (
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// waiting is the content of a document that waits for other content. It is kept in
// parts, each at least half as large as those after it together, so that what comes
// is added without writing all of it anew, and in few parts all the same.
type waiting struct {
	parts []core.PendingRecord
	held  map[uint64][]yjs.Range // by client: the content, merged and in order
	// missing has, by client, the lowest clock that something waits for.
	missing map[uint64]uint64
}

// readWaiting reads what waits, and finds out what for.
func readWaiting(v core.View, doc int64, end func(client uint64) uint64) (waiting, error) {
	parts, err := v.DocPending(doc)
	if err != nil || len(parts) == 0 {
		return waiting{}, err
	}
	w := waiting{parts: parts}
	u, err := w.with(nil)
	if err != nil {
		return waiting{}, err
	}
	ends := map[uint64]uint64{}
	for _, client := range u.Clients() {
		ends[client] = end(client)
	}
	rest, missing := u.Advance(ends)
	if rest != nil {
		w.note(rest, missing)
	}
	return w, nil
}

// note adds to what is known of the content that waits.
func (w *waiting) note(u *yjs.Update, missing map[uint64]uint64) {
	if w.held == nil {
		w.held, w.missing = map[uint64][]yjs.Range{}, map[uint64]uint64{}
	}
	u.AddContentTo(w.held)
	for client, clock := range missing {
		if known, waits := w.missing[client]; !waits || clock < known {
			w.missing[client] = clock
		}
	}
}

// freed reports whether something that was waited for is there.
func (w *waiting) freed(h *head) bool {
	for client, clock := range w.missing {
		if h.end(client) > clock {
			return true
		}
	}
	return false
}

// with returns all that waits, and one more update if it is not nil.
func (w *waiting) with(u *yjs.Update) (*yjs.Update, error) {
	updates := make([][]byte, 0, len(w.parts)+1)
	for _, p := range w.parts {
		updates = append(updates, p.Update)
	}
	if u != nil {
		updates = append(updates, u.Encode())
	}
	all, err := yjs.Union(updates...)
	if err != nil {
		return nil, err
	}
	return yjs.ParseUpdate(all)
}

// wait lets an update wait, of which nothing waits yet.
func (w *work) wait(h *head, u *yjs.Update, missing map[uint64]uint64) error {
	h.waiting.note(u, missing)
	u.Coalesce()
	part := core.PendingRecord{Update: u.Encode()}
	parts := h.waiting.parts
	if n := len(parts); n > 0 {
		part.N = parts[n-1].N + 1
	}
	for n := len(parts); n > 0 && len(parts[n-1].Update) < 2*len(part.Update); n-- {
		joined, err := yjs.Union(parts[n-1].Update, part.Update)
		if err != nil {
			return damaged("pending content", h, err)
		}
		if part.Update, err = yjs.Coalesce(joined); err != nil {
			return damaged("pending content", h, err)
		}
		part.N = parts[n-1].N
		parts = parts[:n-1]
	}
	if err := w.TrimDocPending(h.Key, part.N); err != nil {
		return err
	}
	h.waiting.parts = append(slices.Clip(parts), part)
	return w.PutDocPending(h.Key, part)
}
