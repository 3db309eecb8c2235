package somasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma/internal/core"
)

// gossipProtocol is nobody else's, so that a host program's own pubsub on the same host is
// not disturbed, and has no version that sends to whoever asks (floodsub).
const gossipProtocol protocol.ID = "/soma/gossip/1"

// The limits of gossip. It drops what is more, without a word: live streams tell of what
// was published, and who did not get it pulls.
const (
	maxGossipBytes = 32 << 10 // of a message, and of an entry that rides gossip
	gossipQueue    = 1024     // messages to a peer, or to be taken in
	maxGossipWaits = 4 << 20  // bytes of a topic to be taken in, and of all to be published
	// regulateEvery is how often what should have happened by itself is looked after.
	regulateEvery = 10 * time.Second
)

// gossip carries the entries of spaces with many connected members. It is a hint: what it
// brings goes the way of all that comes from peers, and nothing depends on it. A space
// rides gossip while more than max of its members are connected, and until there are a
// quarter less.
type gossip struct {
	gossipConfig
	cancel context.CancelFunc
	runs   sync.WaitGroup
	stop   func() // following the replica
	wake   bell

	router *router // nil while no space is large

	mu      sync.Mutex
	topics  map[core.SpaceID]*topic
	pending []gossiped
	bytes   int
	stale   bool // who is a member, or a partner, may have changed
}

// gossipReplica is what gossip needs of core.Replica.
type gossipReplica interface {
	Self() core.PeerID
	Shared(ctx context.Context, peer core.PeerID) ([]core.SpaceID, error)
	IsShared(ctx context.Context, space core.SpaceID, peer core.PeerID) (bool, error)
	Partners(ctx context.Context, space core.SpaceID) ([]core.MemberRecord, error)
	Has(ctx context.Context, space core.SpaceID, hashes []core.Hash) ([]bool, error)
	Take(ctx context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error)
	Follow(fn func(core.News)) (stop func())
}

// gossipConfig is what gossip needs of a session. The functions must not wait.
type gossipConfig struct {
	host     host.Host
	replica  gossipReplica
	max      int
	logger   *slog.Logger
	partners func() []peer.ID // that are linked, by connections that are not limited
	pull     func(p peer.ID, space core.SpaceID)
	offend   func(p peer.ID, err error)
	changed  func()        // which spaces are large
	every    time.Duration // regulateEvery
}

// gossipConfig says what gossip has to do with the rest.
func (s *session) gossipConfig() gossipConfig {
	return gossipConfig{
		host: s.host, replica: s.replica, max: s.node.o.maxDirect, logger: s.logger,
		partners: func() []peer.ID {
			var linked []peer.ID
			for _, rem := range s.allRemotes() {
				if rem.link() != nil && s.host.Network().Connectedness(rem.id) == network.Connected {
					linked = append(linked, rem.id)
				}
			}
			return linked
		},
		pull: func(p peer.ID, space core.SpaceID) {
			if rem := s.remote(p); rem != nil {
				if ln := rem.link(); ln != nil {
					ln.want(space)
				}
			}
		},
		offend: func(p peer.ID, err error) {
			if rem := s.remote(p); rem != nil {
				s.offend(rem, offenceEntry, err)
			}
		},
		changed: s.node.watch.Changed, every: regulateEvery,
	}
}

// gossiped is an own entry that is to be published.
type gossiped struct {
	space core.SpaceID
	entry core.Entry
}

// startGossip begins to look which spaces are large. close ends it.
func startGossip(c gossipConfig) *gossip {
	ctx, cancel := context.WithCancel(context.Background())
	g := &gossip{gossipConfig: c, cancel: cancel, wake: newBell(), topics: map[core.SpaceID]*topic{}}
	g.stop = c.replica.Follow(g.hear)
	g.runs.Go(func() { g.run(ctx) })
	return g
}

