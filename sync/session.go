package somasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/fetch"
	"github.com/soma-sdk/soma/sync/internal/live"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// A stranger is sent away from an own host after strangerTime, or earlier when there are
// more than maxStrangers. They need it to show a ticket.
const (
	strangerTime = 30 * time.Second
	maxStrangers = 64
)

// protection is how the connection manager knows partners.
const protection = "soma"

// session is what runs between a Start and the Stop after it.
type session struct {
	node      *Node
	replica   core.Replica
	logger    *slog.Logger
	host      host.Host
	self      core.PeerID
	cancel    context.CancelFunc
	onEnd     func(func()) (stop func() bool)
	tasks     tasks
	members   bell // who is connected, or a partner, may have changed
	search    bell // spaces to find members of may have changed
	dialer    *dialer
	feed      *live.Feed
	fetcher   *fetch.Fetcher
	blobs     *fetch.Server
	gossip    *gossip
	pulling   turnstile
	comparing turnstile
	undo      []func() // what was added to the host and the directory

	strangerStreams atomic.Int32

	mu       sync.Mutex
	remotes  map[core.PeerID]*remote
	records  map[core.PeerID]signedRecord // where partners are
	hastened map[core.SpaceID]bool
	parting  bool // no more remotes
}

// startSession opens the host and begins. Nothing is left of it if that fails.
func startSession(ctx context.Context, n *Node, r core.Replica) (_ *session, err error) {
	s := &session{
		node: n, replica: r, logger: n.logger, self: r.Self(), members: newBell(),
		search: newBell(), pulling: make(turnstile, maxPulls), comparing: make(turnstile, maxCompares),
		remotes: map[core.PeerID]*remote{}, records: map[core.PeerID]signedRecord{}, hastened: map[core.SpaceID]bool{},
	}
	if s.host, err = s.openHost(); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	s.cancel, s.onEnd = cancel, func(f func()) func() bool { return context.AfterFunc(running, f) }
	s.dialer = newDialer(s)
	s.fetcher, s.blobs = s.newFetcher(), fetch.NewServer(r)
	if err := s.begin(ctx, running); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *session) openHost() (host.Host, error) {
	h := s.node.o.host
	if h == nil {
		return openHost(s.node.o, s.replica, gater{s.node.refuses}, partnersOnly{s.isPartner})
	}
	if h.ID() != networkID(s.self) {
		return nil, fmt.Errorf("the host is %s, and the local member %s: %w", h.ID(), s.self, core.ErrInvalidOption)
	}
	return h, nil
}

// own reports whether the host is the node's.
func (s *session) own() bool { return s.node.o.host == nil }

func (s *session) begin(ctx, running context.Context) error {
	s.feed = live.NewFeed(s.replica)
	s.undo = append(s.undo, s.feed.Close, s.replica.Follow(s.hear))
	if err := s.followIdentify(running); err != nil {
		return err
	}
	s.gossip = startGossip(s.gossipConfig())
	s.undo = append(s.undo, s.gossip.close)
	s.setHandlers(running)
	meetings := &network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { s.met(c.RemotePeer()) },
		DisconnectedF: func(_ network.Network, c network.Conn) { s.left(c.RemotePeer()) },
	}
	s.host.Network().Notify(meetings)
	s.undo = append(s.undo, func() { s.host.Network().StopNotify(meetings) })
	for _, id := range s.host.Network().Peers() { // of a host that was there before
		s.met(id)
	}
	s.tasks.start(func() { s.keepOrder(running) })
	s.tasks.start(func() { s.dialer.run(running) })
	s.tasks.start(func() { s.fetcher.Run(running) })
	s.members.ring()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.own() {
		if err := s.listen(ctx); err != nil {
			return err
		}
	}
	if s.node.o.mdns {
		s.tasks.start(func() { s.searchNearby(running) })
	}
	if s.node.o.discovery != nil {
		s.tasks.start(func() { s.searchFar(running) })
	}
	return nil
}

