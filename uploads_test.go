package soma_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// untilUpload waits for a job to have one of some states.
func untilUpload(t *testing.T, db *soma.DB, id string, states ...soma.UploadState) soma.UploadJob {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	news := db.Uploads().Watch(ctx)
	job, err := db.Uploads().Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	for ok := true; ok; {
		if slices.Contains(states, job.State) {
			return job
		}
		var next soma.UploadJob
		if next, ok = <-news; next.ID == id {
			job = next
		}
	}
	t.Fatalf("the watch ended, the job is %+v", job)
	return job
}

func enqueue(t *testing.T, db *soma.DB, space soma.SpaceID, src soma.UploadSource) soma.UploadJob {
	t.Helper()
	job, err := db.Uploads().Enqueue(t.Context(), space, src)
	if err != nil {
		t.Fatalf("Enqueue(%+v) = %v", src, err)
	}
	return job
}

func TestUploadsIntoBlobs(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	one, two := newSpace(t, db, "one"), newSpace(t, db, "two")
	path := filepath.Join(t.TempDir(), "note.txt")
	if err := os.WriteFile(path, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("a large text ", 100_000)
	for _, tt := range []struct {
		space      soma.SpaceID
		src        soma.UploadSource
		text       string
		name, mime string
	}{
		{one, soma.UploadSource{Path: path}, "from a file", "note.txt", "text/plain; charset=utf-8"},
		{two, soma.UploadSource{Path: path, Name: "other.txt", MIME: "text/markdown"}, "from a file", "other.txt", "text/markdown"},
		{one, soma.UploadSource{Reader: strings.NewReader(big), MIME: "text/plain"}, big, "", "text/plain"},
		{two, soma.UploadSource{Reader: strings.NewReader("")}, "", "", "text/plain"},
	} {
		job := untilUpload(t, db, enqueue(t, db, tt.space, tt.src).ID, soma.UploadDone, soma.UploadFailed)
		if job.State != soma.UploadDone || job.SentBytes != int64(len(tt.text)) || job.Size != job.SentBytes {
			t.Fatalf("job is %+v", job)
		}
		b, err := db.Blobs().Open(t.Context(), tt.space, job.CID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err != nil || string(got) != tt.text || b.Info().Name != tt.name || b.Info().MIME != tt.mime {
			t.Errorf("blob is %.20q, %+v, %v, want %.20q, %s, %s", got, b.Info(), err, tt.text, tt.name, tt.mime)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// faultySink is a sink of a host.
type faultySink struct {
	soma.UploadSink
	fail func(call int64) error
	n    atomic.Int64
	has  sync.Map // CID -> size
}

func (f *faultySink) Has(_ context.Context, _ soma.SpaceID, cid soma.CID) (int64, bool, error) {
	size, found := f.has.Load(cid)
	if !found {
		return 0, false, nil
	}
	return size.(int64), true, nil
}

func (f *faultySink) Upload(_ context.Context, req soma.UploadRequest, body io.ReadSeeker, progress func(int64)) error {
	if err := f.fail(f.n.Add(1)); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, body)
	if err == nil && n != req.Size {
		err = io.ErrUnexpectedEOF
	}
	progress(n)
	f.has.Store(req.CID, n)
	return err
}

func TestUploadSinkOfHost(t *testing.T) {
	t.Parallel()
	sink := &faultySink{fail: func(call int64) error {
		if call < 4 {
			return errors.New("no network")
		}
		return nil
	}}
	opts := []soma.Option{soma.WithUploadSink(sink), soma.WithUploadBackoff(time.Millisecond, time.Millisecond), soma.WithUploadAttempts(3)}
	db := somatest.Open(t, opts...)
	space := newSpace(t, db, "x")
	id := enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("text")}).ID
	if job := untilUpload(t, db, id, soma.UploadFailed, soma.UploadDone); job.State != soma.UploadFailed || job.Permanent || job.LastError != "no network" || job.Attempts != 3 {
		t.Errorf("job is %+v", job)
	}
	if err := db.Uploads().Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if job := untilUpload(t, db, id, soma.UploadFailed, soma.UploadDone); job.State != soma.UploadDone || job.Attempts != 1 {
		t.Errorf("job is %+v", job)
	}
	sink.fail = func(int64) error { return soma.PermanentUploadError(errors.New("refused")) }
	id = enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("other")}).ID
	if job := untilUpload(t, db, id, soma.UploadFailed, soma.UploadDone); job.State != soma.UploadFailed || !job.Permanent || job.LastError != "refused" {
		t.Errorf("job is %+v", job)
	}
	var all []soma.UploadState
	for job, err := range db.Uploads().List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, job.State)
	}
	if fmt.Sprint(all) != "[done failed]" {
		t.Errorf("List yields %v", all)
	}
	for job, err := range db.Uploads().List(t.Context(), soma.UploadFilter{SpaceID: "elsewhere"}, soma.UploadFilter{SpaceID: space, States: []soma.UploadState{soma.UploadFailed}}) {
		if err != nil || job.ID != id {
			t.Errorf("List yields %+v, %v, want the failed one", job, err)
		}
	}
}

