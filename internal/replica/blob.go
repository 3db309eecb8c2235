package replica

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// MayPutBlobs returns core.ErrNotFound for an unknown space, and core.ErrForbidden for one
// in which the local member may not write.
func (r *Replica) MayPutBlobs(ctx context.Context, space core.SpaceID) error {
	s, err := r.Space(ctx, space)
	if err == nil && !s.Role.Has(log.CapWrite) {
		err = core.ErrForbidden
	}
	return err
}

// PutBlob has a space hold a blob, and returns its row. What the space says of it already
// is not said again. In the same transaction it calls around, which calls put once and
// reports whether the bytes were not here before; the row is there after put. It returns
// core.ErrNotFound, core.ErrForbidden and what around returns.
func (r *Replica) PutBlob(
	ctx context.Context, space core.SpaceID, b core.NewBlob, source events.EventSource,
	around func(tx core.Tx, space int64, put func() error) (fresh bool, err error),
) (rec core.BlobRecord, err error) {
	err = r.write(ctx, source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		fresh, err := around(w.Tx, s.Key, func() error { return w.holdBlob(s, b) })
		if err != nil {
			return err
		}
		if fresh {
			if err := w.blobsCame(b.Hash); err != nil {
				return err
			}
		}
		rec, err = w.Blob(s.Key, b.Hash)
		return err
	})
	if err != nil {
		return core.BlobRecord{}, err
	}
	return rec, nil
}

func (w *work) holdBlob(space *core.SpaceRecord, b core.NewBlob) error {
	was, err := w.Blob(space.Key, b.Hash)
	if err != nil && !isNotFound(err) {
		return err
	}
	if b.MIME == "" {
		b.MIME = was.MIME
	}
	if b.Name == "" {
		b.Name = was.Name
	}
	if err == nil && b == (core.NewBlob{Hash: was.Hash, Size: was.Size, MIME: was.MIME, Name: was.Name}) {
		return nil
	}
	return w.appendBlobOp(space, log.BlobPut{Blob: b.Hash, Size: uint64(b.Size), MIME: b.MIME, Name: b.Name})
}

func (w *work) appendBlobOp(space *core.SpaceRecord, body log.Body) error {
	e, rec, err := w.append(space, body)
	if err != nil {
		return err
	}
	w.note(space, e, rec, true)
	return w.foldNoted()
}

// RemoveBlob has a space hold a blob no more. It returns core.ErrNotFound for an unknown
// space, and for a blob that it does not hold, and core.ErrForbidden.
func (r *Replica) RemoveBlob(ctx context.Context, space core.SpaceID, hash core.Hash, source events.EventSource) error {
	return r.write(ctx, source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		if _, err := w.Blob(s.Key, hash); err != nil {
			return err
		}
		return w.appendBlobOp(s, log.BlobRemove{Blob: hash})
	})
}

// Blob returns the row of a blob, or core.ErrNotFound.
func (r *Replica) Blob(ctx context.Context, space core.SpaceID, hash core.Hash) (rec core.BlobRecord, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		rec, err = v.Blob(s.Key, hash)
		return err
	})
	return rec, err
}

// Blobs returns up to limit blobs of a space with hashes greater than after, in order of
// hash.
func (r *Replica) Blobs(ctx context.Context, space core.SpaceID, after core.Hash, limit int) (recs []core.BlobRecord, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		recs, err = v.Blobs(s.Key, after, limit)
		return err
	})
	return recs, err
}

// BlobUsage returns how much of the blobs of a space is here, or, for "", of all blobs that
// some space holds.
func (r *Replica) BlobUsage(ctx context.Context, space core.SpaceID) (usage core.BlobUsage, err error) {
	if space == "" {
		err = r.store.Read(ctx, func(v core.View) error {
			usage, err = v.BlobUsage(0)
			return err
		})
		return usage, err
	}
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		usage, err = v.BlobUsage(s.Key)
		return err
	})
	return usage, err
}
