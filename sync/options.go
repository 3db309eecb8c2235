package somasync

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/discovery"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
)

// The defaults of the options.
const (
	DefaultMaxDirect   = 32
	DefaultMaxPeers    = 64
	DefaultAntiEntropy = time.Minute
)

// The bounds of the options.
const (
	MaxListenAddrs = 32
	MaxRelays      = 16
)

// defaultListen is where an own host listens: everywhere, at ports that the system chooses.
var defaultListen = []string{
	"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/tcp/0", "/ip6/::/udp/0/quic-v1",
}

// Option configures New.
type Option func(*options) error

type options struct {
	host         host.Host // of the host program, or nil
	listen       []ma.Multiaddr
	mdns         bool
	discovery    discovery.Discovery
	relays       []peer.AddrInfo
	relayService bool
	maxDirect    int
	maxPeers     int
	antiEntropy  time.Duration
}

// WithHost makes the node use the libp2p host of the host program, which has to have the
// key of the local member. The node adds its protocols to it while it runs, and never closes it, nor a
// connection that it did not ask for. Options that are about a host of its own have no
// effect.
func WithHost(h host.Host) Option {
	return func(o *options) error {
		if h == nil {
			return fmt.Errorf("nil host: %w", core.ErrInvalidOption)
		}
		o.host = h
		return nil
	}
}

// WithListen sets the multiaddrs at which to listen, instead of all interfaces by TCP and
// QUIC at ports that the system chooses. None at all: the node only dials.
func WithListen(addrs ...string) Option {
	return func(o *options) error {
		if len(addrs) > MaxListenAddrs {
			return fmt.Errorf("%d addresses to listen at, at most %d are allowed: %w", len(addrs), MaxListenAddrs, core.ErrInvalidOption)
		}
		parsed, err := parseAddrs(addrs)
		if err != nil {
			return fmt.Errorf("%w: %w", core.ErrInvalidOption, err)
		}
		o.listen = parsed
		return nil
	}
}

// WithMDNS finds partners in the local network, and lets them find this node. Everybody in
// that network learns the peer ID from it.
func WithMDNS() Option {
	return func(o *options) error {
		o.mdns = true
		return nil
	}
}

// WithDiscovery finds partners by what the host program supplies: a DHT, a rendezvous
// server. The names that are advertised change every day and tell nothing to those who do
// not know the space; the peer ID is told with them.
func WithDiscovery(d discovery.Discovery) Option {
	return func(o *options) error {
		if d == nil {
			return fmt.Errorf("nil discovery: %w", core.ErrInvalidOption)
		}
		o.discovery = d
		return nil
	}
}

// WithRelays names circuit relays, as multiaddrs with /p2p, through which the node can be
// reached behind a NAT. Two that are connected through one try to connect directly
// (hole punching). Relays see who talks to whom, and when, but nothing of what is said.
func WithRelays(addrs ...string) Option {
	return func(o *options) error {
		if len(addrs) > MaxRelays {
			return fmt.Errorf("%d relays, at most %d are allowed: %w", len(addrs), MaxRelays, core.ErrInvalidOption)
		}
		o.relays = nil
		for _, a := range addrs {
			info, err := parsePeerAddr(a)
			if err != nil {
				return fmt.Errorf("relay: %w: %w", core.ErrInvalidOption, err)
			}
			o.relays = append(o.relays, info)
		}
		return nil
	}
}

// WithRelayService makes the node a circuit relay for members of its spaces. It is for
// those that can be reached from everywhere.
func WithRelayService() Option {
	return func(o *options) error {
		o.relayService = true
		return nil
	}
}

// WithMaxDirect sets up to how many connected members of a space get changes over streams
// of their own, DefaultMaxDirect by default; beyond it changes ride gossip.
func WithMaxDirect(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%d direct members: %w", n, core.ErrInvalidOption)
		}
		o.maxDirect = n
		return nil
	}
}

// WithMaxPeers sets how many partners the node dials until it is content,
// DefaultMaxPeers by default. More may connect by themselves.
func WithMaxPeers(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%d peers: %w", n, core.ErrInvalidOption)
		}
		o.maxPeers = n
		return nil
	}
}

// WithAntiEntropy sets how often, on average, a partner is asked for what is missing though
// nothing said that something is, DefaultAntiEntropy by default.
func WithAntiEntropy(d time.Duration) Option {
	return func(o *options) error {
		if d < time.Millisecond {
			return fmt.Errorf("anti-entropy every %v: %w", d, core.ErrInvalidOption)
		}
		o.antiEntropy = d
		return nil
	}
}

func collect(opts []Option) (options, error) {
	o := options{maxDirect: DefaultMaxDirect, maxPeers: DefaultMaxPeers, antiEntropy: DefaultAntiEntropy}
	var err error
	if o.listen, err = parseAddrs(defaultListen); err != nil { // unreachable: they are constant
		return options{}, err
	}
	for _, opt := range opts {
		if opt == nil {
			return options{}, fmt.Errorf("nil option: %w", core.ErrInvalidOption)
		}
		if err := opt(&o); err != nil {
			return options{}, err
		}
	}
	return o, nil
}
