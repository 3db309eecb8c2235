package somasync_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// Two devices that meet at a relay only, which cuts each connection after 128 KiB, have the
// same in the end.
func TestOverRelay(t *testing.T) {
	t.Parallel()
	relay, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.EnableRelayService(), libp2p.ForceReachabilityPublic(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	at := fmt.Sprintf("%s/p2p/%s", relay.Addrs()[0], relay.ID())
	hidden := []somasync.Option{somasync.WithListen(), somasync.WithRelays(at)}
	a, b := newDevice(t, hidden...), newDevice(t, hidden...)
	space := a.create(t)
	words := strings.Repeat("some words of a long text ", 300)
	for n := range 60 { // of 8 kB
		a.write(t, space, fmt.Sprint("doc-", n), words)
	}
	eventually(t, "the relay has a place for a", func() bool {
		return relay.Network().Connectedness(peer.ID(a.PeerID().Bytes())) == network.Connected
	})
	if _, err := b.Spaces().Join(t.Context(), a.invite(t, space, 1)); err != nil {
		t.Fatalf("Join = %v", err)
	}
	circuit := at + "/p2p-circuit/p2p/" + a.PeerID().String()
	connects := 0
	again := func() { // a relay in a loopback network announces no address
		if !b.isConnected(a) && b.Sync().Connect(t.Context(), circuit) == nil {
			connects++
		}
	}
	eventually(t, "b is a member", func() bool {
		again()
		s, err := b.Spaces().Get(t.Context(), space)
		return err == nil && s.Role != soma.RoleNone
	})
	for n := range 60 {
		eventually(t, fmt.Sprint("document ", n, " is there"), func() bool {
			again()
			return b.text(t, space, fmt.Sprint("doc-", n)) == words
		})
	}
	b.write(t, space, "doc-0", "and back")
	eventually(t, "it is there, too", func() bool {
		again()
		return a.text(t, space, "doc-0") == words+"and back"
	})
	if connects < 3 {
		t.Errorf("the two connected %d times, want several: the relay cuts", connects)
	}
	for _, p := range b.Sync().Peers() {
		if p.Peer == a.PeerID() && !p.Limited {
			t.Errorf("peer = %+v, want one over the relay", p)
		}
	}
}
