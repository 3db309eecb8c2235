package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
	"github.com/soma-sdk/soma/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink holds bytes, and does what a test wants before it takes them.
type sink struct {
	mu      sync.Mutex
	blobs   map[string][]byte // by space and CID
	uploads map[string]int    // how often bytes were taken
	now     map[string]bool   // what is being uploaded
	twice   bool              // the same bytes came twice at the same time
	calls   int

	// before, if not nil, is called with the number of the call, from 1 on.
	before func(ctx context.Context, call int, req upload.Request, body io.ReadSeeker, progress func(int64)) error
	has    func(size int64, found bool) (int64, bool, error)
}

func newSink() *sink {
	return &sink{blobs: map[string][]byte{}, uploads: map[string]int{}, now: map[string]bool{}}
}

func keyOf(space core.SpaceID, cid core.CID) string { return string(space) + "/" + string(cid) }

func (s *sink) Has(_ context.Context, space core.SpaceID, cid core.CID) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, found := s.blobs[keyOf(space, cid)]
	if s.has != nil {
		return s.has(int64(len(b)), found)
	}
	return int64(len(b)), found, nil
}

func (s *sink) Upload(ctx context.Context, req upload.Request, body io.ReadSeeker, progress func(int64)) error {
	key := keyOf(req.SpaceID, req.CID)
	s.mu.Lock()
	s.twice = s.twice || s.now[key]
	s.now[key] = true
	s.calls++
	call := s.calls
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.now, key)
		s.mu.Unlock()
	}()
	if s.before != nil {
		if err := s.before(ctx, call, req, body, progress); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	if core.CIDFromHash(sha256.Sum256(b)) != req.CID || int64(len(b)) != req.Size {
		return fmt.Errorf("%d bytes are not those of %s", len(b), req.CID)
	}
	progress(req.Size)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[key] = b
	s.uploads[key]++
	return nil
}

// text returns what the space has under a CID.
func (s *sink) text(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.blobs[key])
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// check fails if bytes came twice.
func (s *sink) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.twice {
		t.Error("the same bytes were uploaded twice at the same time")
	}
	for key, n := range s.uploads {
		if n != 1 {
			t.Errorf("%s was uploaded %d times", key, n)
		}
	}
}

// gate lets everybody write but where a test says so.
type gate struct{ err error }

func (g *gate) MayPutBlobs(context.Context, core.SpaceID) error { return g.err }

// clock is set by hand.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// box is an outbox on a store.
type box struct {
	*upload.Uploads
	t      *testing.T
	dir    string
	store  *store.DB
	sink   *sink
	gate   *gate
	clock  *clock
	limits upload.Limits
	mirror func(upload.Change)
	closed bool
}

var quick = upload.Limits{Workers: 2, Attempts: 10, FirstWait: time.Millisecond, MaxWait: 4 * time.Millisecond, Bytes: 1 << 30}

func openBox(t *testing.T, limits upload.Limits) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), sink: newSink(), gate: &gate{}, clock: &clock{}, limits: limits}
	b.clock.ms.Store(1_700_000_000_000)
	b.open()
	t.Cleanup(func() {
		if !b.closed {
			b.close()
		}
	})
	return b
}

func (b *box) open() {
	b.t.Helper()
	st, err := store.Open(b.dir, store.Options{Relaxed: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = st
	b.Uploads, err = upload.Open(b.t.Context(), upload.Config{
		Store: st, Gate: b.gate, Sink: b.sink, Dir: b.dir, Limits: b.limits, Now: b.clock.now, Logger: slog.New(slog.DiscardHandler),
	}, b.mirror)
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) close() {
	b.t.Helper()
	b.Close()
	if err := b.store.Close(); err != nil {
		b.t.Errorf("Close = %v", err)
	}
}

func (b *box) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

// file makes a file.
func (b *box) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// Enqueue is what the root does.
func (b *box) Enqueue(ctx context.Context, space core.SpaceID, src upload.Source) (upload.Job, error) {
	in, err := b.Prepare(ctx, space, src)
	if err != nil {
		return upload.Job{}, err
	}
	defer in.Discard()
	if err := in.Copy(ctx); err != nil {
		return upload.Job{}, err
	}
	return in.Commit(ctx)
}

func (b *box) enqueue(space core.SpaceID, src upload.Source) upload.Job {
	b.t.Helper()
	job, err := b.Enqueue(b.t.Context(), space, src)
	if err != nil {
		b.t.Fatalf("Enqueue(%+v) = %v", src, err)
	}
	return job
}

func (b *box) get(id string) upload.Job {
	b.t.Helper()
	job, err := b.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatalf("Get(%q) = %v", id, err)
	}
	return job
}

// until waits for a job to have one of some states.
func (b *box) until(id string, states ...upload.State) upload.Job {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	news := b.Watch(ctx)
	for job := b.get(id); ; {
		if slices.Contains(states, job.State) {
			return job
		}
		next, ok := <-news
		if !ok {
			b.t.Fatalf("the watch ended, the job is %+v", job)
		}
		if next.ID == id {
			job = next
		}
	}
}

func (b *box) all() (jobs []upload.Job) {
	b.t.Helper()
	for after, more := int64(0), true; more; {
		page, next, err := b.Page(b.t.Context(), after)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, l := range page {
			if l.Err != nil {
				b.t.Errorf("job %q: %v", l.Job.ID, l.Err)
			}
			jobs = append(jobs, l.Job)
		}
		after, more = next, next != 0
	}
	return jobs
}

// spooled returns the names in the folder of spooled bytes.
func (b *box) spooled() (names []string) {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, "uploads"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (b *box) spoolPath(name string) string { return filepath.Join(b.dir, "uploads", name) }

func (b *box) wantSpooled(want ...string) {
	b.t.Helper()
	slices.Sort(want)
	if got := b.spooled(); !slices.Equal(got, want) {
		b.t.Errorf("%v is spooled, want %v", got, want)
	}
}

func cidOf(text string) core.CID { return core.CIDFromHash(sha256.Sum256([]byte(text))) }

func reader(text string) upload.Source {
	return upload.Source{Reader: bytes.NewReader([]byte(text)), Name: "a.bin", MIME: "text/plain"}
}
