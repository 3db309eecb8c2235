package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cycles = 50

// After 50 times that two peers are opened, meet, exchange something and are closed there
// are no more goroutines, files and memory than after a few.
func TestNothingIsLeft(t *testing.T) {
	dirs := [2]string{t.TempDir(), t.TempDir()}
	var space soma.SpaceID
	var filesBefore int
	var heapBefore uint64
	for cycle := range cycles {
		space = meet(t, dirs, space, cycle)
		if err := goleak.Find(goleak.IgnoreCurrent()); err != nil {
			t.Fatalf("after cycle %d: %v", cycle, err)
		}
		if cycle == 4 {
			filesBefore, heapBefore = files(t), heap()
		}
	}
	if now := files(t); now > filesBefore {
		t.Errorf("%d files are open, %d were", now, filesBefore)
	}
	if now := heap(); now > heapBefore+16<<20 {
		t.Errorf("%d KB are in use, %d were", now>>10, heapBefore>>10)
	}
}

// meet opens two peers, of whom one has a space, which the other joins in the first cycle,
// and lets each get a word of the other.
func meet(t *testing.T, dirs [2]string, space soma.SpaceID, cycle int) soma.SpaceID {
	t.Helper()
	var peers [2]*soma.DB
	for i, dir := range dirs {
		node, err := somasync.New(somasync.WithListen("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"), somasync.WithMaxDirect(1))
		if err != nil {
			t.Fatal(err)
		}
		if peers[i], err = soma.Open(dir, soma.WithSync(node), soma.WithRelaxedDurability()); err != nil {
			t.Fatal(err)
		}
	}
	if space == "" {
		created, err := peers[0].Spaces().Create(t.Context(), soma.NewSpace{Name: "shared"})
		if err != nil {
			t.Fatal(err)
		}
		space = created.ID
		ticket, err := peers[0].Spaces().Invite(t.Context(), space, soma.RoleEditor, soma.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peers[1].Spaces().Join(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		peertest.Until(t, "the space is joined", func() error {
			s, err := peers[1].Spaces().Get(t.Context(), space)
			if err == nil && s.Role != soma.RoleEditor {
				err = fmt.Errorf("role is %v", s.Role)
			}
			return err
		})
	} else if err := peers[1].Sync().Connect(t.Context(), peers[0].Sync().Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	for i, db := range peers {
		word := fmt.Sprintf("w%d.%d", cycle, i)
		if err := peertest.Type(t.Context(), db, space, "document", word, 0); err != nil {
			t.Fatal(err)
		}
		peertest.Until(t, "the other has the word", func() error {
			words, err := peertest.Words(t.Context(), peers[1-i], space)
			if err == nil && !words[word] {
				err = fmt.Errorf("%s is not there", word)
			}
			return err
		})
	}
	for _, db := range peers {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return space
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// files returns how many files are open, 0 where the system does not tell.
func files(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(open)
}
