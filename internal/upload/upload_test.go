package upload_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

type hook = func(ctx context.Context, call int, req upload.Request, body io.ReadSeeker, progress func(int64)) error

// fails is a sink that always fails.
func fails(err error) hook {
	return func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error { return err }
}

func TestUpload(t *testing.T) {
	b := openBox(t, quick)
	path := b.file("a.txt", "from a file")
	for _, tt := range []struct {
		text string
		src  upload.Source
		path string
	}{
		{"from a file", upload.Source{Path: path, Name: "a.txt"}, path},
		{"from a reader", reader("from a reader"), ""},
		{"", reader(""), ""},
	} {
		job := b.enqueue("s", tt.src)
		if job.State != upload.Queued || job.ID == "" || job.Size != int64(len(tt.text)) || job.Path != tt.path || job.Spooled != (tt.path == "") {
			t.Errorf("Enqueue = %+v", job)
		}
		done := b.until(job.ID, upload.Done, upload.Failed)
		if done.State != upload.Done || done.CID != cidOf(tt.text) || done.SentBytes != int64(len(tt.text)) || done.Attempts != 1 || done.LastError != "" {
			t.Errorf("%q: job is %+v", tt.text, done)
		}
		if got := b.sink.text(keyOf("s", done.CID)); got != tt.text {
			t.Errorf("the sink has %q, want %q", got, tt.text)
		}
	}
	b.sink.check(t)
}

// Whatever a sink does, an attempt ends with an error, and the next one succeeds.
func TestFaults(t *testing.T) {
	mine := errors.New("mine")
	for name, tt := range map[string]struct {
		fault hook
		text  string // in LastError
	}{
		"error":         {fails(mine), "mine"},
		"disk full":     {fails(core.ErrDiskFull), "disk is full"},
		"not permanent": {fails(passing{core.ErrNotFound}), "not found"},
		"panic":         {func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error { panic("aargh") }, "aargh"},
		"no panic": {func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error {
			runtime.Goexit()
			return nil
		}, "ended its goroutine"},
		"half": {func(_ context.Context, _ int, _ upload.Request, body io.ReadSeeker, progress func(int64)) error {
			_, err := io.ReadFull(body, make([]byte, 3))
			progress(3)
			return errors.Join(err, io.ErrClosedPipe)
		}, "closed pipe"},
		"long":      {fails(errors.New(strings.Repeat("é", upload.MaxErrorBytes))), "éééé"},
		"odd bytes": {fails(errors.New("a\xff\x00b")), "a?\x00b"},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBox(t, quick)
			b.sink.before = func(ctx context.Context, call int, req upload.Request, body io.ReadSeeker, progress func(int64)) error {
				if call <= 2 {
					return tt.fault(ctx, call, req, body, progress)
				}
				return nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			news := b.Watch(ctx)
			id := b.enqueue("s", upload.Source{Path: b.file("f", "some text")}).ID
			waits := 0
			for job := range news {
				if job.State == upload.Waiting {
					waits++
					if !strings.Contains(job.LastError, tt.text) || len(job.LastError) > upload.MaxErrorBytes || job.Permanent || job.NextAttemptAtMs < b.clock.ms.Load() {
						t.Errorf("waiting job is %+v", job)
					}
				}
				if job.State.IsFinished() {
					break
				}
			}
			if job := b.get(id); job.State != upload.Done || job.Attempts != 3 || job.LastError != "" || job.NextAttemptAtMs != 0 {
				t.Errorf("job is %+v", job)
			}
			if waits == 0 {
				t.Error("the job never waited")
			}
			b.sink.check(t)
		})
	}
}

// passing is an error that knows better.
type passing struct{ error }

func (passing) Permanent() bool { return false }
func (p passing) Unwrap() error { return p.error }

