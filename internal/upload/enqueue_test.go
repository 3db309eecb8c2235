package upload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

// panicky is a reader that panics after some bytes.
type panicky struct{ n int }

func (p *panicky) Read(b []byte) (int, error) {
	if p.n--; p.n < 0 {
		panic("reader")
	}
	return copy(b, "some bytes"), nil
}

// odd is a reader that breaks its contract.
type odd struct{ n int }

func (o odd) Read([]byte) (int, error) { return o.n, nil }

func TestEnqueueRefuses(t *testing.T) {
	limits := quick
	limits.Bytes = 20
	b := openBox(t, limits)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := makeFIFO(fifo); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	large := b.file("large", strings.Repeat("x", 21))
	mine := errors.New("mine")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context //nolint:containedctx // an argument of the call
		src  upload.Source
		want error
	}{
		"nothing":           {nil, upload.Source{}, core.ErrInvalidSource},
		"both":              {nil, upload.Source{Path: large, Reader: strings.NewReader("x")}, core.ErrInvalidSource},
		"a folder":          {nil, upload.Source{Path: dir}, core.ErrInvalidSource},
		"a pipe":            {nil, upload.Source{Path: fifo}, core.ErrInvalidSource},
		"no file":           {nil, upload.Source{Path: filepath.Join(dir, "none")}, core.ErrInvalidSource},
		"no file, as such":  {nil, upload.Source{Path: filepath.Join(dir, "none")}, fs.ErrNotExist},
		"under a file":      {nil, upload.Source{Path: filepath.Join(large, "x")}, core.ErrInvalidSource},
		"a NUL":             {nil, upload.Source{Path: "a\x00b"}, core.ErrInvalidSource},
		"no UTF-8":          {nil, upload.Source{Path: "a\xffb"}, core.ErrInvalidSource},
		"long path":         {nil, upload.Source{Path: "/" + strings.Repeat("x", upload.MaxPathBytes)}, core.ErrInvalidSource},
		"large file":        {nil, upload.Source{Path: large}, core.ErrTooLarge},
		"large reader":      {nil, reader(strings.Repeat("x", 21)), core.ErrTooLarge},
		"endless reader":    {nil, upload.Source{Reader: zeros{}}, core.ErrTooLarge},
		"failing reader":    {nil, upload.Source{Reader: io.MultiReader(strings.NewReader("some"), iotest.ErrReader(mine))}, mine},
		"truncated reader":  {nil, upload.Source{Reader: io.MultiReader(strings.NewReader("some"), iotest.ErrReader(io.ErrUnexpectedEOF))}, io.ErrUnexpectedEOF},
		"reader of nothing": {nil, upload.Source{Reader: odd{0}}, io.ErrNoProgress},
		"reader of less":    {nil, upload.Source{Reader: odd{-1}}, core.ErrInvalidSource},
		"reader of more":    {nil, upload.Source{Reader: odd{1 << 30}}, core.ErrInvalidSource},
		"ended":             {cancelled, reader("x"), context.Canceled},
	} {
		if tt.ctx == nil {
			tt.ctx = t.Context()
		}
		job, err := b.Enqueue(tt.ctx, "s", tt.src)
		if !errors.Is(err, tt.want) || job.ID != "" {
			t.Errorf("%s: Enqueue = %+v, %v, want %v", name, job, err, tt.want)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of the reader did not arrive")
			}
		}()
		_, err := b.Enqueue(t.Context(), "s", upload.Source{Reader: &panicky{1}})
		t.Errorf("Enqueue = %v after a panic", err)
	}()
	for _, refused := range []error{core.ErrForbidden, core.ErrNotFound} {
		b.gate.err = refused
		unread := &panicky{}
		if _, err := b.Enqueue(t.Context(), "s", upload.Source{Reader: unread}); !errors.Is(err, refused) {
			t.Errorf("Enqueue = %v, want %v", err, refused)
		}
	}
	if all := b.all(); len(all) != 0 {
		t.Errorf("jobs are %+v, want none", all)
	}
	if left := b.spooled(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestEnqueueOnFullDisk(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT} {
			b := openBox(t, quick)
			b.FillDisk(300_000, sync, &fs.PathError{Op: "write", Err: err})
			fits := b.enqueue("s", reader(strings.Repeat("x", 300_000)))
			if _, got := b.Enqueue(t.Context(), "s", reader(strings.Repeat("y", 300_001))); !errors.Is(got, core.ErrDiskFull) || !errors.Is(got, err) {
				t.Errorf("Enqueue = %v, want ErrDiskFull and %v", got, err)
			}
			b.until(fits.ID, upload.Done)
			if all := b.all(); len(all) != 1 {
				t.Errorf("jobs are %+v", all)
			}
			b.reopen()
			if left := b.spooled(); len(left) != 0 {
				t.Errorf("%v is left", left)
			}
		}
	}
}

