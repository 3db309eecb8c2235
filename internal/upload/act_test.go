package upload_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

// held makes a sink that holds calls until a test lets go of them, with an error or without.
func held(s *sink) chan error {
	verdicts := make(chan error)
	s.before = func(ctx context.Context, _ int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
		select {
		case err := <-verdicts:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return verdicts
}

// slow has jobs wait for long.
var slow = upload.Limits{Workers: 1, Attempts: 3, FirstWait: 1 << 60, MaxWait: 1 << 60, Bytes: 1 << 30}

func (b *box) wantErr(what string, got, want error) {
	b.t.Helper()
	if !errors.Is(got, want) {
		b.t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestActs(t *testing.T) {
	b := openBox(t, slow)
	verdicts := held(b.sink)
	ctx := t.Context()
	running := b.enqueue("s", reader("running")).ID
	b.until(running, upload.Uploading)
	queued := b.enqueue("s", upload.Source{Path: b.file("f", "queued")}).ID
	for _, id := range []string{running, queued} {
		b.wantErr("Retry", b.Retry(ctx, id), core.ErrUploadState)
		b.wantErr("Remove", b.Remove(ctx, id), core.ErrUploadState)
	}
	b.wantErr("Cancel of a queued one", b.Cancel(ctx, queued), nil)
	b.wantErr("Cancel again", b.Cancel(ctx, queued), core.ErrUploadState)
	b.wantErr("Cancel of a running one", b.Cancel(ctx, running), nil)
	if job := b.get(running); job.State != upload.Cancelled || job.LastError != "" {
		t.Errorf("job is %+v", job)
	}
	b.wantErr("Retry of a cancelled reader", b.Retry(ctx, running), core.ErrInvalidSource)
	b.wantErr("Remove of a cancelled one", b.Remove(ctx, running), nil)

	b.wantErr("Retry of a cancelled path", b.Retry(ctx, queued), nil)
	b.until(queued, upload.Uploading)
	verdicts <- errors.New("once")
	if job := b.until(queued, upload.Waiting); job.Attempts != 1 || job.NextAttemptAtMs <= b.clock.ms.Load() {
		t.Errorf("job is %+v", job)
	}
	b.wantErr("Remove of a waiting one", b.Remove(ctx, queued), core.ErrUploadState)
	b.wantErr("Retry of a waiting one", b.Retry(ctx, queued), nil)
	if job := b.until(queued, upload.Uploading); job.Attempts != 1 || job.LastError != "" || job.NextAttemptAtMs != 0 {
		t.Errorf("job is %+v", job)
	}
	verdicts <- errors.New("again")
	b.until(queued, upload.Waiting)
	b.wantErr("Cancel of a waiting one", b.Cancel(ctx, queued), nil)
	b.wantErr("Retry", b.Retry(ctx, queued), nil)
	b.until(queued, upload.Uploading)
	verdicts <- nil
	b.until(queued, upload.Done)
	b.wantErr("Cancel of a done one", b.Cancel(ctx, queued), core.ErrUploadState)
	b.wantErr("Retry of a done one", b.Retry(ctx, queued), core.ErrUploadState)
	b.wantErr("Remove of a done one", b.Remove(ctx, queued), nil)
	for what, err := range map[string]error{
		"Cancel": b.Cancel(ctx, queued), "Retry": b.Retry(ctx, queued), "Remove": b.Remove(ctx, queued),
	} {
		b.wantErr(what+" of none", err, core.ErrNotFound)
	}
	if all := b.all(); len(all) != 0 {
		t.Errorf("jobs are %+v", all)
	}
}

// A job whose bytes are stored when Cancel comes is done.
func TestCancelComesLate(t *testing.T) {
	b := openBox(t, slow)
	stored, goOn := make(chan struct{}), make(chan struct{})
	b.sink.has = func(size int64, found bool) (int64, bool, error) {
		if found {
			close(stored)
			<-goOn
		}
		return size, found, nil
	}
	id := b.enqueue("s", reader("x")).ID
	<-stored
	late := make(chan error)
	go func() { late <- b.Cancel(t.Context(), id) }()
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	b.wantErr("Cancel until its ctx ends", b.Cancel(ended, id), context.DeadlineExceeded)
	close(goOn)
	b.wantErr("Cancel", <-late, core.ErrUploadState)
	if job := b.get(id); job.State != upload.Done {
		t.Errorf("job is %+v", job)
	}
}

// Nobody waits for a sink whose job is cancelled, once ctx ends; the job is cancelled then.
func TestCancelOfStubbornSink(t *testing.T) {
	b := openBox(t, slow)
	goOn := make(chan struct{})
	b.sink.before = func(ctx context.Context, _ int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
		<-goOn
		return ctx.Err()
	}
	id := b.enqueue("s", reader("x")).ID
	b.until(id, upload.Uploading)
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	b.wantErr("Cancel", b.Cancel(ended, id), context.DeadlineExceeded)
	close(goOn)
	b.until(id, upload.Cancelled)
}

func TestCancelWhileHashing(t *testing.T) {
	b := openBox(t, slow)
	large := b.file("large", "")
	if err := truncate(large, 20<<30); err != nil { // a hole of which hashing takes long
		t.Skip("no sparse files here")
	}
	b.limits.Bytes = 30 << 30
	b.reopen()
	id := b.enqueue("s", upload.Source{Path: large}).ID
	b.until(id, upload.Hashing)
	b.wantErr("Cancel", b.Cancel(t.Context(), id), nil)
	next := b.enqueue("s", reader("next")).ID
	b.until(next, upload.Done)
	if job := b.get(id); job.State != upload.Cancelled || job.CID != "" {
		t.Errorf("job is %+v", job)
	}
}

// Rows that are read from the disk say what is to be done, whatever it was that ended.
func TestRestartAtEveryState(t *testing.T) {
	b := openBox(t, slow)
	path := b.file("f", "text")
	b.Close()
	later := b.clock.ms.Load() + 1<<40
	want := map[string]upload.Job{}
	var spooled string
	for state := core.UploadQueued; state <= core.UploadCancelled; state++ {
		rec := core.UploadRecord{
			ID: string([]string{"queued", "hashing", "uploading", "verifying", "waiting", "done", "failed", "cancelled"}[state]), Space: core.SpaceID('a' + rune(state)),
			State: state, Path: path, Size: 4, Attempts: 2, SentBytes: 1, UpdatedAtMs: b.clock.ms.Load(), LastError: "before",
		}
		if state == core.UploadWaiting {
			rec.NextAttemptMs = later
		}
		if err := b.store.Write(t.Context(), func(tx core.Tx) error { return tx.PutUpload(&rec) }); err != nil {
			t.Fatal(err)
		}
		job := upload.Job{State: upload.State(rec.ID), Attempts: 2, SentBytes: 1, LastError: "before", NextAttemptAtMs: rec.NextAttemptMs}
		switch {
		case state.IsRunning(): // that attempt does not count
			job = upload.Job{State: upload.Done, Attempts: 2, SentBytes: 4}
		case state == core.UploadQueued:
			job = upload.Job{State: upload.Done, Attempts: 3, SentBytes: 4}
		}
		want[rec.ID] = job
	}
	b.reopen()
	for _, id := range []string{"queued", "hashing", "uploading", "verifying"} {
		b.until(id, upload.Done)
	}
	for _, got := range b.all() {
		w := want[got.ID]
		if got.State != w.State || got.Attempts != w.Attempts || got.SentBytes != w.SentBytes || got.LastError != w.LastError || got.NextAttemptAtMs != w.NextAttemptAtMs {
			t.Errorf("%s: job is %+v, want %+v", got.ID, got, w)
		}
		delete(want, got.ID)
	}
	if len(want) != 0 || spooled != "" {
		t.Errorf("%v are gone", want)
	}
}

// Close interrupts what runs, and the next Open begins it anew.
func TestCloseInterrupts(t *testing.T) {
	b := openBox(t, slow)
	verdicts := held(b.sink)
	running, queued := b.enqueue("s", reader("running")).ID, b.enqueue("s", reader("queued")).ID
	b.until(running, upload.Uploading)
	b.close()
	b.sink.before = nil
	b.open()
	for _, id := range []string{running, queued} {
		if job := b.until(id, upload.Done, upload.Failed); job.State != upload.Done || job.Attempts != 1 {
			t.Errorf("job is %+v", job)
		}
	}
	select {
	case verdicts <- nil:
		t.Error("a call of the sink outlived Close")
	default:
	}
	b.sink.check(t)
}

// A wait that is over at Open is not waited for, and a clock that was set back makes none long.
func TestWaitsAfterRestart(t *testing.T) {
	limits := quick
	b := openBox(t, limits)
	b.Close()
	for id, ms := range map[string]int64{"past": -5, "zero": -1 << 40, "soon": 2, "far": 1 << 50} {
		rec := core.UploadRecord{ID: id, Space: "s", Path: b.file("f", id), State: core.UploadWaiting, Attempts: 1, NextAttemptMs: max(b.clock.ms.Load()+ms, 0)}
		if err := b.store.Write(t.Context(), func(tx core.Tx) error { return tx.PutUpload(&rec) }); err != nil {
			t.Fatal(err)
		}
	}
	b.reopen()
	for _, id := range []string{"past", "zero", "soon", "far"} {
		if job := b.until(id, upload.Done, upload.Failed); job.State != upload.Done || job.Attempts != 2 {
			t.Errorf("job is %+v", job)
		}
	}
}

func TestFinishedAreForgotten(t *testing.T) {
	b := openBox(t, quick)
	b.sink.before = func(_ context.Context, _ int, req upload.Request, _ io.ReadSeeker, _ func(int64)) error {
		if req.SpaceID == "fail" {
			return core.ErrQuota
		}
		return nil
	}
	failed := b.enqueue("fail", reader("kept for a retry"))
	b.until(failed.ID, upload.Failed)
	b.clock.ms.Add(upload.FinishedTTL.Milliseconds() - 1)
	second := b.enqueue("s", reader("second")).ID
	b.until(second, upload.Done)
	b.get(failed.ID)
	b.clock.ms.Add(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	news := b.Watch(ctx)
	third := b.enqueue("s", reader("third")).ID
	for job := range news {
		if job.State == upload.Removed {
			if job.ID != failed.ID {
				t.Errorf("%+v is removed, want %s", job, failed.ID)
			}
			break
		}
	}
	b.until(third, upload.Done)
	if _, err := b.Get(t.Context(), failed.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	b.clock.ms.Add(upload.FinishedTTL.Milliseconds())
	b.reopen()
	if all := b.all(); len(all) != 0 {
		t.Errorf("jobs are %+v", all)
	}
	if left := b.spooled(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestTooManyFinished(t *testing.T) {
	b := openBox(t, quick)
	b.Close()
	err := b.store.Write(t.Context(), func(tx core.Tx) error {
		for i := range upload.MaxFinished + 20 {
			rec := core.UploadRecord{ID: newID(i), Space: "s", Path: "/f", State: core.UploadCancelled, UpdatedAtMs: b.clock.ms.Load() - int64(i), Damaged: i == upload.MaxFinished+19}
			if err := tx.PutUpload(&rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.reopen()
	n, damaged := 0, 0
	for after, more := int64(0), true; more; {
		page, next, err := b.Page(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			n++
			if l.Err != nil {
				damaged++
				b.wantErr("List", l.Err, core.ErrCorrupt)
				_, err := b.Get(t.Context(), l.Job.ID)
				b.wantErr("Get", err, core.ErrCorrupt)
				b.wantErr("Cancel", b.Cancel(t.Context(), l.Job.ID), core.ErrCorrupt)
				b.wantErr("Retry", b.Retry(t.Context(), l.Job.ID), core.ErrCorrupt)
			} else if l.Job.UpdatedAtMs <= b.clock.ms.Load()-upload.MaxFinished {
				t.Errorf("%+v is still there", l.Job)
			}
		}
		after, more = next, next != 0
	}
	if n != upload.MaxFinished || damaged != 1 {
		t.Errorf("%d jobs, %d of them damaged, want %d and 1", n, damaged, upload.MaxFinished)
	}
	b.wantErr("Remove of a damaged one", b.Remove(t.Context(), newID(upload.MaxFinished+19)), nil)
}
