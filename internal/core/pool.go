package core

import (
	"context"
	"io"
)

// BlobPool keeps bytes on this machine, each once, under their sha2-256 hash. It knows nothing
// of spaces: which of its bytes are used is for rows of BlobView to say. It is safe
// for concurrent use.
type BlobPool interface {
	// Stage copies all that r gives to where nobody sees it yet. It reports
	// ErrTooLarge and ErrSizeMismatch as StageOptions says, ErrDiskFull, ctx's
	// error, and those of r as they are; nothing is left then.
	Stage(ctx context.Context, r io.Reader, opts StageOptions) (StagedBlob, error)
	// Open opens bytes. It reports ErrNotHere for bytes that are not here, and
	// ErrCorrupt for those that are known, or found, to be damaged. ctx counts until
	// it returns.
	Open(ctx context.Context, hash Hash) (BlobContent, error)
	// Resume returns a place for bytes that are to have a hash and at most size bytes, with
	// what came of them before. It reads all of that. It reports ErrExists while somebody
	// has it, and ErrDiskFull if there is no room for the rest beside a reserve.
	Resume(ctx context.Context, hash Hash, size int64) (ComingBlob, error)
	// Forget removes what came of bytes. Who is bringing them gets ErrNotFound.
	Forget(hash Hash) error
	// Coming returns how many bytes have come of those that are not whole yet.
	Coming() (int64, error)
	// Collect removes bytes that nothing has used since before a time, and what came of bytes
	// that are not wanted any more, which it does not count. Leftovers that are
	// as old it removes if they are wrong, and else counts as unused from a week later on,
	// or as here if a space holds them. Files that cannot be removed stay for a later run; it goes on, and
	// returns their errors as Scrub does.
	Collect(ctx context.Context, beforeMs int64) (CollectedBlobs, error)
	// Scrub hashes all bytes, and sets aside what is damaged or gone, which fn is told
	// of. An error of fn ends it and is returned. Bytes that cannot be read now are no
	// damage: it goes on, and returns the errors of the first 100, and the number of more,
	// at the end.
	Scrub(ctx context.Context, fn func(DamagedBlob) error) (ScrubbedBlobs, error)
}

// StageOptions says how Stage takes bytes.
type StageOptions struct {
	// Limit is how many bytes there may be: one more is ErrTooLarge, as is a Size above it,
	// before anything is read.
	Limit int64
	// Size is how many bytes there must be, if it is not negative: one more, or fewer at
	// the end, is ErrSizeMismatch.
	Size int64
	// Progress, if not nil, is called with how many bytes were copied, in the caller's
	// goroutine.
	Progress func(n int64)
}

// StagedBlob is bytes that are complete, but not in the pool yet. Either Commit or Discard
// must be called; Discard after Commit does nothing.
type StagedBlob interface {
	Hash() Hash
	Size() int64
	// Head returns the first bytes, as many as tell the media type.
	Head() []byte
	// Commit makes the bytes durable, in place of any with this hash, and calls write,
	// which must call record in a transaction of the store and return that transaction's
	// result. If write fails, the pool is as before. record reports whether the bytes were
	// not here before.
	Commit(ctx context.Context, write func(record func(Tx) (fresh bool, err error)) error) error
	Discard()
}

// ComingBlob is bytes that come in pieces, and are kept through restarts until they are
// whole. It is for one goroutine. Commit, Drop or Close must be called, once.
type ComingBlob interface {
	// Write appends. It takes none of more bytes than the size, which is ErrSizeMismatch, of
	// what the disk has no room for beside a reserve, ErrDiskFull, and after Forget, ErrNotFound.
	// If the disk fails, so does all that follows.
	io.Writer
	Offset() int64
	Size() int64
	// Commit checks the hash: wrong bytes are dropped, which is ErrCIDMismatch. Right ones
	// it stores as StagedBlob.Commit does; if that fails, they may be kept.
	Commit(ctx context.Context, write func(record func(Tx) (fresh bool, err error)) error) error
	// Drop removes the bytes. Close keeps them for the next Resume.
	Drop() error
	Close() error
}

// BlobContent is open bytes. It is for one goroutine, but for ReadAt. What it returns is
// checked: ErrCorrupt for damage, ErrClosed once the pool is closed.
type BlobContent interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

// CollectedBlobs is what Collect removed.
type CollectedBlobs struct {
	Blobs int
	Bytes int64
}

// ScrubbedBlobs is what Scrub looked at, without what it could not read.
type ScrubbedBlobs struct {
	Blobs   int
	Bytes   int64
	Damaged int
}

// DamagedBlob is bytes that are not what they should be.
type DamagedBlob struct {
	Hash   Hash
	Size   int64
	Gone   bool // there is no file
	Spaces []SpaceID
}
