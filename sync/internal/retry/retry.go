// Package retry says when to try again.
package retry

import (
	"math/rand/v2"
	"time"
)

// Jitter returns d, less or more by up to a quarter, so that peers that were cut at the same
// time do not all return at the same time.
func Jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}

// Backoff returns how long to wait after failures in a row: first, and twice as long for each,
// up to longest.
func Backoff(first, longest time.Duration, failures int) time.Duration {
	if first > longest>>failures {
		return longest
	}
	return first << failures
}
