package blobhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// Blob is an open blob, with what its space says of it.
type Blob struct {
	Content core.BlobContent
	MIME    string
	Name    string
}

// Open opens a blob that a space holds. ctx counts until it returns.
type Open func(ctx context.Context, space core.SpaceID, cid core.CID) (Blob, error)

// Authorize returns an error for a request that may not see a space.
type Authorize func(*http.Request, core.SpaceID) error

// Config is what a handler is made of. Authorize alone may be empty; nil in it refuses.
type Config struct {
	Open      Open
	Authorize []Authorize
	Logger    *slog.Logger
}

// MaxRanges bounds the ranges of one request. Each costs a look at the disk, whatever its
// size. The whole blob is the answer to more, as RFC 9110 14.2 allows.
const MaxRanges = 256

type handler Config

// New returns a handler for GET and HEAD of /{space}/{cid}.
func New(c Config) http.Handler { return handler(c) }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	space, cid, ok := target(r)
	if !ok {
		fail(w, http.StatusNotFound)
		return
	}
	if !h.authorized(r, space) { // before anything of the space is looked at
		fail(w, http.StatusForbidden)
		return
	}
	blob, err := h.Open(r.Context(), space, cid)
	if err != nil {
		h.refuse(w, cid, err)
		return
	}
	h.serve(w, r, cid, blob)
}

func (h handler) authorized(r *http.Request, space core.SpaceID) bool {
	for _, authorize := range h.Authorize {
		if authorize == nil || authorize(r, space) != nil {
			return false
		}
	}
	return true
}

func (h handler) serve(w http.ResponseWriter, r *http.Request, cid core.CID, blob Blob) {
	body := newBody(blob.Content)
	defer body.close()
	answer := newAnswer(w)
	describe(answer.Header(), r, cid, blob)
	http.ServeContent(answer, withServedRanges(r, body.size), "", time.Time{}, body)

	err := body.close()
	switch {
	case err == nil:
		answer.send()
	case !answer.sent:
		h.refuse(w, cid, err)
	default: // the client must not take a part for the whole
		h.Logger.Warn("blob served in part", "cid", cid, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// describe sets the header of an answer that has the blob in it.
func describe(header http.Header, r *http.Request, cid core.CID, blob Blob) {
	kind, active := contentType(blob.MIME)
	header.Set("Content-Type", kind)
	header.Set("ETag", `"`+string(cid)+`"`)
	if active {
		header.Set("Content-Security-Policy", sandbox)
	}
	if names, ok := r.URL.Query()["download"]; ok {
		header.Set("Content-Disposition", attachment(names[0], blob.Name, string(cid)))
	}
}

// emptyRange is the last no bytes. http.ServeContent would send that as a range before the
// end; by RFC 9110 14.1.2 it cannot be satisfied, as one that begins past the end.
var emptyRange = regexp.MustCompile(`([=,]\s*)-0+(\s*(?:,|$))`)

// withServedRanges returns r, without its ranges if they are not served, as RFC 9110 14.2
// allows: of other units than bytes, more than MaxRanges, and of nothing.
func withServedRanges(r *http.Request, size int64) *http.Request {
	ranges := r.Header.Get("Range")
	if ranges == "" {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	if size > 0 && strings.HasPrefix(ranges, "bytes=") && strings.Count(ranges, ",") < MaxRanges {
		r.Header.Set("Range", emptyRange.ReplaceAllString(ranges, fmt.Sprintf("${1}%d-${2}", size)))
	} else {
		r.Header.Del("Range")
	}
	return r
}

// refuse answers with what an error of the blob means. What it says stays here.
func (h handler) refuse(w http.ResponseWriter, cid core.CID, err error) {
	switch {
	case errors.Is(err, core.ErrNotFound), errors.Is(err, core.ErrNotHere),
		errors.Is(err, core.ErrInvalidCID), errors.Is(err, core.ErrInvalidID):
		fail(w, http.StatusNotFound)
	case errors.Is(err, core.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusServiceUnavailable)
	default:
		h.Logger.Warn("blob not served", "cid", cid, "err", err)
		fail(w, http.StatusInternalServerError)
	}
}

func fail(w http.ResponseWriter, code int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(code), code) // sets nosniff
}
