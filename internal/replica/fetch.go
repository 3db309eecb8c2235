package replica

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// WantBlob notes that the bytes of a blob are to come here, unless they are. It returns
// core.ErrNotFound for an unknown space, and for a blob that it does not hold, and
// core.ErrPinNone.
func (r *Replica) WantBlob(ctx context.Context, space core.SpaceID, hash core.Hash) error {
	return r.write(ctx, events.SourceDaemon, func(w *work) error {
		s, err := w.space(space)
		if err != nil {
			return err
		}
		rec, err := w.Blob(s.Key, hash)
		if err != nil || rec.Here {
			return err
		}
		policy, err := w.Pin(space)
		if err == nil && policy == core.PinNone {
			err = core.ErrPinNone
		}
		if err != nil {
			return err
		}
		w.tell(space).Blobs = true
		return w.WantBlob(space, hash)
	})
}

// UnwantBlob takes that back, and reports whether the bytes are still wanted: for other
// spaces, or by a policy.
func (r *Replica) UnwantBlob(ctx context.Context, space core.SpaceID, hash core.Hash) (wanted bool, err error) {
	err = r.write(ctx, events.SourceDaemon, func(w *work) error {
		if _, err := w.space(space); err != nil {
			return err
		}
		if err := w.UnwantBlob(space, hash); err != nil {
			return err
		}
		w.tell(space).Blobs = true
		wanted, err = w.IsWanted(hash)
		return err
	})
	return wanted, err
}

// SetPin says which bytes of a space are to be here. It returns core.ErrNotFound for an
// unknown space and core.ErrInvalidOption.
func (r *Replica) SetPin(ctx context.Context, space core.SpaceID, policy core.PinPolicy) error {
	if policy > core.PinNone {
		return fmt.Errorf("pin policy %d: %w", policy, core.ErrInvalidOption)
	}
	return r.write(ctx, events.SourceDaemon, func(w *work) error {
		if _, err := w.space(space); err != nil {
			return err
		}
		w.tell(space).Blobs = true
		return w.SetPin(space, policy)
	})
}

// Pin returns what SetPin said, or core.ErrNotFound for an unknown space.
func (r *Replica) Pin(ctx context.Context, space core.SpaceID) (policy core.PinPolicy, err error) {
	err = r.readSpace(ctx, space, func(v core.View, _ *core.SpaceRecord) error {
		policy, err = v.Pin(space)
		return err
	})
	return policy, err
}

// WantedBlobs returns up to limit of the blobs whose bytes are to come here, of all spaces
// for "", after one, in order of (space, hash).
func (r *Replica) WantedBlobs(ctx context.Context, space core.SpaceID, after core.WantedBlob, limit int) (wanted []core.WantedBlob, err error) {
	if space != "" {
		err = r.readSpace(ctx, space, func(v core.View, _ *core.SpaceRecord) error {
			wanted, err = v.WantedBlobs(space, after.Hash, limit)
			return err
		})
		return wanted, err
	}
	err = r.store.Read(ctx, func(v core.View) error {
		wanted = nil
		for at := after; ; {
			if at.Space != "" {
				page, err := v.WantedBlobs(at.Space, at.Hash, limit-len(wanted))
				if err != nil && !isNotFound(err) { // it waits for its space
					return err
				}
				wanted = append(wanted, page...)
			}
			next, err := v.NextWanting(at.Space)
			if err != nil || next == "" || len(wanted) >= limit {
				return err
			}
			at = core.WantedBlob{Space: next}
		}
	})
	return wanted, err
}

// CountWantedBlobs returns how many there are of a space.
func (r *Replica) CountWantedBlobs(ctx context.Context, space core.SpaceID) (n int, err error) {
	err = r.readSpace(ctx, space, func(v core.View, _ *core.SpaceRecord) error {
		n, err = v.CountWantedBlobs(space)
		return err
	})
	return n, err
}

// BlobCame stores that the bytes of a blob are here that was wanted for a space: take does
// so, in a transaction, and reports whether they were not here before. It returns
// core.ErrNotFound if no space holds the blob any more, and what take returns.
func (r *Replica) BlobCame(ctx context.Context, space core.SpaceID, hash core.Hash, take func(tx core.Tx, space int64) (fresh bool, err error)) error {
	return r.write(ctx, events.SourceDaemon, func(w *work) error {
		s, err := w.space(space)
		if err != nil {
			return err
		}
		holders, err := w.BlobSpaces(hash)
		if err == nil && len(holders) == 0 {
			err = fmt.Errorf("blob %s: %w", core.CIDFromHash(hash), core.ErrNotFound)
		}
		if err != nil {
			return err
		}
		fresh, err := take(w.Tx, s.Key)
		if err != nil || !fresh {
			return err
		}
		return w.blobsCame(hash)
	})
}
