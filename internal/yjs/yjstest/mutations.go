package yjstest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Mutations yields n damaged copies of valid updates: bits flipped, cut short,
// spliced, with huge numbers where lengths and clocks stand. Some stay valid.
// The same seed gives the same ones.
func Mutations(seed uint64, n int, valid [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for range n {
			m := slices.Clone(valid[rng.IntN(len(valid))])
			for range 1 + rng.IntN(3) {
				m = mutate(rng, m, valid)
			}
			if !yield(m) {
				return
			}
		}
	}
}

// Numbers that decoders stumble over, as lib0 writes them: the largest of 7 to
// 64 bits, one that never ends, and one that is longer than it needs to be.
var hardNumbers = [][]byte{
	{0x7f},
	{0xff, 0x7f},
	{0xff, 0xff, 0xff, 0xff, 0x07},
	{0xff, 0xff, 0xff, 0xff, 0x0f},
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f},
	{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10},
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	bytes.Repeat([]byte{0xff}, 12),
	{0x80, 0x80, 0x00},
}

func mutate(rng *rand.Rand, m []byte, valid [][]byte) []byte {
	if len(m) == 0 {
		return []byte{byte(rng.Uint32())}
	}
	at := rng.IntN(len(m))
	end := min(len(m), at+1+rng.IntN(12))
	switch rng.IntN(9) {
	case 0:
		m[at] ^= 1 << rng.IntN(8)
	case 1:
		m[at] = byte(rng.Uint32())
	case 2:
		m = m[:at]
	case 3:
		m = slices.Delete(m, at, end)
	case 4:
		m = slices.Insert(m, at, slices.Clone(m[at:end])...)
	case 5:
		m = slices.Replace(m, at, at+1, hardNumbers[rng.IntN(len(hardNumbers))]...)
	case 6:
		other := valid[rng.IntN(len(valid))]
		m = append(m[:at], other[rng.IntN(len(other)+1):]...)
	case 7:
		m = append(m, m[:at]...)
	case 8:
		// Nesting: runs of the bytes that open an array, an object and a type.
		deep := bytes.Repeat([]byte{[]byte{117, 118, 7}[rng.IntN(3)], 1}, 1<<rng.IntN(14))
		m = slices.Insert(m, at, deep...)
	}
	return m
}

// Bounds on what one call may allocate in all: a multiple of the input and of
// the document, and a base that covers what the runtime's counter is late with.
// A length that is believed costs far more.
const (
	allocBase  = 16 << 20
	allocTimes = 400
)

// RunMutations feeds n damaged updates to an engine. Every call must return,
// with or without an error, allocate in proportion to its input and leave a
// document alone when it fails. What Validate accepts must merge and apply, and
// what it refuses must not.
func RunMutations(t *testing.T, e Engine, seed uint64, n int, sessions []*Session) {
	t.Helper()
	sessions = Readable(sessions)
	var valid [][]byte
	for _, s := range sessions {
		valid = append(valid, s.Updates...)
		valid = append(valid, s.Runs[0].At[len(s.Runs[0].At)-1].Update)
		for _, m := range s.Merges {
			valid = append(valid, m.Out)
		}
	}
	t.Logf("seed %d, %d updates to damage", seed, len(valid))
	rng := rand.New(rand.NewPCG(seed, 1))
	var target *victim
	var accepted, failed int
	for m := range Mutations(seed, n, valid) {
		if target == nil || target.uses > 200 {
			var err error
			if target, err = newVictim(e, sessions[rng.IntN(len(sessions))]); err != nil {
				t.Fatal(err)
			}
		}
		// An endless loop cannot be ended from outside; it can only be named.
		watchdog := time.AfterFunc(patience, func() { panic(fmt.Sprintf("no end for input %x", m)) })
		changed, err := target.try(e, m)
		watchdog.Stop()
		if changed {
			accepted++
			target = nil
		}
		if err == nil {
			continue
		}
		target = nil
		if failed++; failed <= maxReported {
			t.Errorf("%v\ninput %x", err, m)
		}
	}
	t.Logf("%d of %d still valid", accepted, n)
	if failed > 0 {
		t.Errorf("%d of %d damaged updates mishandled", failed, n)
	}
}

