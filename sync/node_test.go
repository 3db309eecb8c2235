package somasync_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	somasync "github.com/soma-sdk/soma/sync"
)

func TestTwoDevicesConverge(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	a.write(t, space, "doc", "before")
	heard := b.Subscribe(t.Context())
	ticket := a.invite(t, space, 1)
	if joined := b.join(t, ticket); joined != space {
		t.Fatalf("Join joins %s, want %s", joined, space)
	}
	b.wantText(t, space, "doc", "before")
	a.write(t, space, "doc", " and after")
	b.wantText(t, space, "doc", "before and after")
	b.write(t, space, "doc", " from b")
	a.wantText(t, space, "doc", "before and after from b")
	for ev := range heard {
		if ev.Kind == soma.DocumentChanged && ev.DocumentID == "doc" {
			if ev.Source != soma.SourceDaemon {
				t.Errorf("first event of the document = %+v, want source daemon", ev)
			}
			break
		}
	}
	eventually(t, "both are members for a", func() bool {
		members, err := a.Spaces().Members(t.Context(), space)
		return err == nil && len(members) == 2
	})
}

func TestStatusIsTruthful(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	a.write(t, space, "doc", "alone")
	if st := a.status(t, space); st.OnlyHere == 0 || st.Peers != 0 || st.LastExchangeMs != 0 || st.Joining {
		t.Errorf("status before anybody else is there = %+v, want something that is only here", st)
	}
	b.join(t, a.invite(t, space, 1))
	b.wantText(t, space, "doc", "alone")
	for _, d := range []*device{a, b} {
		eventually(t, "nothing is only on one device", func() bool {
			st := d.status(t, space)
			return st.OnlyHere == 0 && st.Peers == 1 && st.LastExchangeMs > 0
		})
	}
	b.close(t)
	eventually(t, "a sees that b has gone", func() bool { return a.status(t, space).Peers == 0 })
	a.write(t, space, "doc", " again")
	a.write(t, space, "other", "x")
	if st := a.status(t, space); st.OnlyHere == 0 {
		t.Errorf("status after writing alone = %+v, want something that is only here", st)
	}
	if err := a.Sync().Stop(t.Context()); err != nil {
		t.Fatalf("Stop = %v", err)
	}
	if st := a.status(t, space); st.OnlyHere == 0 {
		t.Errorf("status of stopped sync = %+v, want something that is only here", st)
	}
	if err := a.Sync().Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
	b.open(t)
	// The port is another one now, and b has only the old one.
	if err := a.Sync().Connect(t.Context(), b.Sync().Addrs()[0]); err != nil {
		t.Fatalf("Connect = %v", err)
	}
	b.wantText(t, space, "other", "x")
	eventually(t, "nothing is only here", func() bool { return a.status(t, space).OnlyHere == 0 })
}

func TestWatch(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	changes := a.Sync().Watch(t.Context())
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	for a.status(t, space).Peers != 1 { // each change is told, or this waits for ever
		<-changes
	}
	a.close(t)
	for range changes {
	}
}

func TestThirdDeviceFindsSecondThroughFirst(t *testing.T) {
	t.Parallel()
	a, b, c := newDevice(t), newDevice(t), newDevice(t)
	space := a.create(t)
	ticket := a.invite(t, space, 2)
	b.join(t, ticket)
	c.join(t, ticket)
	eventually(t, "b and c are connected", func() bool { return b.isConnected(c) && c.isConnected(b) })
	a.close(t)
	b.write(t, space, "doc", "without a")
	c.wantText(t, space, "doc", "without a")
}

func TestRestartFindsPeersAgain(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	eventually(t, "both know each other as members", func() bool { return a.status(t, space).Peers == 1 && b.status(t, space).Peers == 1 })
	b.close(t)
	a.write(t, space, "doc", "while b was away")
	b.open(t)
	b.wantText(t, space, "doc", "while b was away")
	// Both at once: they come back to the ports where they were.
	a.close(t)
	b.close(t)
	a.open(t)
	b.open(t)
	b.write(t, space, "doc", " and both")
	a.wantText(t, space, "doc", "while b was away and both")
}

