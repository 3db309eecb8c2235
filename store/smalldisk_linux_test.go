//go:build cgo

package store_test

import (
	"syscall"
	"testing"
)

// smallDisk returns a directory with little room.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	mountDisk(t, dir, size)
	return dir
}

// mountDisk makes a directory a small disk, which cannot be removed for as long.
func mountDisk(t *testing.T, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}
