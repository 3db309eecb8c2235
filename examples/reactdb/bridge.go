package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/soma-sdk/soma"
)

const (
	maxRequests = 8  // for collections that run at a time: the others wait
	maxStreams  = 64 // of changes: beyond, a window hears none
)

// seqHeader is the field with the number of the newest change of a collection.
const seqHeader = "Soma-Seq"

// bridge gives windows their collections, over HTTP:
//
//	GET    /collections/tabs                   the snapshot, and its number in Soma-Seq
//	PUT    /collections/tabs?base=7&window=ID  SetItem of the body: {"seq":8,"same":true}
//	DELETE /collections/tabs?base=7&window=ID  RemoveItem, likewise
//	GET    /changes                            {"collection":"tabs","seq":8} for each change after
//	                                           the head of the answer, a line each, without end
//	POST   /uploads?space=ID&name=NAME         Enqueue of the body: the job
//
// The status 422 says that nothing was stored, nor ever will be, and why; any other but 200 that
// it may be tried again.
type bridge struct {
	db      *soma.DB
	names   []string // of the collections
	running chan struct{}
	streams chan struct{}
}

func newBridge(db *soma.DB) *bridge {
	names := []string{
		// Those that are ready-made have rules, which hold for the windows too.
		soma.Tabs(db, soma.WithMaxRecords(500), soma.WithEviction()).Name(),
		soma.Routing(db).Name(),
		soma.UIPreferences(db).Name(),
		soma.SpacesView(db).Name(),
		soma.PagesView(db).Name(),
		soma.CollectionUploadJobs,
		soma.CollectionDraftMailbox,
	}
	return &bridge{db, names, make(chan struct{}, maxRequests), make(chan struct{}, maxStreams)}
}

// handler serves whoever has the token.
func (b *bridge) handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /collections/{name}", b.collection(b.get))
	mux.HandleFunc("PUT /collections/{name}", b.collection(b.put))
	mux.HandleFunc("DELETE /collections/{name}", b.collection(b.remove))
	mux.HandleFunc("GET /changes", b.changes)
	mux.HandleFunc("POST /uploads", b.upload)
	return authorized(mux, token)
}

// authorized keeps out the pages and programs that reach 127.0.0.1 too.
func authorized(next http.Handler, token string) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "wrong token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// collection hands over a request for one of the collections.
func (b *bridge) collection(handle func(w http.ResponseWriter, r *http.Request, name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !slices.Contains(b.names, name) {
			http.Error(w, "no such collection", http.StatusUnprocessableEntity)
			return
		}
		select {
		case b.running <- struct{}{}:
			defer func() { <-b.running }()
		case <-r.Context().Done():
			return
		}
		if err := handle(w, r, name); err != nil {
			http.Error(w, err.Error(), status(err))
		}
	}
}

func (b *bridge) get(w http.ResponseWriter, r *http.Request, name string) error {
	snapshot, err := b.db.Collections().Snapshot(r.Context(), name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(seqHeader, strconv.FormatInt(snapshot.Seq, 10))
	_, _ = w.Write(snapshot.Value) // to whom is gone there is nothing to say
	return nil
}

func (b *bridge) put(w http.ResponseWriter, r *http.Request, name string) error {
	value, err := readBody(w, r)
	if err != nil {
		return err
	}
	return written(w, r, func(base int64, window soma.StorageOption) (soma.StorageResult, error) {
		return b.db.Collections().SetItem(r.Context(), name, value, base, window)
	})
}

func (b *bridge) remove(w http.ResponseWriter, r *http.Request, name string) error {
	return written(w, r, func(base int64, window soma.StorageOption) (soma.StorageResult, error) {
		return b.db.Collections().RemoveItem(r.Context(), name, base, window)
	})
}

// written answers a request with what became of its write.
func written(w http.ResponseWriter, r *http.Request, write func(base int64, window soma.StorageOption) (soma.StorageResult, error)) error {
	query := r.URL.Query()
	base, err := strconv.ParseInt(query.Get("base"), 10, 64)
	if err != nil {
		return fmt.Errorf("base: %w: %w", soma.ErrInvalidSeq, err)
	}
	result, err := write(base, soma.WithWindow(query.Get("window")))
	if err != nil {
		return err
	}
	writeJSON(w, struct {
		Seq  int64 `json:"seq"`
		Same bool  `json:"same"`
	}(result))
	return nil
}

// change says that a collection has changed, and what the number of its newest change is.
type change struct {
	Collection string `json:"collection"`
	Seq        int64  `json:"seq"`
}

// changes tells a window what to look at again. Who reads slowly hears less often: of what
// waits, a Watch keeps no more than it must.
func (b *bridge) changes(w http.ResponseWriter, r *http.Request) {
	select {
	case b.streams <- struct{}{}:
		defer func() { <-b.streams }()
	default:
		http.Error(w, "too many windows", http.StatusServiceUnavailable)
		return
	}
	ctx, stop := context.WithCancel(r.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	news := make(chan change)
	for _, name := range b.names {
		watch := b.db.Collections().Watch(ctx, name)
		watching.Go(func() {
			defer stop() // the DB is closed, if it is not the window that is gone
			for c := range watch {
				select {
				case news <- change{name, c.Seq}:
				case <-ctx.Done():
				}
			}
		})
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // it has none
	for out.Flush() == nil {
		select {
		case c := <-news:
			_ = json.NewEncoder(w).Encode(c) // Flush says it
		case <-ctx.Done():
			return
		}
	}
}

// upload puts a file into the outbox. The windows see the job in "uploadJobs".
func (b *bridge) upload(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	_ = errors.Join(out.SetReadDeadline(time.Time{}), out.SetWriteDeadline(time.Time{})) // a file may take its time
	query := r.URL.Query()
	job, err := b.db.Uploads().Enqueue(r.Context(), soma.SpaceID(query.Get("space")), soma.UploadSource{Reader: r.Body, Name: query.Get("name")})
	if err != nil {
		http.Error(w, err.Error(), status(err))
		return
	}
	writeJSON(w, job)
}

// readBody returns a snapshot, which has its limit.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, soma.MaxSnapshotBytes))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		err = fmt.Errorf("a snapshot has at most %d bytes: %w", tooLarge.Limit, soma.ErrTooLarge)
	}
	return body, err
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // to whom is gone there is nothing to say
}

// refusals are the errors that trying again does not help against.
var refusals = []error{
	soma.ErrInvalidJSON, soma.ErrInvalidSnapshot, soma.ErrInvalidRecord, soma.ErrInvalidSeq, soma.ErrInvalidOption,
	soma.ErrInvalidID, soma.ErrInvalidTime, soma.ErrClockSkew, soma.ErrTooLarge, soma.ErrCollectionFull, soma.ErrSchemaTooNew,
	soma.ErrInvalidName, soma.ErrTooManyUploads, soma.ErrNotFound, soma.ErrForbidden,
}

func status(err error) int {
	if slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) }) {
		return http.StatusUnprocessableEntity
	}
	return http.StatusServiceUnavailable
}
