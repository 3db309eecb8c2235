package somasync_test

import (
	"crypto/ed25519"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// Tickets of one peer come about one after the other, though few go into one question.
func TestManyTickets(t *testing.T) {
	t.Parallel()
	const tickets = 100
	for name, before := range map[string]bool{"before they meet": true, "while connected": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newDevice(t), newDevice(t)
			b.join(t, a.invite(t, a.create(t), 1))
			var all []string
			for range tickets {
				all = append(all, a.invite(t, a.create(t), 1))
			}
			if before {
				if err := b.Sync().Stop(t.Context()); err != nil {
					t.Fatalf("Stop = %v", err)
				}
			}
			for _, ticket := range all {
				if _, err := b.Spaces().Join(t.Context(), ticket); err != nil {
					t.Fatalf("Join = %v", err)
				}
			}
			began := time.Now()
			if err := b.Sync().Start(t.Context()); err != nil {
				t.Fatalf("Start = %v", err)
			}
			eventually(t, "all tickets are redeemed", func() bool { return len(b.joined(t)) == tickets+1 })
			t.Logf("%d tickets took %v", tickets, time.Since(began))
		})
	}
}

// joined returns the spaces of which the device waits for no ticket.
func (d *device) joined(t *testing.T) (joined []soma.SpaceID) {
	t.Helper()
	st, err := d.Sync().Status(t.Context())
	if err != nil {
		t.Fatalf("Status = %v", err)
	}
	for _, s := range st.Spaces {
		if !s.Joining {
			joined = append(joined, s.Space)
		}
	}
	return joined
}

// asked counts the messages that a host sends to ask others, or to answer them.
type asked struct {
	metrics.Reporter // of which nobody asks the rest
	n                atomic.Int64
}

func (*asked) LogSentMessage(int64) {}
func (*asked) LogRecvMessage(int64) {}

func (*asked) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

func (a *asked) LogSentMessageStream(_ int64, id protocol.ID, _ peer.ID) {
	if id == "/soma/sync/1" {
		a.n.Add(1)
	}
}

// A ticket that is good for nothing any more is not shown in a loop.
func TestRefusedTicketRests(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	messages := &asked{}
	h, err := libp2p.New(libp2p.Identity(identity), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.BandwidthReporter(messages))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	a, b := newDevice(t), &device{dir: t.TempDir(), opts: []somasync.Option{somasync.WithHost(h)}, also: []soma.Option{soma.WithIdentity(key)}}
	b.open(t)
	b.join(t, a.invite(t, a.create(t), 1))
	const refused = 20
	for range refused {
		space := a.create(t)
		ticket := a.invite(t, space, 1)
		invites, err := a.Spaces().Invites(t.Context(), space)
		if err != nil || len(invites) != 1 {
			t.Fatalf("Invites = %v, %v, want one", invites, err)
		}
		if err := a.Spaces().RevokeInvite(t.Context(), space, invites[0].ID.String()); err != nil {
			t.Fatalf("RevokeInvite = %v", err)
		}
		if _, err := b.Spaces().Join(t.Context(), ticket); err != nil {
			t.Fatalf("Join = %v", err)
		}
	}
	// One more, which is good, comes behind them.
	b.join(t, a.invite(t, a.create(t), 1))
	before := messages.n.Load()
	never(t, "tickets are shown in a loop", func() bool { return messages.n.Load() > before+2*refused })
	if n := len(b.joined(t)); n != 2 {
		t.Errorf("%d spaces were joined, want the 2 with good tickets", n)
	}
}
