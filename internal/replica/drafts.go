package replica

import (
	"context"
	"errors"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Drafts follows documents inside the transactions that change them.
type Drafts interface {
	// Review is told of documents that changed remotely, each once.
	Review(tx core.Tx, changed []core.ChangedDoc) error
	// Confirm is told that a document holds what was drafted until updatedAtMs.
	Confirm(tx core.Tx, space core.SpaceID, doc core.DocumentID, updatedAtMs int64) error
}

// reviewDrafts tells of the documents that the job changed remotely.
func (w *work) reviewDrafts() error {
	if w.r.drafts == nil || w.source != events.SourceDaemon {
		return nil
	}
	var changed []core.ChangedDoc
	known := map[liveKey]bool{}
	for _, e := range w.events {
		key := liveKey{e.SpaceID, e.DocumentID}
		if e.Kind != events.DocumentChanged || known[key] {
			continue
		}
		known[key] = true
		changed = append(changed, core.ChangedDoc{
			Space: key.space, ID: key.doc,
			State: func() (int64, []byte, error) { return w.stateOf(key) },
		})
	}
	if len(changed) == 0 {
		return nil
	}
	return w.r.drafts.Review(w.Tx, changed)
}

// stateOf returns where a document stands that the job changed. One that is gone was
// changed now, and holds nothing.
func (w *work) stateOf(key liveKey) (updatedAtMs int64, stateVector []byte, err error) {
	space, err := w.space(key.space)
	if err != nil {
		return 0, nil, err
	}
	h, err := w.head(space.Key, key.doc)
	if isNotFound(err) {
		return max(w.nowMs, 0), yjs.EncodeStateVector(nil), nil
	}
	if err != nil {
		return 0, nil, err
	}
	return h.UpdatedAtMs, h.stateVector(), nil
}

// confirmDraft tells that a write is done which contains a draft.
func (w *work) confirmDraft(space core.SpaceID, doc core.DocumentID, opts WriteOptions) error {
	if w.r.drafts == nil || opts.Draft == nil {
		return nil
	}
	return w.r.drafts.Confirm(w.Tx, space, doc, *opts.Draft)
}

// confirmUnchanged is confirmDraft for an Edit that changed nothing: a document that can
// be seen holds what was drafted already.
func (r *Replica) confirmUnchanged(ctx context.Context, space core.SpaceID, doc core.DocumentID, opts WriteOptions) error {
	if r.drafts == nil || opts.Draft == nil {
		return nil
	}
	return r.write(ctx, opts.Source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		h, err := w.head(s.Key, doc)
		if errors.Is(err, core.ErrNotFound) || err == nil && (h.Hidden || h.UpdatedAtMs == 0) {
			return nil
		}
		if err != nil {
			return err
		}
		return w.confirmDraft(space, doc, opts)
	})
}
