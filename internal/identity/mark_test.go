package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/soma-sdk/soma/internal/identity"
)

func TestMarkTellsCopies(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(path string) identity.Mark {
		t.Helper()
		m, err := identity.MarkOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	write(path, "one")
	first := mark(path)
	write(path, "written in place")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if got := mark(path + ".moved"); got != first {
		t.Errorf("mark changed from %x to %x by writing and moving", first, got)
	}
	write(path, "written in place")
	if got := mark(path); got == first && first != (identity.Mark{}) { // zero where the system tells nothing
		t.Errorf("a copy has the mark %x of the original", got)
	}
	if parsed, ok := identity.ParseMark(first[:]); !ok || parsed != first {
		t.Errorf("ParseMark(%x) = %x, %v", first[:], parsed, ok)
	}
	for _, bad := range [][]byte{nil, first[:23], append(first[:], 0)} {
		if _, ok := identity.ParseMark(bad); ok {
			t.Errorf("ParseMark(%x) was taken", bad)
		}
	}
	if _, err := identity.MarkOf(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("MarkOf(missing) = %v, want fs.ErrNotExist", err)
	}
}
