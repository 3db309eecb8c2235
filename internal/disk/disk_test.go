package disk_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []string{"file"}
	bad := map[string]error{"": core.ErrInvalidSource, "none": fs.ErrNotExist, "a\x00b": syscall.EINVAL}
	if err := os.Symlink(in("file"), in("link")); err == nil {
		good = append(good, "link")
	} else if runtime.GOOS != "windows" { // where it takes a privilege
		t.Fatal(err)
	}
	if err := makeFIFO(in("pipe")); err == nil {
		bad["pipe"] = core.ErrInvalidSource
	} else if !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	for _, name := range good {
		f, info, err := disk.OpenRegular(in(name))
		if err != nil {
			t.Errorf("OpenRegular of %s = %v", name, err)
			continue
		}
		got, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil || string(got) != "text" || info.Size() != int64(len(got)) || !info.Mode().IsRegular() {
			t.Errorf("OpenRegular of %s reads %q, %v, %v", name, got, info, err)
		}
	}
	for name, want := range bad {
		if f, _, err := disk.OpenRegular(in(name)); !errors.Is(err, want) || f != nil {
			t.Errorf("OpenRegular of %q = %v, %v, want %v", name, f, err, want)
		}
	}
}

// A file that becomes a pipe between two looks at it is not waited for.
func TestOpenRegularOfWhatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := makeFIFO(path); err != nil {
		t.Skip(err)
	}
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			next := fmt.Sprint(path, ".next")
			var err error
			if n%2 == 0 {
				err = os.WriteFile(next, nil, 0o600)
			} else {
				err = makeFIFO(next)
			}
			if err = errors.Join(err, os.Rename(next, path)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 2000 {
		f, _, err := disk.OpenRegular(path)
		if err != nil && !errors.Is(err, core.ErrInvalidSource) {
			t.Errorf("OpenRegular = %v", err)
		}
		if f != nil {
			_ = f.Close()
		}
	}
	close(stop)
	swapper.Wait()
}

func TestFull(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.ENOSPC: true, syscall.EDQUOT: true, &fs.PathError{Op: "write", Err: syscall.ENOSPC}: true,
		syscall.EIO: false, io.ErrUnexpectedEOF: false, syscall.Errno(112): runtime.GOOS == "windows",
	} {
		if got := disk.Full(err); errors.Is(got, core.ErrDiskFull) != want || !errors.Is(got, err) {
			t.Errorf("Full(%v) = %v", err, got)
		}
	}
	if disk.Full(nil) != nil {
		t.Error("Full(nil) is an error")
	}
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := disk.SyncDir(dir); err != nil {
		t.Errorf("SyncDir = %v", err)
	}
	if err := disk.SyncDir(filepath.Join(dir, "none")); errors.Is(err, fs.ErrNotExist) == (runtime.GOOS == "windows") {
		t.Errorf("SyncDir of no folder = %v", err)
	}
}
