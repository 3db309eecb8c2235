package upload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

// broken is an error all of whose methods panic.
type broken struct{}

func (*broken) Error() string   { panic("Error") }
func (*broken) Is(error) bool   { panic("Is") }
func (*broken) Permanent() bool { panic("Permanent") }

// A job says why it failed, whatever the sink has said, and names no path that is not there.
func TestErrorText(t *testing.T) {
	limits := quick
	limits.Attempts = 1
	b := openBox(t, limits)
	ours := func(elem ...string) string { return filepath.Join(append([]string{b.dir}, elem...)...) }
	theirs := filepath.Join(t.TempDir(), "f")
	var fault error
	b.sink.before = func(context.Context, int, upload.Request, io.ReadSeeker, func(int64)) error { return fault }
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"empty":          {errors.New(""), "unknown error"},
		"blank":          {errors.New(" \n"), "unknown error"},
		"an error":       {&broken{}, "panic: Error"},
		"a nil error":    {(*broken)(nil), "panic: Error"},
		"of ours":        {&fs.PathError{Op: "open", Path: ours("blobs", "tmp", "5"), Err: core.ErrCorrupt}, "open " + filepath.Join("blobs", "tmp", "5") + ": " + core.ErrCorrupt.Error()},
		"two of ours":    {errors.Join(errors.New(ours("a")), fmt.Errorf("%q", ours("b"))), "a\n\"b\""},
		"the folder":     {errors.New("mkdir " + b.dir), "mkdir " + b.dir},
		"next to it":     {errors.New("open " + b.dir + "2"), "open " + b.dir + "2"},
		"inside another": {errors.New("open /mnt" + ours("f")), "open /mnt" + ours("f")},
		"of the host":    {errors.New("open " + theirs), "open " + theirs},
		"long":           {errors.New(strings.Repeat("é", upload.MaxErrorBytes)), strings.Repeat("é", upload.MaxErrorBytes/2)},
		"no UTF-8":       {errors.New("a\xffb"), "a?b"},
	} {
		fault = tt.err
		if job := b.until(b.enqueue("s", reader(name)).ID, upload.Done, upload.Failed); job.State != upload.Failed || job.LastError != tt.want {
			t.Errorf("%s: job is %+v, want the error %q", name, job, tt.want)
		}
	}
}