// close leaves all topics, and returns when nothing of gossip runs any more but what pubsub
// itself still has to finish.
func (g *gossip) close() {
	g.stop()
	g.cancel()
	g.runs.Wait()
}

// partnersChanged says that the answer of partners may be another.
func (g *gossip) partnersChanged() {
	g.mu.Lock()
	g.stale = true
	g.mu.Unlock()
	g.wake.ring()
}

// isLarge reports whether a space rides gossip.
func (g *gossip) isLarge(space core.SpaceID) bool { return g.topic(space) != nil }

// carries reports whether an entry reaches a peer by gossip, as far as can be known.
func (g *gossip) carries(space core.SpaceID, p peer.ID, e core.Entry) bool {
	t := g.topic(space)
	return t != nil && e.Size() <= maxGossipBytes && t.isOn(p)
}

func (g *gossip) topic(space core.SpaceID) *topic {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.topics[space]
}

// hear takes the news of the directory. It must not wait.
func (g *gossip) hear(n core.News) {
	if n.Own || n.Members {
		g.queue(n)
		g.wake.ring()
	}
}

func (g *gossip) queue(n core.News) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stale = g.stale || n.Members
	if !n.Own || g.topics[n.Space] == nil {
		return
	}
	for _, e := range n.Entries {
		if e.Size() > maxGossipBytes || len(g.pending) >= gossipQueue || g.bytes+e.Size() > maxGossipWaits {
			continue // live streams tell of it
		}
		g.pending = append(g.pending, gossiped{n.Space, e})
		g.bytes += e.Size()
	}
}

func (g *gossip) run(ctx context.Context) {
	defer g.leaveAll()
	tick := time.NewTicker(g.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.lookAfter()
			g.partnersChanged()
		case <-g.wake:
		}
		g.mu.Lock()
		pending, stale := g.pending, g.stale
		g.pending, g.bytes, g.stale = nil, 0, false
		g.mu.Unlock()
		// In this order: whoever was removed before an entry was made does not get it.
		if stale {
			if err := g.regulate(ctx); err != nil {
				if !interrupted(err) {
					g.logger.Error("soma: sync cannot tell which spaces are large", "error", err)
				}
				g.mu.Lock()
				g.stale = true
				g.mu.Unlock()
				continue
			}
		}
		g.publish(ctx, pending)
	}
}

// regulate makes topics of the spaces that are large now, and of no others, and admits
// their connected members, and nobody else.
func (g *gossip) regulate(ctx context.Context) error {
	near := map[core.SpaceID]map[peer.ID]bool{}
	for _, id := range g.partners() {
		p, ok := memberID(id)
		if !ok {
			continue
		}
		shared, err := g.replica.Shared(ctx, p)
		if err != nil {
			return err
		}
		for _, space := range shared {
			if near[space] == nil {
				near[space] = map[peer.ID]bool{}
			}
			near[space][id] = true
		}
	}
	changed := false
	for space, t := range g.allTopics() {
		if len(near[space]) <= g.max*3/4 {
			g.leave(space, t)
			changed = true
		}
	}
	for space, members := range near {
		if g.topic(space) == nil && len(members) > g.max {
			if err := g.join(space); err != nil {
				return err
			}
			changed = true
		}
	}
	if err := g.admit(ctx, near); err != nil {
		return err
	}
	if changed {
		g.changed()
	}
	return nil
}

// lookAfter renews the streams with members that should be on a topic and are not: pubsub
// forgets what a peer said on a new stream when it learns late that an old one has ended.
// Those that have a reason are left alone for twice as long each time.
func (g *gossip) lookAfter() {
	if g.router == nil {
		return
	}
	renewed := map[peer.ID]bool{}
	for _, t := range g.allTopics() {
		absent := map[peer.ID]int{}
		for p := range *t.members.Load() {
			if t.isOn(p) {
				continue
			}
			n := t.absent[p] + 1
			absent[p] = n
			renewed[p] = renewed[p] || n&(n-1) == 0
		}
		t.absent = absent
	}
	g.router.guard.renew(renewed)
	g.router.guard.announceAll()
}