func TestPermanentErrors(t *testing.T) {
	b := openBox(t, quick)
	var fault error
	b.sink.before = func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error {
		return fmt.Errorf("wrapped: %w", fault)
	}
	for i, err := range []error{
		core.ErrForbidden, core.ErrNotFound, core.ErrTooLarge, core.ErrQuota, core.ErrInvalidID, core.ErrInvalidName, core.ErrInvalidMIME,
		core.ErrInvalidCID, core.ErrInvalidSource, core.ErrInvalidOption, core.ErrInvalidURL, fs.ErrNotExist, fs.ErrPermission, syscall.EACCES,
		upload.Permanent(errors.New("mine")),
	} {
		fault = err
		job := b.until(b.enqueue("s", reader(fmt.Sprint(i))).ID, upload.Failed, upload.Waiting, upload.Done)
		if job.State != upload.Failed || !job.Permanent || job.Attempts != 1 || !strings.Contains(job.LastError, err.Error()) {
			t.Errorf("%v: job is %+v", err, job)
		}
	}
	if upload.Permanent(nil) != nil {
		t.Error("Permanent(nil) is an error")
	}
}

func TestAttemptsEnd(t *testing.T) {
	limits := quick
	limits.Attempts = 3
	b := openBox(t, limits)
	b.sink.before = fails(errors.New("no"))
	id := b.enqueue("s", reader("x")).ID
	for round := 1; round <= 2; round++ {
		job := b.until(id, upload.Failed)
		if job.Permanent || job.Attempts != 3 || job.LastError != "no" || b.sink.count() != 3*round {
			t.Errorf("job is %+v after %d calls", job, b.sink.count())
		}
		if round == 1 {
			if err := b.Retry(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			b.until(id, upload.Waiting, upload.Failed)
		}
	}
	b.limits.Attempts = 0
	b.reopen()
	if err := b.Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for job := range b.Watch(t.Context()) {
		if job.State == upload.Failed {
			t.Fatalf("job is %+v, want that it goes on for ever", job)
		}
		if job.Attempts > 12 {
			break
		}
	}
}

func TestBackoff(t *testing.T) {
	limits := quick
	limits.FirstWait, limits.MaxWait = time.Second, 5*time.Minute
	b := openBox(t, limits)
	for attempts, most := range map[int64]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1 << 40: 5 * time.Minute,
	} {
		low, high := false, false
		for range 2000 {
			wait := b.Backoff(attempts)
			if wait < 0 || wait > most {
				t.Fatalf("after %d attempts it waits %v, at most %v is right", attempts, wait, most)
			}
			low, high = low || wait < most/10, high || wait > most-most/10
		}
		if !low || !high {
			t.Errorf("after %d attempts waits are not spread over %v", attempts, most)
		}
	}
}

// A sink is not believed: it is asked.
func TestLyingSink(t *testing.T) {
	for name, has := range map[string]func(int64, bool) (int64, bool, error){
		"nothing there": func(int64, bool) (int64, bool, error) { return 0, false, nil },
		"another size":  func(size int64, found bool) (int64, bool, error) { return size + 1, found, nil },
		"an error": func(size int64, found bool) (int64, bool, error) {
			if !found {
				return 0, false, nil
			}
			return 0, false, errors.New("cannot say")
		},
		"a panic": func(size int64, found bool) (int64, bool, error) {
			if found {
				panic("has")
			}
			return 0, false, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			limits := quick
			limits.Attempts = 2
			b := openBox(t, limits)
			b.sink.has = has
			job := b.until(b.enqueue("s", reader("some")).ID, upload.Done, upload.Failed)
			if job.State != upload.Failed || job.LastError == "" || job.Attempts != 2 {
				t.Errorf("job is %+v", job)
			}
		})
	}
}

