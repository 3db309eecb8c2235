package core

import (
	"context"
	"io"
)

// PinPolicy says which bytes of a space's blobs are to be on this machine.
type PinPolicy uint8

// The policies.
const (
	PinOnDemand PinPolicy = 0 // those that somebody asked for
	PinAll      PinPolicy = 1 // all
	PinNone     PinPolicy = 2 // none that are not put here: nothing is fetched
)

// WantedBlob is bytes that are to come here: an obligation that a restart does not forget.
type WantedBlob struct {
	Space SpaceID
	Hash  Hash
	Size  int64 // as the space says
}

// SharedBlobs reads and brings the bytes of blobs.
type SharedBlobs interface {
	// OpenBlob opens bytes for a peer. It returns ErrNotFound for a blob that the space
	// does not hold and ErrNotHere.
	OpenBlob(ctx context.Context, space SpaceID, hash Hash) (BlobContent, error)
	// Want notes that the bytes of a blob are to come here. Those that are here need not.
	// Errors: ErrNotFound for a blob that the space does not hold; ErrPinNone.
	Want(ctx context.Context, space SpaceID, hash Hash) error
	// Unwant takes that back, and drops what has come of them.
	Unwant(ctx context.Context, space SpaceID, hash Hash) error
	// Wanted returns up to limit of the wanted blobs that are not here, of all spaces for "",
	// after one, in order of (space, hash): what was asked for, and what a policy says.
	Wanted(ctx context.Context, space SpaceID, after WantedBlob, limit int) ([]WantedBlob, error)
	// CountWanted returns how many there are of a space.
	CountWanted(ctx context.Context, space SpaceID) (int, error)
	// Resume returns a place for the bytes of a wanted blob, with what came before. It has
	// one user at a time: a second gets ErrExists, as does who wants what is here. Errors:
	// ErrQuota, ErrTooLarge; ErrDiskFull, if no sixteenth of the disk, or 64 MiB, would stay
	// free; ErrNotFound for a blob that the space does not hold any more.
	Resume(ctx context.Context, want WantedBlob) (PartialBlob, error)
}

// PartialBlob is bytes that are coming, kept through restarts until they are whole. It is
// for one goroutine. Either Commit, Drop or Close must be called.
type PartialBlob interface {
	io.Writer // appends; ErrDiskFull, ErrSizeMismatch for more than the size, ErrNotFound after Unwant
	// Offset returns how many bytes there are.
	Offset() int64
	Size() int64
	// Commit checks the hash, and makes the bytes those of the blob. Wrong ones are
	// ErrCIDMismatch, and dropped; ErrNotFound if no space holds the blob any more.
	Commit(ctx context.Context) error
	// Drop removes the bytes, Close keeps them for the next Resume.
	Drop() error
	Close() error
}
