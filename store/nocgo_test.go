//go:build !cgo

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func TestOpenWithoutCgoSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, core.ErrNoCgo) {
		t.Errorf("Open() = %v, want ErrNoCgo", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat after the refusal = %v, want nothing there", err)
	}
}
