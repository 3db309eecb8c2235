package blob

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// Log keeps which blobs spaces hold.
type Log interface {
	// MayPutBlobs returns core.ErrNotFound for an unknown space, and core.ErrForbidden for
	// one in which the local member may not write.
	MayPutBlobs(ctx context.Context, space core.SpaceID) error
	// PutBlob has a space hold a blob. In the transaction of that it calls around, which
	// calls put once and reports whether the bytes were not here before. It returns
	// core.ErrNotFound, core.ErrForbidden and what around returns.
	PutBlob(
		ctx context.Context, space core.SpaceID, b core.NewBlob, source events.EventSource,
		around func(tx core.Tx, space int64, put func() error) (fresh bool, err error),
	) (core.BlobRecord, error)
	// RemoveBlob has a space hold a blob no more. It returns core.ErrNotFound and
	// core.ErrForbidden.
	RemoveBlob(ctx context.Context, space core.SpaceID, hash core.Hash, source events.EventSource) error
	// Blob returns core.ErrNotFound.
	Blob(ctx context.Context, space core.SpaceID, hash core.Hash) (core.BlobRecord, error)
	// Blobs returns up to limit blobs after a hash, in order of hash.
	Blobs(ctx context.Context, space core.SpaceID, after core.Hash, limit int) ([]core.BlobRecord, error)
	// BlobUsage returns how much of a space is here, of all spaces for "".
	BlobUsage(ctx context.Context, space core.SpaceID) (core.BlobUsage, error)

	// WantBlob notes that the bytes of a blob are to come here, unless they are. It returns
	// core.ErrNotFound and core.ErrPinNone.
	WantBlob(ctx context.Context, space core.SpaceID, hash core.Hash) error
	// UnwantBlob takes that back, and reports whether they are wanted all the same. It
	// returns core.ErrNotFound for an unknown space.
	UnwantBlob(ctx context.Context, space core.SpaceID, hash core.Hash) (wanted bool, err error)
	// SetPin returns core.ErrNotFound for an unknown space and core.ErrInvalidOption.
	SetPin(ctx context.Context, space core.SpaceID, policy core.PinPolicy) error
	Pin(ctx context.Context, space core.SpaceID) (core.PinPolicy, error)
	// WantedBlobs and CountWantedBlobs are core.SharedBlobs.Wanted and CountWanted.
	WantedBlobs(ctx context.Context, space core.SpaceID, after core.WantedBlob, limit int) ([]core.WantedBlob, error)
	CountWantedBlobs(ctx context.Context, space core.SpaceID) (int, error)
	// BlobCame stores that the bytes of a blob are here that was wanted for a space: take
	// does so, in a transaction, and reports whether they were not here before. It returns
	// core.ErrNotFound if no space holds the blob any more, and what take returns.
	BlobCame(
		ctx context.Context, space core.SpaceID, hash core.Hash, take func(tx core.Tx, space int64) (fresh bool, err error),
	) error
}