// A sink may read as it likes, also from where an earlier attempt ended.
func TestBody(t *testing.T) {
	b := openBox(t, quick)
	large := make([]byte, 700_001) // more than two blocks
	if _, err := rand.Read(large); err != nil {
		t.Fatal(err)
	}
	var kept io.ReadSeeker
	b.sink.before = func(_ context.Context, _ int, req upload.Request, body io.ReadSeeker, _ func(int64)) error {
		kept = body
		if size, err := body.Seek(0, io.SeekEnd); err != nil || size != req.Size || req.Size != int64(len(large)) || req.Name != "a.bin" || req.MIME != "text/plain" {
			return fmt.Errorf("end is %d, %w, of %+v", size, err, req)
		}
		if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			return fmt.Errorf("read at the end = %d, %w", n, err)
		}
		for _, at := range []int64{600_000, 0, 300_000, 262_143, 262_144, 5, 700_000} {
			if _, err := body.Seek(at, io.SeekStart); err != nil {
				return err
			}
			want := large[at:min(at+1000, int64(len(large)))]
			got := make([]byte, len(want))
			if _, err := io.ReadFull(body, got); err != nil || string(got) != string(want) {
				return fmt.Errorf("read at %d is wrong, %w", at, err)
			}
		}
		if at, err := body.Seek(-1, io.SeekCurrent); err != nil || at != 700_000 {
			return fmt.Errorf("seek back = %d, %w", at, err)
		}
		for _, to := range []struct {
			offset int64
			whence int
		}{{-1, io.SeekStart}, {0, 7}, {-700_002, io.SeekEnd}} {
			if _, err := body.Seek(to.offset, to.whence); !errors.Is(err, core.ErrOutOfRange) {
				return fmt.Errorf("seek to %v = %w", to, err)
			}
		}
		_, err := body.Seek(0, io.SeekStart)
		return err
	}
	job := b.until(b.enqueue("s", reader(string(large))).ID, upload.Done, upload.Waiting)
	if job.State != upload.Done || job.CID != cidOf(string(large)) {
		t.Fatalf("job is %+v", job)
	}
	if n, err := kept.Read(make([]byte, 10)); err == nil {
		t.Errorf("read after the upload = %d bytes", n)
	}
}

// What the sink gets is what was hashed, or nothing.
func TestSourceChanges(t *testing.T) {
	long := strings.Repeat("0123456789", 60_000)
	for name, change := range map[string]func(path string) error{
		"same size": func(path string) error {
			return os.WriteFile(path, []byte(strings.Replace(long, "0", "1", 50_000)), 0o600)
		},
		"the end": func(path string) error { return os.WriteFile(path, []byte(long[:len(long)-1]+"x"), 0o600) },
		"shorter": func(path string) error { return os.WriteFile(path, []byte(long[:400_000]), 0o600) },
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			b := openBox(t, quick)
			path := b.file("f", long)
			b.sink.before = func(_ context.Context, call int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
				if call == 1 {
					return change(path)
				}
				return nil
			}
			job := b.until(b.enqueue("s", upload.Source{Path: path}).ID, upload.Done, upload.Failed)
			now, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if job.State != upload.Done || job.Attempts != 2 || job.CID != cidOf(string(now)) || job.Size != int64(len(now)) {
				t.Errorf("job is %+v", job)
			}
			if len(b.sink.blobs) != 1 || b.sink.text(keyOf("s", job.CID)) != string(now) {
				t.Errorf("the sink has %d blobs", len(b.sink.blobs))
			}
		})
	}
	t.Run("longer", func(t *testing.T) { // what was hashed is still there
		b := openBox(t, quick)
		path := b.file("f", long)
		b.sink.before = func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error {
			return os.WriteFile(path, []byte(long+"more"), 0o600)
		}
		if job := b.until(b.enqueue("s", upload.Source{Path: path}).ID, upload.Done, upload.Failed); job.State != upload.Done || job.CID != cidOf(long) {
			t.Errorf("job is %+v", job)
		}
	})
}

