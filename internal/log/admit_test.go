package log_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func TestAdmitReturnsMembershipHeads(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		e    *log.Entry
		want []core.Hash
	}{
		"genesis":                {w.genesis, nil},
		"first content":          {w.retire, []core.Hash{w.genesis.Hash}},
		"nothing new":            {w.update, []core.Hash{w.genesis.Hash}},
		"first membership":       {w.acts, []core.Hash{w.genesis.Hash}},
		"new auth covers before": {w.unknown, []core.Hash{w.acts.Hash}},
	} {
		got, err := log.Admit(c.e, w.past)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: Admit = %v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestAdmitVerifiesTheSignature(t *testing.T) {
	w := newWorld(t)
	raw := w.update.Raw
	raw.Sig = sign(keyOf("stranger"), raw.Header)
	e, err := log.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = log.Admit(e, w.past)
	wantReason(t, "not verified before", err, log.ReasonSignature)
}

func TestWaitingNamesAllThatIsMissing(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		e       *log.Entry
		without []*log.Entry
		want    []core.Hash
	}{
		"all":     {w.unknown, w.entries(), sorted(w.genesis.Hash, w.merge.Hash, w.acts.Hash)},
		"prev":    {w.update, []*log.Entry{w.meta}, []core.Hash{w.meta.Hash}},
		"auth":    {w.unknown, []*log.Entry{w.acts}, []core.Hash{w.acts.Hash}},
		"deps":    {w.merge, []*log.Entry{w.update}, []core.Hash{w.update.Hash}},
		"genesis": {w.retire, []*log.Entry{w.genesis}, []core.Hash{w.genesis.Hash}}, // cited twice, named once
		"mix":     {w.merge, []*log.Entry{w.update, w.remove}, sorted(w.update.Hash, w.remove.Hash)},
	} {
		past := w.past.clone()
		for _, e := range c.without {
			delete(past.all, e.Hash)
		}
		var waiting *log.WaitingError
		err := judge(c.e.Raw, past)
		if !errors.As(err, &waiting) || errors.Is(err, core.ErrInvalidEntry) {
			t.Errorf("%s: %v, want to wait", name, err)
			continue
		}
		if waiting.Reason != log.WaitPast || waiting.Hash != c.e.Hash || !slices.Equal(waiting.Missing, c.want) {
			t.Errorf("%s: waits for %v, want %v", name, waiting.Missing, c.want)
		}
	}
}

// What is wrong for good is said at once, and nothing is fetched for it.
func TestRejectionGoesBeforeWaiting(t *testing.T) {
	w := newWorld(t)
	delete(w.past.all, w.update.Hash)
	raw := forge(t, w.owner, w.merge, nil, func(f []any) { f[fPrev] = w.retire.Hash[:] })
	wantReason(t, "wrong prev, missing deps", judge(raw, w.past), log.ReasonPrev)
}

func TestMembershipOpsOfALaterVersionWait(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		key    string
		number log.OpNumber
	}{
		"manage":           {"owner", 5},
		"self":             {"owner", 63},
		"by somebody else": {"stranger", 63},
	} {
		body := log.UnknownOp{Op: c.number, Raw: []byte{0x80}}
		e := seal(t, keyOf(c.key), w.acts.Header, log.Op{ID: opID(1), Body: body})
		var waiting *log.WaitingError
		_, err := log.Admit(e, w.past)
		if !errors.As(err, &waiting) || errors.Is(err, core.ErrInvalidEntry) ||
			waiting.Reason != log.WaitMembershipOp || waiting.Op != c.number || waiting.Error() == "" {
			t.Errorf("%s: %v, want to wait for the evaluation of %s", name, err, c.number)
		}
	}
	e := seal(t, w.owner, w.acts.Header, log.Op{ID: opID(1), Body: log.UnknownOp{Op: 5, Raw: []byte{0x80}}})
	raw := forge(t, w.owner, e, nil, func(f []any) { f[fLamport] = 9 })
	wantReason(t, "inadmissible anyway", judge(raw, w.past), log.ReasonLamport)
	// What its number alone forbids is not waited for.
	e = seal(t, keyOf("stranger"), w.acts.Header, log.Op{ID: opID(1), Body: log.UnknownOp{Op: 5, Raw: []byte{0x80}}})
	_, err := log.Admit(e, w.past)
	wantReason(t, "by a stranger", err, log.ReasonCapability)
}

