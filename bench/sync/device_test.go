package benchsync

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// device is a directory that syncs over a host whose traffic is counted.
type device struct {
	db    *soma.DB
	node  *somasync.Node
	host  host.Host
	meter *meter
	door  *door
}

func openDevice(b *testing.B) device {
	b.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(b, err)
	m, d := newMeter(), &door{}
	h := openHost(b, key, m, libp2p.ConnectionGater(d))
	node, err := somasync.New(somasync.WithHost(h))
	must(b, err)
	db, err := soma.Open(b.TempDir(), soma.WithIdentity(key), soma.WithSync(node))
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	return device{db, node, h, m, d}
}

// openHost returns a host that listens on loopback, by TCP. It is what somasync opens by
// itself, as far as a stream that is there can tell.
func openHost(b *testing.B, key ed25519.PrivateKey, m *meter, more ...libp2p.Option) host.Host {
	b.Helper()
	identity, err := crypto.UnmarshalEd25519PrivateKey(key)
	must(b, err)
	h, err := libp2p.New(append(more,
		libp2p.Identity(identity), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport, tcp.WithDialerForAddr(m.dialer)),
		libp2p.BandwidthReporter(m), libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Ping(false),
	)...)
	must(b, err)
	b.Cleanup(func() { must(b, h.Close()) })
	return h
}

// meter counts what a host sends and receives: messages are writes to streams of Soma,
// bytes those of the TCP connections that it dialed, both ways, with all that is around
// the messages: handshakes, encryption, headers of streams, identify.
type meter struct {
	metrics.Reporter
	messages, bytes atomic.Int64
	asked           atomic.Int64 // messages of /soma/sync/1, sent
	answered        atomic.Int64 // when one came in last, in ns since the process began
}

const syncProtocol = "/soma/sync/1"

var began = time.Now()

func newMeter() *meter { return &meter{Reporter: metrics.NewBandwidthCounter()} }

// LogSentMessageStream implements metrics.Reporter.
func (m *meter) LogSentMessageStream(_ int64, id protocol.ID, _ peer.ID) {
	if strings.HasPrefix(string(id), "/soma/") {
		m.messages.Add(1)
	}
	if id == syncProtocol {
		m.asked.Add(1)
	}
}

// LogRecvMessageStream implements metrics.Reporter.
func (m *meter) LogRecvMessageStream(n int64, id protocol.ID, _ peer.ID) {
	if id == syncProtocol && n > 0 {
		m.answered.Store(int64(time.Since(began)))
	}
}

func (m *meter) dialer(ma.Multiaddr) (tcp.ContextDialer, error) { return m, nil }

// DialContext implements tcp.ContextDialer.
func (m *meter) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{c.(*net.TCPConn), m}, nil
}

type countedConn struct {
	*net.TCPConn
	m *meter
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.m.bytes.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.m.bytes.Add(int64(n))
	return n, err
}

// share creates a space on a with n documents of 110 bytes, and returns a ticket for it.
func (a device) share(b *testing.B, docs int) (soma.SpaceID, string) {
	b.Helper()
	space, err := a.db.Spaces().Create(b.Context(), soma.NewSpace{Name: "bench"})
	must(b, err)
	a.write(b, space.ID, docs, docs, text)
	ticket, err := a.db.Spaces().Invite(b.Context(), space.ID, soma.RoleEditor, soma.InviteOptions{})
	must(b, err)
	return space.ID, ticket
}

const docBytes = 110

var text = strings.Repeat("x", docBytes)

