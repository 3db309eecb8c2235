package simtest

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
)

const (
	// never is how long a packet takes that does not arrive: longer than any run.
	never = 1000 * time.Hour
	// bandwidth of each machine, in bits per second.
	bandwidth = 50_000_000
)

// fabric is the network of a run. A machine is known by its number.
type fabric struct {
	net *simnet.Simnet

	mu      sync.Mutex
	rng     *rand.Rand
	down    map[int]bool
	island  map[int]int // what cannot reach each other
	latency time.Duration
	loss    float64
}

func newFabric(seed uint64) *fabric {
	f := &fabric{rng: rand.New(rand.NewPCG(seed, 5)), down: map[int]bool{}, island: map[int]int{}, latency: 5 * time.Millisecond}
	f.net = &simnet.Simnet{LatencyFunc: f.delay, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	f.net.Start()
	return f
}

// delay says how long a packet is on its way.
func (f *fabric) delay(p *simnet.Packet) time.Duration {
	from, to := machineOf(p.From), machineOf(p.To)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[from] || f.down[to] || f.island[from] != f.island[to] || f.rng.Float64() < f.loss {
		return never
	}
	return f.latency + time.Duration(f.rng.Int64N(int64(f.latency)/2+1)) // so that some overtake others
}

// set changes the network.
func (f *fabric) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// heal makes the network good.
func (f *fabric) heal() {
	f.set(func() {
		clear(f.island)
		f.latency, f.loss = 5*time.Millisecond, 0
	})
}

func machineIP(n int) string { return fmt.Sprintf("1.0.0.%d", n+1) }

func machineOf(a net.Addr) int { return int(a.(*net.UDPAddr).IP.To4()[3]) - 1 }

// address is where machine n listens.
func address(n int) string { return "/ip4/" + machineIP(n) + "/udp/8000/quic-v1" }

// newHost returns the host of machine n.
func (f *fabric) newHost(t *testing.T, n int, key crypto.PrivKey) host.Host {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: bandwidth}
	return simlibp2p.MustNewHost(t,
		libp2p.Identity(key), libp2p.ListenAddrStrings(address(n)),
		simlibp2p.QUICSimnet(f.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
		libp2p.DisableIdentifyAddressDiscovery(), // it never comes to rest in virtual time
		libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Ping(false),
	)
}
