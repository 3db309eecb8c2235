package blob

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

var _ core.SharedBlobs = (*Blobs)(nil)

// OpenBlob implements core.SharedBlobs.
func (b *Blobs) OpenBlob(ctx context.Context, space core.SpaceID, hash core.Hash) (core.BlobContent, error) {
	if _, err := b.log.Blob(ctx, space, hash); err != nil {
		return nil, err
	}
	return b.pool.Open(ctx, hash)
}

// Want implements core.SharedBlobs.
func (b *Blobs) Want(ctx context.Context, space core.SpaceID, hash core.Hash) error {
	return b.log.WantBlob(ctx, space, hash)
}

// Unwant implements core.SharedBlobs.
func (b *Blobs) Unwant(ctx context.Context, space core.SpaceID, hash core.Hash) error {
	wanted, err := b.log.UnwantBlob(ctx, space, hash)
	if err != nil || wanted {
		return err
	}
	return b.pool.Forget(hash)
}

// Wanted implements core.SharedBlobs.
func (b *Blobs) Wanted(ctx context.Context, space core.SpaceID, after core.WantedBlob, limit int) ([]core.WantedBlob, error) {
	return b.log.WantedBlobs(ctx, space, after, limit)
}

// CountWanted implements core.SharedBlobs.
func (b *Blobs) CountWanted(ctx context.Context, space core.SpaceID) (int, error) {
	return b.log.CountWantedBlobs(ctx, space)
}

// Pin returns the policy of a space, and SetPin changes it.
func (b *Blobs) Pin(ctx context.Context, space core.SpaceID) (core.PinPolicy, error) {
	return b.log.Pin(ctx, space)
}

// SetPin also returns core.ErrInvalidOption.
func (b *Blobs) SetPin(ctx context.Context, space core.SpaceID, policy core.PinPolicy) error {
	return b.log.SetPin(ctx, space, policy)
}

// Resume implements core.SharedBlobs.
func (b *Blobs) Resume(ctx context.Context, want core.WantedBlob) (core.PartialBlob, error) {
	rec, err := b.log.Blob(ctx, want.Space, want.Hash)
	switch {
	case err != nil:
		return nil, err
	case rec.Here:
		return nil, fmt.Errorf("blob %s is here: %w", core.CIDFromHash(want.Hash), core.ErrExists)
	case rec.Size > b.limits.Bytes:
		return nil, fmt.Errorf("blob of %d bytes, at most %d are allowed: %w", rec.Size, b.limits.Bytes, core.ErrTooLarge)
	}
	coming, err := b.pool.Resume(ctx, want.Hash, rec.Size)
	if err != nil {
		return nil, err
	}
	if err := b.mayCome(ctx, want.Space, coming); err != nil {
		_ = coming.Close()
		return nil, err
	}
	return &partial{coming, b, want}, nil
}

// mayCome returns core.ErrQuota if the rest of a blob would not fit, with what has come of
// it and of others.
func (b *Blobs) mayCome(ctx context.Context, space core.SpaceID, coming core.ComingBlob) error {
	if b.limits.Quota > 0 {
		came, err := b.pool.Coming()
		if err != nil {
			return err
		}
		if err := b.fits(ctx, "", b.limits.Quota, came+coming.Size()-coming.Offset()); err != nil {
			return err
		}
	}
	if b.limits.SpaceQuota > 0 {
		return b.fits(ctx, space, b.limits.SpaceQuota, coming.Size())
	}
	return nil
}

func (b *Blobs) fits(ctx context.Context, space core.SpaceID, limit, more int64) error {
	usage, err := b.log.BlobUsage(ctx, space)
	if err == nil && usage.Bytes+more > limit {
		err = fmt.Errorf("%d bytes would be here, at most %d are allowed: %w", usage.Bytes+more, limit, core.ErrQuota)
	}
	return err
}

// partial is a blob whose bytes are coming.
type partial struct {
	core.ComingBlob
	blobs *Blobs
	want  core.WantedBlob
}

// Commit implements core.PartialBlob.
func (p *partial) Commit(ctx context.Context) error {
	return p.ComingBlob.Commit(ctx, func(record func(core.Tx) (bool, error)) error {
		return p.blobs.log.BlobCame(ctx, p.want.Space, p.want.Hash, func(tx core.Tx, space int64) (fresh bool, err error) {
			err = p.blobs.withinQuotas(tx, space, func() error {
				fresh, err = record(tx)
				return err
			})
			return fresh, err
		})
	})
}
