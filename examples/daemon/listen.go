package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	maxSocketPath = 103 // bytes that every system takes
	probeTimeout  = time.Second
)

var errInUse = errors.New("a daemon listens there already")

// place is where the daemon listens.
type place struct {
	listener net.Listener
	lock     *flock.Flock // of the socket
	token    string       // over TCP
}

func listen(c config) (*place, error) {
	if c.tcp {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		return &place{listener: listener, token: newToken()}, nil
	}
	path, err := filepath.Abs(c.socket)
	if err != nil {
		return nil, err
	}
	at, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return at, nil
}

// listenUnix makes a socket that only this user can open. One that a daemon left which was
// killed is removed; the lock is for two that start at the same time.
func listenUnix(path string) (at *place, err error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path has %d bytes, at most %d are possible", len(path), maxSocketPath)
	}
	if err := privateFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	switch locked, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !locked:
		return nil, errInUse
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &place{listener: listener, lock: lock}, nil
}

// privateFolder makes the folder of the socket, or makes sure that nobody else gets into it.
// It does not change one that is there: others may live in it.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its folder is open to others (%#o): %w", mode, fs.ErrPermission)
	}
	return nil
}

// removeStale removes a socket at which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is something else: %w", fs.ErrExist)
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		return errors.Join(errInUse, conn.Close())
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return os.Remove(path)
}

// address returns the place as gRPC clients take it.
func (p *place) address() string {
	if p.token != "" {
		return p.listener.Addr().String()
	}
	return "unix:" + p.listener.Addr().String()
}

// close ends what listen began. The server has closed the listener.
func (p *place) close() {
	if p.lock != nil {
		_ = p.lock.Close()
	}
}
