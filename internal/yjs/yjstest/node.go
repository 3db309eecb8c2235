package yjstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// NodeReady reports why sessions cannot be had from node in dir, the folder
// node/ of this package: no node, or `npm ci` was not run there.
func NodeReady(dir string) error {
	if _, err := exec.LookPath("node"); err != nil {
		return fmt.Errorf("real yjs needs node: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "yjs")); err != nil {
		return fmt.Errorf("real yjs is not installed (npm ci): %w", err)
	}
	return nil
}

// LiveOptions say which sessions [Live] plays. Session i has the seed Seed+i.
type LiveOptions struct {
	Count  int
	Seed   uint32
	Family string // empty for all
}

// Live has node play fresh sessions and gives each to f, until f returns false.
// The summary is nil if f ended it.
func Live(ctx context.Context, dir string, opts LiveOptions, f func(*Session) bool) (*Summary, error) {
	args := []string{"live.mjs", "--count", strconv.Itoa(opts.Count), "--seed", strconv.FormatUint(uint64(opts.Seed), 10)}
	if opts.Family != "" {
		args = append(args, "--family", opts.Family)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("live sessions: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("live sessions: %w", err)
	}
	stopped := false
	summary, err := Read(out, func(s *Session) bool {
		stopped = !f(s)
		return !stopped
	})
	if stopped || err != nil {
		cancel()
	}
	if waitErr := cmd.Wait(); err == nil && waitErr != nil && !stopped {
		err = waitErr
	}
	if err == nil && summary == nil && !stopped {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("live sessions: %w\n%s", err, stderr.Bytes())
	}
	return summary, nil
}
