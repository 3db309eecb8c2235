package yjstest_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

const nodeDir = "node"

// needNode skips a test unless SOMA_YJS_LIVE asks for node and node is there.
func needNode(t *testing.T) {
	t.Helper()
	if os.Getenv("SOMA_YJS_LIVE") == "" {
		t.Skip("SOMA_YJS_LIVE is not set")
	}
	if err := yjstest.NodeReady(nodeDir); err != nil {
		t.Skip(err)
	}
}

// TestLiveFixtures makes the committed fixtures again: they must be what the
// generator beside them makes.
func TestLiveFixtures(t *testing.T) {
	needNode(t)
	dir := t.TempDir()
	cmd := exec.Command("node", "generate.mjs", "--out", dir)
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
	names := func(folder string) []string {
		files, err := filepath.Glob(filepath.Join(folder, "sessions-*.jsonl.gz"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		return files
	}
	committed := names("testdata")
	if made := names(dir); !slices.Equal(made, committed) {
		t.Fatalf("the generator makes %v, committed are %v", made, committed)
	}
	for _, name := range committed {
		if !bytes.Equal(unpacked(t, filepath.Join(dir, name)), unpacked(t, filepath.Join("testdata", name))) {
			t.Errorf("%s is not what the generator makes", name)
		}
	}
}

// unpacked reads a gzip file: compressors may differ, sessions may not.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLiveVerifier has yjs read what yjs wrote, and refuse what is no update.
func TestLiveVerifier(t *testing.T) {
	needNode(t)
	v, err := yjstest.NewVerifier(nodeDir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := readFixtures(t)[0]
	reading, err := v.Read(s.Roots, true, s.Updates...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := yjstest.CanonicalRoots(reading.Content)
	if err != nil {
		t.Fatal(err)
	}
	want, err := yjstest.CanonicalRoots(s.Content)
	if err != nil {
		t.Fatal(err)
	}
	if got != want || reading.Pending {
		t.Errorf("yjs reads %s (pending %v), want %s", got, reading.Pending, want)
	}
	merged, err := v.Merge(s.Merges[0].In...)
	if err != nil || !bytes.Equal(merged, s.Merges[0].Out) {
		t.Errorf("yjs merges to %x, %v, want %x", merged, err, s.Merges[0].Out)
	}
	if _, err := v.Read(s.Roots, true, []byte{1, 1, 1}); err == nil {
		t.Error("yjs took a damaged update")
	}
	// The process outlives a refusal.
	if _, err := v.Merge(s.Updates...); err != nil {
		t.Error(err)
	}
}
