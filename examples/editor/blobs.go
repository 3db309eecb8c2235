package main

import (
	"context"
	"net/http"
	"time"

	"github.com/soma-sdk/soma"
)

// fetchPatience is how long a browser waits for bytes that another member has. They are
// fetched later all the same, and an event says when they have come.
const fetchPatience = 10 * time.Second

// putBlob stores the body, a file, and answers with the URL that documents name it by,
// which holds on all machines.
func (s *server) putBlob(w http.ResponseWriter, r *http.Request) {
	info, err := s.db.Blobs().Put(r.Context(), spaceOf(r), r.Body, soma.PutOptions{
		MIME: r.Header.Get("Content-Type"), Name: r.URL.Query().Get("name"),
	})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, soma.FormatBlobURL(info.SpaceID, info.CID))
}

// fetching has the bytes of a blob fetched first, if they are not here.
func (s *server) fetching(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), fetchPatience)
		defer cancel()
		blob, err := s.db.Blobs().Open(ctx, spaceOf(r), soma.CID(r.PathValue("cid")), soma.WithFetch())
		if err == nil {
			_ = blob.Close() // it was read only
		}
		next.ServeHTTP(w, r) // which says what is wrong
	})
}
