//go:build linux

package netnstest

import (
	"fmt"
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

// Two peers agree over a line that is bad, and after it was cut, and know how things are
// meanwhile.
func TestBadLine(t *testing.T) {
	for name, transport := range map[string]string{"tcp": "/ip4/%s/tcp/4001", "quic": "/ip4/%s/udp/4001/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			badLine(t, transport)
		})
	}
}

func badLine(t *testing.T, transport string) {
	const seed, size = 3, 2 << 20
	nsA, nsB, l := connected(t)
	l.delay.Store(int64(5 * time.Millisecond))
	l.loss.Store(20)
	a := peerproc.Start(t, peerproc.Config{Dir: t.TempDir(), Listen: []string{fmt.Sprintf(transport, nsA.ip)}}, nsA.start)
	b := peerproc.Start(t, peerproc.Config{Dir: t.TempDir(), Listen: []string{fmt.Sprintf(transport, nsB.ip)}}, nsB.start)
	space := a.Do("create shared")
	a.Do("type %s a0 50 3000", space)
	b.Do("join %s", a.Do("invite %s", space))
	peertest.Until(t, "b is a member", func() error {
		_, err := b.Try("type %s b0 1 10", space)
		return err
	})
	a.Do("type %s a1 20 3000", space)
	b.Do("type %s b1 20 3000", space)
	agree(t, space, a, b)

	l.cut.Store(true)
	a.Do("type %s a2 20 3000", space)
	b.Do("type %s b2 20 3000", space)
	peertest.Until(t, "both notice that the line is cut", func() error {
		for _, p := range []*peerproc.Process{a, b} {
			if status := strings.Fields(p.Do("status %s", space)); status[0] != "0" || status[1] == "0" {
				return fmt.Errorf("status is %v, want no peers, and some that is here only", status)
			}
		}
		return nil
	})
	l.cut.Store(false)
	agree(t, space, a, b)

	blob := a.Do("put %s %d %d", space, seed, size)
	peertest.Until(t, "b knows of the blob", func() error {
		_, err := b.Try("fetch %s %s", space, blob)
		return err
	})
	l.cut.Store(true)
	time.Sleep(time.Second) // somewhere in between, or before
	l.cut.Store(false)
	peertest.Until(t, "the blob is on b", func() error {
		if b.Do("here %s %s %d %d", space, blob, seed, size) == "no" {
			return fmt.Errorf("status is %s", b.Do("status %s", space))
		}
		return nil
	})
	if l.lost.Load() == 0 || l.carried.Load() == 0 {
		t.Errorf("the line carried %d packets and lost %d", l.carried.Load(), l.lost.Load())
	}
	a.Stop()
	b.Stop()
}

// Two peers in one network find each other, also where a ticket says where its author was
// before, and again when both have moved.
func TestNearby(t *testing.T) {
	nsA, nsB, _ := connected(t)
	dirs := map[*namespace]string{nsA: t.TempDir(), nsB: t.TempDir()}
	start := func(ns *namespace) *peerproc.Process {
		return peerproc.Start(t, peerproc.Config{Dir: dirs[ns], Listen: []string{"/ip4/" + ns.ip + "/tcp/0"}, Nearby: true}, ns.start)
	}
	a := start(nsA)
	space := a.Do("create shared")
	ticket, before := a.Do("invite %s", space), a.Do("addrs")
	a.Stop()
	a = start(nsA)
	if after := a.Do("addrs"); after == before {
		t.Fatalf("a listens at %s again, where the ticket says that it is", after)
	}
	b := start(nsB)
	b.Do("join %s", ticket)
	peertest.Until(t, "b is a member", func() error {
		_, err := b.Try("type %s b0 1 10", space)
		return err
	})
	agree(t, space, a, b)
	written := append(a.Words(), b.Words()...)

	a.Stop()
	b.Stop()
	a, b = start(nsA), start(nsB)
	a.Do("type %s a1 1 10", space)
	peertest.Until(t, "they have found each other again", func() error {
		if got := len(strings.Fields(b.Do("words %s", space))); got != len(written)+1 {
			return fmt.Errorf("%d words, want %d", got, len(written)+1)
		}
		return nil
	})
	a.Stop()
	b.Stop()
}

// agree waits until both have all that was typed, and know it.
func agree(t *testing.T, space string, a, b *peerproc.Process) {
	t.Helper()
	peertest.Until(t, "both have all", func() error {
		want := len(a.Words()) + len(b.Words())
		for _, p := range []*peerproc.Process{a, b} {
			if got := len(strings.Fields(p.Do("words %s", space))); got != want {
				return fmt.Errorf("%d words, want %d", got, want)
			}
			if status := p.Do("status %s", space); status != "1 0 0" {
				return fmt.Errorf("status is %s, want 1 0 0", status)
			}
		}
		return nil
	})
}
