package retry_test

import (
	"math"
	"testing"
	"time"

	"github.com/soma-sdk/soma/sync/internal/retry"
)

func TestJitter(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 2, 7, time.Second, time.Hour} {
		low, high := d, d
		for range 1000 {
			got := retry.Jitter(d)
			low, high = min(low, got), max(high, got)
		}
		if low < d*3/4 || high > d+d/4+1 {
			t.Errorf("Jitter(%v) was between %v and %v, want within a quarter", d, low, high)
		}
		if d >= time.Second && (low > d*4/5 || high < d*6/5) {
			t.Errorf("Jitter(%v) was between %v and %v, want most of what is allowed", d, low, high)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		failures int
		want     time.Duration
	}{
		{0, 500 * time.Millisecond},
		{1, time.Second},
		{6, 32 * time.Second},
		{7, time.Minute},
		{40, time.Minute},
		{64, time.Minute},
		{math.MaxInt, time.Minute},
	} {
		if got := retry.Backoff(500*time.Millisecond, time.Minute, test.failures); got != test.want {
			t.Errorf("Backoff after %d failures = %v, want %v", test.failures, got, test.want)
		}
	}
	if got := retry.Backoff(time.Minute, time.Second, 0); got != time.Second {
		t.Errorf("Backoff(1m, 1s, 0) = %v, want 1s", got)
	}
}
