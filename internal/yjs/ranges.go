package yjs

import (
	"cmp"
	"maps"
	"slices"
	"sort"
)

// Lists of ranges are in order and merged, unless something else is said.

// mergeRanges sorts ranges and joins those that overlap or touch, in place.
func mergeRanges(ranges []Range) []Range {
	if len(ranges) < 2 {
		return ranges
	}
	byClock := func(a, b Range) int { return cmp.Compare(a.Clock, b.Clock) }
	if !slices.IsSortedFunc(ranges, byClock) {
		slices.SortStableFunc(ranges, byClock)
	}
	out := ranges[:1]
	for _, r := range ranges[1:] {
		last := &out[len(out)-1]
		if last.end() >= r.Clock {
			last.Len = max(last.Len, r.end()-last.Clock)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// addRange adds a range to ranges that are in order and merged.
func addRange(ranges []Range, r Range) []Range {
	from := sort.Search(len(ranges), func(i int) bool { return ranges[i].end() >= r.Clock })
	to := from
	for ; to < len(ranges) && ranges[to].Clock <= r.end(); to++ {
		end := max(r.end(), ranges[to].end())
		r.Clock = min(r.Clock, ranges[to].Clock)
		r.Len = end - r.Clock
	}
	return slices.Replace(ranges, from, to, r)
}

// intersect returns what two lists of ranges, merged and in order, have in common.
func intersect(a, b []Range) []Range {
	var both []Range
	for len(a) > 0 && len(b) > 0 {
		if first, end := max(a[0].Clock, b[0].Clock), min(a[0].end(), b[0].end()); first < end {
			both = append(both, Range{first, end - first})
		}
		if a[0].end() < b[0].end() {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// subtractRanges returns what of ranges is not in others. Both are in order.
func subtractRanges(ranges, others []Range) []Range {
	var left []Range
	for _, r := range ranges {
		for len(others) > 0 && others[0].end() <= r.Clock {
			others = others[1:]
		}
		for _, o := range others {
			if o.Clock >= r.end() || r.Len == 0 {
				break
			}
			if o.Clock > r.Clock {
				left = append(left, Range{r.Clock, o.Clock - r.Clock})
			}
			if o.end() < r.end() {
				r = Range{o.end(), r.end() - o.end()}
			} else {
				r.Len = 0
			}
		}
		if r.Len > 0 {
			left = append(left, r)
		}
	}
	return left
}

// fewRanges are added one by one, without going through those that are there.
const fewRanges = 16

// AddRanges adds ranges by client to others.
func AddRanges(to, ranges map[uint64][]Range) {
	for client, list := range ranges {
		if to[client] == nil {
			to[client] = slices.Clone(list)
			continue
		}
		if len(list) > fewRanges {
			to[client] = mergeRanges(slices.Concat(to[client], list))
			continue
		}
		for _, r := range list {
			to[client] = addRange(to[client], r)
		}
	}
}

// Intersects reports whether ranges by client have something in common.
func Intersects(a, b map[uint64][]Range) bool {
	for client, list := range a {
		if len(intersect(list, b[client])) > 0 {
			return true
		}
	}
	return false
}

// Without returns what of ranges by client is not among others.
func Without(ranges, others map[uint64][]Range) map[uint64][]Range {
	left := map[uint64][]Range{}
	for client, list := range ranges {
		if some := subtractRanges(list, others[client]); len(some) > 0 {
			left[client] = some
		}
	}
	return left
}

// InOrder returns ranges by client and clock.
func InOrder(by map[uint64][]Range) []ClientRange {
	var out []ClientRange
	for _, client := range slices.Sorted(maps.Keys(by)) {
		for _, r := range by[client] {
			out = append(out, ClientRange{client, r})
		}
	}
	return out
}

// ByClient returns ranges, which are in order, by client.
func ByClient(ranges []ClientRange) map[uint64][]Range {
	by := map[uint64][]Range{}
	for _, r := range ranges {
		by[r.Client] = append(by[r.Client], r.Range)
	}
	return by
}