func TestSourceGoes(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"removed":    os.Remove,
		"a folder":   func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a pipe":     func(path string) error { return errors.Join(os.Remove(path), makeFIFO(path)) },
		"a loop":     func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) },
		"too large":  func(path string) error { return os.WriteFile(path, make([]byte, 101), 0o600) },
		"its folder": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			limits := quick
			limits.Bytes = 100
			b := openBox(t, limits)
			path := b.file("f", "some text")
			b.sink.before = func(_ context.Context, call int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
				return errors.Join(errors.New("once"), change(path))
			}
			job := b.until(b.enqueue("s", upload.Source{Path: path}).ID, upload.Done, upload.Failed)
			if job.State != upload.Failed || !job.Permanent || job.Attempts != 2 || job.LastError == "" {
				t.Errorf("job is %+v", job)
			}
		})
	}
}

func TestSpoolDamaged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"flipped": func(path string) error { return os.WriteFile(path, []byte("spooled texs"), 0o600) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			b := openBox(t, quick)
			b.sink.before = func(_ context.Context, call int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
				names := b.spooled()
				return errors.Join(errors.New("once"), change(filepath.Join(b.dir, "uploads", names[0])))
			}
			job := b.until(b.enqueue("s", reader("spooled text")).ID, upload.Done, upload.Failed)
			if job.State != upload.Failed || !job.Permanent || job.Attempts != 2 || strings.Contains(job.LastError, b.dir) {
				t.Errorf("job is %+v", job)
			}
			if name == "flipped" && !strings.Contains(job.LastError, core.ErrCorrupt.Error()) {
				t.Errorf("error is %q", job.LastError)
			}
		})
	}
}

func TestSameBytes(t *testing.T) {
	limits := quick
	limits.Workers = 4
	b := openBox(t, limits)
	b.sink.before = func(_ context.Context, call int, _ upload.Request, body io.ReadSeeker, _ func(int64)) error {
		time.Sleep(5 * time.Millisecond) // others come meanwhile
		if call%3 == 0 {
			return errors.New("again")
		}
		return nil
	}
	path := b.file("f", "the same")
	var ids []string
	for i := range 50 {
		src := upload.Source{Path: path}
		if i%2 == 0 {
			src = reader("the same")
		}
		ids = append(ids, b.enqueue(core.SpaceID([]string{"s", "t"}[i%5/3]), src).ID)
	}
	other := b.enqueue("s", reader("another"))
	for _, id := range append(ids, other.ID) {
		if job := b.until(id, upload.Done, upload.Failed); job.State != upload.Done || job.SentBytes != job.Size {
			t.Errorf("job is %+v", job)
		}
	}
	b.sink.check(t)
	if len(b.sink.uploads) != 3 {
		t.Errorf("the sink took %v, want the bytes once for each space, and the other ones", b.sink.uploads)
	}
}

func TestThousandJobs(t *testing.T) {
	b := openBox(t, quick)
	b.sink.before = func(_ context.Context, call int, _ upload.Request, _ io.ReadSeeker, _ func(int64)) error {
		if call%10 == 0 {
			return errors.New("now and then")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	news := b.Watch(ctx) // which nobody reads for now
	dir := t.TempDir()
	for i := range upload.MaxFinished {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(fmt.Sprint("text ", i)), 0o600); err != nil {
			t.Fatal(err)
		}
		b.enqueue("s", upload.Source{Path: path})
	}
	ended := map[string]bool{}
	for len(ended) < upload.MaxFinished {
		job := <-news
		if ended[job.ID] {
			t.Fatalf("%+v comes after the end", job)
		}
		if job.State.IsFinished() {
			ended[job.ID] = true
			if job.State != upload.Done {
				t.Errorf("job is %+v", job)
			}
		}
	}
	if all := b.all(); len(all) != upload.MaxFinished {
		t.Errorf("%d jobs, want %d", len(all), upload.MaxFinished)
	}
	b.sink.check(t)
}
