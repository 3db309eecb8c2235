package disk

import (
	"math"
	"math/bits"
)

// blocks is n blocks in bytes, or as many as there can be: some systems say absurd numbers.
func blocks(n, size uint64) int64 {
	high, low := bits.Mul64(n, size)
	if high > 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}
