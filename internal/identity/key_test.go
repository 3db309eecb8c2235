package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/identity"
)

func TestLoadOrCreate(t *testing.T) {
	dir := t.TempDir()
	if _, err := identity.Load(dir); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("Load(empty) = %v, want ErrNotFound", err)
	}
	first, err := identity.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := identity.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Key(), again.Key()) {
		t.Error("a second call made another key")
	}
	if got := core.PeerIDFromKey(first.Key().Public().(ed25519.PublicKey)); first.PeerID() != got || got.IsZero() {
		t.Errorf("PeerID() = %v, want %v", first.PeerID(), got)
	}
	info, err := os.Stat(filepath.Join(dir, identity.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode().Perm())
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("directory holds %v, want the key alone", names)
	}
}

func TestDamagedKeyIsRefusedAndKept(t *testing.T) {
	good := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	flipped := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	for name, content := range map[string][]byte{
		"empty":      {},
		"zero":       make([]byte, 64),
		"seed alone": good[:32],
		"short":      good[:63],
		"long":       append(bytes.Clone(good), 0),
		"huge":       make([]byte, 1<<20),
		"seed":       flipped(3),
		"public":     flipped(40),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, identity.KeyFile)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := identity.LoadOrCreate(dir); !errors.Is(err, core.ErrCorrupt) {
				t.Errorf("LoadOrCreate = %v, want ErrCorrupt", err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, identity.KeyFile), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.LoadOrCreate(dir); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("LoadOrCreate = %v, want ErrCorrupt", err)
		}
	})
}

// A file that appears while a key is being made must win over it.
func TestConcurrentCreateAgrees(t *testing.T) {
	dir := t.TempDir()
	ids := make([]identity.Identity, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, err := identity.LoadOrCreate(dir)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids[1:] {
		if id.PeerID() != ids[0].PeerID() {
			t.Fatalf("two keys were given out: %s, %s", id, ids[0])
		}
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("directory holds %v, want the key alone", names)
	}
}

func TestCreateInMissingDirectory(t *testing.T) {
	if _, err := identity.LoadOrCreate(filepath.Join(t.TempDir(), "none")); err == nil || errors.Is(err, core.ErrCorrupt) {
		t.Errorf("LoadOrCreate(missing directory) = %v, want an error of the file system", err)
	}
}

func TestFromKey(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	id, err := identity.FromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	want := id.PeerID()
	key[0] ^= 1 // the identity must have its own copy
	if id.Key()[0] == key[0] || id.PeerID() != want {
		t.Error("FromKey kept the caller's slice")
	}
	for name, bad := range map[string]ed25519.PrivateKey{"nil": nil, "seed": make([]byte, 32), "halves": key} {
		if _, err := identity.FromKey(bad); !errors.Is(err, core.ErrInvalidOption) {
			t.Errorf("FromKey(%s) = %v, want ErrInvalidOption", name, err)
		}
	}
}

func TestPrintingShowsNoKey(t *testing.T) {
	id, err := identity.FromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xab}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(verb, id); !strings.Contains(got, id.PeerID().String()) || strings.Contains(got, "171") || strings.Contains(got, "0xab") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if got := (identity.Identity{}).PeerID(); !got.IsZero() {
		t.Errorf("zero Identity is %s, want nobody", got)
	}
}

func list(t *testing.T, dir string) []string {
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
