//go:build unix && cgo

package store_test

import (
	"syscall"
	"testing"
)

// makeFIFO makes a pipe with a name.
func makeFIFO(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
