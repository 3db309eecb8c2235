package somasync

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
)

// The protocols of a node. Everybody who connects sees these names.
const (
	protocolSync  protocol.ID = "/soma/sync/1"
	protocolLive  protocol.ID = "/soma/live/1"
	protocolBlob  protocol.ID = "/soma/blob/1"
	protocolPeers protocol.ID = "/soma/peers/1"
)

const (
	userAgent   = "soma"
	dialTimeout = 15 * time.Second

	// The resources of an own host: what it may take for all connections together.
	hostMemory = 256 << 20
	hostFiles  = 512

	// The connection manager trims those that nothing protects to the lower number
	// when there are more than the higher one.
	lowConns, highConns = 32, 96
	connGrace           = time.Minute
)

// openHost returns a host of the node's own that listens nowhere yet, so that nobody
// connects before the node can answer.
func openHost(o options, self core.Replica, g gater, acl relay.ACLFilter) (host.Host, error) {
	key, err := networkKey(self.Key())
	if err != nil {
		return nil, err
	}
	resources, err := newResources()
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns, connmgr.WithGracePeriod(connGrace))
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.UserAgent(userAgent),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(libp2pquic.NewTransport),
		libp2p.ResourceManager(resources), libp2p.ConnectionManager(conns), libp2p.ConnectionGater(g),
		libp2p.DisableMetrics(), libp2p.Ping(false), libp2p.WithDialTimeout(dialTimeout),
	}
	opts = append(opts, relayOptions(o, acl)...)
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("open host: %w", err)
	}
	return h, nil
}

func relayOptions(o options, acl relay.ACLFilter) (opts []libp2p.Option) {
	if o.relayService {
		opts = append(opts, libp2p.EnableRelayService(relay.WithACL(acl)), libp2p.ForceReachabilityPublic())
	}
	if len(o.relays) == 0 {
		if !o.relayService {
			return append(opts, libp2p.DisableRelay())
		}
		return append(opts, libp2p.EnableRelay())
	}
	opts = append(opts, libp2p.EnableRelay(), libp2p.EnableHolePunching(),
		libp2p.EnableAutoRelayWithStaticRelays(o.relays, autorelay.WithBootDelay(0), autorelay.WithMinCandidates(1), autorelay.WithBackoff(time.Minute)))
	if !o.relayService {
		opts = append(opts, libp2p.ForceReachabilityPrivate()) // else AutoRelay may never begin
	}
	return opts
}

// newResources bounds what an own host may take, and what of it one peer may have.
func newResources() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	for id, streams := range map[protocol.ID]int{
		protocolSync: maxSyncStreams, protocolLive: maxLiveStreams, protocolBlob: maxBlobStreams, protocolPeers: maxPeersStreams,
	} {
		streams *= 2 // those that are about to end too, and the other direction
		limits.AddProtocolPeerLimit(id, rcmgr.BaseLimit{Streams: 2 * streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: 16 << 20}, rcmgr.BaseLimitIncrease{})
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Scale(hostMemory, hostFiles)), rcmgr.WithMetricsDisabled())
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	return m, nil
}

// partnersOnly lets partners reserve a place at the relay, and everybody reach those who did:
// who joins by a ticket is no partner yet.
type partnersOnly struct{ isPartner func(peer.ID) bool }

// AllowReserve implements relay.ACLFilter.
func (a partnersOnly) AllowReserve(id peer.ID, _ ma.Multiaddr) bool { return a.isPartner(id) }

// AllowConnect implements relay.ACLFilter.
func (a partnersOnly) AllowConnect(_ peer.ID, _ ma.Multiaddr, to peer.ID) bool {
	return a.isPartner(to)
}
