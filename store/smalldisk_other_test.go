//go:build cgo && !linux

package store_test

import "testing"

func smallDisk(t *testing.T, _ string) string {
	t.Helper()
	t.Skip("a small disk is a tmpfs of Linux")
	return ""
}

// mountDisk makes a directory a small disk.
func mountDisk(t *testing.T, _, _ string) {
	t.Helper()
	t.Skip("small disks are made on Linux only")
}
