package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// SpaceIDs returns the spaces, in order of ID.
func (r *Replica) SpaceIDs(ctx context.Context) ([]core.SpaceID, error) {
	var all []core.SpaceID
	for {
		after := core.SpaceID("")
		if len(all) > 0 {
			after = all[len(all)-1]
		}
		var page []core.SpaceRecord
		err := r.store.Read(ctx, func(v core.View) (err error) {
			page, err = v.Spaces(after, spacesPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return all, err
		}
		for _, rec := range page {
			all = append(all, rec.ID)
		}
	}
}

// DocRecords returns the records of those documents that are there and not deleted, in
// the order asked for. It returns core.ErrNotFound for an unknown space.
func (r *Replica) DocRecords(ctx context.Context, space core.SpaceID, ids []core.DocumentID) ([]core.DocRecord, error) {
	var found []core.DocRecord
	err := r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		for _, id := range ids {
			rec, err := v.Doc(s.Key, id)
			if isNotFound(err) || err == nil && rec.Hidden {
				continue
			}
			if err != nil {
				return err
			}
			found = append(found, rec)
		}
		return nil
	})
	return found, err
}

// LoadRecord is Load for work in the background: it also returns the document's record
// as of its content, which is not compacted because of this read. Where the content is
// damaged, the record comes with core.ErrCorrupt.
func (r *Replica) LoadRecord(ctx context.Context, space core.SpaceID, doc core.DocumentID) (core.DocRecord, *yjs.Doc, error) {
	s, err := r.collect(ctx, space, doc)
	if err != nil {
		if s != nil && errors.Is(err, core.ErrCorrupt) {
			return s.DocRecord, nil, err
		}
		return core.DocRecord{}, nil, err
	}
	d, err := s.load()
	return s.DocRecord, d, err
}

func (s *stored) load() (*yjs.Doc, error) {
	d, err := yjs.Load(yjs.Options{}, s.updates...)
	if err != nil {
		return nil, fmt.Errorf("document %q: %w: %w", s.ID, core.ErrCorrupt, err)
	}
	return d, nil
}

// Incarnation returns which copy of the directory this is.
func (r *Replica) Incarnation(ctx context.Context) (core.Incarnation, error) {
	var inc core.Incarnation
	err := r.store.Read(ctx, func(v core.View) error {
		b, err := v.Meta(metaIncarnation)
		copy(inc[:], b)
		return err
	})
	return inc, err
}
