package simtest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

// machine is a member with a directory.
type machine struct {
	w    *world
	n    int
	key  ed25519.PrivateKey
	peer soma.PeerID
	dir  string

	*soma.DB // nil while it is off
	host     host.Host
	backup   map[string][]byte // nil without
	notes    int               // how many there were then
}

func (w *world) addMachine(n int, dir string) *machine {
	key := peertest.Key(w.seed, fmt.Sprint("machine ", n))
	m := &machine{w: w, n: n, key: key, peer: peertest.Peer(key), dir: dir}
	w.machines = append(w.machines, m)
	return m
}

func (m *machine) String() string { return fmt.Sprint("machine ", m.n) }

// turnOn opens the directory and lets it sync.
func (m *machine) turnOn() error {
	key, err := crypto.UnmarshalEd25519PrivateKey(m.key)
	if err != nil {
		return err
	}
	m.w.net.set(func() { delete(m.w.net.down, m.n) })
	m.host = m.w.net.newHost(m.w.t, m.n, key)
	node, err := somasync.New(somasync.WithHost(m.host))
	if err != nil {
		return errors.Join(err, m.host.Close())
	}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	if m.w.verbose {
		logger = slog.New(slog.NewTextHandler(m.w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("machine", m.n)
	}
	m.DB, err = soma.Open(m.dir, soma.WithIdentity(m.key), soma.WithSync(node), soma.WithRelaxedDurability(), soma.WithoutSearch(), soma.WithLogger(logger))
	if err != nil {
		m.DB = nil
		return errors.Join(err, m.host.Close())
	}
	return nil
}

// turnOff ends the program in order.
func (m *machine) turnOff() error {
	if m.DB == nil {
		return nil
	}
	err := errors.Join(m.Close(), m.host.Close())
	m.DB, m.host = nil, nil
	return err
}

// kill ends the program as a crash does: what it does from now on reaches neither the
// network nor the directory.
func (m *machine) kill() error {
	m.w.net.set(func() { m.w.net.down[m.n] = true })
	image, err := m.image()
	if err != nil {
		return err
	}
	return errors.Join(m.turnOff(), m.putBack(image))
}

// image returns the files of the directory, at a moment at which nobody writes to it.
func (m *machine) image() (map[string][]byte, error) {
	synctest.Wait()
	image := map[string][]byte{}
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		image[path], err = os.ReadFile(path)
		return err
	})
	return image, err
}

// putBack makes the directory what it was. The files stay the same files, so that nothing
// on this machine tells that it was put back.
func (m *machine) putBack(image map[string][]byte) error {
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if _, kept := image[path]; err != nil || kept || !d.Type().IsRegular() {
			return err
		}
		return os.Remove(path)
	})
	for path, content := range image {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
	}
	return err
}

// replace is putBack with other files, as a restored backup is.
func (m *machine) replace(image map[string][]byte) error {
	if err := os.RemoveAll(m.dir); err != nil {
		return err
	}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	return m.putBack(image)
}
