package pagetree

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"

	"github.com/soma-sdk/soma/internal/core"
)

// A position is a fraction between 0 and 1, in base 256, without trailing zeros: the
// order of fractions is that of their bytes, and there is one between any two (fractional
// indexing). New ones are made of limbs of 32 bits.
const (
	limbBytes = 4
	limbEnd   = 1 << 32
	// stride is how far a new position is from its neighbour where there is room: so that
	// many of them fit behind each other, and before each other, before they get longer.
	stride = 1 << 16
	// tailBytes of chance tell apart what several put into the same place.
	tailBytes = 3
)

// Between returns a position after lo and before hi; either may be "" for none. lo must
// be before hi. It is about as short as there is, and random, so that what is put between
// the same two elsewhere gets another one.
func Between(lo, hi string, random io.Reader) string {
	var seed [32]byte
	core.Fill(random, seed[:])
	r := rand.New(rand.NewChaCha8(seed))
	var out []byte
	unbounded := hi == "" // nothing limits the limbs that follow
	for level := 0; ; level++ {
		l, h := limb(lo, level), uint64(limbEnd)
		if !unbounded {
			h = limb(hi, level)
		}
		if room := h - l; h > l && room > 2 {
			out = binary.BigEndian.AppendUint32(out, uint32(choose(l, h, level, lo == "", hi == "", r)))
			break
		}
		// Whatever begins with the limb of lo and goes on behind the rest of it is
		// before hi, unless hi begins with that limb too.
		out = binary.BigEndian.AppendUint32(out, uint32(l))
		unbounded = unbounded || h > l
	}
	var tail [tailBytes]byte
	for i := range tail {
		tail[i] = byte(1 + r.UintN(255))
	}
	return string(append(out, tail[:]...))
}

// limb returns a limb of a position, which goes on with zeros.
func limb(position string, level int) uint64 {
	var b [limbBytes]byte
	if from := level * limbBytes; from < len(position) {
		copy(b[:], position[from:])
	}
	return uint64(binary.BigEndian.Uint32(b[:]))
}

// choose returns a limb between two, without either. In a wide gap it stays near one side,
// which alternates from level to level: so what is put in one after the other gets longer
// by a limb once in thousands, whichever way it grows.
func choose(l, h uint64, level int, first, last bool, r *rand.Rand) uint64 {
	room := h - l
	step := stride + r.Uint64N(stride)
	switch {
	case room <= 4*stride:
		return l + 1 + (room-2)/4 + r.Uint64N((room-2)/2+1)
	case first && last && level == 0:
		return limbEnd/2 - stride + step
	case first && level == 0, !last && level%2 == 1:
		return h - step
	}
	return l + step
}

// Compare orders siblings: by position, and those of equal positions by their IDs.
func Compare(a, b core.PageRecord) int {
	if c := bytes.Compare([]byte(a.Position), []byte(b.Position)); c != 0 {
		return c
	}
	return bytes.Compare([]byte(a.ID), []byte(b.ID))
}
