package somasync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

func TestRendezvous(t *testing.T) {
	t.Parallel()
	space, other := core.SpaceIDFromHash(core.Hash{1}), core.SpaceIDFromHash(core.Hash{2})
	at := func(space core.SpaceID, hour int) []string {
		names, err := rendezvous(space, time.Date(2026, 3, 1, hour, 30, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	noon := at(space, 12)
	if len(noon) != 1 || strings.Contains(noon[0], string(space)) {
		t.Errorf("names at noon = %q, want one that does not show the space", noon)
	}
	for hour, want := range map[int]int{0: 2, 23: 2, 1: 1, 22: 1} {
		if names := at(space, hour); len(names) != want || !slices.Contains(names, noon[0]) {
			t.Errorf("names at half past %d = %q, want %d, and that of the day: %q", hour, names, want, noon)
		}
	}
	if names := at(other, 12); slices.Equal(names, noon) {
		t.Errorf("names of two spaces = %q for both", names)
	}
	if names := at(space, 36); slices.Equal(names, noon) {
		t.Errorf("names of two days = %q for both", names)
	}
}