// stop ends everything, and waits for it.
func (s *session) stop() (err error) {
	s.cancel()
	for _, undo := range slices.Backward(s.undo) {
		undo()
	}
	s.mu.Lock()
	s.parting = true
	remotes := s.remotes
	s.remotes = map[core.PeerID]*remote{}
	s.mu.Unlock()
	for _, rem := range remotes {
		s.host.ConnManager().Unprotect(rem.id, protection)
		rem.end(wire.CodeClosing)
	}
	if s.own() {
		err = s.host.Close()
	}
	s.tasks.close()
	s.hasten(nil)
	return err
}

// hear takes the news of the directory. It must not wait.
func (s *session) hear(n core.News) {
	if n.Members {
		s.members.ring()
		s.search.ring()
	}
	if n.Blobs {
		s.fetcher.Changed(n.Space)
	}
}

// met notes that a peer is connected.
func (s *session) met(id peer.ID) {
	p, ok := memberID(id)
	if !ok || p == s.self {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch rem := s.remotes[p]; {
	case s.parting:
	case rem == nil:
		s.remotes[p] = newRemote(s.replica, id, p)
		s.members.ring()
	default: // by another way, which may be better
		if ln := rem.link(); ln != nil {
			ln.retry.ring()
		}
	}
}

// left notes that a connection of a peer has ended.
func (s *session) left(id peer.ID) {
	p, ok := memberID(id)
	if !ok {
		return
	}
	s.mu.Lock()
	if connected(s.host, id) { // asked under the lock: it may be met again at the same time
		s.mu.Unlock()
		return
	}
	rem := s.remotes[p]
	delete(s.remotes, p)
	s.mu.Unlock()
	if rem != nil {
		rem.end(wire.CodeClosing)
		s.members.ring()
		s.dialer.lost(id)
	}
}

func connected(h host.Host, id peer.ID) bool {
	c := h.Network().Connectedness(id)
	return c == network.Connected || c == network.Limited
}

// remote returns a connected peer, nil if it is not connected any more.
func (s *session) remote(id peer.ID) *remote {
	p, ok := memberID(id)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remotes[p]
}

func (s *session) allRemotes() []*remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*remote, 0, len(s.remotes))
	for _, rem := range s.remotes {
		all = append(all, rem)
	}
	return all
}

// isPartner reports whether a peer is a member of a space that is shared now.
func (s *session) isPartner(id peer.ID) bool {
	p, ok := memberID(id)
	if !ok {
		return false
	}
	shared, err := s.replica.Shared(context.Background(), p)
	return err == nil && len(shared) > 0
}

// keepOrder begins and ends links as connections and members come and go.
func (s *session) keepOrder(ctx context.Context) {
	defer s.node.watch.Changed()
	tick := time.NewTicker(strangerTime / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.members:
		case <-tick.C:
		}
		if err := s.sortOut(ctx); err != nil && !interrupted(err) {
			s.logger.Error("soma: sync cannot tell partners", "error", err)
		}
		s.gossip.partnersChanged()
		s.dialer.refresh()
		s.fetcher.PeersChanged()
		s.node.watch.Changed()
	}
}

// sortOut makes of every connected peer what it is now: a partner, or a stranger.
func (s *session) sortOut(ctx context.Context) error {
	awaited, err := s.replica.Awaited(ctx)
	if err != nil {
		return err
	}
	near := map[core.SpaceID]bool{} // spaces of which a member is connected
	var strangers []*remote
	for _, rem := range s.allRemotes() {
		shared, err := s.replica.Shared(ctx, rem.peer)
		if err != nil {
			return err
		}
		switch {
		case s.node.refuses(rem.peer):
			s.sendAway(rem)
		case len(shared) > 0 || s.isGuest(ctx, rem) || len(awaited) > 0 && rem.wasAsked():
			for _, space := range shared {
				near[space] = true
			}
			s.link(ctx, rem)
			if ln := rem.link(); ln != nil {
				ln.membersChanged()
				ln.compare(shared, awaited)
			}
		default:
			s.unlink(rem)
			strangers = append(strangers, rem)
		}
	}
	s.hasten(near)
	s.sendStrangersAway(strangers)
	return nil
}

