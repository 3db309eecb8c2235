//go:build cgo

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func TestLockRefusesSecondHandle(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, store.Options{})
	wantLocked(t, dir, os.Getpid())
	if err := setMeta(db, "k", "v"); err != nil {
		t.Errorf("write after a refused open = %v", err)
	}
	mustClose(t, db)
	mustClose(t, openIn(t, dir, store.Options{}))
	if _, err := os.Stat(filepath.Join(dir, "soma.lock")); err != nil {
		t.Errorf("lock file after Close: %v", err)
	}
}

func TestLockRefusesSecondProcess(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "holder", dir)
	wantLocked(t, dir, p.Process.Pid)
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("holder: %v", err)
	}
	mustClose(t, openIn(t, dir, store.Options{}))
}

func TestLockIsFreedByKill(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "holder", dir)
	wantLocked(t, dir, p.Process.Pid)
	p.kill(t)
	db := openIn(t, dir, store.Options{})
	wantLocked(t, dir, os.Getpid())
	mustClose(t, db)
}

func wantLocked(t *testing.T, dir string, pid int) {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if !errors.Is(err, core.ErrLocked) {
		if err == nil {
			mustClose(t, db)
		}
		t.Fatalf("Open of a used directory = %v, want ErrLocked", err)
	}
	var locked *store.LockedError
	if !errors.As(err, &locked) || locked.PID != pid || locked.Host == "" || locked.Dir != dir {
		t.Errorf("Open() = %#v, want process %d in %s", locked, pid, dir)
	}
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("message %q does not name the directory", err)
	}
}
