package blobhttp

import (
	"maps"
	"net/http"
)

// immutable is the Cache-Control of a blob: a CID never names other bytes.
const immutable = "private, max-age=31536000, immutable"

// answer holds the header back until there is a body, or none is to come. So damage that
// is found with the first bytes still has an answer of its own.
type answer struct {
	w      http.ResponseWriter
	header http.Header
	code   int
	sent   bool
}

func newAnswer(w http.ResponseWriter) *answer {
	return &answer{w: w, header: http.Header{}, code: http.StatusOK}
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) { a.code = code }

func (a *answer) Write(p []byte) (int, error) {
	a.send()
	return a.w.Write(p)
}

func (a *answer) send() {
	if a.sent {
		return
	}
	a.sent = true
	a.header.Set("X-Content-Type-Options", "nosniff")
	a.header.Set("Cache-Control", immutable)
	if a.code >= http.StatusBadRequest {
		a.header.Set("Cache-Control", "no-store")
		a.header.Del("Content-Disposition") // it is not the blob
	}
	maps.Copy(a.w.Header(), a.header)
	a.w.WriteHeader(a.code)
}
