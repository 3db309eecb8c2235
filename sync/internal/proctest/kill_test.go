package proctest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/sync/internal/peerproc"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

func TestMain(m *testing.M) {
	peerproc.Main()
	goleak.VerifyTestMain(m)
}

// side is a peer that is killed and started again.
type side struct {
	t      *testing.T
	name   string
	dir    string
	listen []string
	runs   int
	words  []string // that were safe, of former runs
	*peerproc.Process
}

// newSide returns a peer that listens at the same place each time.
func newSide(t *testing.T, name, transport string) *side {
	t.Helper()
	s := &side{t: t, name: name, dir: t.TempDir(), listen: []string{fmt.Sprintf(transport, freePort(t))}}
	s.start()
	return s
}

// freePort returns a port that nobody listens at, of those that no system gives to
// connections that go out.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		tcp, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		if err := tcp.Close(); err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp4", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		if err := udp.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no free port")
	return 0
}

func (s *side) start() {
	s.t.Helper()
	s.runs++
	s.Process = peerproc.Start(s.t, peerproc.Config{Dir: s.dir, Listen: s.listen}, nil)
}

// crash kills the process and starts it again.
func (s *side) crash() {
	s.t.Helper()
	s.words = append(s.words, s.Kill()...)
	s.start()
}

// typed names what the process types next, differently in each run.
func (s *side) typed() string { return fmt.Sprint(s.name, s.runs, "x", len(s.safe())) }

// safe returns all words that were safe.
func (s *side) safe() []string { return append(slices.Clone(s.words), s.Words()...) }

func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("SOMA_SYNC_KILLS"))
	if err != nil {
		n = 4
	}
	return n
}

// random returns random numbers, of which the test says where they come from.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// eachTransport runs a test over TCP and over QUIC.
func eachTransport(t *testing.T, test func(t *testing.T, transport string)) {
	for name, transport := range map[string]string{"tcp": "/ip4/127.0.0.1/tcp/%d", "quic": "/ip4/127.0.0.1/udp/%d/quic-v1"} {
		t.Run(name, func(t *testing.T) { test(t, transport) })
	}
}

// Whatever was acknowledged before a kill is there afterwards, on both sides, once they
// have met again.
func TestKillsLoseNothing(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		rng := random(t)
		a, b := newSide(t, "a", transport), newSide(t, "b", transport)
		space := a.Do("create shared")
		a.Do("type %s %s 200 20000", space, a.typed())
		b.Do("join %s", a.Do("invite %s", space))
		for range kills(t) {
			// While b gets what a has. The pause moves the moment, it decides nothing.
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
			if rng.IntN(2) == 0 {
				a.crash()
			} else {
				b.crash()
			}
		}
		isMember(t, b, space)
		for range kills(t) {
			a.Do("typing %s %s 200 3000", space, a.typed())
			b.Do("typing %s %s 200 3000", space, b.typed())
			time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
			killed := []*side{a, b}[rng.IntN(2)]
			killed.crash()
			killed.Do("type %s %s %d 20000", space, killed.typed(), rng.IntN(50))
		}
		converge(t, space, a, b)
		if len(a.safe()) < 200 || len(b.safe()) == 0 {
			t.Errorf("%d and %d words were typed: nothing was looked at", len(a.safe()), len(b.safe()))
		}
		for _, s := range []*side{a, b} {
			s.Do("verify")
			s.Stop()
		}
	})
}

// A blob comes whole however often one of the two is killed, and nobody asks for it twice.
func TestKillsDuringBlob(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		const seed, size = 7, 40 << 20
		rng := random(t)
		a, b := newSide(t, "a", transport), newSide(t, "b", transport)
		space := a.Do("create shared")
		b.Do("join %s", a.Do("invite %s", space))
		isMember(t, b, space)
		blob := a.Do("put %s %d %d", space, seed, size)
		peertest.Until(t, "b knows of the blob", func() error {
			_, err := b.Try("fetch %s %s", space, blob)
			return err
		})
		for range kills(t) {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			if rng.IntN(3) == 0 {
				a.crash()
				continue
			}
			b.crash()
			if wanted := strings.Fields(b.Do("status %s", space))[2]; b.Do("here %s %s %d %d", space, blob, seed, size) == "no" && wanted != "1" {
				t.Errorf("after a kill %s blobs are wanted, want 1", wanted)
			}
		}
		peertest.Until(t, "the blob is on b", func() error {
			if b.Do("here %s %s %d %d", space, blob, seed, size) == "no" {
				return fmt.Errorf("status is %s", b.Do("status %s", space))
			}
			return nil
		})
		for _, s := range []*side{a, b} {
			s.Do("verify")
			s.Stop()
		}
	})
}

// isMember waits until who joined may write.
func isMember(t *testing.T, s *side, space string) {
	t.Helper()
	peertest.Until(t, s.name+" is a member", func() error {
		_, err := s.Try("type %s %s 1 10", space, s.typed())
		return err
	})
}

// converge waits until both have the same words, among them all that were safe, and know
// that they do.
func converge(t *testing.T, space string, a, b *side) {
	t.Helper()
	peertest.Until(t, "both have all", func() error {
		safe := append(a.safe(), b.safe()...)
		left, right := a.Do("words %s", space), b.Do("words %s", space)
		has := map[string]bool{}
		for word := range strings.FieldsSeq(left) {
			has[word] = true
		}
		for _, word := range safe {
			if !has[word] {
				return fmt.Errorf("%s is not on %s", word, a.name)
			}
		}
		if left != right {
			return fmt.Errorf("%s has %d words, %s %d", a.name, len(strings.Fields(left)), b.name, len(strings.Fields(right)))
		}
		for _, s := range []*side{a, b} {
			if status := s.Do("status %s", space); status != "1 0 0" {
				return fmt.Errorf("status of %s is %s, want 1 0 0", s.name, status)
			}
		}
		return nil
	})
}
