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
}
