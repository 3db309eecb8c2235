package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// KeyFile is the name of the file that holds a directory's key: the 64 bytes of
// an ed25519.PrivateKey, seed and public key, so that damage to either shows.
const KeyFile = "identity.key"

// Identity is a member's key. Printing one shows its peer ID only.
type Identity struct {
	key ed25519.PrivateKey
}

// FromKey returns the identity of a key that the host keeps. No file is read or
// written: the host's key counts whatever the directory holds.
func FromKey(key ed25519.PrivateKey) (Identity, error) {
	if err := check(key); err != nil {
		return Identity{}, fmt.Errorf("identity from a given key: %w: %w", err, core.ErrInvalidOption)
	}
	return Identity{key: bytes.Clone(key)}, nil
}

// Load returns the identity that the directory keeps: core.ErrNotFound when it
// keeps none, core.ErrCorrupt when the file is not what was written.
func Load(dir string) (Identity, error) {
	id, err := load(filepath.Join(dir, KeyFile))
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	return id, nil
}

// LoadOrCreate returns the identity that the directory keeps, after making one
// if it keeps none. The new key is on disk, readable by the user only, before
// it is returned. An existing file is never written to: a damaged one is
// core.ErrCorrupt, since replacing it would lose the member.
func LoadOrCreate(dir string) (Identity, error) {
	path := filepath.Join(dir, KeyFile)
	id, err := load(path)
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, core.ErrNotFound) {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	if id, err = create(path); err != nil {
		return Identity{}, fmt.Errorf("create identity: %w", err)
	}
	return id, nil
}

// PeerID returns the member's public name.
func (id Identity) PeerID() core.PeerID {
	if id.key == nil {
		return core.PeerID{}
	}
	return core.PeerIDFromKey(id.key.Public().(ed25519.PublicKey))
}

// Key returns the private key. The caller must not change it.
func (id Identity) Key() ed25519.PrivateKey { return id.key }

// String returns the text of the peer ID.
func (id Identity) String() string { return id.PeerID().String() }

// GoString is String: %#v must not show the key either.
func (id Identity) GoString() string { return "identity.Identity{" + id.String() + "}" }

// check tells whether key has two halves that belong together.
func check(key []byte) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	if !bytes.Equal(ed25519.NewKeyFromSeed(key[:ed25519.SeedSize]), key) {
		return errors.New("key does not match its public half")
	}
	return nil
}

func load(path string) (Identity, error) {
	// Stat before opening: opening a pipe would wait for its other end.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%s: %w", path, core.ErrNotFound)
	}
	if err != nil {
		return Identity{}, err
	}
	if !info.Mode().IsRegular() {
		return Identity{}, fmt.Errorf("%s is not a file: %w", path, core.ErrCorrupt)
	}
	f, err := os.Open(path)
	if err != nil {
		return Identity{}, err
	}
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, ed25519.PrivateKeySize+1))
	if err != nil {
		return Identity{}, err
	}
	if err := check(key); err != nil {
		return Identity{}, fmt.Errorf("%s: %w: %w", path, err, core.ErrCorrupt)
	}
	return Identity{key: key}, nil
}

// create puts a new key at path, or returns the one that came first.
func create(path string) (Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, err
	}
	temp, err := writeTemp(path, key)
	if err != nil {
		return Identity{}, err
	}
	defer os.Remove(temp) // a leftover is a key that nobody uses
	if err := publish(temp, path); err != nil {
		return Identity{}, err
	}
	if err := disk.SyncDir(filepath.Dir(path)); err != nil {
		return Identity{}, fmt.Errorf("sync directory: %w", err)
	}
	return load(path)
}

// writeTemp writes a synced file beside path. os.CreateTemp makes it 0600.
func writeTemp(path string, content []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), KeyFile+".*.tmp")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// publish gives temp the name path unless something has it. A link never
// replaces a file, unlike a rename; where the file system has no links, the
// directory's lock is what keeps others away.
func publish(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if _, statErr := os.Lstat(path); !errors.Is(statErr, fs.ErrNotExist) {
		return errors.Join(err, statErr)
	}
	return os.Rename(temp, path)
}
