package yjstest

import (
	"errors"
	"fmt"
	"testing"
)

// maxReported is the number of failing sessions that a check prints in full.
const maxReported = 3

// Run checks an engine against sessions, one subtest per kind of check. Parts
// that the engine does not offer are skipped.
func Run(t *testing.T, e Engine, sessions []*Session) {
	t.Helper()
	if len(sessions) == 0 {
		t.Fatal("no sessions")
	}
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			ran, failed := 0, 0
			for _, s := range sessions {
				err := c.guarded(e, s)
				if errors.Is(err, errNotOffered) {
					continue
				}
				ran++
				if err == nil {
					continue
				}
				failed++
				if failed <= maxReported {
					t.Errorf("session %s/%d: %v", s.Family, s.Seed, err)
				}
			}
			if failed > 0 {
				t.Errorf("%d of %d sessions diverge from yjs", failed, ran)
			}
			if ran == 0 {
				t.Skip(errNotOffered)
			}
		})
	}
}

// Failures checks one session and returns what diverges, by check.
func Failures(e Engine, s *Session) map[string]error {
	out := make(map[string]error)
	for _, c := range checks() {
		if err := c.guarded(e, s); err != nil && !errors.Is(err, errNotOffered) {
			out[c.name] = fmt.Errorf("session %s/%d: %w", s.Family, s.Seed, err)
		}
	}
	return out
}
