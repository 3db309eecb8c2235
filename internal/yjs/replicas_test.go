package yjs_test

import (
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// random chooses by a generator.
type random struct{ *rand.Rand }

func (r random) more() bool            { return true }
func (r random) below(n uint64) uint64 { return r.Uint64N(n) }

// TestReplicas has several documents edit at the same time, and receive in any order.
func TestReplicas(t *testing.T) {
	for seed := range uint64(60) {
		s := scribbler{choices: random{rand.New(rand.NewPCG(seed, 3))}, halves: seed%4 == 3}
		replicas := newReplicas(t, 2+int(seed%3))
		for range 400 {
			r := replicas[s.below(uint64(len(replicas)))]
			if s.below(3) == 0 {
				for n := s.below(uint64(len(r.inbox) + 1)); n > 0; n-- {
					if err := r.receive(s.below(uint64(len(r.inbox)))); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
				continue
			}
			if err := r.Transact(func(tx *yjs.Transaction) error { return s.edit(tx) }); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err := meet(replicas); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		agree(t, replicas, !s.halves)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
