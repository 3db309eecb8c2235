package somasync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// errNotAdmitted says that gossip has no business with a peer.
var errNotAdmitted = errors.New("peer is not admitted to gossip")

// guard is a host as gossip sees it, on which there are only the peers that are admitted.
// Filters of pubsub itself are not enough: it tells every peer which topics it is
// subscribed to, and sends contents to whoever says that they are too.
type guard struct {
	host.Host
	network guardedNetwork
	bus     event.Bus
	met     event.Emitter
	watch   event.Subscription // on the real host
	watched chan struct{}      // closed when watch was read to its end

	mu       sync.Mutex
	closed   bool
	admitted map[peer.ID]bool
	streams  map[peer.ID]map[*guardedStream]struct{}
}

func newGuard(h host.Host) (*guard, error) {
	g := &guard{
		Host: h, bus: eventbus.NewBus(), watched: make(chan struct{}),
		streams: make(map[peer.ID]map[*guardedStream]struct{}),
	}
	g.network = guardedNetwork{h.Network(), g}
	var err error
	if g.met, err = g.bus.Emitter(new(event.EvtPeerIdentificationCompleted)); err != nil {
		return nil, fmt.Errorf("emitter of gossip: %w", err)
	}
	g.watch, err = h.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("events of the host: %w", err), g.met.Close())
	}
	go g.follow()
	return g, nil
}

// follow passes on what the real host learns of peers.
func (g *guard) follow() {
	defer close(g.watched)
	for ev := range g.watch.Out() {
		switch ev := ev.(type) {
		case event.EvtPeerIdentificationCompleted:
			g.announce(ev.Peer)
		case event.EvtPeerProtocolsUpdated:
			g.announce(ev.Peer)
		}
	}
}

// close ends all streams, and admits nobody any more.
func (g *guard) close() error {
	g.mu.Lock()
	g.closed = true
	g.admitted = nil
	ended := g.takeStreams(func(peer.ID) bool { return true })
	g.mu.Unlock()
	resetAll(ended)
	err := g.watch.Close()
	<-g.watched
	return errors.Join(err, g.met.Close())
}

// set says who is admitted. Streams with all others end at once, and so do those with
// peers that are to be renewed: both sides open new ones, which begin with the topics that
// they are subscribed to.
func (g *guard) set(admitted, renewed map[peer.ID]bool) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	ended := g.takeStreams(func(p peer.ID) bool { return !admitted[p] || renewed[p] })
	before := g.admitted
	g.admitted = admitted
	g.mu.Unlock()
	resetAll(ended)
	for p := range admitted {
		if !before[p] || renewed[p] {
			g.announce(p)
		}
	}
}

// renew ends the streams with peers that stay admitted.
func (g *guard) renew(peers map[peer.ID]bool) {
	g.mu.Lock()
	ended := g.takeStreams(func(p peer.ID) bool { return peers[p] })
	g.mu.Unlock()
	resetAll(ended)
}

// announceAll announces whoever is admitted, in case that something went wrong with their
// streams.
func (g *guard) announceAll() {
	for _, p := range g.network.Peers() {
		g.announce(p)
	}
}

// announce makes gossip open a stream to a peer, if there is none.
func (g *guard) announce(p peer.ID) {
	if !g.admits(p) {
		return
	}
	// Whoever is on the bus reads until it is closed, so this does not block for long, and
	// an event that is lost at the end concerns nobody.
	_ = g.met.Emit(event.EvtPeerIdentificationCompleted{Peer: p, Protocols: []protocol.ID{gossipProtocol}})
}

func (g *guard) admits(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.admitted[p]
}

// takeStreams returns the streams with some peers, which are tracked no more. It needs the lock.
func (g *guard) takeStreams(which func(peer.ID) bool) (taken []*guardedStream) {
	for p, streams := range g.streams {
		if which(p) {
			taken = slices.AppendSeq(taken, maps.Keys(streams))
			delete(g.streams, p)
		}
	}
	return taken
}

