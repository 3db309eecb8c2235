//go:build cgo

package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// clocks is the naive model of a client's deleted ranges.
type clocks [120]bool

// runs returns the maximal runs of set clocks.
func (c *clocks) runs() []core.ClockRange {
	var out []core.ClockRange
	for i, set := range c {
		switch last := len(out) - 1; {
		case set && last >= 0 && out[last].Clock+out[last].Len == uint64(i):
			out[last].Len++
		case set:
			out = append(out, core.ClockRange{Clock: uint64(i), Len: 1})
		}
	}
	return out
}

// add sets a range and returns the runs that are new.
func (c *clocks) add(r core.ClockRange) []core.ClockRange {
	var fresh clocks
	for i := r.Clock; i < r.Clock+r.Len; i++ {
		fresh[i] = !c[i]
		c[i] = true
	}
	return fresh.runs()
}

func TestAddDeletedAgainstModel(t *testing.T) {
	db := open(t, store.Options{Relaxed: true})
	doc := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		doc++
		err := db.Write(context.Background(), func(tx core.Tx) error {
			models := make(map[uint64]*clocks)
			for range rapid.IntRange(1, 40).Draw(rt, "steps") {
				client := rapid.Uint64Range(1, 2).Draw(rt, "client")
				r := core.ClockRange{Clock: rapid.Uint64Range(0, 99).Draw(rt, "clock"), Len: rapid.Uint64Range(0, 20).Draw(rt, "len")}
				if models[client] == nil {
					models[client] = new(clocks)
				}
				want := models[client].add(r)
				got, err := tx.AddDeleted(doc, client, r)
				if err != nil || !slices.Equal(got, want) {
					return fmt.Errorf("AddDeleted(%v) = %v, %w, want %v", r, got, err, want)
				}
				from := rapid.Uint64Range(0, 119).Draw(rt, "from")
				to := from + rapid.Uint64Range(0, 119).Draw(rt, "width")
				want = slices.DeleteFunc(models[client].runs(), func(r core.ClockRange) bool { return r.Clock+r.Len < from || r.Clock > to })
				got, err = tx.DeletedRanges(doc, client, from, to)
				if err != nil || !slices.Equal(got, want) {
					return fmt.Errorf("DeletedRanges(%d, %d) = %v, %w, want %v", from, to, got, err, want)
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
