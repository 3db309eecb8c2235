package log

import "math/bits"

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b bitset) add(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) remove(i int)   { b[i>>6] &^= 1 << (i & 63) }

// within calls fn with the members of the set that lie in a region, ascending, until it
// returns false.
func (b bitset) within(r Region, fn func(i int) bool) {
	at := 0
	for _, g := range r.Gaps {
		if !b.between(at, g.First, fn) {
			return
		}
		at = g.End
	}
	b.between(at, r.End, fn)
}

// meets reports whether a member of the set lies in a region.
func (b bitset) meets(r Region) (meets bool) {
	b.within(r, func(int) bool {
		meets = true
		return false
	})
	return meets
}

func (b bitset) between(first, end int, fn func(i int) bool) bool {
	for w := first >> 6; w<<6 < end; w++ {
		word := b[w]
		if w == first>>6 {
			word &= ^uint64(0) << (first & 63)
		}
		for ; word != 0; word &= word - 1 {
			i := w<<6 + bits.TrailingZeros64(word)
			if i >= end {
				return true
			}
			if !fn(i) {
				return false
			}
		}
	}
	return true
}
