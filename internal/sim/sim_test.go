package sim_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/sim"
)

// number returns what an environment variable says, or else a default.
func number(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// skipped returns the steps that SOMA_SIM_SKIP leaves out.
func skipped(t testing.TB) map[int]bool {
	t.Helper()
	skip := map[int]bool{}
	for text := range strings.SplitSeq(os.Getenv("SOMA_SIM_SKIP"), ",") {
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("SOMA_SIM_SKIP: %v", err)
		}
		skip[n] = true
	}
	return skip
}

// TestSeeds plays SOMA_SIM_SEEDS seeds from SOMA_SIM_START on, as many at a time as
// there are processors, or SOMA_SIM_SEED alone: then with a trace, and SOMA_SIM_STEPS
// of its steps without those of SOMA_SIM_SKIP. SOMA_SIM_EDITS=0 does without edits in Go, as the
// seeds of docs/simulation.md. SOMA_SIM_SHRINK=0 does without the search for the shortest run that fails.
func TestSeeds(t *testing.T) {
	conf := sim.Config{Verify: verify, Edits: number(t, "SOMA_SIM_EDITS", 1) != 0}
	if os.Getenv("SOMA_SIM_SEED") != "" {
		conf.Seed, conf.Steps = number(t, "SOMA_SIM_SEED", 0), int(number(t, "SOMA_SIM_STEPS", 0))
		conf.Dir, conf.Trace, conf.Skip = t.TempDir(), t.Output(), skipped(t)
		if err := sim.Run(t.Context(), conf); err != nil {
			t.Error(err)
		}
		return
	}
	start := number(t, "SOMA_SIM_START", 1)
	for seed := start; seed < start+number(t, "SOMA_SIM_SEEDS", 12); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			c := conf
			c.Seed = seed
			play(t, c)
		})
	}
}

// verify wants nothing to be damaged.
func verify(ctx context.Context, r *replica.Replica) error {
	problems, err := r.Verify(ctx)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%d problems, first %+v", len(problems), problems[0])
	}
	return err
}

// play plays a seed, and shrinks it if it fails.
func play(t *testing.T, conf sim.Config) {
	t.Helper()
	conf.Dir = t.TempDir()
	if err := sim.Run(t.Context(), conf); err == nil {
		return
	} else if os.Getenv("SOMA_SIM_SHRINK") == "0" {
		t.Errorf("%v\n%s", err, conf.Command())
		return
	}
	conf.Dir = t.TempDir()
	shrunk, err := sim.Shrink(t.Context(), conf)
	if err == nil {
		t.Fatalf("it fails, and not when it is played again: %s", conf.Command())
	}
	t.Errorf("%v\n%s", err, shrunk.Command())
}

// TestSameSeedSameRun plays a seed twice: hashes are part of the trace.
func TestSameSeedSameRun(t *testing.T) {
	var traces [2]strings.Builder
	for i := range traces {
		if err := sim.Run(t.Context(), sim.Config{Seed: 1, Edits: true, Dir: t.TempDir(), Trace: &traces[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if traces[0].String() != traces[1].String() {
		t.Error("two runs differ")
	}
}
