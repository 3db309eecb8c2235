package yjs_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// togetherShare is how many of the live sessions are also played together with yjs.
const togetherShare = 10

// TestLiveTogether has this engine and real yjs edit the same document at the same time,
// each receiving what the other one emits, late and in any order. SOMA_YJS_SEED repeats
// a session.
func TestLiveTogether(t *testing.T) {
	count := max(liveSessions(t)/togetherShare, 1)
	seed := uint64(rand.Uint32())
	if given, ok := number(t, "SOMA_YJS_SEED"); ok {
		seed, count = given, 1
	}
	t.Logf("%d sessions from seed %d", count, seed)
	seeds := make(chan uint64)
	var players sync.WaitGroup
	for range generators {
		verifier, err := yjstest.NewVerifier(nodeDir)
		if err != nil {
			t.Fatal(err)
		}
		players.Go(func() {
			defer func() {
				if err := verifier.Close(); err != nil {
					t.Error(err)
				}
			}()
			for seed := range seeds {
				if err := newMeeting(t, verifier, seed).play(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	for i := range uint64(count) {
		seeds <- seed + i
	}
	close(seeds)
	players.Wait()
}

// meeting is a session of documents of both kinds.
type meeting struct {
	t        *testing.T
	verifier *yjstest.Verifier
	s        scribbler
	seed     uint64
	roots    []yjstest.Root
	members  []member
	inboxes  [][][]byte
	sent     [][]byte   // all updates, in causal order
	played   [][][]byte // by member: what it emitted and received, in this order
}

// member is a document of either engine.
type member interface {
	edit(seed uint64) ([][]byte, error)
	apply(update []byte) ([][]byte, error)
	read() (*yjstest.Reading, error)
	close() error
}

func newMeeting(t *testing.T, verifier *yjstest.Verifier, seed uint64) *meeting {
	m := &meeting{t: t, verifier: verifier, seed: seed}
	m.s = scribbler{choices: random{rand.New(rand.NewPCG(seed, 4))}}
	// Where surrogate pairs are cut, replicas of yjs hold other text.
	m.s.halves = m.s.below(4) == 0
	for _, root := range scribbled {
		for kind, k := range kinds {
			if k == root.kind {
				m.roots = append(m.roots, yjstest.Root{Name: root.name, Kind: kind})
			}
		}
	}
	return m
}

func (m *meeting) play() (err error) {
	defer func() {
		for _, member := range m.members {
			err = errors.Join(err, member.close())
		}
	}()
	clients := []uint64{1 + m.s.below(1000), 5000 + m.s.below(1<<32), 1<<33 + m.s.below(1<<52), 3000}
	for i := range 2 + m.s.below(3) {
		var next member
		if i%2 == 0 {
			next = newGoMember(m.t, clients[i], m.s.halves)
		} else if next, err = m.openPeer(clients[i]); err != nil {
			return err
		}
		m.members = append(m.members, next)
	}
	m.inboxes = make([][][]byte, len(m.members))
	m.played = make([][][]byte, len(m.members))
	for range 20 + m.s.below(80) {
		i := int(m.s.below(uint64(len(m.members))))
		if m.s.below(3) > 0 {
			out, err := m.members[i].edit(uint64(m.s.below(1 << 32)))
			if err != nil {
				return err
			}
			m.send(i, out)
			continue
		}
		for n := m.s.below(uint64(len(m.inboxes[i]) + 1)); n > 0; n-- {
			at := uint64(0)
			if m.s.below(3) == 0 {
				at = m.s.below(uint64(len(m.inboxes[i])))
			}
			if err := m.deliver(i, at); err != nil {
				return err
			}
		}
	}
	if err := m.heal(); err != nil {
		return err
	}
	if err := m.wake(); err != nil {
		return err
	}
	return m.compare()
}

func (m *meeting) send(from int, updates [][]byte) {
	m.sent = append(m.sent, updates...)
	m.played[from] = append(m.played[from], updates...)
	for i := range m.inboxes {
		if i != from {
			m.inboxes[i] = append(m.inboxes[i], updates...)
		}
	}
}

func (m *meeting) deliver(i int, at uint64) error {
	inbox := m.inboxes[i]
	update := inbox[at]
	m.inboxes[i] = append(inbox[:at:at], inbox[at+1:]...)
	m.played[i] = append(m.played[i], update)
	out, err := m.members[i].apply(update)
	if err != nil {
		return err
	}
	m.send(i, out)
	return nil
}

// heal delivers everything, and what that makes them emit.
func (m *meeting) heal() error {
	for range 100 {
		quiet := true
		for i := range m.members {
			for len(m.inboxes[i]) > 0 {
				quiet = false
				if err := m.deliver(i, 0); err != nil {
					return err
				}
			}
		}
		if quiet {
			return nil
		}
	}
	return errors.New("they never come to rest")
}

// wake gives everything once more to those who still wait, who must be those that yjs
// leaves waiting for what they have (see TestDisorder): a Y.Doc that is given the same in
// the same order has to wait too, and this engine to hold the same bytes then.
func (m *meeting) wake() error {
	for i, member := range m.members {
		reading, err := member.read()
		if err != nil {
			return err
		}
		byYjs, err := m.verifier.Read(m.roots, true, m.played[i]...)
		if err != nil {
			return fmt.Errorf("yjs reads what member %d had: %w", i, err)
		}
		if err := sameSequence(m.roots, byYjs, m.played[i]); err != nil {
			return fmt.Errorf("what member %d had, read by both: %w", i, err)
		}
		if reading.Pending != byYjs.Pending {
			return fmt.Errorf("member %d: pending is %v, in a Y.Doc that had the same %v", i, reading.Pending, byYjs.Pending)
		}
		if err := sameBytes("state vector", reading.StateVector, byYjs.StateVector); err != nil {
			return fmt.Errorf("member %d, beside a Y.Doc that had the same: %w", i, err)
		}
		if reading.Pending {
			m.inboxes[i] = append(m.inboxes[i], m.sent...)
		}
	}
	return m.heal()
}

// compare compares what all hold, and what either engine reads from it. A reader that
// is given all updates may clean formats up by itself, so of that only the clocks count.
func (m *meeting) compare() error {
	all, err := m.verifier.Read(m.roots, true, m.sent...)
	if err != nil {
		return fmt.Errorf("yjs reads all updates: %w", err)
	}
	var first *yjstest.Reading
	for i, member := range m.members {
		reading, err := member.read()
		if err != nil {
			return err
		}
		if err := sameReading(reading, all, false, false); err != nil {
			return fmt.Errorf("member %d, beside all updates: %w", i, err)
		}
		if first == nil {
			first = reading
		}
		if err := sameReading(reading, first, !m.s.halves, false); err != nil {
			return fmt.Errorf("member %d, beside the first: %w", i, err)
		}
		byYjs, err := m.verifier.Read(m.roots, true, reading.Update)
		if err != nil {
			return fmt.Errorf("yjs reads state %d: %w", i, err)
		}
		byGo := newGoMember(m.t, 1, false)
		if _, err := byGo.apply(reading.Update); err != nil {
			return err
		}
		read, err := byGo.read()
		if err != nil {
			return err
		}
		if err := sameReading(read, byYjs, true, true); err != nil {
			return fmt.Errorf("state %d, read by both: %w", i, err)
		}
	}
	return nil
}

// sameReading compares two documents. Where pairs were cut, their text may differ. The
// content of those who wrote it is not compared: in memory they hold values as they were
// given, like NaN in a format, which no update carries.
func sameReading(got, want *yjstest.Reading, state, content bool) error {
	if got.Pending || want.Pending {
		return errors.New("something is pending")
	}
	if !bytes.Equal(got.StateVector, want.StateVector) {
		return fmt.Errorf("state vector %x, want %x", got.StateVector, want.StateVector)
	}
	if state {
		x, err := yjs.Compact(got.Update)
		if err != nil {
			return err
		}
		y, err := yjs.Compact(want.Update)
		if err != nil {
			return err
		}
		if err := sameBytes("state", x, y); err != nil {
			return err
		}
	}
	if !content {
		return nil
	}
	a, err := yjstest.CanonicalRoots(got.Content)
	if err != nil {
		return err
	}
	b, err := yjstest.CanonicalRoots(want.Content)
	if err != nil {
		return err
	}
	return sameBytes("content", []byte(a), []byte(b))
}

// sameBytes shows where two things part.
func sameBytes(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	near := func(b []byte) []byte { return b[max(0, at-40):min(len(b), at+80)] }
	return fmt.Errorf("%s of %d bytes, want %d, from byte %d: %q, want %q", what, len(got), len(want), at, near(got), near(want))
}

// goMember is a document of this engine.
type goMember struct {
	*editor
	halves bool
}

func newGoMember(t *testing.T, client uint64, halves bool) *goMember {
	e := newEditor(client)
	for _, root := range scribbled {
		typ, err := e.Doc.Declare(root.name, root.kind)
		if err != nil {
			t.Error(err)
		}
		e.declared = append(e.declared, typ)
	}
	return &goMember{e, halves}
}

func (m *goMember) edit(seed uint64) ([][]byte, error) {
	s := scribbler{random{rand.New(rand.NewPCG(seed, 5))}, m.halves}
	err := m.Transact(func(tx *yjs.Transaction) error {
		for range 1 + s.below(3) {
			if err := s.edit(tx); err != nil {
				return err
			}
		}
		return nil
	})
	return m.Emitted(), err
}

func (m *goMember) apply(update []byte) ([][]byte, error) {
	err := m.Apply(update)
	return m.Emitted(), err
}

func (m *goMember) read() (*yjstest.Reading, error) {
	if err := m.Audit(); err != nil {
		return nil, err
	}
	update, err := m.Encode(nil)
	if err != nil {
		return nil, err
	}
	content, err := m.Content()
	return &yjstest.Reading{Content: content, StateVector: m.StateVector(), Update: update, Pending: m.HasPending()}, err
}

func (m *goMember) close() error { return nil }

// yjsMember is a Y.Doc. Its operations are those of recorded sessions.
type yjsMember struct {
	*yjstest.Peer
	family string
}

func (m *meeting) openPeer(client uint64) (member, error) {
	family := "events" // which has the same roots
	if m.s.halves {
		family = "mixed"
	}
	peer, err := m.verifier.Open(client, m.roots, false)
	return yjsMember{peer, family}, err
}

func (m yjsMember) edit(seed uint64) ([][]byte, error) {
	changes, err := m.Edit(m.family, uint32(seed))
	return changes.Emitted, err
}

func (m yjsMember) apply(update []byte) ([][]byte, error) {
	changes, err := m.Apply(update)
	return changes.Emitted, err
}

func (m yjsMember) read() (*yjstest.Reading, error) { return m.Read() }
func (m yjsMember) close() error                    { return m.Close() }
