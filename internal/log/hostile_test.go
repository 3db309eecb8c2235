package log_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// mutate changes b in one to three of the ways that bytes go wrong.
func mutate(rng *rand.Rand, b []byte, others [][]byte) []byte {
	b = bytes.Clone(b)
	for range 1 + rng.IntN(3) {
		if len(b) == 0 {
			b = []byte{0}
		}
		i := rng.IntN(len(b))
		n := rng.IntN(min(len(b)-i, 40)) + 1
		switch rng.IntN(8) {
		case 0: // a bit
			b[i] ^= 1 << rng.IntN(8)
		case 1: // a byte, also one that CBOR heads are made of
			b[i] = []byte{0x00, 0x17, 0x18, 0x1b, 0x5b, 0x5f, 0x80, 0x9b, 0x9f, 0xbf, 0xf6, 0xff, byte(rng.Uint32())}[rng.IntN(13)]
		case 2: // truncated
			b = b[:i]
		case 3: // something left out
			b = slices.Delete(b, i, i+n)
		case 4: // something twice
			b = slices.Insert(b, i, bytes.Clone(b[i:i+n])...)
		case 5: // noise
			for j := range n {
				b[i+j] = byte(rng.Uint32())
			}
		case 6: // a part of another
			other := others[rng.IntN(len(others))]
			from := rng.IntN(len(other))
			b = append(b[:i:i], other[from:]...)
		case 7: // a number one off
			b[i]++
		}
	}
	return b
}

func TestMutations(t *testing.T) {
	w := newWorld(t)
	var frames [][]byte
	for _, e := range w.entries() {
		frames = append(frames, log.AppendFrame(nil, e.Raw))
	}
	known := map[string]bool{}
	for _, f := range frames {
		known[string(f)] = true
	}
	const seed = 20240607
	rng := rand.New(rand.NewPCG(seed, 0))
	decoded := 0
	for i := range 20_000 {
		k := rng.IntN(len(frames))
		frame := frames[k]
		var raw core.Entry
		if i%2 == 0 { // the parts apart, so that each reader is reached
			raw = w.entries()[k].Raw
			part := []*[]byte{&raw.Header, &raw.Ops, &raw.Sig}[rng.IntN(3)]
			*part = mutate(rng, *part, frames)
			if rng.IntN(2) == 0 { // with a header that fits the ops, to get behind their hash
				sum := sha256.Sum256(raw.Ops)
				raw = forge(t, w.owner, w.entries()[k], raw.Ops, func(f []any) { f[fOpsHash] = sum[:] })
				raw.Sig = w.entries()[k].Raw.Sig
			}
			frame = log.AppendFrame(nil, raw)
		} else {
			frame = mutate(rng, frame, frames)
			var err error
			if raw, err = log.DecodeFrame(frame); err != nil {
				checkRefusal(t, seed, i, err)
				continue
			}
		}
		if known[string(frame)] {
			continue
		}
		e, err := log.Decode(raw)
		if err != nil {
			checkRefusal(t, seed, i, err)
			continue
		}
		decoded++
		wantReason(t, "changed entry", e.VerifySignature(), log.ReasonSignature)
		_, err = log.Admit(e, w.past)
		wantReason(t, "changed entry", err, log.ReasonSignature)
	}
	if decoded == 0 {
		t.Error("no mutation was decoded: the mutations are too coarse to test the signature")
	}
}

func checkRefusal(t *testing.T, seed, i int, err error) {
	t.Helper()
	if log.ReasonOf(err) == "" || !errors.Is(err, core.ErrInvalidEntry) {
		t.Fatalf("seed %d, mutation %d: %v, want a rejection", seed, i, err)
	}
}

// The same bytes, signed again after the mutation: now the signature is right
// and Admit must stand.
func TestSignedMutations(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(7, 7))
	others := [][]byte{w.merge.Raw.Header, w.unknown.Raw.Header}
	for range 3_000 {
		e := w.entries()[rng.IntN(8)]
		header := mutate(rng, e.Raw.Header, others)
		err := judge(core.Entry{Header: header, Ops: e.Raw.Ops, Sig: sign(w.owner, header)}, w.past)
		var waiting *log.WaitingError
		if err != nil && log.ReasonOf(err) == "" && !errors.As(err, &waiting) {
			t.Fatalf("header %x: %v", header, err)
		}
	}
}

