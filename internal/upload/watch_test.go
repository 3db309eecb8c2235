package upload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/upload"
)

func truncate(path string, size int64) error { return os.Truncate(path, size) }

func newID(i int) string { return fmt.Sprintf("job%d", i) }

// Progress comes at most ten times a second, states at once, and the end last.
func TestWatchIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBox(t, quick)
		const seconds, size = 5, 5000
		b.sink.before = func(ctx context.Context, _ int, _ upload.Request, _ io.ReadSeeker, progress func(int64)) error {
			for i := range int64(size) {
				time.Sleep(time.Millisecond)
				progress(i)
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		news := b.Watch(ctx)
		id := b.enqueue("s", reader(strings.Repeat("x", size))).ID
		var got []upload.State
		var last, shown int64
		progress := 0
		for job := range news {
			if n := len(got); n == 0 || got[n-1] != job.State {
				got = append(got, job.State)
			} else {
				progress++
				if job.SentBytes <= last {
					t.Errorf("progress went from %d to %d", last, job.SentBytes)
				}
			}
			if job.State == upload.Uploading {
				stored := b.get(id)
				shown = max(shown, stored.SentBytes)
			}
			last = job.SentBytes
			if job.State.IsFinished() {
				break
			}
		}
		inOrder := []upload.State{upload.Queued, upload.Hashing, upload.Uploading, upload.Verifying, upload.Done}
		for _, state := range got { // of states that pass at once the last is enough
			at := slices.Index(inOrder, state)
			if at < 0 {
				t.Fatalf("states are %v", got)
			}
			inOrder = inOrder[at+1:]
		}
		if len(inOrder) != 0 || !slices.Contains(got, upload.Uploading) || last != size {
			t.Errorf("states are %v with %d bytes at last", got, last)
		}
		if progress < seconds*10-5 || progress > seconds*10 {
			t.Errorf("progress was told %d times in %d seconds", progress, seconds)
		}
		if shown < size/2 {
			t.Errorf("Get showed %d bytes of %d at most", shown, size)
		}
		b.sink.check(t)
	})
}

// A crash loses at most a second of progress.
func TestProgressIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBox(t, quick)
		verdicts := make(chan error)
		b.sink.before = func(ctx context.Context, _ int, _ upload.Request, _ io.ReadSeeker, progress func(int64)) error {
			progress(-5)
			progress(1 << 40)
			progress(77)
			return <-verdicts
		}
		writes := 0
		b.mirror = func(c upload.Change) {
			if c.Job.State == upload.Uploading {
				writes++
			}
		}
		b.reopen()
		id := b.enqueue("s", reader(strings.Repeat("x", 100))).ID
		b.until(id, upload.Uploading)
		time.Sleep(1500 * time.Millisecond)
		b.stored(id, 77)
		time.Sleep(time.Hour)
		verdicts <- errors.New("no")
		b.until(id, upload.Waiting)
		verdicts <- nil
		b.until(id, upload.Done)
		if writes > 4 {
			t.Errorf("%d rows were written while uploading twice", writes)
		}
	})
}

// stored fails unless the row of a job says how many bytes were sent.
func (b *box) stored(id string, want int64) {
	b.t.Helper()
	row, err := b.Row(b.t.Context(), id)
	if err != nil || row.Job.SentBytes != want {
		b.t.Errorf("row is %+v, %v, want %d bytes", row, err, want)
	}
}

// What ends a job is never lost behind what comes later.
func TestNews(t *testing.T) {
	n := upload.NewNews(4)
	push := func(id string, s upload.State, sent int64) { n.Push(upload.Job{ID: id, State: s, SentBytes: sent}) }
	take := func(want string) {
		t.Helper()
		job, ok := n.Peek()
		if got := fmt.Sprint(job.ID, " ", job.State, " ", job.SentBytes); !ok || got != want {
			t.Errorf("next is %q, %v, want %q", got, ok, want)
		}
		n.Taken()
	}
	push("a", upload.Uploading, 1)
	push("a", upload.Uploading, 2)
	push("a", upload.Failed, 2)
	push("a", upload.Queued, 0) // after a Retry
	push("b", upload.Done, 9)
	push("b", upload.Removed, 9)
	take("a failed 2")
	take("a queued 0")
	take("b done 9")
	take("b removed 9")
	for i := range 5 {
		push(fmt.Sprint(i), upload.Queued, 0)
	}
	push("6", upload.Queued, 0)
	take(" list-again 0")
	if _, ok := n.Peek(); ok || n.Len() != 0 {
		t.Error("something waits beside list-again")
	}
	push("7", upload.Queued, 0)
	take("7 queued 0")
}
