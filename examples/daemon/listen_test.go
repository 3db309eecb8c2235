package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func socketConfig(t *testing.T) config { return config{socket: filepath.Join(shortDir(t), "run", "s")} }

// abandon leaves a socket as a daemon that was killed does.
func abandon(t *testing.T, path string) {
	t.Helper()
	l := must[*net.UnixListener](t)(net.ListenUnix("unix", &net.UnixAddr{Name: path}))
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListenIsPrivate(t *testing.T) {
	c := socketConfig(t)
	for range 2 { // the second time over what the first has left
		at, err := listen(c)
		if err != nil {
			t.Fatalf("listen = %v", err)
		}
		for path, want := range map[string]fs.FileMode{c.socket: fs.ModeSocket | 0o600, filepath.Dir(c.socket): fs.ModeDir | 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("Stat(%q) = %v, %v, want the mode %v", path, info.Mode(), err, want)
			}
		}
		if want := "unix:" + c.socket; at.address() != want {
			t.Errorf("address = %q, want %q", at.address(), want)
		}
		_ = at.listener.Close()
		at.close()
		abandon(t, c.socket)
	}
}

func TestListenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		before func(t *testing.T, path string)
		want   error
	}{
		"a daemon": {func(t *testing.T, path string) {
			at, err := listen(config{socket: path})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = at.listener.Close(); at.close() })
		}, errInUse},
		"another program": {func(t *testing.T, path string) {
			l := must[net.Listener](t)(net.Listen("unix", path))
			t.Cleanup(func() { _ = l.Close() })
		}, errInUse},
		"a file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrExist},
		"a folder of others": {func(t *testing.T, path string) {
			if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrPermission},
	} {
		t.Run(name, func(t *testing.T) {
			config := socketConfig(t)
			if err := os.Mkdir(filepath.Dir(config.socket), 0o700); err != nil {
				t.Fatal(err)
			}
			c.before(t, config.socket)
			before, _ := os.Lstat(config.socket)
			if _, err := listen(config); !errors.Is(err, c.want) {
				t.Errorf("listen = %v, want %v", err, c.want)
			}
			if after, _ := os.Lstat(config.socket); before != nil && (after == nil || !os.SameFile(before, after)) {
				t.Error("listen replaced what was there")
			}
		})
	}
}

func TestListenLongPath(t *testing.T) {
	long := filepath.Join(shortDir(t), strings.Repeat("a", maxSocketPath))
	if _, err := listen(config{socket: long}); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("listen(%q) = %v, want an error about its length", long, err)
	}
}