// hostile returns inputs that claim or repeat much, as (header, ops).
func hostile(t testing.TB) map[string][2][]byte {
	w := newWorld(t)
	header, ops := w.update.Raw.Header, w.update.Raw.Ops
	id := opID(1)
	op := append([]byte{0x83, 0x18, byte(opOfNewer), 0x50}, id[:]...)
	in := map[string][2][]byte{
		"valid":      {header, ops},
		"empty":      {nil, nil},
		"big header": {bytes.Repeat([]byte{0x81}, 1<<20), nil},
		"heads":      {append(bytes.Clone(header[:bytes.Index(header, []byte("\x80\x80\x04"))]), "\x9a\x7f\xff\xff\xff"...), nil},
		"nested":     {nil, append(append([]byte{0x81}, op...), bytes.Repeat([]byte{0x81}, 1<<19)...)},
		"zeros":      {nil, append(append(append([]byte{0x81}, op...), 0x9a, 0, 15, 0, 0), make([]byte, 15<<16)...)},
	}
	for _, major := range []byte{0x40, 0x60, 0x80, 0xa0, 0xc0} {
		for _, size := range []string{"\x18\xff", "\x19\xff\xff", "\x1a\xff\xff\xff\xff", "\x1b\x7f\xff\xff\xff\xff\xff\xff\xff", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\x1f"} {
			claim := append([]byte{major | size[0]}, size[1:]...)
			name := string(claim)
			in["header "+name] = [2][]byte{claim, nil}
			in["space "+name] = [2][]byte{append([]byte("\x8f\x01"), claim...), nil}
			in["ops "+name] = [2][]byte{nil, claim}
			in["body "+name] = [2][]byte{nil, append(append([]byte{0x81}, op...), claim...)}
		}
	}
	many := []byte{0x99, 0x01, 0x00} // as many ops as allowed, as small as can be
	for i := range log.MaxOps {
		id := opID(i)
		many = append(append(append(many, 0x83, 0x18, byte(opOfNewer), 0x50), id[:]...), 0x80)
	}
	in["many ops"] = [2][]byte{nil, many}
	return in
}

// allocated returns what one call of fn allocates, in bytes.
func allocated(fn func()) int {
	const runs = 20
	var before, after runtime.MemStats
	fn()
	runtime.ReadMemStats(&before)
	for range runs {
		fn()
	}
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) / runs
}

// Decoding costs a small multiple of the input, whatever lengths it claims.
func TestHostileAllocations(t *testing.T) {
	const factor, constant = 8, 8 << 10
	check := func(name string, size int, fn func()) {
		t.Helper()
		if got := allocated(fn); got > factor*size+constant {
			t.Errorf("%s: %d bytes allocated for %d", name, got, size)
		}
	}
	for name, in := range hostile(t) {
		header, ops := in[0], in[1]
		check("header of "+name, len(header), func() { log.ReadHead(header) })                                 //nolint:errcheck // may fail
		check("ops of "+name, len(ops), func() { log.DecodeOps(ops, core.ChainContent) })                      //nolint:errcheck // may fail
		check("frame of "+name, len(ops), func() { log.DecodeFrame(ops) })                                     //nolint:errcheck // may fail
		check("claimed frame "+name, len(header), func() { log.DecodeFrame(append([]byte{0x83}, header...)) }) //nolint:errcheck // may fail
	}
	b, _ := newWorld(t).archive(t)
	claim := append(bytes.Clone(b[:16+4+36]), 0, 0x10, 0, 0) // a record of 1 MiB that is not there
	const buffers = 64 << 10                                 // constant: bufio and the first step
	if got := allocated(func() {
		if _, _, err := readArchive(bytes.NewReader(claim)); !errors.Is(err, core.ErrInvalidArchive) {
			t.Errorf("archive: %v, want ErrInvalidArchive", err)
		}
	}); got > buffers {
		t.Errorf("archive: %d bytes allocated for %d", got, len(claim))
	}
}

// A decoded update is not a second copy.
func TestUpdatesAreNotCopied(t *testing.T) {
	w := newWorld(t)
	e := seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.DocUpdate{Doc: "d", Update: make([]byte, 1<<19)}})
	if got := allocated(func() {
		if _, err := log.Decode(e.Raw); err != nil {
			t.Error(err)
		}
	}); got > 16<<10 {
		t.Errorf("Decode allocates %d bytes", got)
	}
}

// reencode decodes general CBOR and encodes it deterministically.
func reencode(t testing.TB, b []byte) []byte {
	t.Helper()
	mode, err := cbor.DecOptions{MaxArrayElements: 1 << 24, MaxNestedLevels: 64}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := mode.Unmarshal(b, &v); err != nil {
		t.Fatalf("%x was decoded here and not by the library: %v", b, err)
	}
	return encode(t, v)
}
