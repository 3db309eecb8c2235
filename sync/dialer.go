package somasync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/retry"
)

// Dials. A peer that cannot be reached is dialed again after firstRedial, and then after
// about twice as long each time.
const (
	firstRedial    = time.Second
	longestRedial  = 10 * time.Minute
	ticketRedial   = 30 * time.Second // the longest where somebody waits for a space
	maxDials       = 8                // at a time
	maxTargets     = 4096
	maxTicketPeers = 256
)

// dialer dials partners, and those who may have the spaces of tickets.
type dialer struct {
	s     *session
	again bell // targets may have changed
	ready bell // a target may be due

	mu      sync.Mutex
	targets map[peer.ID]*target
	found   map[peer.ID][]ma.Multiaddr // by mDNS and discovery, of any age; bounded
	named   map[peer.ID][]ma.Multiaddr // by tickets that waited since the start; bounded
	dials   int
}

// target is a peer that should be connected.
type target struct {
	addrs    []ma.Multiaddr
	ticket   bool // it is asked for the space of a ticket
	next     time.Time
	failures int
	dialing  bool
}

func newDialer(s *session) *dialer {
	return &dialer{s: s, again: newBell(), ready: newBell(), targets: map[peer.ID]*target{}, found: map[peer.ID][]ma.Multiaddr{}, named: map[peer.ID][]ma.Multiaddr{}}
}

// refresh has the targets looked at again.
func (d *dialer) refresh() { d.again.ring() }

// run dials until ctx ends.
func (d *dialer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.again:
			if err := d.plan(ctx); err != nil && !interrupted(err) {
				d.s.logger.Error("soma: sync cannot tell whom to dial", "error", err)
			}
		case <-d.ready:
		case <-timer.C:
		}
		timer.Reset(d.dialDue(ctx))
	}
}

// plan makes the targets anew: who has a ticket's space, and all partners with an address.
func (d *dialer) plan(ctx context.Context) error {
	tickets, err := d.ticketPeers(ctx)
	if err != nil {
		return err
	}
	partners, err := d.s.replica.Partners(ctx, "")
	if err != nil {
		return err
	}
	d.askConnected(tickets)
	if err := d.keepNamed(ctx, partners); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.targets
	d.targets = map[peer.ID]*target{}
	keep := func(id peer.ID, addrs []ma.Multiaddr, ticket bool) {
		if len(addrs) == 0 || len(d.targets) >= maxTargets {
			return
		}
		t := before[id]
		if t == nil {
			t = &target{}
		}
		if hasNew(t.addrs, addrs) || ticket && !t.ticket {
			t.failures, t.next = 0, time.Time{}
		}
		t.addrs, t.ticket = addrs, ticket
		d.targets[id] = t
	}
	for id, addrs := range tickets {
		keep(id, mergeAddrs(addrs, d.found[id]), true)
	}
	for _, m := range partners {
		id := networkID(m.Peer)
		if _, ok := tickets[id]; !ok {
			keep(id, mergeAddrs(d.found[id], knownAddrs(d.s.node.book.get(m.Peer))), false)
		}
	}
	return nil
}

// askConnected asks those who may have the spaces of tickets and need not be dialed.
func (d *dialer) askConnected(tickets map[peer.ID][]ma.Multiaddr) {
	for id := range tickets {
		if rem := d.s.remote(id); rem != nil && rem.ask() {
			d.s.members.ring()
		}
	}
}

