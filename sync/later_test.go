package somasync_test

import (
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	somasync "github.com/soma-sdk/soma/sync"
)

// seldom leaves everything to what is told.
func seldom() somasync.Option { return somasync.WithAntiEntropy(time.Hour) }

// A ticket is shown at once to who is connected already, because of another space.
func TestJoinWhileConnected(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t, seldom()), newDevice(t, seldom())
	first := a.create(t)
	b.join(t, a.invite(t, first, 1))
	settled(t, first, a, b)
	second := a.create(t)
	a.write(t, second, "doc", "of the second")
	b.join(t, a.invite(t, second, 1))
	b.wantText(t, second, "doc", "of the second")
	b.write(t, second, "doc", ", both ways")
	a.wantText(t, second, "doc", "of the second, both ways")
}

// Who was removed comes back by a new ticket, over the same connection too.
func TestComeBackWhileConnected(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t, seldom()), newDevice(t, seldom())
	other, space := a.create(t), a.create(t)
	b.join(t, a.invite(t, other, 1))
	b.join(t, a.invite(t, space, 1))
	settled(t, space, a, b)
	if err := a.Spaces().RemoveMember(t.Context(), space, b.PeerID(), soma.RemoveOptions{}); err != nil {
		t.Fatalf("RemoveMember = %v", err)
	}
	eventually(t, "the removed knows it", func() bool {
		s, err := b.Spaces().Get(t.Context(), space)
		return err == nil && s.Role == soma.RoleNone
	})
	a.write(t, space, "doc", "in between")
	b.join(t, a.invite(t, space, 1))
	b.wantText(t, space, "doc", "in between")
	b.write(t, space, "doc", " and after")
	a.wantText(t, space, "doc", "in between and after")
}

// Who has no turn to pull keeps nobody from pulling: the two are compared.
func TestPullWithoutTurn(t *testing.T) {
	t.Parallel()
	node := newNode(t, loopback(), seldom())
	a := &device{DB: somatest.Open(t, soma.WithoutSearch(), soma.WithSync(node))}
	b := newDevice(t, seldom())
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	settled(t, space, a, b)
	if err := b.Sync().Stop(t.Context()); err != nil {
		t.Fatalf("Stop = %v", err)
	}
	eventually(t, "b is gone", func() bool { return !a.isConnected(b) })
	a.write(t, space, "doc", "for b")
	b.write(t, space, "other", "for a")
	release := node.HoldPulls()
	if err := b.Sync().Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
	b.wantText(t, space, "doc", "for b")
	release()
	a.wantText(t, space, "other", "for a")
}

// settled waits until nothing of a space is only on one device.
func settled(t *testing.T, space soma.SpaceID, devices ...*device) {
	t.Helper()
	for _, d := range devices {
		eventually(t, "nothing is only on one device", func() bool { return d.status(t, space).OnlyHere == 0 && d.status(t, space).Peers > 0 })
	}
}
