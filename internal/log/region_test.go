package log_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Regions of random histories hold the past of each entry, also after they were written
// down and read again.
func TestRegions(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		const entries = 60
		var regions []log.Region
		var pasts []map[int]bool
		for i := range entries {
			var region log.Region
			past := map[int]bool{}
			for range r.IntN(4) {
				if i == 0 {
					break
				}
				p := max(0, i-1-r.IntN(1+r.IntN(12)))
				region = region.Join(regions[p].With(p))
				past[p] = true
				for q := range pasts[p] {
					past[q] = true
				}
			}
			gaps := region.EncodeGaps(i)
			read, err := log.DecodeGaps(gaps, i)
			if err != nil {
				t.Fatalf("seed %d: DecodeGaps(%x, %d) = %v", seed, gaps, i, err)
			}
			if whole := len(past) == i; whole != (gaps == nil) {
				t.Fatalf("seed %d: entry %d with %d in its past has the gaps %x", seed, i, len(past), gaps)
			}
			for q := range entries {
				if region.Has(q) != past[q] || read.Has(q) != past[q] {
					t.Fatalf("seed %d: entry %d has %d: %v, read %v, want %v", seed, i, q, region.Has(q), read.Has(q), past[q])
				}
			}
			regions, pasts = append(regions, read), append(pasts, past)
		}
	}
}

func TestDamagedGaps(t *testing.T) {
	for name, gaps := range map[string][]byte{
		"half a span":    {1},
		"an empty span":  {1, 0},
		"no distance":    {1, 1, 0, 1},
		"past the end":   {4, 7},
		"far away":       {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1},
		"no number":      {0x80},
		"no number (11)": {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if r, err := log.DecodeGaps(gaps, 10); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: DecodeGaps = %v, %v, want ErrCorrupt", name, r, err)
		}
	}
}
