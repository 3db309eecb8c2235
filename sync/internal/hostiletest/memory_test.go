package hostiletest

import (
	"runtime"
	"testing"
)

// heap returns how much memory is in use, that of the rogues too.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mayTake fails the test if more memory is in use than before and a bound.
func mayTake(t *testing.T, before, bound uint64) {
	t.Helper()
	now := heap()
	if now > before {
		t.Logf("%d KB more are in use", (now-before)>>10)
	}
	if now > before+bound {
		t.Errorf("%d MB are in use, before it were %d MB: more than %d MB more", now>>20, before>>20, bound>>20)
	}
}
