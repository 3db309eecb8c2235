package yjstest

import (
	"errors"
	"fmt"
	"testing"
)

// maxReported is the number of failing sessions that a check prints in full.
const maxReported = 3

// Run checks an engine against sessions, one subtest per kind of check. Sessions that
// need a part that the engine does not offer are counted; a check is skipped if all do.
func Run(t *testing.T, e Engine, sessions []*Session) {
	t.Helper()
	if len(sessions) == 0 {
		t.Fatal("no sessions")
	}
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			ran, failed, lacking := 0, 0, 0
			for _, s := range sessions {
				err := c.guarded(e, s)
				switch {
				case errors.Is(err, errNotRecorded):
					continue
				case errors.Is(err, ErrNotOffered):
					lacking++
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
			if lacking > 0 {
				t.Logf("%d sessions compared, %d not: %v", ran, lacking, ErrNotOffered)
			}
			if ran == 0 {
				t.Skip(ErrNotOffered)
			}
		})
	}
}

// Verdict says how an engine compares with yjs in a session.
type Verdict struct {
	Compared   []string         // the checks that were made
	NotOffered []string         // the checks for which the engine lacks something
	Failures   map[string]error // what diverges, by check
}

// Judge makes all checks of one session.
func Judge(e Engine, s *Session) Verdict {
	v := Verdict{Failures: make(map[string]error)}
	for _, c := range checks() {
		err := c.guarded(e, s)
		switch {
		case errors.Is(err, errNotRecorded):
			continue
		case errors.Is(err, ErrNotOffered):
			v.NotOffered = append(v.NotOffered, c.name)
			continue
		case err != nil:
			v.Failures[c.name] = fmt.Errorf("session %s/%d: %w", s.Family, s.Seed, err)
		}
		v.Compared = append(v.Compared, c.name)
	}
	return v
}