func TestBlock(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	eventually(t, "b is a member for a", func() bool { return a.status(t, space).Peers == 1 })
	if err := a.Sync().Block(t.Context(), b.PeerID()); err != nil {
		t.Fatalf("Block = %v", err)
	}
	eventually(t, "b is disconnected", func() bool { return !a.isConnected(b) && !b.isConnected(a) })
	if err := a.Sync().Connect(t.Context(), b.Sync().Addrs()[0]); !errors.Is(err, soma.ErrBlocked) {
		t.Errorf("Connect to a blocked peer = %v, want ErrBlocked", err)
	}
	b.write(t, space, "doc", "unheard")
	_ = b.Sync().Connect(t.Context(), a.Sync().Addrs()[0]) // may succeed and be hung up upon
	never(t, "a blocked peer is heard", func() bool { return a.text(t, space, "doc") != "" })
	a.close(t)
	a.open(t)
	if err := a.Sync().Connect(t.Context(), b.Sync().Addrs()[0]); !errors.Is(err, soma.ErrBlocked) {
		t.Errorf("Connect to a blocked peer after a restart = %v, want ErrBlocked", err)
	}
	if err := a.Sync().Allow(t.Context(), b.PeerID()); err != nil {
		t.Fatalf("Allow = %v", err)
	}
	if err := a.Sync().Connect(t.Context(), b.Sync().Addrs()[0]); err != nil { // b has lost patience
		t.Fatalf("Connect to an allowed peer = %v", err)
	}
	a.wantText(t, space, "doc", "unheard")
	for _, call := range []error{a.Sync().Block(t.Context(), a.PeerID()), a.Sync().Allow(t.Context(), soma.PeerID{})} {
		if !errors.Is(call, soma.ErrInvalidID) {
			t.Errorf("Block of this device, or Allow of nobody = %v, want ErrInvalidID", call)
		}
	}
}

func TestRemovalWhileConnected(t *testing.T) {
	t.Parallel()
	a, b, c := newDevice(t), newDevice(t), newDevice(t)
	space := a.create(t)
	ticket := a.invite(t, space, 2)
	b.join(t, ticket)
	c.join(t, ticket)
	a.write(t, space, "doc", "for all")
	b.wantText(t, space, "doc", "for all")
	if err := a.Spaces().RemoveMember(t.Context(), space, b.PeerID(), soma.RemoveOptions{}); err != nil {
		t.Fatalf("RemoveMember = %v", err)
	}
	a.write(t, space, "doc", ", but one")
	c.wantText(t, space, "doc", "for all, but one")
	eventually(t, "b learns of it", func() bool {
		s, err := b.Spaces().Get(t.Context(), space)
		return err == nil && s.Role == soma.RoleNone
	})
	never(t, "who was removed reads on", func() bool { return b.text(t, space, "doc") != "for all" })
	for _, d := range []*device{a, c} {
		eventually(t, "nobody is linked to who was removed", func() bool { return d.status(t, space).Peers == 1 })
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	eventually(t, "a is connected", func() bool { return a.status(t, space).Peers == 1 })
	if err := b.Spaces().Leave(t.Context(), space); err != nil {
		t.Fatalf("Leave = %v", err)
	}
	eventually(t, "a learns of it", func() bool {
		members, err := a.Spaces().Members(t.Context(), space)
		return err == nil && len(members) == 1
	})
	eventually(t, "the two have nothing to do with each other", func() bool { return a.status(t, space).Peers == 0 })
}

func TestLeaveWhileApart(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	eventually(t, "a is connected", func() bool { return a.status(t, space).Peers == 1 })
	if err := b.Sync().Stop(t.Context()); err != nil {
		t.Fatalf("Stop = %v", err)
	}
	if err := b.Spaces().Leave(t.Context(), space); err != nil {
		t.Fatalf("Leave = %v", err)
	}
	if err := b.Sync().Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
	if err := a.Sync().Connect(t.Context(), b.Sync().Addrs()[0]); err != nil {
		t.Logf("Connect = %v", err) // they may be just about to part again
	}
	eventually(t, "a learns of it", func() bool {
		members, err := a.Spaces().Members(t.Context(), space)
		return err == nil && len(members) == 1
	})
}

func TestSuppliedHost(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, key)
	before := h.Mux().Protocols()
	a := &device{dir: t.TempDir(), opts: []somasync.Option{somasync.WithHost(h)}, also: []soma.Option{soma.WithIdentity(key)}}
	db, err := soma.Open(t.TempDir(), soma.WithSync(newNode(t, somasync.WithHost(h))))
	if db != nil || !errors.Is(err, soma.ErrInvalidOption) {
		t.Fatalf("Open with the host of another = %v, %v, want nil, ErrInvalidOption", db, err)
	}
	a.open(t)
	b := newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	b.write(t, space, "doc", "over a host of the program")
	a.wantText(t, space, "doc", "over a host of the program")
	a.close(t)
	if after := h.Mux().Protocols(); !slices.Equal(slices.Sorted(slices.Values(before)), slices.Sorted(slices.Values(after))) {
		t.Errorf("protocols of the host after Close = %q, want those of before: %q", after, before)
	}
	if len(h.Addrs()) == 0 {
		t.Error("the host listens nowhere after Close, want it untouched")
	}
}

