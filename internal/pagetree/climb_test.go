package pagetree_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/pagetree"
)

// A circle of any length, at the end of a way of any length, is noticed. So it is not
// where there is none.
func TestWithinNoticesCircles(t *testing.T) {
	for way := range 20 {
		for circle := range 20 {
			places := tree{}
			for i := range way + circle {
				places[fmt.Sprint(i)] = core.PagePlace{Parent: fmt.Sprint(i + 1), Placed: true}
			}
			if circle > 0 {
				places[fmt.Sprint(way+circle-1)] = core.PagePlace{Parent: fmt.Sprint(way), Placed: true}
			}
			within, err := pagetree.Within("0", "elsewhere", places)
			if within || errors.Is(err, core.ErrCorrupt) != (circle > 0) || err != nil && circle == 0 {
				t.Errorf("%d pages on the way to a circle of %d: Within = %v, %v", way, circle, within, err)
			}
			last := fmt.Sprint(way + max(circle-1, 0))
			if within, err := pagetree.Within("0", last, places); !within || err != nil {
				t.Errorf("%d pages on the way to a circle of %d: Within(0, %s) = %v, %v", way, circle, last, within, err)
			}
		}
	}
}
