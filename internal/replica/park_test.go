package replica_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// stray returns an entry of nearly a mebibyte, the n-th of an author whose past never
// comes.
func stray(t testing.TB, space core.SpaceID, key ed25519.PrivateKey, n int) core.Entry {
	t.Helper()
	w := newAuthor(t, key, space, 1)
	h := w.header()
	h.Seq, h.Auth, h.Prev = 2, nil, core.Hash{1, byte(n >> 8), byte(n)}
	return w.sign(h, update("doc", insert(1, 0, strings.Repeat("x", 1<<20-1000)))).Raw
}

// keyNumber returns one of many keys.
func keyNumber(n int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, uint64(n))
	return ed25519.NewKeyFromSeed(seed)
}

// flood hands in n entries of a mebibyte and returns how many wait, and how many were
// dropped.
func (s *site) flood(space core.SpaceID, key ed25519.PrivateKey, n int) (waiting, dropped int) {
	s.t.Helper()
	for i := range n {
		o := s.accept(space, stray(s.t, space, key, i))[0]
		if err := (*log.WaitingError)(nil); !errors.As(o.Err, &err) {
			s.t.Fatalf("Err = %v, want a WaitingError", o.Err)
		}
		switch o.Status {
		case core.EntryWaiting:
			waiting++
		case core.EntryDropped:
			dropped++
		default:
			s.t.Fatalf("entry is %s, want that it waits or was dropped", o.Status)
		}
	}
	return waiting, dropped
}

func (s *site) addEditor(space core.SpaceID, key ed25519.PrivateKey) {
	s.t.Helper()
	if err := s.AddMember(s.ctx(), space, peerOf(key), log.RoleEditor, log.KindDevice); err != nil {
		s.t.Fatalf("AddMember = %v", err)
	}
}

func TestParkingIsBounded(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	parked := stray(t, space, keyNumber(1), 0)
	s.wantStatus(space, core.EntryWaiting, parked)
	if waiting, dropped := s.flood(space, keyNumber(1), 6); waiting != 3 || dropped != 3 {
		t.Errorf("one stranger: %d more wait and %d were dropped, want 3 and 3", waiting, dropped)
	}
	before := s.waiting(space)
	s.wantStatus(space, core.EntryWaiting, parked) // again: it is there
	if got := s.waiting(space); got != before || got > replica.MaxParkedPerAuthor {
		t.Errorf("%d bytes wait after a repetition, want %d", got, before)
	}
	for n := 2; n < 12; n++ {
		s.flood(space, keyNumber(n), 1)
	}
	ofStrangers := s.waiting(space)
	if ofStrangers > replica.MaxParkedOfStrangers || ofStrangers < replica.MaxParkedOfStrangers-1<<20 {
		t.Errorf("eleven strangers: %d bytes wait, want nearly %d", ofStrangers, replica.MaxParkedOfStrangers)
	}
	s.wantStatus(space, core.EntryDropped, stray(t, space, keyNumber(99), 0))

	// Members have room, each for themselves, and all together.
	for n := range 10 {
		key := keyNumber(100 + n)
		s.addEditor(space, key)
		want := 4
		if n >= 6 { // 32 MiB less what strangers took
			want = 0
		}
		if waiting, _ := s.flood(space, key, 5); waiting != want {
			t.Errorf("member %d: %d wait, want %d", n, waiting, want)
		}
	}
	if got := s.waiting(space); got > replica.MaxParkedPerSpace || got < replica.MaxParkedPerSpace-2<<20 {
		t.Errorf("strangers and members: %d bytes wait, want nearly %d", got, replica.MaxParkedPerSpace)
	}

	// Who sends entries with their past is not held up by that.
	w := newAuthor(t, s.id.Key(), space, 1)
	s.wantStatus(space, core.EntryAccepted, raws(
		w.write(nil, update("mine", insert(1, 0, "a"))), w.write(nil, update("mine", insert(1, 1, "b"))))...)
	s.wantText(space, "mine", "ab")
}

// TestStrangersBecomeMembers has the room for what waits follow who is a member.
func TestStrangersBecomeMembers(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	one, two, three := keyNumber(1), keyNumber(2), keyNumber(3)
	s.flood(space, one, 4)
	s.flood(space, two, 4)
	if waiting, _ := s.flood(space, three, 1); waiting != 0 {
		t.Errorf("a stranger more: %d wait, want none", waiting)
	}
	s.addEditor(space, one)
	if waiting, _ := s.flood(space, three, 1); waiting != 1 {
		t.Errorf("a stranger after another became a member: %d wait, want 1", waiting)
	}
	if err := s.RemoveMember(s.ctx(), space, peerOf(one), false); err != nil {
		t.Fatal(err)
	}
	if waiting, _ := s.flood(space, three, 3); waiting != 0 {
		t.Errorf("a stranger after a member was removed: %d more wait, want none", waiting)
	}
}

// BenchmarkParkedFlood has strangers, each with a key of their own, send entries that
// are as small as can be, until no more fit: the most rows that what waits can have.
// It reports the size of the database, per byte that counts as waiting too, and the
// time per entry.
func BenchmarkParkedFlood(b *testing.B) {
	const batch = 256
	var n, waiting, size int64
	var spent time.Duration
	for b.Loop() {
		s := openSite(b, siteOptions{noVerify: true})
		space := s.create("bench")
		n = 0
		for full := false; !full; {
			entries := make([]core.Entry, batch)
			for i := range entries {
				n++
				w := newAuthor(b, keyNumber(int(n)), space, 1)
				h := w.header()
				h.Seq, h.Auth, h.Prev = 2, nil, core.Hash{byte(n >> 16), byte(n >> 8), byte(n), 1}
				entries[i] = w.sign(h).Raw
			}
			start := time.Now()
			outcomes := s.accept(space, entries...)
			spent += time.Since(start)
			full = outcomes[batch-1].Status == core.EntryDropped
		}
		waiting = s.waiting(space)
		s.close()
		size = fileSize(b, s.database)
	}
	b.ReportMetric(float64(n), "entries")
	b.ReportMetric(float64(size)/1e6, "MB")
	b.ReportMetric(float64(size)/float64(waiting), "B/waiting-B")
	b.ReportMetric(float64(spent.Microseconds())/float64(int64(b.N)*n), "µs/entry")
}