// resetAll ends streams. It must not be called with the lock: it may wait for a peer that
// does not read.
func resetAll(streams []*guardedStream) {
	for _, s := range streams {
		_ = s.Stream.Reset() // it is gone either way
	}
}

// track keeps a stream for as long as its peer is admitted.
func (g *guard) track(s network.Stream) (*guardedStream, bool) {
	p := s.Conn().RemotePeer()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.admitted[p] {
		return nil, false
	}
	gs := &guardedStream{Stream: s, guard: g}
	if g.streams[p] == nil {
		g.streams[p] = make(map[*guardedStream]struct{})
	}
	g.streams[p][gs] = struct{}{}
	return gs, true
}

func (g *guard) untrack(s *guardedStream) {
	p := s.Conn().RemotePeer()
	g.mu.Lock()
	defer g.mu.Unlock()
	if delete(g.streams[p], s); len(g.streams[p]) == 0 {
		delete(g.streams, p)
	}
}

// NewStream implements host.Host.
func (g *guard) NewStream(ctx context.Context, p peer.ID, pids ...protocol.ID) (network.Stream, error) {
	if !g.admits(p) {
		return nil, errNotAdmitted
	}
	s, err := g.Host.NewStream(network.WithNoDial(ctx, "gossip"), p, pids...)
	if err != nil {
		return nil, err
	}
	gs, ok := g.track(s)
	if !ok {
		return nil, errors.Join(errNotAdmitted, s.Reset())
	}
	return gs, nil
}

// SetStreamHandler implements host.Host.
func (g *guard) SetStreamHandler(pid protocol.ID, handle network.StreamHandler) {
	g.Host.SetStreamHandler(pid, func(s network.Stream) {
		gs, ok := g.track(s)
		if !ok {
			_ = s.Reset() // whatever comes of it, nobody reads
			return
		}
		// Its side is ready now, whatever it was before.
		g.announce(s.Conn().RemotePeer())
		handle(gs)
	})
}

// SetStreamHandlerMatch implements host.Host. Gossip has one protocol.
func (g *guard) SetStreamHandlerMatch(pid protocol.ID, _ func(protocol.ID) bool, handle network.StreamHandler) {
	g.SetStreamHandler(pid, handle)
}

// Connect implements host.Host: gossip dials nobody.
func (g *guard) Connect(context.Context, peer.AddrInfo) error { return errNotAdmitted }

// Close implements host.Host: the host is not gossip's to close.
func (g *guard) Close() error { return nil }

// EventBus implements host.Host.
func (g *guard) EventBus() event.Bus { return g.bus }

// ConnManager implements host.Host: topics leave no traces in that of the host.
func (g *guard) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// Network implements host.Host.
func (g *guard) Network() network.Network { return g.network }

// guardedNetwork is the network of a guard.
type guardedNetwork struct {
	network.Network
	guard *guard
}

// Peers implements network.Network.
func (n guardedNetwork) Peers() []peer.ID {
	var admitted []peer.ID
	for _, p := range n.Network.Peers() {
		if n.guard.admits(p) {
			admitted = append(admitted, p)
		}
	}
	return admitted
}

// Connectedness implements network.Network.
func (n guardedNetwork) Connectedness(p peer.ID) network.Connectedness {
	if !n.guard.admits(p) {
		return network.NotConnected
	}
	return n.Network.Connectedness(p)
}

// guardedStream is a stream that its guard can end.
type guardedStream struct {
	network.Stream
	guard *guard
}

// Close implements network.Stream.
func (s *guardedStream) Close() error {
	s.guard.untrack(s)
	return s.Stream.Close()
}

// Reset implements network.Stream.
func (s *guardedStream) Reset() error {
	s.guard.untrack(s)
	return s.Stream.Reset()
}

// ResetWithError implements network.Stream.
func (s *guardedStream) ResetWithError(code network.StreamErrorCode) error {
	s.guard.untrack(s)
	return s.Stream.ResetWithError(code)
}