func (g *gossip) allTopics() map[core.SpaceID]*topic {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.topics)
}

// admit brings the guard up to date.
func (g *gossip) admit(ctx context.Context, near map[core.SpaceID]map[peer.ID]bool) error {
	if g.router == nil {
		return nil
	}
	admitted := map[peer.ID]bool{}
	renewed := map[peer.ID]bool{}
	for space, t := range g.allTopics() {
		members, before := near[space], *t.members.Load()
		for p := range members {
			admitted[p] = true
			// Somebody new has said which topics they are on when that did not count yet.
			renewed[p] = renewed[p] || !t.fresh && !before[p]
		}
		for p := range before {
			renewed[p] = renewed[p] || !members[p]
		}
		t.members.Store(&members)
		t.fresh = false
		if err := t.learn(ctx, g.replica); err != nil {
			return err
		}
	}
	g.router.guard.set(admitted, renewed)
	if len(admitted) == 0 {
		g.router.close()
		g.router = nil
	}
	return nil
}

// join subscribes to the topic of a space.
func (g *gossip) join(space core.SpaceID) error {
	if g.router == nil {
		r, err := newRouter(g.host, g.replica)
		if err != nil {
			return err
		}
		g.router = r
	}
	t, err := g.newTopic(space)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.topics[space] = t
	return nil
}

func (g *gossip) leave(space core.SpaceID, t *topic) {
	g.mu.Lock()
	delete(g.topics, space)
	g.mu.Unlock()
	t.close()
}

func (g *gossip) leaveAll() {
	for space, t := range g.allTopics() {
		g.leave(space, t)
	}
	if g.router != nil {
		g.router.close()
		g.router = nil
	}
}

// publish sends own entries, several in a message.
func (g *gossip) publish(ctx context.Context, pending []gossiped) {
	for len(pending) > 0 {
		space := pending[0].space
		var batch []core.Entry
		size := 0
		rest := pending[:0:0]
		for i, p := range pending {
			if p.space != space {
				rest = append(rest, p)
				continue
			}
			if len(batch) > 0 && size+p.entry.Size() > maxGossipBytes {
				rest = append(rest, pending[i:]...)
				break
			}
			batch = append(batch, p.entry)
			size += p.entry.Size()
		}
		pending = rest
		t := g.topic(space)
		if t == nil {
			continue
		}
		if err := t.publish(ctx, batch); err != nil && !interrupted(err) {
			g.logger.Debug("soma: gossip did not take entries", "space", string(space), "error", err)
		}
	}
}

// router is pubsub behind a guard.
type router struct {
	guard  *guard
	pubsub *pubsub.PubSub
	cancel context.CancelFunc
}

func newRouter(h host.Host, r gossipReplica) (*router, error) {
	g, err := newGuard(h)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	ps, err := pubsub.NewGossipSub(ctx, g,
		pubsub.WithGossipSubProtocols([]protocol.ID{gossipProtocol}, func(f pubsub.GossipSubFeature, id protocol.ID) bool {
			return id == gossipProtocol && (f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant)
		}),
		// Entries are signed by their authors; whoever else spoke nobody needs to know.
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(messageID),
		// A mesh takes a second to form, and what was published before would be lost.
		pubsub.WithFloodPublish(true), pubsub.WithPeerExchange(false),
		pubsub.WithSubscriptionFilter(&memberFilter{replica: r}),
		pubsub.WithPeerOutboundQueueSize(gossipQueue), pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithMaxMessageSize(4*maxGossipBytes), pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet),
	)
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("start gossip: %w", err), g.close())
	}
	return &router{g, ps, cancel}, nil
}

// close ends pubsub, which has no end of its own.
func (r *router) close() {
	r.cancel()
	r.guard.RemoveStreamHandler(gossipProtocol)
	_ = r.guard.close() // its subscriptions are gone either way
}