func TestEnqueueAtTheLimit(t *testing.T) {
	limits := quick
	limits.Bytes = 20
	b := openBox(t, limits)
	text := strings.Repeat("x", 20)
	for _, src := range []upload.Source{{Path: b.file("f", text)}, reader(text), {Reader: iotest.OneByteReader(strings.NewReader(text))}, {Reader: iotest.DataErrReader(strings.NewReader(text))}} {
		if job := b.until(b.enqueue("s", src).ID, upload.Done, upload.Failed); job.State != upload.Done || job.CID != cidOf(text) {
			t.Errorf("job is %+v", job)
		}
	}
}

func TestTooManyJobs(t *testing.T) {
	b := openBox(t, quick)
	b.Close()
	later := b.clock.ms.Load() + 1<<40
	err := b.store.Write(t.Context(), func(tx core.Tx) error {
		for i := range upload.MaxJobs {
			rec := core.UploadRecord{ID: fmt.Sprint(i), Space: "s", Path: "/none", State: core.UploadWaiting, NextAttemptMs: later, UpdatedAtMs: b.clock.ms.Load()}
			if i == 0 {
				rec.State = core.UploadFailed
			}
			if err := tx.PutUpload(&rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.limits.MaxWait = 1 << 60
	b.reopen()
	path := b.file("f", "x")
	last := b.enqueue("s", upload.Source{Path: path})
	if done := b.until(last.ID, upload.Done, upload.Failed); done.State != upload.Done {
		t.Errorf("job is %+v", done)
	}
	b.clock.ms.Add(1) // the failed one is the oldest
	if err := b.Retry(t.Context(), "0"); err != nil {
		t.Fatal(err)
	}
	b.until("0", upload.Failed) // there is no such file
	if err := b.store.Write(t.Context(), func(tx core.Tx) error {
		return tx.PutUpload(&core.UploadRecord{ID: "one more", Space: "s", Path: "/none", State: core.UploadWaiting, NextAttemptMs: later})
	}); err != nil {
		t.Fatal(err)
	}
	unread := &panicky{}
	for _, src := range []upload.Source{{Path: path}, {Reader: unread}} {
		if _, err := b.Enqueue(t.Context(), "s", src); !errors.Is(err, core.ErrTooManyUploads) {
			t.Errorf("Enqueue = %v, want ErrTooManyUploads", err)
		}
	}
	if err := b.Retry(t.Context(), "0"); !errors.Is(err, core.ErrTooManyUploads) {
		t.Errorf("Retry = %v, want ErrTooManyUploads", err)
	}
	if err := b.Cancel(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	b.enqueue("s", upload.Source{Path: path})
}

func TestSpoolIsPrivateAndGoes(t *testing.T) {
	b := openBox(t, quick)
	release := make(chan struct{})
	b.sink.before = func(ctx context.Context, _ int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	done, cancelled := b.enqueue("s", reader("done")), b.enqueue("s", reader("cancelled"))
	for _, job := range []upload.Job{done, cancelled} {
		b.until(job.ID, upload.Uploading)
		info, err := os.Stat(filepath.Join(b.dir, "uploads", job.ID))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("spooled file is %v, %v", info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(b.dir, "uploads")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder is %v, %v", info, err)
	}
	if err := b.Cancel(t.Context(), cancelled.ID); err != nil {
		t.Fatal(err)
	}
	close(release)
	b.until(done.ID, upload.Done)
	b.reopen() // which waits for what is removed
	if left := b.spooled(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestSpoolIsSweptAtOpen(t *testing.T) {
	b := openBox(t, quick)
	b.sink.before = func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error { return core.ErrQuota }
	failed := b.enqueue("s", reader("kept"))
	b.until(failed.ID, upload.Failed)
	b.sink.before = nil
	done := b.enqueue("s", reader("done"))
	b.until(done.ID, upload.Done)
	b.close()
	stray := strings.Repeat("a", len(failed.ID))
	names := []string{"theirs", "theirs.part", stray + ".lost-x", stray, stray + ".part", failed.ID + ".part", done.ID}
	for _, name := range names {
		if err := os.WriteFile(b.spoolPath(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.open()
	b.wantSpooled(append(names[:3:3], failed.ID, fmt.Sprint(stray, ".lost-", b.clock.ms.Load()))...)
	if err := b.Retry(t.Context(), failed.ID); err != nil {
		t.Fatal(err)
	}
	b.until(failed.ID, upload.Done)
}

// Bytes without a job are kept for a while, and are there if the job comes back.
func TestSpoolOfLostJobs(t *testing.T) {
	b := openBox(t, quick)
	b.sink.before = func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error { return core.ErrQuota }
	one, two := b.enqueue("s", reader("one")), b.enqueue("s", reader("two"))
	recs := map[string]core.UploadRecord{}
	for _, job := range []upload.Job{one, two} {
		b.until(job.ID, upload.Failed)
		err := b.store.Write(t.Context(), func(tx core.Tx) error {
			rec, err := tx.Upload(job.ID)
			if err == nil {
				_, err = tx.DeleteUpload(rec.Key) // as if the database were an older one
			}
			rec.Key, recs[job.ID] = 0, rec
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	start := b.clock.ms.Load()
	b.reopen()
	lost := func(id string, atMs int64) string { return fmt.Sprint(id, ".lost-", atMs) }
	b.wantSpooled(lost(one.ID, start), lost(two.ID, start))
	b.clock.ms.Add(upload.LostTTL.Milliseconds() - 1)
	b.reopen()
	b.wantSpooled(lost(one.ID, start), lost(two.ID, start))

	// One comes back, in time.
	put := func(rec core.UploadRecord) {
		t.Helper()
		if err := b.store.Write(t.Context(), func(tx core.Tx) error { return tx.PutUpload(&rec) }); err != nil {
			t.Fatal(err)
		}
	}
	put(recs[one.ID])
	b.reopen()
	b.wantSpooled(one.ID, lost(two.ID, start))
	b.sink.before = nil
	if err := b.Retry(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	b.until(one.ID, upload.Done)
	b.reopen()
	b.wantSpooled(lost(two.ID, start))

	// A clock that was ahead makes it wait anew, not for ever.
	b.clock.ms.Store(start - 1000)
	b.reopen()
	b.wantSpooled(lost(two.ID, start-1000))

	// While there is a job that cannot be read, anything may be its own.
	damaged := core.UploadRecord{ID: strings.Repeat("b", len(two.ID)), Space: "s", Damaged: true}
	put(damaged)
	b.clock.ms.Store(start + upload.LostTTL.Milliseconds())
	b.reopen()
	b.wantSpooled(lost(two.ID, start-1000))
	if err := b.Remove(t.Context(), damaged.ID); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	b.wantSpooled()
}

// idle is a reader that gives nothing for some calls, and then a text.
type idle struct {
	left int
	text io.Reader
}

func (r *idle) Read(b []byte) (int, error) {
	if r.left--; r.left >= 0 {
		return 0, nil
	}
	return r.text.Read(b)
}

// A reader may give nothing now and then, less than 100 times.
func TestEnqueueOfIdleReader(t *testing.T) {
	b := openBox(t, quick)
	for n, want := range map[int]error{99: nil, 100: io.ErrNoProgress} {
		if _, err := b.Enqueue(t.Context(), "s", upload.Source{Reader: &idle{n, strings.NewReader("text")}}); !errors.Is(err, want) {
			t.Errorf("after nothing %d times: Enqueue = %v, want %v", n, err, want)
		}
	}
}
