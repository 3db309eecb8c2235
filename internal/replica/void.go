package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// voidContent is what of a document does not count.
type voidContent struct {
	deletes map[uint64][]yjs.Range // named by deletions in void updates
	structs []yjs.ClientRange
}

// voidOf returns what of a document is void.
func (w *work) voidOf(space *core.SpaceRecord, h *head) (*voidContent, error) {
	switch {
	case len(h.Epoch) == 0:
		return &voidContent{}, nil
	case h.void == nil:
		res, err := w.resolver(space).resolve(h.Key, nil)
		if err != nil {
			return nil, damaged("content", h, err)
		}
		h.void = &voidContent{yjs.ByClient(res.voidDeletes), res.Void}
	}
	return h.void, nil
}

// againstVoid returns core.ErrStaleDocument for a local update that holds other content
// than void updates at the same clocks: it would be taken for had. touches says that
// the update builds upon void content, of which the state may hold no trace: then that
// has to get its places.
func (w *work) againstVoid(h *head, u *yjs.Update, void *voidContent) (touches bool, err error) {
	touches = u.Touches(void.structs)
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
