package yjstest

import (
	"errors"
	"time"
)

// Tally counts the sessions that passed a check.
type Tally struct {
	Check         string
	Passed, Total int
}

// patience is how long one session may occupy an engine in one check before it
// counts as hung. Sessions take milliseconds; this only ends endless loops.
const patience = 20 * time.Second

// maxHung is the number of hung sessions after which Score gives a check up:
// each leaves a goroutine that spins.
const maxHung = 2

// Score counts how many sessions an engine gets right, by kind of check, for
// engines that are not expected to get all. Panics and hangs count as failed.
func Score(e Engine, sessions []*Session) []Tally {
	var out []Tally
	for _, c := range checks() {
		tally := Tally{Check: c.name}
		hung := 0
		for _, s := range sessions {
			if hung == maxHung {
				tally.Total++
				continue
			}
			done := make(chan error, 1)
			go func() { done <- c.guarded(e, s) }()
			timeout := time.NewTimer(patience)
			select {
			case err := <-done:
				if errors.Is(err, ErrNotOffered) || errors.Is(err, errNotRecorded) {
					break
				}
				tally.Total++
				if err == nil {
					tally.Passed++
				}
			case <-timeout.C:
				tally.Total++
				hung++
			}
			timeout.Stop()
		}
		if tally.Total > 0 {
			out = append(out, tally)
		}
	}
	return out
}
