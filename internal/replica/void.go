package replica

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/yjs"
)

// voidContent is what of a document does not count.
type voidContent struct {
	structs   []yjs.ClientRange
	deletes   map[uint64][]yjs.Range // named by deletions in void updates
	contested bool                   // content of kept entries lost its clocks too
}

func voidIn(res *resolution) *voidContent {
	return &voidContent{structs: res.Void, deletes: yjs.ByClient(res.voidDeletes), contested: len(res.lost) > 0}
}

// voidOf returns what of a document is void.
func (w *work) voidOf(space *core.SpaceRecord, h *head) (*voidContent, error) {
	switch {
	case len(h.Epoch) == 0:
		h.void = &voidContent{deletes: map[uint64][]yjs.Range{}}
	case h.void == nil:
		res, err := w.resolver(space).resolve(h.Key, nil)
		if err != nil {
			return nil, damaged("content", h, err)
		}
		h.void = voidIn(&res)
	}
	return h.void, nil
}

// concerns reports whether an update, or what waits and may be freed by it, has to do
// with void content.
func (v *voidContent) concerns(h *head, u *yjs.Update) bool {
	return len(v.structs) > 0 && (len(h.waiting.parts) > 0 || u.Touches(v.structs))
}

// addVoid adds an update of a void entry to what is void of a document, if that is all
// that has to be done: nothing kept follows, or waits for, its content.
func (w *work) addVoid(space *core.SpaceRecord, h *head, u *yjs.Update) (bool, error) {
	if w.remakes[headKey{space.Key, h.ID}] != nil || h.UpdatedAtMs == 0 || len(h.waiting.parts) > 0 {
		return false, nil
	}
	void, err := w.voidOf(space, h)
	if err != nil || void.contested {
		return false, err
	}
	all, content := yjs.ByClient(void.structs), u.Content()
	if yjs.Intersects(content, all) { // which of them counts is another question
		return false, nil
	}
	for client, ranges := range content {
		if ranges[0].Clock < h.end(client) {
			return false, nil
		}
	}
	yjs.AddRanges(all, content)
	yjs.AddRanges(void.deletes, u.Deleted())
	void.structs = yjs.InOrder(all)
	for client := range content {
		if err := w.countAsHad(h, client, all[client]); err != nil {
			return false, err
		}
	}
	h.Epoch = epochOf(void.structs, yjs.InOrder(void.deletes), nil)
	if !h.Hidden {
		if w.voided == nil {
			w.voided = map[headKey]*core.SpaceRecord{}
		}
		w.voided[headKey{space.Key, h.ID}] = space
	}
	return true, w.save(h)
}

// countAsHad moves the end of a client over void content, so that no editor that still
// shows it brings it back.
func (w *work) countAsHad(h *head, client uint64, void []yjs.Range) error {
	c := h.clients[client]
	end := endOver(c.End, void)
	if end == c.End {
		return nil
	}
	if c.Client, c.End = client, end; h.clients[client].End == 0 {
		w.r.heads.clients++
	}
	h.clients[client], h.vector = c, nil
	return w.PutDocClient(h.Key, c)
}

// endOver moves an end over the ranges that follow it.
func endOver(end uint64, void []yjs.Range) uint64 {
	for _, r := range void {
		if r.Clock <= end {
			end = max(end, r.Clock+r.Len)
		}
	}
	return end
}

// tellVoided tells of documents that got void content: their text is the same, their
// epoch is not.
func (w *work) tellVoided() error {
	for key, space := range w.voided {
		h, err := w.head(key.space, key.doc)
		if err != nil {
			return err
		}
		if err := w.tellRebuilt(space, h, ReasonRebuilt); err != nil {
			return err
		}
	}
	w.voided = nil
	return nil
}

// againstVoid returns core.ErrStaleDocument for a local update that holds other content
// than void updates at the same clocks: it would be taken for had. touches says that
// the update builds upon void content, of which the state may hold no trace: then that
// has to get its places.
func (w *work) againstVoid(h *head, u *yjs.Update, void *voidContent) (touches bool, err error) {
	touches = void.concerns(h, u)
	if !u.Overlaps(void.structs) {
		return touches, nil
	}
	var updates [][]byte
	err = w.DocVoidOps(h.Key, 0, func(op core.DocOp) error {
		updates = append(updates, op.Update)
		return nil
	})
	if err != nil {
		return false, err
	}
	clashes, err := u.Clashes(void.structs, updates)
	switch {
	case err != nil:
		return false, damaged("content", h, err)
	case clashes:
		return false, core.ErrStaleDocument
	}
	return touches, nil
}

// Fits reports core.ErrStaleDocument for the whole state of an editor that shows what is
// void in a document, or shows deleted what only void deletions delete: it must load the
// document afresh. It also returns core.ErrInvalidUpdate, and core.ErrNotFound for an
// unknown space.
func (r *Replica) Fits(ctx context.Context, space core.SpaceID, doc core.DocumentID, state []byte) error {
	u, err := yjs.ParseUpdate(state)
	if err != nil {
		return fmt.Errorf("%w: %w", core.ErrInvalidUpdate, err)
	}
	return r.write(ctx, events.SourceRenderer, func(w *work) error {
		s, err := w.space(space)
		if err != nil {
			return err
		}
		h, err := w.head(s.Key, doc)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return w.fits(s, h, u)
	})
}

func (w *work) fits(space *core.SpaceRecord, h *head, u *yjs.Update) error {
	if len(h.Epoch) == 0 {
		return nil
	}
	void, err := w.voidOf(space, h)
	if err != nil {
		return err
	}
	held, err := w.heldBy(h)
	if err != nil {
		return err
	}
	places := yjs.ByClient(void.structs)
	shown := yjs.Without(u.Shown(), held.Shown())
	deleted := yjs.Without(yjs.Without(u.Deleted(), held.Deleted()), places)
	rivals, _ := u.Rivals(held)
	if rivals || yjs.Intersects(shown, places) || yjs.Intersects(deleted, void.deletes) {
		return core.ErrStaleDocument
	}
	return nil
}

// has returns what a document has of some clients, void content included.
func (h *head) has(of map[uint64][]yjs.Range) map[uint64][]yjs.Range {
	had := make(map[uint64][]yjs.Range, len(of))
	for client := range of {
		if end := h.end(client); end > 0 {
			had[client] = append(had[client], yjs.Range{Clock: 0, Len: end})
		}
		if held := h.waiting.held[client]; len(held) > 0 {
			yjs.AddRanges(had, map[uint64][]yjs.Range{client: held})
		}
	}
	return had
}