// All forks are admissible: which branch counts is not a question of one past.
func TestForksAreAdmitted(t *testing.T) {
	w := newWorld(t)
	fork := seal(t, w.owner, w.update.Header, log.Op{ID: opID(99), Body: log.DocDelete{Doc: "page-1"}})
	w.past.take(t, fork)
	after := w.update.Header
	after.Seq, after.Prev, after.Lamport = 4, fork.Hash, 5
	w.past.take(t, seal(t, w.owner, after))

	both := sorted(fork.Hash, w.update.Hash) // another writer may build upon both
	h := w.merge.Header
	h.Deps = both
	w.past.take(t, seal(t, w.owner, h))
}

func TestUnknownContentOpsAreKept(t *testing.T) {
	w := newWorld(t)
	for _, n := range []log.OpNumber{65, 95, 99, 159, 161, 191, 192, 223} {
		want := log.UnknownOp{Op: n, Raw: []byte("\x82\x81\x20\x63abc")}
		raw := seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: want}).Raw
		e, err := log.Decode(raw)
		if err != nil || !reflect.DeepEqual(e.Ops[0].Body, want) {
			t.Errorf("op %d: %v, %v, want %v", n, e, err, want)
			continue
		}
		if _, err := log.Admit(e, w.past); err != nil {
			t.Errorf("op %d: Admit = %v", n, err)
		}
	}
}

// broken is a Past that has errors of its own.
type broken struct {
	memory
	fail core.Hash
	err  error
}

func (b broken) Ancestor(hash core.Hash) (log.Ancestor, error) {
	if hash == b.fail {
		return log.Ancestor{}, b.err
	}
	return b.memory.Ancestor(hash)
}

func TestErrorsOfThePastAreNoVerdict(t *testing.T) {
	w := newWorld(t)
	oops := fmt.Errorf("disk on fire")
	for _, hash := range []core.Hash{w.genesis.Hash, w.merge.Hash, w.acts.Hash} {
		_, err := log.Admit(w.unknown, broken{w.past, hash, oops})
		var waiting *log.WaitingError
		if !errors.Is(err, oops) || errors.Is(err, core.ErrInvalidEntry) || errors.As(err, &waiting) {
			t.Errorf("Admit = %v, want the error of the past", err)
		}
	}

	// A hole below what was accepted is damage, nothing to wait for.
	lost := core.Hash{1}
	a := w.past.all[w.merge.Hash]
	a.AuthSet = []core.Hash{lost}
	w.past.all[w.merge.Hash] = a
	if _, err := log.Admit(w.unknown, w.past); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Admit over a hole = %v, want ErrCorrupt", err)
	}
}

func TestStateOfAPast(t *testing.T) {
	w := newWorld(t)
	owner, stranger := peerOf(w.owner), peerOf(keyOf("stranger"))
	s, err := w.past.State([]core.Hash{w.acts.Hash})
	if err != nil {
		t.Fatal(err)
	}
	if s.Role(owner) != log.RoleOwner || !s.Allows(owner, log.CapManage) || s.Role(stranger) != 0 || s.Allows(stranger, log.CapMember) {
		t.Errorf("owner is %s, stranger is %s", s.Role(owner), s.Role(stranger))
	}
	if s, err := w.past.State(nil); err != nil || s.Role(owner) != 0 {
		t.Errorf("before the genesis: owner is %s, %v", s.Role(owner), err)
	}
	if _, err := w.past.State([]core.Hash{{5}}); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("State(unknown entry) = %v, want ErrCorrupt", err)
	}
}