// A victim is a document that damaged updates are applied to.
type victim struct {
	session *Session
	doc     Doc
	state   []byte
	vector  []byte
	pending bool
	uses    int
}

// newVictim loads some of a session, out of order, so that something may be pending.
func newVictim(e Engine, s *Session) (*victim, error) {
	v := &victim{session: s, doc: e.NewDoc()}
	declare(v.doc, s)
	for i, run := range s.Runs {
		if run.Name != "shuffled" || run.Declared {
			continue
		}
		for _, update := range s.Runs[i].Apply[:(len(run.Apply)+1)/2] {
			if err := v.doc.Apply(update); err != nil {
				return nil, fmt.Errorf("session %s/%d: apply: %w", s.Family, s.Seed, err)
			}
		}
	}
	var err error
	if v.state, err = v.doc.Encode(nil); err != nil {
		return nil, fmt.Errorf("session %s/%d: encode: %w", s.Family, s.Seed, err)
	}
	v.vector, v.pending = v.doc.StateVector(), v.doc.Pending()
	return v, nil
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// try gives one input to every entry point. It reports whether the document
// took it.
func (v *victim) try(e Engine, m []byte) (changed bool, err error) {
	v.uses++
	what := ""
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", what, r, debug.Stack())
		}
	}()
	bound := uint64(allocBase + allocTimes*(len(m)+len(v.state)))
	original := slices.Clone(m)
	bounded := func(name string, call func() error) error {
		what = name
		before := allocated()
		err := call()
		if used := allocated() - before; used > bound {
			return fmt.Errorf("%s: allocates %d bytes for %d bytes of input and %d of document", name, used, len(m), len(v.state))
		}
		if !bytes.Equal(m, original) {
			return fmt.Errorf("%s: writes to its input", name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, &refusal{err})
		}
		return nil
	}
	calls := []func() error{
		func() error { return bounded("validate", func() error { return e.Validate(m) }) },
		func() error {
			return bounded("merge", func() error { _, err := e.Merge(v.state, m); return err })
		},
		func() error {
			return bounded("diff", func() error { _, err := e.Diff(m, v.vector); return err })
		},
		func() error {
			return bounded("vector", func() error { _, err := e.StateVector(m); return err })
		},
		func() error {
			return bounded("compact", func() error { _, err := e.Compact(v.state, m); return err })
		},
		func() error {
			return bounded("apply", func() error { return v.doc.Apply(m) })
		},
	}
	verdicts := make([]error, len(calls))
	for i, call := range calls {
		err := call()
		var refused *refusal
		if err != nil && !errors.As(err, &refused) {
			return false, err
		}
		verdicts[i] = err
	}
	// A diff and a vector as damaged as the update: only survival counts.
	_ = bounded("vector argument", func() error { _, err := e.Diff(v.state, m); return err })
	_ = bounded("encode for vector", func() error { _, err := v.doc.Encode(m); return err })

	validated, merged, applied := verdicts[0] == nil, verdicts[1] == nil, verdicts[5] == nil
	if validated != merged || validated != applied {
		return applied, fmt.Errorf("no agreement whether this is an update: Validate %s, Merge %s, Apply %s",
			verdict(verdicts[0]), verdict(verdicts[1]), verdict(verdicts[5]))
	}
	what = "use after apply"
	if !applied {
		return false, v.unchanged()
	}
	if _, err := v.doc.Encode(nil); err != nil {
		return true, fmt.Errorf("encode after an accepted update: %w", err)
	}
	if _, err := contentOf(v.doc); err != nil {
		return true, fmt.Errorf("content after an accepted update: %w", err)
	}
	return true, nil
}

func verdict(err error) string {
	if err == nil {
		return "accepts it"
	}
	return "says " + strconv.Quote(err.Error())
}

// refusal marks an error that the engine returned, as it should.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func (v *victim) unchanged() error {
	state, err := v.doc.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode after a failed apply: %w", err)
	}
	if err := same("state after a failed apply", state, v.state); err != nil {
		return err
	}
	if err := same("state vector after a failed apply", v.doc.StateVector(), v.vector); err != nil {
		return err
	}
	if v.doc.Pending() != v.pending {
		return errors.New("pending changed by a failed apply")
	}
	return nil
}
