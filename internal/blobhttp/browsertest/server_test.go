package browsertest

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

//go:embed page.html
var pageHTML []byte

//go:embed page.mjs
var pageJS []byte

// host is an app: a DB, and a server with a page and the handler.
type host struct {
	*httptest.Server
	t     *testing.T
	db    *soma.DB
	space soma.SpaceID

	mu    sync.Mutex
	bare  map[string]bare // what is served without the handler
	asked []request       // of the handler
	ran   []string        // what scripts told that run
}

type bare struct {
	mime string
	data []byte
}

type request struct {
	path, ranges, match string
	code                int
}

func newHost(t *testing.T) *host {
	h := &host{t: t, db: somatest.Open(t), bare: map[string]bare{}}
	space, err := h.db.Spaces().Create(t.Context(), soma.NewSpace{Name: "Files"})
	if err != nil {
		t.Fatal(err)
	}
	h.space = space.ID
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", send("text/html", pageHTML))
	mux.HandleFunc("GET /page.mjs", send("text/javascript", pageJS))
	mux.Handle("GET /multiformats/", http.StripPrefix("/multiformats", http.FileServer(http.Dir("node/node_modules/multiformats/dist/src"))))
	mux.HandleFunc("GET /bare/{name}", h.serveBare)
	mux.HandleFunc("POST /ran/{who}", h.hear)
	mux.HandleFunc("POST /put/{cid}", h.put)
	mux.Handle("/blobs/", h.noting(http.StripPrefix("/blobs", soma.BlobHandler(h.db))))
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func send(mime string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mime)
		_, _ = w.Write(data)
	}
}

func (h *host) serveBare(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	b := h.bare[r.PathValue("name")]
	h.mu.Unlock()
	send(b.mime, b.data)(w, r)
}

func (h *host) hear(_ http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ran = append(h.ran, r.PathValue("who"))
}

// put stores what the page sends, under the CID that it has computed.
func (h *host) put(w http.ResponseWriter, r *http.Request) {
	info, err := h.db.Blobs().Put(r.Context(), h.space, r.Body, soma.PutOptions{
		ExpectedCID: soma.CID(r.PathValue("cid")), MIME: r.Header.Get("Content-Type"),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprint(w, h.path(info.CID))
}

// noting remembers the requests that a handler gets.
func (h *host) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, request{r.URL.Path, r.Header.Get("Range"), r.Header.Get("If-None-Match"), sw.code})
		}()
		next.ServeHTTP(sw, r)
	})
}

type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// requests returns what the handler was asked for one blob.
func (h *host) requests(path string) []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(func(yield func(request) bool) {
		for _, r := range h.asked {
			if r.path == path && !yield(r) {
				return
			}
		}
	})
}

// hasRun reports whether a script told that it runs.
func (h *host) hasRun(who string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.ran, who)
}

func (h *host) path(cid soma.CID) string { return "/blobs/" + string(h.space) + "/" + string(cid) }

// store puts a blob, and returns the path to it.
func (h *host) store(t *testing.T, data []byte, mime, name string) string {
	t.Helper()
	info, err := h.db.Blobs().Put(t.Context(), h.space, bytes.NewReader(data), soma.PutOptions{MIME: mime, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return h.path(info.CID)
}

// bareStore has bytes served as any server would, and returns the path to them.
func (h *host) bareStore(data []byte, mime, name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name = strings.ReplaceAll(name, "/", "-")
	h.bare[name] = bare{mime, data}
	return "/bare/" + name
}
