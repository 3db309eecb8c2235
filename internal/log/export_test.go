package log

import "github.com/soma-sdk/soma/internal/core"

// What the tests of package log_test look at from inside.
var (
	EncodeOps = encodeOps
	DecodeOps = decodeOps
	ReadHead  = decodeHeader
)

// EncodeHeader encodes h as it is.
func EncodeHeader(h Header) ([]byte, error) { return h.encode() }

// Uncovered returns one of targets that is not in the closure of heads.
func Uncovered(past Past, heads, targets []core.Hash) (core.Hash, bool, error) {
	return newWalk(past).uncovered(heads, targets)
}
