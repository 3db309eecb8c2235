package blobhttp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// serve starts a real server, for HTTP/1.1 or HTTP/2.
func serve(t *testing.T, h http.Handler, http2 bool) (base string, client *http.Client) {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = http2
	srv.Config.ErrorLog = nil
	if http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.URL, srv.Client()
}

// withoutLength is what middleware that compresses does to an answer: its end is nothing that
// its header tells.
func withoutLength(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(lengthless{w}, r) })
}

type lengthless struct{ http.ResponseWriter }

func (w lengthless) WriteHeader(code int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(code)
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// TestCutOff has a blob fail at many places. A client gets the status 500, or the beginning
// of what it asked for and an error, never an answer that looks whole.
func TestCutOff(t *testing.T) {
	const size = 300_000
	data := bytes.Repeat([]byte("0123456789"), size/10)
	short := errors.New("short") // the blob ends before its size
	for _, mode := range []struct{ http2, chunked bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		w := newWorld(t)
		h := w.handler()
		if mode.chunked {
			h = withoutLength(h)
		}
		base, client := serve(t, h, mode.http2)
		for _, failure := range []error{core.ErrCorrupt, core.ErrClosed, short} {
			err := failure
			if errors.Is(err, short) {
				err = io.EOF
			}
			for _, from := range []int64{0, 1, 4096, 100_000, size - 1} {
				cid := w.add(blob{data, "image/png", fmt.Sprint(failure, from), from, err})
				for _, ranges := range []string{"", "bytes=0-", "bytes=-1", "bytes=0-9,-10"} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path(cid), nil)
					if err != nil {
						t.Fatal(err)
					}
					if ranges != "" {
						r.Header.Set("Range", ranges)
					}
					what := fmt.Sprintf("%+v, %v from %d, range %q", mode, failure, from, ranges)
					resp, err := client.Do(r)
					if err != nil { // aborted before the header left the server
						continue
					}
					if (resp.ProtoMajor == 2) != mode.http2 {
						t.Fatalf("%s: spoken is %s", what, resp.Proto)
					}
					if resp.StatusCode >= 500 {
						plainError(t, what, resp)
						continue
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil {
						t.Errorf("%s: %d, %d bytes without an error", what, resp.StatusCode, len(got))
					}
					if ranges == "" && !bytes.HasPrefix(data, got) {
						t.Errorf("%s: other bytes", what)
					}
				}
			}
		}
	}
}

// TestDamageAtStart tells of damage in the first bytes by a status.
func TestDamageAtStart(t *testing.T) {
	for err, code := range map[error]int{core.ErrCorrupt: 500, core.ErrClosed: 503, io.EOF: 500} {
		w := newWorld(t)
		cid := w.add(blob{letters, "text/html", "", 20, err})
		resp := get(w.handler(), http.MethodGet, path(cid)+"?download", "Range", "bytes=20-25")
		if resp.StatusCode != code {
			t.Errorf("%v = %d, want %d", err, resp.StatusCode, code)
		}
		plainError(t, err.Error(), resp)
		if resp := get(w.handler(), http.MethodGet, path(cid), "Range", "bytes=0-9"); resp.StatusCode != 206 || text(t, resp) != "abcdefghij" {
			t.Errorf("%v: what is whole = %d", err, resp.StatusCode)
		}
	}
}

// brokenWriter is what middleware with a mistake is.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { panic("a mistake") }

// TestPanic closes the blob when something around it panics.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodGet, path(w.put(letters, "", "")), nil)
	defer func() {
		if recover() == nil {
			t.Error("the mistake is hidden")
		}
	}()
	w.handler().ServeHTTP(brokenWriter{httptest.NewRecorder()}, r)
}

// TestClientGoesAway closes the blob that a client does not read to its end, also while the
// goroutine reads that ServeContent starts for several ranges (run it with -race).
func TestClientGoesAway(t *testing.T) {
	w := newWorld(t)
	cid := w.put(bytes.Repeat(letters, 200_000), "", "")
	for _, http2 := range []bool{false, true} {
		base, client := serve(t, w.handler(), http2)
		for i := range 20 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path(cid), nil)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				r.Header.Set("Range", "bytes=0-1000000,1000001-3000000")
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, resp.Body, 10); err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
		client.CloseIdleConnections()
	}
	if strings.Contains(w.log.String(), "served in part") {
		t.Errorf("logged as damage: %s", w.log.String())
	}
}
