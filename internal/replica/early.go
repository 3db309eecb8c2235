package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// A deletion counts only for content in the past of its entry. So one of content that is
// not here yet, as when updates come in another order, stays here until it is.

// readEarly returns the deletions that wait for their content.
func readEarly(v core.View, h *head) (map[uint64][]yjs.Range, error) {
	body, err := v.DocEarly(h.Key)
	if err != nil || body == nil {
		return nil, err
	}
	u, err := yjs.ParseUpdate(body)
	if err != nil {
		return nil, damaged("early deletions", h, err)
	}
	return u.Deleted(), nil
}

// keepEarly takes deletions of content that is not here out of a local update, and adds
// earlier ones of content that it brings. It reports whether there are new ones to wait.
func (w *work) keepEarly(h *head, u *yjs.Update, void *voidContent) (bool, error) {
	deletes := map[uint64][]yjs.Range{}
	yjs.AddRanges(deletes, h.early)
	yjs.AddRanges(deletes, u.Deleted())
	if len(deletes) == 0 {
		return false, nil
	}
	had := h.has(deletes)
	yjs.AddRanges(had, u.Content())
	early := yjs.Without(deletes, yjs.Without(had, yjs.ByClient(void.structs))) // what is void may count again
	u.SetDeletes(yjs.Without(deletes, early))
	fresh := len(yjs.Without(early, h.early)) > 0
	if !fresh && len(yjs.Without(h.early, early)) == 0 {
		return false, nil
	}
	return fresh, w.setEarly(h, early)
}

func (w *work) setEarly(h *head, early map[uint64][]yjs.Range) error {
	h.early = early
	if len(early) == 0 {
		return w.SetDocEarly(h.Key, nil)
	}
	return w.SetDocEarly(h.Key, yjs.DeletesUpdate(early).Encode())
}

// mayRipen notes a document whose early deletions may have got their content.
func (w *work) mayRipen(space *core.SpaceRecord, h *head) {
	if len(h.early) == 0 {
		return
	}
	if w.ripe == nil {
		w.ripe = map[headKey]*core.SpaceRecord{}
	}
	w.ripe[headKey{space.Key, h.ID}] = space
}

// ripen signs the early deletions whose content has come.
func (w *work) ripen() error {
	for key, space := range w.ripe {
		h, err := w.head(key.space, key.doc)
		if err != nil {
			return err
		}
		a, err := w.authority(space)
		if err != nil {
			return err
		}
		if h.Hidden || !a.Now().Allows(w.r.self.peer, log.CapWrite) {
			continue
		}
		void, err := w.voidOf(space, h)
		if err != nil {
			return err
		}
		waiting := yjs.Without(h.early, yjs.Without(h.has(h.early), yjs.ByClient(void.structs)))
		u := yjs.DeletesUpdate(yjs.Without(h.early, waiting))
		if u.Empty() {
			continue
		}
		if err := w.setEarly(h, waiting); err != nil {
			return err
		}
		if err := w.newDeletes(h, u); err != nil {
			return err
		}
		if u.Empty() { // deleted by others meanwhile
			continue
		}
		w.touch(h)
		w.changed(events.DocumentChanged, space.ID, h.ID, "")
		body := u.Encode()
		if err := w.advanceDoc(h, u); err != nil { // the content may wait itself
			return err
		}
		if err := w.addOp(space, h, body, false); err != nil {
			return err
		}
	}
	w.ripe = nil
	return nil
}