// Enqueue asks before it reads, whatever the source is.
func TestEnqueueRefuses(t *testing.T) {
	t.Parallel()
	owner := somatest.Open(t, soma.WithMaxBlobBytes(10))
	viewer := somatest.Open(t)
	space := newSpace(t, owner, "x")
	ticket, err := owner.Spaces().Invite(t.Context(), space, soma.RoleViewer, soma.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := viewer.Spaces().Join(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	for _, way := range [][2]*soma.DB{{viewer, owner}, {owner, viewer}, {viewer, owner}, {owner, viewer}} { // until the ticket is used, and that is known
		if err := carry(t.Context(), space, way[0], way[1]); err != nil && !errors.Is(err, soma.ErrNotFound) {
			t.Fatal(err)
		}
	}
	text := func() soma.UploadSource { return soma.UploadSource{Reader: strings.NewReader("text")} }
	named, typed := text(), text()
	named.Name, typed.MIME = "a/b", "no type"
	unread := strings.NewReader("unread")
	for name, tt := range map[string]struct {
		db    *soma.DB
		space soma.SpaceID
		src   soma.UploadSource
		want  error
	}{
		"viewer":        {viewer, space, soma.UploadSource{Reader: unread}, soma.ErrForbidden},
		"unknown space": {owner, "nowhere", soma.UploadSource{Reader: unread}, soma.ErrNotFound},
		"no space":      {owner, "", text(), soma.ErrInvalidID},
		"no source":     {owner, space, soma.UploadSource{}, soma.ErrInvalidSource},
		"a folder":      {owner, space, soma.UploadSource{Path: t.TempDir()}, soma.ErrInvalidSource},
		"a bad name":    {owner, space, named, soma.ErrInvalidName},
		"a bad type":    {owner, space, typed, soma.ErrInvalidMIME},
		"too large":     {owner, space, soma.UploadSource{Reader: strings.NewReader("eleven byte")}, soma.ErrTooLarge},
	} {
		if job, err := tt.db.Uploads().Enqueue(t.Context(), tt.space, tt.src); !errors.Is(err, tt.want) || job.ID != "" {
			t.Errorf("%s: Enqueue = %+v, %v, want %v", name, job, err, tt.want)
		}
	}
	if unread.Len() != len("unread") {
		t.Error("the reader was read")
	}
	for _, db := range []*soma.DB{owner, viewer} {
		for job, err := range db.Uploads().List(t.Context()) {
			t.Errorf("List yields %+v, %v", job, err)
		}
	}
}

// What does not fit is not tried again.
func TestUploadBeyondQuota(t *testing.T) {
	t.Parallel()
	for _, quota := range []bool{false, true} {
		opts := []soma.Option{soma.WithUploadWorkers(1)}
		if quota {
			opts = append(opts, soma.WithBlobQuota(3))
		}
		db := somatest.Open(t, opts...)
		space := newSpace(t, db, "x")
		job := untilUpload(t, db, enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("text")}).ID, soma.UploadFailed, soma.UploadDone)
		if (job.State == soma.UploadFailed) != quota || job.Permanent != quota {
			t.Errorf("job is %+v", job)
		}
	}
}

// An upload tells the space's subscribers as what happens in the background does.
func TestUploadEvent(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "x")
	events := db.Subscribe(t.Context())
	enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("text")})
	if e := <-events; e.Kind != soma.SpaceChanged || e.SpaceID != space || e.Reason != soma.ReasonBlobs || e.Source != soma.SourceDaemon {
		t.Errorf("event is %+v", e)
	}
}

