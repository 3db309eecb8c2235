package somasync

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma/internal/core"
)

// staged is a host of which a test says who is connected.
type staged struct {
	host.Host
	connectedness func() network.Connectedness
}

func (s staged) Network() network.Network { return stagedNetwork{nil, s.connectedness} }

type stagedNetwork struct {
	network.Network
	connectedness func() network.Connectedness
}

func (n stagedNetwork) Connectedness(peer.ID) network.Connectedness { return n.connectedness() }

// directory is one of nobody, which notes the spaces that are hastened.
type directory struct {
	core.Replica
	hastened map[core.SpaceID]bool
}

func (d directory) Self() core.PeerID { return core.PeerID{} }

func (d directory) Hasten(space core.SpaceID, on bool) {
	if on {
		d.hastened[space] = true
	} else {
		delete(d.hastened, space)
	}
}

// A peer that connects again while its old connection is being taken leave of stays known.
func TestConnectedWhileLeaving(t *testing.T) {
	_, id := newIdentity(t)
	p, _ := memberID(id)
	s := &session{replica: directory{}, remotes: map[core.PeerID]*remote{}, members: newBell()}
	s.dialer = newDialer(s)
	met := make(chan struct{})
	s.host = staged{connectedness: func() network.Connectedness {
		go func() {
			defer close(met)
			s.met(id)
		}()
		select {
		case <-met:
		case <-time.After(50 * time.Millisecond): // it may have to wait
		}
		return network.NotConnected
	}}
	s.remotes[p] = newRemote(s.replica, id, p)
	s.left(id)
	<-met
	if s.remote(id) == nil {
		t.Error("a connected peer is not known any more")
	}
}

// What becomes hastened while a session ends is not for ever.
func TestNothingIsHastenedAfterStop(t *testing.T) {
	d := directory{hastened: map[core.SpaceID]bool{}}
	s := &session{node: &Node{}, replica: d, cancel: func() {}}
	s.node.o.host = staged{} // which is not the session's to close
	s.tasks.start(func() {
		for s.tasks.begin() { // until stop waits
			s.tasks.end()
			time.Sleep(time.Millisecond)
		}
		s.hasten(map[core.SpaceID]bool{"a": true, "b": true})
	})
	if err := s.stop(); err != nil {
		t.Fatalf("stop = %v", err)
	}
	if len(d.hastened) > 0 {
		t.Errorf("%v are sealed often after stop, want none", d.hastened)
	}
}
