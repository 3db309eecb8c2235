package upload

import (
	"context"
	"io"

	"github.com/soma-sdk/soma/internal/core"
)

// Sink is where uploads go. It is called from several goroutines at once, but never twice at
// the same time for the same bytes in the same space. An error, or a panic, is one of the
// job; see Permanent for which are tried again. Both methods must return soon after ctx
// ends: Cancel, and Close, wait for them.
type Sink interface {
	// Has reports whether the space has the bytes, and how many they are. It is asked before
	// an Upload, which is left out if they are there, and after it, as the proof. A space
	// that has not, or does not know the bytes, is no error.
	Has(ctx context.Context, space core.SpaceID, cid core.CID) (size int64, found bool, err error)
	// Upload gives the bytes to the space. Body is at their beginning, holds exactly
	// Request.Size of them, which have Request.CID, and fails where the source has changed
	// meanwhile. It is for one goroutine, and only until Upload returns. A sink that has a
	// part of them from an earlier, interrupted call may Seek and go on from there. Uploading
	// what is there already must change nothing. Once Upload has returned nil the bytes are
	// durable, and that stays so if the job is cancelled.
	//
	// progress, which may be called from any goroutine and never blocks, says how many bytes
	// were sent; the others of the job do not wait for it.
	Upload(ctx context.Context, req Request, body io.ReadSeeker, progress func(sent int64)) error
}

// Request is what a Sink is to upload.
type Request struct {
	SpaceID core.SpaceID
	CID     core.CID
	Size    int64
	MIME    string // "" for unknown
	Name    string // of the file, "" for none
}

// Gate knows who may write.
type Gate interface {
	// MayPutBlobs returns core.ErrNotFound for an unknown space, and core.ErrForbidden for
	// one in which the local member may not write.
	MayPutBlobs(ctx context.Context, space core.SpaceID) error
}