// newHost returns a host of the host program's.
func newHost(t *testing.T, key ed25519.PrivateKey) host.Host {
	t.Helper()
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(k), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	node := newNode(t, loopback())
	db := somatest.Open(t, soma.WithSync(node), soma.WithManualSync())
	if addrs := db.Sync().Addrs(); len(addrs) != 0 {
		t.Errorf("Addrs before Start = %q, want none", addrs)
	}
	if err := db.Sync().Connect(t.Context(), "/ip4/127.0.0.1/tcp/1/p2p/"+db.PeerID().String()); !errors.Is(err, soma.ErrSyncOff) {
		t.Errorf("Connect before Start = %v, want ErrSyncOff", err)
	}
	for i := range 50 {
		if err := db.Sync().Start(t.Context()); err != nil {
			t.Fatalf("Start %d = %v", i, err)
		}
		addrs := db.Sync().Addrs()
		if len(addrs) == 0 || !strings.HasSuffix(addrs[0], "/p2p/"+db.PeerID().String()) {
			t.Fatalf("Addrs after Start = %q, want some with the peer ID", addrs)
		}
		if err := db.Sync().Start(t.Context()); err != nil {
			t.Fatalf("second Start = %v", err)
		}
		for range 2 {
			if err := db.Sync().Stop(t.Context()); err != nil {
				t.Fatalf("Stop %d = %v", i, err)
			}
		}
	}
	if other, err := soma.Open(t.TempDir(), soma.WithSync(node)); other != nil || !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Open with the node of another DB = %v, %v, want nil, ErrInvalidOption", other, err)
	}
	if err := db.Sync().Start(t.Context()); err != nil {
		t.Errorf("Start after another Open was refused = %v, want nil: the node is not touched", err)
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	a := newDevice(t)
	nobody := "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	for address, want := range map[string]error{
		"":                                  soma.ErrInvalidAddress,
		"nonsense":                          soma.ErrInvalidAddress,
		"/ip4/127.0.0.1/tcp/1":              soma.ErrInvalidAddress,
		nobody:                              soma.ErrInvalidAddress,
		"/ip4/127.0.0.1/tcp/1/p2p/Qmfoo":    soma.ErrInvalidAddress,
		strings.Repeat("/ip4/1.2.3.4", 500): soma.ErrInvalidAddress,
		a.Sync().Addrs()[0]:                 soma.ErrInvalidAddress,
		"/ip4/127.0.0.1/tcp/1" + nobody:     soma.ErrUnreachable,
	} {
		if err := a.Sync().Connect(t.Context(), address); !errors.Is(err, want) {
			t.Errorf("Connect(%.50q) = %v, want %v", address, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]somasync.Option{
		"nil":               nil,
		"nil host":          somasync.WithHost(nil),
		"nil discovery":     somasync.WithDiscovery(nil),
		"bad listen":        somasync.WithListen("here"),
		"many listen":       somasync.WithListen(slices.Repeat([]string{"/ip4/127.0.0.1/tcp/0"}, somasync.MaxListenAddrs+1)...),
		"bad relay":         somasync.WithRelays("/ip4/1.2.3.4/tcp/1"),
		"many relays":       somasync.WithRelays(slices.Repeat([]string{"x"}, somasync.MaxRelays+1)...),
		"no direct members": somasync.WithMaxDirect(0),
		"no peers":          somasync.WithMaxPeers(0),
		"no time":           somasync.WithAntiEntropy(0),
	} {
		if node, err := somasync.New(opt); node != nil || !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("New(%s) = %v, %v, want nil, ErrInvalidOption", name, node, err)
		}
	}
}
