package soma

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/core"
)

// blobSink is an UploadSink that puts bytes into the blobs of the DB. Nobody waits for that,
// so the events are of source daemon.
type blobSink struct{ blobs *blob.Blobs }

// Has implements UploadSink. It reads and hashes what is there, since it is the proof. Bytes
// that are damaged or elsewhere have to be put.
func (s blobSink) Has(ctx context.Context, space SpaceID, cid CID) (size int64, found bool, err error) {
	size, err = s.prove(ctx, space, cid)
	for _, missing := range []error{ErrNotFound, ErrNotHere, ErrCorrupt} {
		if errors.Is(err, missing) {
			return 0, false, nil
		}
	}
	return size, err == nil, err
}

// proofBytes is how much prove reads between two looks at ctx.
const proofBytes = 256 << 10

// prove reads a blob to its end. It returns ErrCorrupt for bytes that have another CID.
func (s blobSink) prove(ctx context.Context, space SpaceID, cid CID) (size int64, err error) {
	_, content, err := s.blobs.Open(ctx, space, cid)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	sum := sha256.New()
	size, err = io.CopyBuffer(sum, ctxReader{ctx, content}, make([]byte, min(content.Size()+1, proofBytes)))
	if err == nil && core.CIDFromHash(core.Hash(sum.Sum(nil))) != cid {
		err = ErrCorrupt
	}
	return size, err
}

// ctxReader ends with its ctx.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // it is that of one call
	r   io.Reader
}

// Read implements io.Reader.
func (c ctxReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// Upload implements UploadSink.
func (s blobSink) Upload(ctx context.Context, req UploadRequest, body io.ReadSeeker, progress func(sent int64)) error {
	_, err := s.blobs.Put(ctx, req.SpaceID, body, blob.Put{
		CID: req.CID, Size: req.Size, Sized: true, MIME: req.MIME, Name: req.Name, Source: SourceDaemon, Progress: progress,
	})
	return err
}