// isGuest reports whether a peer has shown the ticket of an open invite.
func (s *session) isGuest(ctx context.Context, rem *remote) bool {
	guests, err := rem.pair.Guests(ctx)
	return err == nil && len(guests) > 0
}

// hasten has those spaces sealed often of which a member is connected.
func (s *session) hasten(near map[core.SpaceID]bool) {
	s.mu.Lock()
	before := s.hastened
	s.hastened = near
	s.mu.Unlock()
	for space := range near {
		if !before[space] {
			s.replica.Hasten(space, true)
		}
	}
	for space := range before {
		if !near[space] {
			s.replica.Hasten(space, false)
		}
	}
}

// sendStrangersAway closes connections that serve nothing. Those of a host program's host
// are its own affair.
func (s *session) sendStrangersAway(strangers []*remote) {
	if !s.own() {
		return
	}
	excess := len(strangers) - maxStrangers
	for _, rem := range oldestFirst(strangers) {
		late := time.Since(rem.strangeSince()) >= strangerTime && !s.node.o.relayService
		if (late || excess > 0) && !s.isRelay(rem.id) {
			excess--
			s.close(rem.id)
		}
	}
}

func (s *session) isRelay(id peer.ID) bool {
	return slices.ContainsFunc(s.node.o.relays, func(r peer.AddrInfo) bool { return r.ID == id })
}

// sendAway ends what there is with a peer that is refused.
func (s *session) sendAway(rem *remote) {
	s.host.ConnManager().Unprotect(rem.id, protection)
	rem.cut(wire.CodeParted, func(*openStream) bool { return true })
	if s.own() {
		s.close(rem.id)
	}
}

// close closes the connections of a peer, which may wait for it.
func (s *session) close(id peer.ID) {
	s.tasks.start(func() { _ = s.host.Network().ClosePeer(id) }) // an error says that it is gone
}

// blockChanged acts on a peer's having been blocked, banned or allowed.
func (s *session) blockChanged(p core.PeerID) {
	s.mu.Lock()
	rem := s.remotes[p]
	s.mu.Unlock()
	if rem != nil && s.node.refuses(p) {
		s.sendAway(rem)
	}
	s.members.ring()
}

// offend notes that a peer broke the protocol.
func (s *session) offend(rem *remote, points float64, err error) {
	s.logger.Warn("soma: a peer breaks the sync protocol", "peer", rem.peer.String(), "error", err)
	if s.node.scores.offend(rem.peer, points) {
		s.logger.Warn("soma: a peer is banned for a time", "peer", rem.peer.String())
		s.blockChanged(rem.peer)
	}
}

func (s *session) addrs() []string {
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: s.host.ID(), Addrs: s.host.Addrs()})
	if err != nil { // unreachable: there is an ID
		return nil
	}
	return addressTexts(full)
}

// connect dials a peer because the host program says so.
func (s *session) connect(ctx context.Context, address string) error {
	info, err := parsePeerAddr(address)
	if err != nil {
		return err
	}
	p, _ := memberID(info.ID)
	switch {
	case p == s.self:
		return fmt.Errorf("address %q is this node's: %w", address, core.ErrInvalidAddress)
	case s.node.refuses(p):
		return fmt.Errorf("peer %s: %w", p, core.ErrBlocked)
	case !s.tasks.begin():
		return core.ErrSyncOff
	}
	defer s.tasks.end()
	ctx, cancel := s.until(ctx)
	defer cancel()
	return s.dialer.dial(ctx, info)
}

// until returns a context that also ends with the session, with ErrSyncOff.
func (s *session) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := s.onEnd(func() { cancel(core.ErrSyncOff) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
