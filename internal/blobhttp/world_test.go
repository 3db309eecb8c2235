package blobhttp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/blobhttp"
	"github.com/soma-sdk/soma/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	space   = core.SpaceIDFromHash(sha256.Sum256([]byte("space")))
	missing = core.CIDFromHash(sha256.Sum256([]byte("missing")))
	letters = []byte("abcdefghijklmnopqrstuvwxyz")
)

// world is blobs in memory, of one space.
type world struct {
	t     testing.TB
	blobs map[core.CID]blob
	err   error // of every Open
	log   bytes.Buffer

	mu     sync.Mutex
	asked  int // Opens
	opened int
	closed int
}

// blob is bytes of which those from a place on cannot be read, if there is an error.
type blob struct {
	data       []byte
	mime, name string
	from       int64
	err        error
}

func (w *world) counts() (opened, closed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened, w.closed
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, blobs: map[core.CID]blob{}}
	t.Cleanup(func() {
		// A server that was closed does not wait for handlers of HTTP/2.
		for range 500 {
			if opened, closed := w.counts(); opened == closed {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		opened, closed := w.counts()
		t.Errorf("%d blobs were opened, %d closed", opened, closed)
	})
	return w
}

func (w *world) add(b blob) core.CID {
	cid := core.CIDFromHash(sha256.Sum256(append([]byte(b.mime+"\x00"+b.name+"\x00"), b.data...)))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blobs[cid] = b
	return cid
}

func (w *world) put(data []byte, mime, name string) core.CID {
	return w.add(blob{data: data, mime: mime, name: name})
}

func (w *world) handler(authorize ...blobhttp.Authorize) http.Handler {
	return blobhttp.New(blobhttp.Config{Open: w.open, Authorize: authorize, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
}

func (w *world) open(_ context.Context, s core.SpaceID, cid core.CID) (blobhttp.Blob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	b, ok := w.blobs[cid]
	switch {
	case w.err != nil:
		return blobhttp.Blob{}, w.err
	case s != space || !ok:
		return blobhttp.Blob{}, core.ErrNotFound
	}
	w.opened++
	return blobhttp.Blob{Content: &content{Reader: bytes.NewReader(b.data), w: w, blob: b}, MIME: b.mime, Name: b.name}, nil
}

// content is bytes that are read in small pieces, by one goroutine at a time.
type content struct {
	*bytes.Reader
	w       *world
	blob    blob
	reading sync.Mutex
	closed  bool
}

func (c *content) enter() {
	if !c.reading.TryLock() {
		c.w.t.Error("two goroutines use a blob at the same time")
		c.reading.Lock()
	}
	if c.closed {
		c.w.t.Error("a closed blob is used")
	}
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	c.enter()
	defer c.reading.Unlock()
	return c.Reader.Seek(offset, whence)
}

func (c *content) Read(p []byte) (int, error) {
	c.enter()
	defer c.reading.Unlock()
	at, _ := c.Reader.Seek(0, io.SeekCurrent)
	p = p[:min(len(p), 1<<12)]
	if c.blob.err != nil {
		if at >= c.blob.from {
			return 0, c.blob.err
		}
		p = p[:min(int64(len(p)), c.blob.from-at)]
	}
	return c.Reader.Read(p)
}

func (c *content) Close() error {
	c.enter()
	defer c.reading.Unlock()
	c.closed = true
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.closed++
	return errors.New("closing changes nothing")
}

func path(cid core.CID) string { return "/" + string(space) + "/" + string(cid) }

// get asks a handler with header fields, name and value by turns.
func get(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(data)
}
