package simtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
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

// TestSeeds plays SOMA_SYNC_SEEDS seeds from SOMA_SYNC_START on, or SOMA_SYNC_SEED alone,
// with the logs of the nodes if SOMA_SYNC_LOG is set.
func TestSeeds(t *testing.T) {
	start, count := number(t, "SOMA_SYNC_START", 1), number(t, "SOMA_SYNC_SEEDS", 4)
	if os.Getenv("SOMA_SYNC_SEED") != "" {
		start, count = number(t, "SOMA_SYNC_SEED", 0), 1
	}
	for seed := start; seed < start+count; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { play(t, seed, dir) })
		})
	}
}

// play plays a seed.
func play(t *testing.T, seed uint64, dir string) {
	w := &world{
		t: t, ctx: t.Context(), seed: seed, verbose: os.Getenv("SOMA_SYNC_LOG") != "", start: time.Now(),
		net: newFabric(seed), met: map[[2]int]bool{},
	}
	defer w.end()
	if err := w.begin(rand.New(rand.NewPCG(seed, 2)), dir); err != nil {
		t.Fatalf("seed %d: begin: %v", seed, err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for i := range 40 + r.IntN(60) {
		n, kind := r.IntN(total), 0
		for n >= kinds[kind].weight {
			n -= kinds[kind].weight
			kind++
		}
		if err := kinds[kind].play(w, rand.New(rand.NewPCG(r.Uint64(), 3))); err != nil {
			t.Fatalf("seed %d: step %d, %s: %v", seed, i+1, kinds[kind].name, err)
		}
		if r.IntN(3) > 0 {
			time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		}
	}
	if err := w.finish(rand.New(rand.NewPCG(seed, 4))); err != nil {
		w.explain()
		t.Fatalf("seed %d: %v", seed, err)
	}
}
