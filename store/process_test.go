//go:build cgo

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// Some tests need a second process: the test binary runs itself with the role
// in this variable.
const roleVariable = "SOMA_STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "holder":
		os.Exit(holder(os.Args[1]))
	case "newer":
		os.Exit(newer(os.Args[1]))
	case "writer":
		os.Exit(writer(os.Args[1], os.Args[2] == "relaxed"))
	case "bringer":
		os.Exit(bringer(os.Args[1]))
	case "putter":
		os.Exit(putter(os.Args[1]))
	}
}

// holder opens a store, says so, and holds it until its input ends.
func holder(dir string) int {
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := db.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// newer stamps a later schema version, which then is in the log only, and waits
// for the kill.
func newer(dir string) int {
	db, err := store.Open(dir, store.Options{})
	if err == nil {
		err = db.Write(context.Background(), func(core.Tx) error { return db.Exec("PRAGMA user_version = 99") })
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// writer writes from several goroutines and prints each key once it is
// acknowledged. Each key is written with a second one in the same job, and some
// jobs fail, so that atomicity can be checked too.
func writer(dir string, relaxed bool) int {
	db, err := store.Open(dir, store.Options{Relaxed: relaxed})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("open")
	var out sync.Mutex
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d.%d.%d", os.Getpid(), g, i)
				err := db.Write(context.Background(), func(tx core.Tx) error {
					if err := tx.SetMeta("a "+key, []byte(strings.Repeat("x", 300))); err != nil {
						return err
					}
					if i%5 == 4 {
						return io.EOF
					}
					return tx.SetMeta("b "+key, []byte("y"))
				})
				if err != nil && !errors.Is(err, io.EOF) {
					fmt.Println("error", err)
					os.Exit(1)
				}
				if err == nil {
					out.Lock()
					fmt.Println(key)
					out.Unlock()
				}
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// process is a running role.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start runs a role and waits until it has opened its store.
func start(t *testing.T, role string, args ...string) *process {
	t.Helper()
	p := launch(t, role, args...)
	if !p.out.Scan() || p.out.Text() != "open" {
		t.Fatalf("%s says %q, want open", role, p.out.Text())
	}
	return p
}

// launch runs a role.
func launch(t *testing.T, role string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, args...)}
	p.Env = append(os.Environ(), roleVariable+"="+role)
	p.Stderr = os.Stderr
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the process as a crash would, and returns the lines that it had
// written and nobody had read.
func (p *process) kill(t *testing.T) []string {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for p.out.Scan() {
		lines = append(lines, p.out.Text())
	}
	_ = p.Wait() // "signal: killed"
	return lines
}
