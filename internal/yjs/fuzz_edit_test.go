package yjs_test

import (
	"bytes"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// maxScribbled bounds how many acts one execution performs.
const maxScribbled = 200

// FuzzEdit has two documents edit, exchange what they emit in any order, and do what is
// impossible. They must agree in the end.
func FuzzEdit(f *testing.F) {
	for i := range byte(24) {
		seed := make([]byte, 40+20*int(i))
		for j := range seed {
			seed[j] = byte(j)*(2*i+3) + i
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxFuzzed {
			return
		}
		s := scribbler{choices: &bytesOf{data}}
		// Halves make yjs, and so this, keep other text at the one who cut a pair.
		s.halves = s.below(4) == 0
		replicas := newReplicas(t, 2)
		for range maxScribbled {
			if !s.more() {
				break
			}
			r := replicas[s.below(2)]
			switch act := s.below(8); {
			case act == 0 && len(r.inbox) > 0:
				if err := r.receive(s.below(uint64(len(r.inbox)))); err != nil {
					t.Fatal(err)
				}
			case act == 1 && len(r.inbox) > 0:
				for len(r.inbox) > 0 {
					if err := r.receive(0); err != nil {
						t.Fatal(err)
					}
				}
			case act == 2:
				s.refused(t, r.Doc)
			default:
				err := r.Transact(func(tx *yjs.Transaction) error {
					for range 1 + s.below(3) {
						if err := s.edit(tx); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := meet(replicas); err != nil {
			t.Fatal(err)
		}
		agree(t, replicas, !s.halves)
	})
}

// agree checks that replicas hold the same, and that each one is what it says it is.
func agree(t *testing.T, replicas []*replica, text bool) {
	t.Helper()
	var first []byte
	for i, r := range replicas {
		if err := r.Audit(); err != nil {
			t.Fatalf("replica %d: %v", i, err)
		}
		for _, typ := range typesOf(r.Doc) {
			read(t, typ)
		}
		if r.HasPending() {
			t.Fatalf("replica %d waits for something", i)
		}
		state := encoded(t, r.Doc)
		canonical := mustCompact(t, "the state", state)
		reloaded := load(t, state)
		if got := encoded(t, reloaded); !bytes.Equal(mustCompact(t, "the reloaded state", got), canonical) {
			t.Fatalf("replica %d: %x loads to %x", i, state, got)
		}
		if !bytes.Equal(reloaded.StateVector(), r.StateVector()) {
			t.Fatalf("replica %d: state vector %x, reloaded %x", i, r.StateVector(), reloaded.StateVector())
		}
		if i == 0 {
			first = canonical
		} else if text && !bytes.Equal(canonical, first) {
			t.Fatalf("replica %d holds %x, the first one %x", i, canonical, first)
		}
	}
}