// write puts text into count of docs documents, spread among all.
func (a device) write(b *testing.B, space soma.SpaceID, count, docs int, text string) {
	b.Helper()
	var next atomic.Int64
	parallel(b, func() error {
		for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
			if err := a.insert(b.Context(), space, int(i)*docs/count, text); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a device) insert(ctx context.Context, space soma.SpaceID, i int, text string) error {
	_, err := a.db.Documents().Edit(ctx, space, docID(i), func(tx *soma.EditTx) error {
		return tx.Text("content").Insert(0, text, nil)
	})
	return err
}

func docID(i int) string { return fmt.Sprintf("page-%d", i) }

// parallel runs fn in as many goroutines as share the syncs of a disk well.
func parallel(b *testing.B, fn func() error) {
	b.Helper()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := fn(); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// length returns how long a document is, 0 if it is not there.
func (a device) length(b *testing.B, space soma.SpaceID, i int) int {
	b.Helper()
	n := 0
	err := a.db.Documents().View(b.Context(), space, docID(i), func(tx *soma.ViewTx) error {
		n = tx.Text("content").Len()
		return nil
	})
	if notFound(err) {
		return 0
	}
	must(b, err)
	return n
}

// join makes a device a member, and returns when it has what the others have.
func (a device) join(b *testing.B, space soma.SpaceID, ticket string) {
	b.Helper()
	from := time.Now()
	_, err := a.db.Spaces().Join(b.Context(), ticket)
	must(b, err)
	a.exchanged(b, space, from)
}

// exchanged returns when all that a peer has at some time after from is here.
func (a device) exchanged(b *testing.B, space soma.SpaceID, from time.Time) {
	b.Helper()
	a.await(b, "exchange", func() bool {
		s := a.status(b, space)
		return !s.Joining && s.LastExchangeMs >= from.UnixMilli()
	})
}

// status returns how a space is, zeroes if it is not here.
func (a device) status(b *testing.B, space soma.SpaceID) soma.SpaceSyncStatus {
	b.Helper()
	all, err := a.db.Sync().Status(b.Context())
	must(b, err)
	for _, s := range all.Spaces {
		if s.Space == space {
			return s
		}
	}
	return soma.SpaceSyncStatus{Joining: true}
}

// await returns when done is true, which it asks whenever the status may have changed.
func (a device) await(b *testing.B, what string, done func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	changed := a.db.Sync().Watch(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-changed:
		case <-tick.C:
		}
		if ctx.Err() != nil {
			b.Fatalf("%s: it took too long", what)
		}
	}
}

// door is open to who connects, until it is shut.
type door struct{ shut atomic.Bool }

func (d *door) InterceptPeerDial(peer.ID) bool               { return true }
func (d *door) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }
func (d *door) InterceptAccept(network.ConnMultiaddrs) bool  { return !d.shut.Load() }

func (d *door) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return true
}

func (d *door) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// part ends the connection of two devices, of which a does not come back by itself, nor
// lets the other one in.
func (a device) part(b *testing.B, other device) {
	b.Helper()
	a.door.shut.Store(true)
	must(b, a.db.Sync().Stop(b.Context()))
	must(b, other.db.Sync().Stop(b.Context()))
	must(b, a.host.Network().ClosePeer(other.host.ID()))
	other.await(b, "hang up", func() bool { return len(other.host.Network().ConnsToPeer(a.host.ID())) == 0 })
	must(b, other.db.Sync().Start(b.Context()))
	time.Sleep(10 * time.Millisecond) // what comes is told from what was, by the millisecond
}

// meet has a connect to another device, and returns when it has what that one has, which
// knows it.
func (a device) meet(b *testing.B, other device, space soma.SpaceID) {
	b.Helper()
	from := time.Now()
	a.connect(b, other)
	a.exchanged(b, space, from)
	other.acknowledged(b, space)
}

// acknowledged returns when all that a device wrote is known to be somewhere else.
func (a device) acknowledged(b *testing.B, space soma.SpaceID) {
	b.Helper()
	a.await(b, "acknowledgement", func() bool { s := a.status(b, space); return s.OnlyHere == 0 && s.Peers > 0 })
}

func (a device) connect(b *testing.B, other device) {
	b.Helper()
	a.door.shut.Store(false)
	must(b, a.db.Sync().Start(b.Context()))
	must(b, a.db.Sync().Connect(b.Context(), address(other)))
}

// greet has a connect to another device that has the same, and returns when both were told
// so: how long that took, as the messages tell.
func (a device) greet(b *testing.B, other device) time.Duration {
	b.Helper()
	before := [2]int64{a.meter.asked.Load(), other.meter.asked.Load()}
	start := time.Since(began)
	a.connect(b, other)
	a.await(b, "greeting", func() bool { // a question and an answer of each
		return a.meter.asked.Load() >= before[0]+2 && other.meter.asked.Load() >= before[1]+2
	})
	time.Sleep(soon)
	return time.Duration(max(a.meter.answered.Load(), other.meter.answered.Load())) - start
}

func address(a device) string {
	return a.host.Addrs()[0].String() + "/p2p/" + a.host.ID().String()
}

// soon is how long after something its last messages come at most.
const soon = 300 * time.Millisecond

// timed runs fn, and reports how long that took and what went over the network, with what
// comes soon after. fn returns how long it took itself, or 0.
func timed(b *testing.B, devices []device, fn func() time.Duration) {
	b.Helper()
	sent := func() (messages, bytes int64) {
		for _, d := range devices {
			messages, bytes = messages+d.meter.messages.Load(), bytes+d.meter.bytes.Load()
		}
		return messages, bytes
	}
	messages, bytes := sent()
	start := time.Now()
	took := fn()
	if took == 0 {
		took = time.Since(start)
		time.Sleep(soon)
	}
	m, n := sent()
	b.ReportMetric(ms(took), "ms")
	b.ReportMetric(float64(m-messages), "messages")
	b.ReportMetric(float64(n-bytes), "wire-bytes")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// scaled makes a count smaller, to see whether everything works: SOMA_SYNC_DIVISOR.
func scaled(n int) int {
	by, err := strconv.Atoi(os.Getenv("SOMA_SYNC_DIVISOR"))
	if err != nil || by < 1 {
		return n
	}
	return max(4, n/by)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
