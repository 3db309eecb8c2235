//go:build somamutate

package sim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma/internal/mutate"
	"github.com/soma-sdk/soma/internal/sim"
)

// TestEveryRuleIsNeeded switches each rule off in turn and plays seeds until one fails,
// at most SOMA_SIM_SEEDS. It prints a table of how many that took. SOMA_SIM_RULES
// names the rules to try.
func TestEveryRuleIsNeeded(t *testing.T) {
	seeds := number(t, "SOMA_SIM_SEEDS", 2000)
	var table strings.Builder
	fmt.Fprintf(&table, "| rule | seeds | what fails |\n|---|---|---|\n")
	for _, rule := range mutate.Rules {
		if only := os.Getenv("SOMA_SIM_RULES"); only != "" && !slices.Contains(strings.Split(only, ","), string(rule)) {
			continue
		}
		mutate.Use(rule)
		seed, err := firstFailure(t, seeds)
		mutate.Use("")
		if err == nil {
			t.Errorf("%s: no run of %d fails without it", rule, seeds)
			fmt.Fprintf(&table, "| %s | more than %d | |\n", rule, seeds)
			continue
		}
		what, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(&table, "| %s | %d | %s |\n", rule, seed, what)
		t.Logf("%s: %d: %s", rule, seed, what)
	}
	t.Log("\n" + table.String())
}

// firstFailure returns the first seed that fails, and how.
func firstFailure(t *testing.T, seeds uint64) (uint64, error) {
	t.Helper()
	var next, found atomic.Uint64
	found.Store(seeds + 1)
	failures := make([]error, seeds+1)
	dir := t.TempDir()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed < found.Load(); seed = next.Add(1) {
				c := sim.Config{Seed: seed, Dir: filepath.Join(dir, fmt.Sprint(seed))}
				err := sim.Run(t.Context(), c)
				failures[seed] = err
				_ = os.RemoveAll(c.Dir) // or the test's end does it
				for was := found.Load(); err != nil && seed < was && !found.CompareAndSwap(was, seed); was = found.Load() {
				}
			}
		})
	}
	workers.Wait()
	if seed := found.Load(); seed <= seeds {
		return seed, failures[seed]
	}
	return 0, nil
}
