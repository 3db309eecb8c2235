package somasync

import (
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// A peer that could not be asked is asked as soon as it asks itself, once.
func TestHeard(t *testing.T) {
	ln := &link{pull: newBell(), retry: newBell(), wanted: map[core.SpaceID]bool{}}
	ln.heard()
	if len(ln.wanted) != 0 || len(ln.pull) != 0 {
		t.Errorf("a peer that can be asked is asked again because it asks: %v", ln.wanted)
	}
	ln.unheard.Store(true)
	ln.heard()
	if !ln.wanted[""] || len(ln.pull) != 1 || len(ln.retry) != 1 {
		t.Errorf("wanted = %v, %d pulls and %d retries rung for, want all, 1, 1", ln.wanted, len(ln.pull), len(ln.retry))
	}
	ln.takeWanted()
	ln.heard()
	if len(ln.wanted) != 0 {
		t.Errorf("wanted = %v after it was asked, want none", ln.wanted)
	}
}
