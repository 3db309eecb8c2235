package yprotocol_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

const nodeDir = "../yjstest/node"

// TestLiveProtocols plays fresh sessions in the real y-protocols and compares. And the
// committed ones must be what the generator makes. SOMA_YJS_LIVE is the number of
// sessions; SOMA_YJS_SEED repeats some of them.
func TestLiveProtocols(t *testing.T) {
	count := number(t, "SOMA_YJS_LIVE", 0)
	if count == 0 {
		t.Skip("SOMA_YJS_LIVE does not say how many sessions to play")
	}
	if err := yjstest.NodeReady(nodeDir); err != nil {
		t.Skip(err)
	}
	t.Run("fresh", func(t *testing.T) {
		seed := number(t, "SOMA_YJS_SEED", uint64(rand.Uint32()))
		t.Logf("%d sessions from seed %d", count, seed)
		var played tally
		play(t, count, seed, func(s *session) {
			played.add(s)
			if err := s.replay(t.Context()); err != nil {
				t.Errorf("session %d: %v", s.Seed, err)
			}
		})
		if count >= 100 {
			played.check(t)
		}
	})
	t.Run("fixture", func(t *testing.T) {
		committed := fixtureSessions(t)
		i := 0
		play(t, uint64(len(committed)), uint64(committed[0].Seed), func(s *session) {
			if i >= len(committed) || !equalJSON(t, s, committed[i]) {
				t.Errorf("session %d is not what the generator makes", s.Seed)
			}
			i++
		})
	})
}

// play has node play sessions and gives each to f.
func play(t *testing.T, count, seed uint64, f func(*session)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "protocols.mjs",
		"--count", strconv.FormatUint(count, 10), "--seed", strconv.FormatUint(seed, 10))
	cmd.Dir = nodeDir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var played uint64
	readErr := readSessions(out, func(s *session) {
		played++
		f(s)
	})
	if err := cmd.Wait(); err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	if readErr != nil || played != count {
		t.Fatalf("%d sessions, %v, want %d", played, readErr, count)
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
