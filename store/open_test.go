//go:build cgo

package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func TestOpenCreatesPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b ?#%41é")
	mustClose(t, openIn(t, dir, store.Options{}))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of %s = %v, %v, want 0700", dir, info.Mode(), err)
	}
	if got, want := names(t, dir), []string{"soma.db", "soma.lock"}; !slices.Equal(got, want) {
		t.Errorf("files after Close are %v, want %v", got, want)
	}
}

// Whatever the directory lets others do, they do not read the database.
func TestDatabaseIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	db := openIn(t, dir, store.Options{})
	for _, name := range []string{"soma.db", "soma.db-wal", "soma.db-shm"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s = %v, %v, want 0600", name, info.Mode(), err)
		}
	}
	mustClose(t, db)
}

func TestOpenRefusesAFileItCannotWrite(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to any file: run as another user")
	}
	dir := t.TempDir()
	mustClose(t, openIn(t, dir, store.Options{}))
	file := filepath.Join(dir, "soma.db")
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open = %v, want ErrPermission", err)
	}
	if got, want := names(t, dir), []string{"soma.db", "soma.lock"}; !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	mustClose(t, openIn(t, dir, store.Options{}))
}

func TestOpenRefusesWhatItCannotWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]error{
		filepath.Join(file, "dir"): syscall.ENOTDIR,
		file:                       syscall.ENOTDIR,
		"/proc/soma":               fs.ErrNotExist,
		"":                         core.ErrInvalidOption,
	} {
		if _, err := store.Open(dir, store.Options{}); !errors.Is(err, want) {
			t.Errorf("Open(%q) = %v, want %v", dir, err, want)
		}
	}
}

func TestOpenRefusesOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	for _, readers := range []int{-1, 65} {
		if _, err := store.Open(dir, store.Options{Readers: readers}); !errors.Is(err, core.ErrInvalidOption) {
			t.Errorf("Open with %d readers = %v, want ErrInvalidOption", readers, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat after a refusal = %v, want nothing there", err)
	}
}

func TestPragmas(t *testing.T) {
	for _, relaxed := range []bool{false, true} {
		dir := t.TempDir()
		for range 2 { // a new database and an old one
			db := openIn(t, dir, store.Options{Relaxed: relaxed})
			if err := db.CheckPragmas(relaxed); err != nil {
				t.Errorf("relaxed %v: %v", relaxed, err)
			}
			if err := db.ExecReader("INSERT INTO meta VALUES ('k', x'00')"); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("write through a reader = %v, want a permission error", err)
			}
			mustClose(t, db)
		}
	}
}

func TestTablesAreStrict(t *testing.T) {
	db := open(t, store.Options{})
	err := db.Write(context.Background(), func(core.Tx) error {
		n, err := db.Query("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%STRICT%'")
		if n != int64(0) {
			t.Errorf("%v tables are not STRICT", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
