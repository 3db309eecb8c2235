package yjs_test

import (
	"fmt"
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

// generators is how many node processes play sessions at the same time.
const generators = 2

// TestLive plays fresh sessions in real yjs, compares this engine with them, and
// has real yjs read what this engine wrote. SOMA_YJS_LIVE is the number of
// sessions; SOMA_YJS_SEED and SOMA_YJS_FAMILY repeat some of them.
func TestLive(t *testing.T) {
	count := liveSessions(t)
	seed := rand.Uint32()
	if given, ok := number(t, "SOMA_YJS_SEED"); ok {
		seed = uint32(given)
	}
	t.Logf("%d sessions from seed %d", count, seed)
	verifier, err := yjstest.NewVerifier(nodeDir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := verifier.Close(); err != nil {
			t.Error(err)
		}
	}()
	judged := judging{verifier: verifier, compared: map[string]int{}, lacking: map[string]int{}}
	sessions := make(chan *yjstest.Session)
	var players, judges sync.WaitGroup
	for range 2 {
		judges.Go(func() {
			for s := range sessions {
				judged.judge(s)
			}
		})
	}
	var played atomic.Int64
	for i := range generators {
		opts := yjstest.LiveOptions{
			Count:  (count + i) / generators,
			Seed:   seed + uint32(i*count/generators),
			Family: os.Getenv("SOMA_YJS_FAMILY"),
		}
		players.Go(func() {
			summary, err := yjstest.Live(t.Context(), nodeDir, opts, func(s *yjstest.Session) bool {
				sessions <- s
				return true
			})
			if err != nil {
				t.Error(err)
				return
			}
			played.Add(int64(summary.Played))
			t.Logf("%d sessions played; dropped %v; yjs disagrees with itself: %v; families %v", summary.Played, summary.Dropped, summary.Disagreed, summary.Families)
		})
	}
	players.Wait()
	close(sessions)
	judges.Wait()
	t.Logf("%d sessions; compared %v; not offered by this engine %v", played.Load(), judged.compared, judged.lacking)
	if played.Load() == 0 {
		t.Error("no session was compared")
	}
	for _, failure := range judged.failures { // last, where a shortened log still has it
		t.Error(failure)
	}
}

// judging counts what was compared, by check, and keeps what failed.
type judging struct {
	verifier *yjstest.Verifier
	shrunk   atomic.Int32

	mu                sync.Mutex
	compared, lacking map[string]int
	failures          []string
}

func (j *judging) failf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures = append(j.failures, fmt.Sprintf(format, args...))
}

func (j *judging) judge(s *yjstest.Session) {
	verdict := yjstest.Judge(engine{}, s)
	for check, err := range verdict.Failures {
		j.failf("%s: %v", check, err)
	}
	if len(verdict.Failures) > 0 && j.shrunk.Add(1) <= maxShrunk {
		smaller := j.verifier.Shrink(engine{}, s)
		if verdict.Failures["script"] != nil && smaller == "" {
			smaller = j.verifier.ShrinkScript(engine{}, s)
		}
		j.failf("session %s/%d, smaller: %s", s.Family, s.Seed, smaller)
	}
	if err := j.verifier.Verify(engine{}, s); err != nil {
		j.failf("read by yjs: %v", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, check := range verdict.Compared {
		j.compared[check]++
	}
	for _, check := range verdict.NotOffered {
		j.lacking[check]++
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
