package log

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/soma-sdk/soma/internal/core"
)

// Region is a set of numbered entries that holds the past of each: those below End,
// but for the gaps. Histories that run in parallel for a while and join again leave
// none, so it is small where a list of members or a bitmap would not be.
type Region struct {
	End  int
	Gaps []Span // ascending, apart, below End
}

// Span is the entries from First up to, and without, End.
type Span struct{ First, End int }

// Has reports whether the region holds an entry.
func (r Region) Has(i int) bool {
	if i >= r.End {
		return false
	}
	at := sort.Search(len(r.Gaps), func(k int) bool { return r.Gaps[k].End > i })
	return at == len(r.Gaps) || r.Gaps[at].First > i
}

// whole reports whether the region is all entries below its end.
func (r Region) whole() bool { return len(r.Gaps) == 0 }

// With returns the region of an entry and its past, which is this region.
func (r Region) With(i int) Region {
	return Region{End: i + 1, Gaps: r.lacks(i)}
}

// lacks returns what the region does not hold of all entries below end. It may share
// the gaps.
func (r Region) lacks(end int) []Span {
	switch n := len(r.Gaps); {
	case end <= r.End:
		return r.Gaps
	case n > 0 && r.Gaps[n-1].End == r.End:
		return append(slices.Clone(r.Gaps[:n-1]), Span{r.Gaps[n-1].First, end})
	default:
		return append(slices.Clip(r.Gaps), Span{r.End, end})
	}
}

// Join returns the union of two regions.
func (r Region) Join(o Region) Region {
	if r.End > o.End {
		r, o = o, r
	}
	lacks := r.lacks(o.End)
	out := Region{End: o.End}
	for i, k := 0, 0; i < len(lacks) && k < len(o.Gaps); {
		a, b := lacks[i], o.Gaps[k]
		if first, end := max(a.First, b.First), min(a.End, b.End); first < end {
			out.Gaps = append(out.Gaps, Span{first, end})
		}
		if a.End < b.End {
			i++
		} else {
			k++
		}
	}
	return out
}

// EncodeGaps encodes what the region does not hold of all entries below end, nil for
// nothing.
func (r Region) EncodeGaps(end int) []byte {
	var b []byte
	at := 0
	for _, g := range r.lacks(end) {
		b = binary.AppendUvarint(b, uint64(g.First-at))
		b = binary.AppendUvarint(b, uint64(g.End-g.First))
		at = g.End
	}
	return b
}

// DecodeGaps returns the region below end of which EncodeGaps returned the bytes. Other
// bytes are core.ErrCorrupt.
func DecodeGaps(b []byte, end int) (Region, error) {
	r := Region{End: end}
	at := uint64(0)
	for first := true; len(b) > 0; first = false {
		skip, n := binary.Uvarint(b)
		length, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || skip == 0 && !first || length == 0 || skip > uint64(end) || length > uint64(end) || at+skip+length > uint64(end) {
			return Region{}, fmt.Errorf("gaps of a past: %w", core.ErrCorrupt)
		}
		b = b[n+m:]
		r.Gaps = append(r.Gaps, Span{int(at + skip), int(at + skip + length)})
		at += skip + length
	}
	return r, nil
}