// Close does not wait for a reader that gives nothing, and what was copied of it harms nobody
// who opens the directory afterwards.
func TestCloseWhileEnqueueReads(t *testing.T) {
	t.Parallel()
	for _, reopen := range []bool{false, true} {
		dir := t.TempDir()
		db := somatest.OpenDir(t, dir)
		space := newSpace(t, db, "x")
		r, w := io.Pipe()
		enqueued := make(chan error, 1)
		go func() {
			_, err := db.Uploads().Enqueue(context.Background(), space, soma.UploadSource{Reader: r})
			enqueued <- err
		}()
		if _, err := w.Write([]byte("some")); err != nil {
			t.Fatal(err)
		}
		mustClose(t, db)
		if reopen {
			db = somatest.OpenDir(t, dir)
			other := enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("other")})
			untilUpload(t, db, other.ID, soma.UploadDone)
		}
		go func() { _, _ = w.Write([]byte("more")) }() // until r is closed, if nobody reads it
		if err := <-enqueued; !errors.Is(err, soma.ErrClosed) {
			t.Errorf("Enqueue = %v, want ErrClosed", err)
		}
		_ = r.Close() // never fails
		if reopen {
			mustClose(t, db) // a job is done a moment before its own file goes
		}
		if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) != 0 {
			t.Errorf("%v is left, %v", left, err)
		}
		db = somatest.OpenDir(t, dir)
		n := 0
		for job, err := range db.Uploads().List(t.Context()) {
			if n++; err != nil || job.State != soma.UploadDone {
				t.Errorf("List yields %+v, %v", job, err)
			}
		}
		if reopen != (n == 1) {
			t.Errorf("%d jobs after Close", n)
		}
		mustClose(t, db)
	}
}

// storedSink has stored the bytes when it is cancelled, and does not say so before it is closed.
type storedSink struct {
	uploading, asked chan struct{}
	stored           atomic.Bool
}

func (s *storedSink) Has(ctx context.Context, _ soma.SpaceID, _ soma.CID) (int64, bool, error) {
	if !s.stored.Load() {
		return 0, false, nil
	}
	close(s.asked)
	<-ctx.Done()
	return 0, false, ctx.Err()
}

func (s *storedSink) Upload(ctx context.Context, _ soma.UploadRequest, _ io.ReadSeeker, _ func(int64)) error {
	close(s.uploading)
	<-ctx.Done()
	s.stored.Store(true)
	return nil
}

// Close does not wait for a Cancel that waits for a sink, and what is stored is done.
func TestCloseWhileCancelWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sink := &storedSink{uploading: make(chan struct{}), asked: make(chan struct{})}
	db := somatest.OpenDir(t, dir, soma.WithUploadSink(sink))
	space := newSpace(t, db, "x")
	job := enqueue(t, db, space, soma.UploadSource{Reader: strings.NewReader("text")})
	<-sink.uploading
	cancelled := make(chan error, 1)
	go func() { cancelled <- db.Uploads().Cancel(context.Background(), job.ID) }()
	<-sink.asked
	mustClose(t, db)
	if err := <-cancelled; !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Cancel = %v, want ErrClosed", err)
	}
	has := &faultySink{fail: func(int64) error { return errors.New("uploaded again") }}
	has.has.Store(job.CID, job.Size)
	db = somatest.OpenDir(t, dir, soma.WithUploadSink(has))
	if job := untilUpload(t, db, job.ID, soma.UploadDone, soma.UploadFailed, soma.UploadCancelled); job.State != soma.UploadDone {
		t.Errorf("job is %+v", job)
	}
}

// What a blob may be called, an upload may be.
func TestUploadJobHoldsNames(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	name, kind := strings.Repeat("é", soma.MaxBlobNameBytes/2)+"x", "text/"+strings.Repeat("x", soma.MaxMIMEBytes-len("text/"))
	job := enqueue(t, db, newSpace(t, db, "x"), soma.UploadSource{Reader: strings.NewReader("text"), Name: name, MIME: kind})
	data, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := soma.ParseUploadJob(data); err != nil || got.Name != name || got.MIME != kind {
		t.Errorf("ParseUploadJob(%s) = %+v, %v", data, got, err)
	}
}
