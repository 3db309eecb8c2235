package soma

import (
	"context"
	"net/http"

	"github.com/soma-sdk/soma/internal/blobhttp"
	"github.com/soma-sdk/soma/internal/core"
)

// MaxBlobRanges bounds the ranges of one request to BlobHandler. More are answered with the
// whole blob.
const MaxBlobRanges = blobhttp.MaxRanges

// BlobHandlerOption configures BlobHandler.
type BlobHandlerOption func(*blobhttp.Config)

// WithAuthorize has the handler ask, for each request, whether who made it may see a space.
// The answer to an error is 403; the client does not learn what it says. It is asked
// before anything is looked at, also for spaces and blobs that there are none of, in the
// goroutine of the request. With several of these options all must agree; nil refuses all.
//
// Without it, whoever reaches the handler and knows the ID of a space and a CID can read the
// blob. A server on loopback is reached by every program and every web page on the machine.
func WithAuthorize(authorize func(*http.Request, SpaceID) error) BlobHandlerOption {
	return func(c *blobhttp.Config) { c.Authorize = append(c.Authorize, authorize) }
}

// BlobHandler returns a handler that serves the blobs of a DB under /{space}/{cid}, to GET
// and HEAD. It mounts under any prefix that is stripped, or in a pattern with these wildcards:
//
//	http.Handle("/blobs/", http.StripPrefix("/blobs", soma.BlobHandler(db)))
//	http.Handle("GET /files/{space}/{cid}", soma.BlobHandler(db))
//
// It is safe for concurrent use and streams in constant memory. It may be made before
// others use the DB and outlive it: after Close the answer is 503. An answer that is under
// way then is aborted; Close does not wait for it.
//
//   - Range with one or more ranges (206, 416), If-Range, If-Match and If-None-Match (304). The
//     ETag is the CID in quotes. What was served may be cached for ever, by this client alone.
//   - The media type is what the space says. One that is none is application/octet-stream;
//     parameters that need quotes are left out, but for codecs. Browsers are told not to guess.
//   - Other members choose bytes and types, so nothing in a blob runs: HTML, SVG, XML and all
//     else that may be active have a Content-Security-Policy that puts them into a sandbox, and
//     JavaScript is served as text/plain. PDF has no sandbox, which viewers do not work in.
//   - With ?download it is an attachment under its name, or else its CID; with
//     ?download=name.txt under that name. Slashes and control characters become "_".
//   - 404 for anything that is not held and here, whatever the reason, and for IDs that are
//     not in their canonical form; 405 for other methods.
//   - Bytes are checked as they are read. Damage is 500, or, if part of the answer was sent,
//     an aborted connection, so that no client takes a part for the whole. Errors are
//     reported to the DB's logger; the client sees the name of the status, never a path.
func BlobHandler(db *DB, opts ...BlobHandlerOption) http.Handler {
	c := blobhttp.Config{Open: db.openBlob, Logger: db.logger}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	return blobhttp.New(c)
}

func (db *DB) openBlob(ctx context.Context, space core.SpaceID, cid core.CID) (blobhttp.Blob, error) {
	blob, err := db.Blobs().Open(ctx, space, cid)
	if err != nil {
		return blobhttp.Blob{}, err
	}
	return blobhttp.Blob{Content: blob, MIME: blob.info.MIME, Name: blob.info.Name}, nil
}