// keepNamed puts what tickets said of those who turned out to be partners into the address
// book: a space may have come from somebody else, and they are not known by any other way.
func (d *dialer) keepNamed(ctx context.Context, partners []core.MemberRecord) error {
	for _, m := range partners {
		d.mu.Lock()
		addrs := d.named[networkID(m.Peer)]
		d.mu.Unlock()
		if len(addrs) == 0 {
			continue
		}
		err := d.s.node.book.update(ctx, d.s.replica, m.Peer, func(p *core.PeerAddresses) bool {
			if len(p.Addresses) > 0 {
				return false
			}
			p.Addresses = addressTexts(addrs)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ticketPeers returns who may have the spaces of tickets that wait: those whom the tickets
// name, and while any waits, those whom the local network or discovery has shown.
func (d *dialer) ticketPeers(ctx context.Context) (map[peer.ID][]ma.Multiaddr, error) {
	awaited, err := d.s.replica.Awaited(ctx)
	if err != nil {
		return nil, err
	}
	peers := map[peer.ID][]ma.Multiaddr{}
	for _, a := range awaited {
		for _, text := range a.Addresses {
			info, err := parsePeerAddr(text)
			if err != nil || len(peers) >= maxTicketPeers {
				continue // a ticket may have been made by another network
			}
			if p, _ := memberID(info.ID); p != d.s.self {
				peers[info.ID] = mergeAddrs(peers[info.ID], info.Addrs)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, addrs := range peers {
		if len(d.named) < maxTicketPeers || d.named[id] != nil {
			d.named[id] = addrs
		}
	}
	if len(awaited) > 0 {
		for id, addrs := range d.found {
			peers[id] = mergeAddrs(peers[id], addrs)
		}
	}
	return peers, nil
}

// foundPeer takes in what mDNS or discovery says.
func (d *dialer) foundPeer(info peer.AddrInfo) {
	p, ok := memberID(info.ID)
	if !ok || p == d.s.self || len(info.Addrs) == 0 {
		return
	}
	d.mu.Lock()
	_, known := d.found[info.ID]
	if !known && len(d.found) >= maxTicketPeers { // who is there still is found again
		for id := range d.found {
			delete(d.found, id)
			break
		}
	}
	d.found[info.ID] = mergeAddrs(info.Addrs, d.found[info.ID])
	d.mu.Unlock()
	d.again.ring()
}

// dialDue begins the dials that are due, and returns when the next one is.
func (d *dialer) dialDue(ctx context.Context) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	wait := longestRedial
	for _, id := range d.inOrder() {
		t := d.targets[id]
		p, _ := memberID(id)
		switch {
		case t.dialing || connected(d.s.host, id) || d.s.node.refuses(p):
		case t.next.After(now):
			wait = min(wait, t.next.Sub(now))
		case d.dials >= maxDials:
			return wait // whoever ends a dial rings
		case !t.ticket && d.s.content(p):
			t.next = now.Add(retry.Jitter(time.Minute))
			wait = min(wait, t.next.Sub(now))
		default:
			d.begin(ctx, id, t)
		}
	}
	return max(wait, 10*time.Millisecond)
}

// inOrder returns the targets, tickets first, the others in no order: not everybody is to
// dial the same.
func (d *dialer) inOrder() []peer.ID {
	var first, rest []peer.ID
	for id, t := range d.targets {
		if t.ticket {
			first = append(first, id)
		} else {
			rest = append(rest, id)
		}
	}
	return append(first, rest...)
}

// begin dials a target. The caller holds d.mu.
func (d *dialer) begin(ctx context.Context, id peer.ID, t *target) {
	t.dialing = true
	d.dials++
	info := peer.AddrInfo{ID: id, Addrs: t.addrs}
	started := d.s.tasks.start(func() {
		err := d.dial(ctx, info)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.dials--
		t.dialing = false
		t.dialed(err)
		d.ready.ring()
	})
	if !started {
		t.dialing = false
		d.dials--
	}
}

// dialed notes how a dial went.
func (t *target) dialed(err error) {
	longest := longestRedial
	if t.ticket {
		longest = ticketRedial
	}
	if err == nil {
		t.failures = 0
	} else {
		t.failures++
	}
	// Also after a success: the other side may hang up at once.
	t.next = time.Now().Add(retry.Jitter(retry.Backoff(firstRedial, longest, t.failures)))
}

// lost has a target dialed again soon after its connection has ended.
func (d *dialer) lost(id peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.targets[id]; t != nil {
		if soon := time.Now().Add(retry.Jitter(firstRedial)); t.next.Before(soon) {
			t.next = soon
		}
		d.ready.ring()
	}
}

// dial connects to a peer, whom this node wants to ask. What the swarm remembers of earlier
// failures does not count: the dialer has a patience of its own.
func (d *dialer) dial(ctx context.Context, info peer.AddrInfo) error {
	h := d.s.host
	if sw, ok := h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		sw.Backoff().Clear(info.ID)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, core.ErrUnreachable)
	defer cancel()
	if err := h.Connect(network.WithAllowLimitedConn(ctx, protection), info); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, core.ErrUnreachable) {
			return cause
		}
		return fmt.Errorf("peer %s: %w: %w", info.ID, core.ErrUnreachable, err)
	}
	d.s.met(info.ID)  // the host may not have told yet,
	d.s.left(info.ID) // or have told that the other side hung up at once
	rem := d.s.remote(info.ID)
	if rem == nil {
		return fmt.Errorf("peer %s hung up: %w", info.ID, core.ErrUnreachable)
	}
	if rem.ask() {
		d.s.members.ring()
	}
	return nil
}
