package yjs_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

const (
	fixtures = "yjstest/testdata/sessions-*.jsonl.gz"
	nodeDir  = "yjstest/node"
)

// maxShrunk is the number of failing sessions that are made smaller.
const maxShrunk = 10

// TestLive plays fresh sessions in real yjs, compares this engine with them, and
// has real yjs read what this engine wrote. SOMA_YJS_LIVE is the number of
// sessions; SOMA_YJS_SEED and SOMA_YJS_FAMILY repeat some of them.
func TestLive(t *testing.T) {
	count := liveSessions(t)
	opts := yjstest.LiveOptions{Count: count, Seed: rand.Uint32(), Family: os.Getenv("SOMA_YJS_FAMILY")}
	if seed, ok := number(t, "SOMA_YJS_SEED"); ok {
		opts.Seed = uint32(seed)
	}
	t.Logf("%d sessions from seed %d", opts.Count, opts.Seed)

	verifier, err := yjstest.NewVerifier(nodeDir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := verifier.Close(); err != nil {
			t.Error(err)
		}
	}()
	sessions := make(chan *yjstest.Session)
	var judges sync.WaitGroup
	var shrunk atomic.Int32
	for range 2 {
		judges.Go(func() {
			for s := range sessions {
				failures := yjstest.Failures(engine{}, s)
				for check, err := range failures {
					t.Errorf("%s: %v", check, err)
				}
				if len(failures) > 0 && shrunk.Add(1) <= maxShrunk {
					t.Errorf("session %s/%d, smaller: %s", s.Family, s.Seed, verifier.Shrink(engine{}, s))
				}
				if err := verifier.Verify(engine{}, s); err != nil {
					t.Errorf("read by yjs: %v", err)
				}
			}
		})
	}
	summary, err := yjstest.Live(t.Context(), nodeDir, opts, func(s *yjstest.Session) bool {
		sessions <- s
		return true
	})
	close(sessions)
	judges.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sessions compared; families %v", summary.Played, summary.Families)
	for reason, n := range summary.Dropped {
		t.Logf("%d dropped, yjs disagrees with itself: %s", n, reason)
	}
	if summary.Played == 0 {
		t.Error("no session was compared")
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string) (n uint64, ok bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// liveSessions returns how many sessions to play, and skips a test that cannot
// have any.
func liveSessions(t *testing.T) int {
	t.Helper()
	n, ok := number(t, "SOMA_YJS_LIVE")
	if !ok || n == 0 {
		t.Skip("SOMA_YJS_LIVE does not say how many sessions to play")
	}
	if err := yjstest.NodeReady(nodeDir); err != nil {
		t.Skip(err)
	}
	return int(n)
}

// TestMutations feeds damaged updates to every entry point. SOMA_YJS_MUTATIONS
// is their number, if not 20,000; SOMA_YJS_SEED gives others.
func TestMutations(t *testing.T) {
	sessions, err := yjstest.Fixtures(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	n, ok := number(t, "SOMA_YJS_MUTATIONS")
	if !ok {
		n = 20_000
	}
	seed, ok := number(t, "SOMA_YJS_SEED")
	if !ok {
		seed = 1
	}
	yjstest.RunMutations(t, engine{}, seed, int(n), sessions)
}
