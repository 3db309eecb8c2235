package somasync_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/discovery"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// registry is a place where peers find each other by names.
type registry struct {
	mu    sync.Mutex
	names map[string]map[peer.ID]peer.AddrInfo
}

// finder is a device's access to it.
type finder struct {
	r    *registry
	self func() peer.AddrInfo
}

func (f finder) Advertise(_ context.Context, name string, _ ...discovery.Option) (time.Duration, error) {
	self := f.self()
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	if f.r.names[name] == nil {
		f.r.names[name] = map[peer.ID]peer.AddrInfo{}
	}
	f.r.names[name][self.ID] = self
	return time.Minute, nil
}

func (f finder) FindPeers(_ context.Context, name string, _ ...discovery.Option) (<-chan peer.AddrInfo, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	found := make(chan peer.AddrInfo, len(f.r.names[name]))
	for _, info := range f.r.names[name] {
		found <- info
	}
	close(found)
	return found, nil
}

// A ticket without addresses is enough where a discovery finds who has the space.
func TestJoinByDiscovery(t *testing.T) {
	t.Parallel()
	r := &registry{names: map[string]map[peer.ID]peer.AddrInfo{}}
	var mu sync.Mutex
	var a, b *device
	with := func(d **device) somasync.Option {
		return somasync.WithDiscovery(finder{r, func() peer.AddrInfo {
			mu.Lock()
			defer mu.Unlock()
			if *d == nil {
				return peer.AddrInfo{}
			}
			info, err := peer.AddrInfoFromString((*d).Sync().Addrs()[0])
			if err != nil {
				t.Errorf("address of a device = %v", err)
				return peer.AddrInfo{}
			}
			return *info
		}})
	}
	set := func(d **device, to *device) {
		mu.Lock()
		defer mu.Unlock()
		*d = to
	}
	set(&a, newDevice(t, with(&a)))
	set(&b, newDevice(t, with(&b)))
	space := a.create(t)
	a.write(t, space, "doc", "found")
	ticket, err := a.Spaces().Invite(t.Context(), space, soma.RoleEditor, soma.InviteOptions{Addresses: []string{}})
	if err != nil {
		t.Fatalf("Invite = %v", err)
	}
	if parsed, err := soma.ParseTicket(ticket); err != nil || len(parsed.Addresses) != 0 {
		t.Fatalf("ParseTicket = %+v, %v, want no addresses", parsed, err)
	}
	b.join(t, ticket)
	b.wantText(t, space, "doc", "found")
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.names {
		if strings.Contains(name, string(space)) {
			t.Errorf("name %q shows the space", name)
		}
	}
}

// Nothing is asserted of what is found: not every machine has a network with multicast. A
// node has to run and to end all the same.
func TestNearbySearchBeginsAndEnds(t *testing.T) {
	t.Parallel()
	d := newDevice(t, somasync.WithMDNS())
	for range 3 {
		if err := d.Sync().Stop(t.Context()); err != nil {
			t.Fatalf("Stop = %v", err)
		}
		if err := d.Sync().Start(t.Context()); err != nil {
			t.Fatalf("Start = %v", err)
		}
	}
}

// A relay, those behind it and a node without any of it start and stop.
func TestRelayOptions(t *testing.T) {
	t.Parallel()
	relay := newDevice(t, somasync.WithRelayService())
	behind := newDevice(t, somasync.WithRelays(relay.Sync().Addrs()[0]))
	if err := behind.Sync().Connect(t.Context(), relay.Sync().Addrs()[0]); err != nil {
		t.Errorf("Connect to the relay = %v", err)
	}
	space := relay.create(t)
	behind.join(t, relay.invite(t, space, 1))
	relay.write(t, space, "doc", "over a relay's own connection")
	behind.wantText(t, space, "doc", "over a relay's own connection")
}
