package somasync

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// gossiper is a replica with a host that has gossip, and nothing else.
type gossiper struct {
	*replica.Replica
	t    *testing.T
	host host.Host
	g    *gossip

	mu       sync.Mutex
	linked   map[peer.ID]bool // nil for whoever is connected
	pulls    []peer.ID
	offences []error
}

// clients counts the Yjs clientIDs that are in use.
var clients atomic.Uint64

func newGossiper(t *testing.T) *gossiper {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(dir, store.Options{Relaxed: true, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	hub := events.NewHub()
	r, err := replica.Open(t.Context(), replica.Config{
		Store: db, Identity: id, Dir: dir, Database: db.Path(), Hub: hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := networkKey(r.Key())
	if err != nil {
		t.Fatal(err)
	}
	g := &gossiper{Replica: r, t: t, host: newTestHost(t, libp2p.Identity(key))}
	t.Cleanup(func() {
		if g.g != nil {
			g.g.close()
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		hub.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func newTestHost(t *testing.T, opts ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append(opts, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// start begins gossip for spaces with more than max connected members.
func (g *gossiper) start(max int) {
	g.g = startGossip(gossipConfig{
		host: g.host, replica: g.Replica, max: max, logger: slog.New(slog.DiscardHandler),
		partners: func() []peer.ID {
			g.mu.Lock()
			defer g.mu.Unlock()
			return slices.DeleteFunc(g.host.Network().Peers(), func(p peer.ID) bool { return g.linked != nil && !g.linked[p] })
		},
		pull: func(p peer.ID, _ core.SpaceID) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.pulls = append(g.pulls, p)
		},
		offend: func(_ peer.ID, err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.offences = append(g.offences, err)
		},
		changed: func() {}, every: 500 * time.Millisecond,
	})
	met := &network.NotifyBundle{
		ConnectedF:    func(network.Network, network.Conn) { g.g.partnersChanged() },
		DisconnectedF: func(network.Network, network.Conn) { g.g.partnersChanged() },
	}
	g.host.Network().Notify(met)
	g.t.Cleanup(func() { g.host.Network().StopNotify(met) })
	g.g.partnersChanged()
}

func (g *gossiper) connect(h host.Host) {
	g.t.Helper()
	if err := g.host.Connect(g.t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		g.t.Fatal(err)
	}
}

// edit types into a document, and has it sealed.
func (g *gossiper) edit(space core.SpaceID) core.Hash {
	g.t.Helper()
	client := clients.Add(1)
	doc := core.DocumentID(fmt.Sprint("d", client))
	if _, err := g.Upsert(g.t.Context(), space, doc, somatest.Typed(client, 0, "words"), replica.WriteOptions{Source: events.SourceRenderer}); err != nil {
		g.t.Fatal(err)
	}
	if err := g.SealSpace(g.t.Context(), space); err != nil {
		g.t.Fatal(err)
	}
	var newest core.Hash
	for _, raw := range g.entries(space) {
		e, err := log.Decode(raw)
		if err != nil {
			g.t.Fatal(err)
		}
		if e.Peer == g.Self() && e.Chain == core.ChainContent {
			newest = e.Hash
		}
	}
	if newest.IsZero() {
		g.t.Fatal("nothing was sealed")
	}
	return newest
}

// entries returns all entries of a space, of few writers.
func (g *gossiper) entries(space core.SpaceID) []core.Entry {
	g.t.Helper()
	root, err := g.Node(g.t.Context(), space, "")
	if err != nil || root.Children != nil {
		g.t.Fatalf("Node = %v, %v, want rows", root, err)
	}
	entries, _, err := g.Entries(g.t.Context(), space, rangesOf(root.Rows), core.Cursor{}, 1<<30)
	if err != nil {
		g.t.Fatal(err)
	}
	return entries
}

func rangesOf(rows []core.LogRow) []core.Range {
	var ranges []core.Range
	for _, r := range rows {
		for _, tip := range r.Tips {
			ranges = append(ranges, core.Range{Writer: r.Writer, Chain: r.Chain, From: 1, To: tip.Seq})
		}
	}
	return ranges
}

func (g *gossiper) has(space core.SpaceID, hash core.Hash) bool {
	g.t.Helper()
	has, err := g.Has(g.t.Context(), space, []core.Hash{hash})
	if err != nil {
		g.t.Fatal(err)
	}
	return has[0]
}

func (g *gossiper) pulled() []peer.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.pulls)
}

func (g *gossiper) offended() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.offences)
}

// copySpace brings what one has of a space to another.
func copySpace(t *testing.T, space core.SpaceID, from, to *gossiper) {
	t.Helper()
	var archive bytes.Buffer
	if err := from.Export(t.Context(), space, &archive); err != nil {
		t.Fatal(err)
	}
	spool, err := to.Spool(t.Context(), &archive)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Discard()
	if err := to.Import(t.Context(), spool); err != nil {
		t.Fatal(err)
	}
}

// newTeam returns n replicas that share a space, and are all connected.
func newTeam(t *testing.T, n int) ([]*gossiper, core.SpaceID) {
	t.Helper()
	team := make([]*gossiper, n)
	for i := range team {
		team[i] = newGossiper(t)
	}
	space, err := team[0].CreateSpace(t.Context(), "team")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range team[1:] {
		if err := team[0].AddMember(t.Context(), space.ID, g.Self(), log.RoleEditor, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range team[1:] {
		copySpace(t, space.ID, team[0], g)
		for _, o := range team[:i+1] {
			g.connect(o.host)
		}
	}
	return team, space.ID
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it is still not so: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// onTopic waits until all of a team count on gossip with each other.
func onTopic(t *testing.T, space core.SpaceID, team ...*gossiper) {
	t.Helper()
	for i, a := range team {
		for j, b := range team {
			if i != j {
				eventually(t, fmt.Sprintf("%d sees %d on the topic", i, j), func() bool { return a.g.carries(space, b.host.ID(), core.Entry{}) })
			}
		}
	}
}

func serves(h host.Host) bool { return slices.Contains(h.Mux().Protocols(), gossipProtocol) }

func TestGossip(t *testing.T) {
	team, space := newTeam(t, 4)
	for _, g := range team {
		g.start(2)
	}
	onTopic(t, space, team...)
	for i, g := range team {
		hash := g.edit(space)
		for j, o := range team {
			eventually(t, fmt.Sprintf("%d has what %d wrote", j, i), func() bool { return o.has(space, hash) })
		}
	}
	for i, g := range team {
		if p, o := g.pulled(), g.offended(); len(p) > 0 || len(o) > 0 {
			t.Errorf("%d pulls from %v, and was offended by %v, want neither", i, p, o)
		}
	}

	// With two members less there is no gossip, and with them back there is.
	for range 2 {
		for _, g := range team[2:] {
			if err := team[0].host.Network().ClosePeer(g.host.ID()); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the space is small", func() bool { return !team[0].g.isLarge(space) && !serves(team[0].host) })
		if !team[1].g.isLarge(space) {
			t.Error("the space is small for 1, want it large: all are connected to it")
		}
		team[0].connect(team[2].host)
		time.Sleep(50 * time.Millisecond)
		if team[0].g.isLarge(space) {
			t.Error("the space is large with two, want it small until there are three")
		}
		team[0].connect(team[3].host)
		onTopic(t, space, team...)
		hash := team[0].edit(space)
		for j, o := range team {
			eventually(t, fmt.Sprintf("%d has what 0 wrote", j), func() bool { return o.has(space, hash) })
		}
	}
}

// Who has not got what came before pulls from whom it came.
func TestGossipGap(t *testing.T) {
	team, space := newTeam(t, 3)
	team[0].edit(space) // before there is gossip
	for _, g := range team {
		g.start(1)
	}
	onTopic(t, space, team...)
	hash := team[0].edit(space)
	eventually(t, "1 pulls", func() bool { return len(team[1].pulled()) > 0 })
	if team[1].has(space, hash) || team[2].has(space, hash) {
		t.Error("an entry is there without its past")
	}
	copySpace(t, space, team[0], team[1])
	next := team[0].edit(space)
	eventually(t, "1 has what comes next", func() bool { return team[1].has(space, hash) && team[1].has(space, next) })
}

// listener is a host that speaks all versions of pubsub, and records what it hears.
type listener struct {
	host   host.Host
	pubsub *pubsub.PubSub

	mu    sync.Mutex
	heard [][]byte // RPCs
}

func (l *listener) all() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// has reports whether an entry was among what was heard.
func (l *listener) has(e core.Entry) bool {
	return slices.ContainsFunc(l.all(), func(rpc []byte) bool { return bytes.Contains(rpc, e.Sig) })
}

// newListener returns one that is on a topic, and floods what it publishes.
func newListener(t *testing.T, topic string, opts ...libp2p.Option) (*listener, *pubsub.Topic) {
	t.Helper()
	l := &listener{host: newTestHost(t, opts...)}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	all := append([]protocol.ID{gossipProtocol, pubsub.FloodSubID}, pubsub.GossipSubDefaultProtocols...)
	ps, err := pubsub.NewGossipSub(ctx, l.host,
		pubsub.WithGossipSubProtocols(all, func(f pubsub.GossipSubFeature, id protocol.ID) bool { return f == pubsub.GossipSubFeatureMesh }),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(messageID), pubsub.WithFloodPublish(true),
		pubsub.WithAppSpecificRpcInspector(func(_ peer.ID, rpc *pubsub.RPC) error {
			raw, err := rpc.Marshal()
			l.mu.Lock()
			defer l.mu.Unlock()
			l.heard = append(l.heard, raw)
			return err
		}))
	if err != nil {
		t.Fatal(err)
	}
	l.pubsub = ps
	joined, err := ps.Join(topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := joined.Subscribe(); err != nil {
		t.Fatal(err)
	}
	return l, joined
}

// A stranger that knows the topic, and speaks whatever there is, hears nothing and is not
// heard.
func TestGossipStranger(t *testing.T) {
	team, space := newTeam(t, 4)
	name, err := topicName(space)
	if err != nil {
		t.Fatal(err)
	}
	stranger, topic := newListener(t, name)
	for _, g := range team[:2] {
		g.connect(stranger.host)
	}
	for _, g := range team {
		g.start(2)
	}
	for _, g := range team[2:] {
		g.connect(stranger.host)
	}
	onTopic(t, space, team...)
	for range 20 {
		hash := team[0].edit(space)
		for j, o := range team {
			eventually(t, fmt.Sprintf("%d has what 0 wrote", j), func() bool { return o.has(space, hash) })
		}
		if err := topic.Publish(t.Context(), []byte("words of a stranger")); err != nil {
			t.Fatal(err)
		}
		st, err := stranger.host.NewStream(t.Context(), team[0].host.ID(), gossipProtocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Read(make([]byte, 1)); err == nil {
			t.Error("a stranger is answered")
		}
	}
	if heard := stranger.all(); len(heard) > 0 {
		t.Errorf("a stranger hears %q, want nothing", heard)
	}
	for i, g := range team {
		if o := g.offended(); len(o) > 0 {
			t.Errorf("%d heard a stranger: %v", i, o)
		}
		if g.g.carries(space, stranger.host.ID(), core.Entry{}) {
			t.Errorf("%d counts on a stranger's being on the topic", i)
		}
	}
}

// Whoever is removed hears nothing from then on, though nobody told them.
func TestGossipRemoval(t *testing.T) {
	team, space := newTeam(t, 3)
	dir := t.TempDir()
	id, err := identity.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := networkKey(id.Key())
	if err != nil {
		t.Fatal(err)
	}
	name, err := topicName(space)
	if err != nil {
		t.Fatal(err)
	}
	leaver, topic := newListener(t, name, libp2p.Identity(key))
	p, _ := memberID(leaver.host.ID())
	if err := team[0].AddMember(t.Context(), space, p, log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	copySpace(t, space, team[0], team[1])
	copySpace(t, space, team[0], team[2])
	for _, g := range team {
		g.connect(leaver.host)
		g.start(2)
	}
	onTopic(t, space, team...)
	on := func(g *gossiper) bool { return g.g.carries(space, leaver.host.ID(), core.Entry{}) }
	for range 3 { // removed, and let in again
		for i, g := range team {
			eventually(t, fmt.Sprintf("the member is on the topic of %d", i), func() bool { return on(g) })
		}
		open := entryOf(t, team[0], space, team[0].edit(space))[0]
		eventually(t, "the member hears", func() bool { return leaver.has(open) })

		if err := team[0].RemoveMember(t.Context(), space, p, false); err != nil {
			t.Fatal(err)
		}
		hash := team[0].edit(space)
		copySpace(t, space, team[0], team[1])
		copySpace(t, space, team[0], team[2])
		for i, g := range team {
			eventually(t, fmt.Sprintf("%d has the entry, and the member is off its topic", i), func() bool { return g.has(space, hash) && !on(g) })
		}
		secret := team[1].edit(space)
		for i, g := range team {
			eventually(t, fmt.Sprintf("%d has what 1 wrote", i), func() bool { return g.has(space, secret) })
		}
		if err := topic.Publish(t.Context(), []byte("words of who was removed")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		for _, hash := range []core.Hash{hash, secret} {
			if leaver.has(entryOf(t, team[0], space, hash)[0]) {
				t.Errorf("who was removed hears %s", hash)
			}
		}
		for i, g := range team {
			if o := g.offended(); len(o) > 0 {
				t.Errorf("%d heard who was removed: %v", i, o)
			}
		}
		if err := team[0].AddMember(t.Context(), space, p, log.RoleEditor, log.KindDevice); err != nil {
			t.Fatal(err)
		}
		copySpace(t, space, team[0], team[1])
		copySpace(t, space, team[0], team[2])
	}
}

// entryOf returns an entry by its hash.
func entryOf(t *testing.T, g *gossiper, space core.SpaceID, hash core.Hash) []core.Entry {
	t.Helper()
	entries := g.entries(space)
	i := slices.IndexFunc(entries, func(e core.Entry) bool { return e.Hash() == hash })
	if i < 0 {
		t.Fatalf("entry %s is not there", hash)
	}
	return entries[i : i+1]
}

// What is no entry of a member who may make it is not passed on.
func TestGossipJudge(t *testing.T) {
	team, space := newTeam(t, 3)
	other, err := team[0].CreateSpace(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	foreign := team[0].edit(other.ID)
	mine := team[0].edit(space)
	stranger := newGossiper(t)
	if err := team[0].AddMember(t.Context(), space, stranger.Self(), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	copySpace(t, space, team[0], stranger) // which team[1] does not know of
	unknown := stranger.edit(space)
	written := team[2].edit(space)
	g := team[1]
	g.start(1)
	eventually(t, "the space is large", func() bool { return g.g.isLarge(space) })
	tp := g.g.topic(space)
	eventually(t, "roles are known", func() bool { return len(*tp.roles.Load()) == 2 })

	frame := func(entries ...core.Entry) []byte {
		data, err := wire.Encode(gossipMessage{Entries: wire.FromCore(entries)})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := entryOf(t, team[0], space, mine)[0]
	forged := good
	forged.Sig = slices.Clone(good.Sig)
	forged.Sig[0] ^= 1
	cut := good
	cut.Ops = good.Ops[:len(good.Ops)-1]
	large := core.Entry{Header: good.Header, Ops: make([]byte, maxGossipBytes), Sig: good.Sig}
	random := make([]byte, 100)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data    []byte
		want    pubsub.ValidationResult
		offends bool
	}{
		"good":              {frame(good), pubsub.ValidationAccept, false},
		"two":               {frame(good, entryOf(t, team[2], space, written)[0]), pubsub.ValidationAccept, false},
		"of no member here": {frame(entryOf(t, stranger, space, unknown)[0]), pubsub.ValidationIgnore, false},
		"forged":            {frame(forged), pubsub.ValidationReject, true},
		"one of two forged": {frame(good, forged), pubsub.ValidationReject, true},
		"other ops":         {frame(cut), pubsub.ValidationReject, true},
		"another space":     {frame(entryOf(t, team[0], other.ID, foreign)[0]), pubsub.ValidationReject, true},
		"too large":         {frame(large), pubsub.ValidationReject, true},
		"nothing":           {nil, pubsub.ValidationReject, true},
		"no entries":        {frame(), pubsub.ValidationReject, true},
		"random":            {random, pubsub.ValidationReject, true},
		"more bytes":        {append(frame(good), 0), pubsub.ValidationReject, true},
	} {
		got, _, err := tp.judge(tt.data)
		if got != tt.want || (err != nil) != tt.offends {
			t.Errorf("%s: judge = %v, %v, want %v, and an offence: %v", name, got, err, tt.want, tt.offends)
		}
	}

	// A viewer may read what gossip carries, and not write.
	if err := team[0].SetRole(t.Context(), space, team[2].Self(), log.RoleViewer); err != nil {
		t.Fatal(err)
	}
	copySpace(t, space, team[0], g)
	eventually(t, "a viewer's writing is not passed on", func() bool {
		got, _, err := tp.judge(frame(entryOf(t, team[2], space, written)[0]))
		return got == pubsub.ValidationIgnore && err == nil
	})

	// Too much at a time is not let in, and all of it leaves again.
	from := team[0].host.ID()
	message := &pubsub.Message{Message: &pb.Message{Data: frame(good)}, ReceivedFrom: from}
	accepted := 0
	for range 2 * gossipQueue {
		if tp.validate(t.Context(), from, message) == pubsub.ValidationAccept {
			accepted++
		}
	}
	if accepted != gossipQueue/2 {
		t.Errorf("%d messages are let in, want %d", accepted, gossipQueue/2)
	}
	for range accepted {
		tp.exit(len(message.Data), nil)
	}
	// What offends is told of, and leaves no trace.
	bad := &pubsub.Message{Message: &pb.Message{Data: frame(forged)}, ReceivedFrom: from}
	if got := tp.validate(t.Context(), from, bad); got != pubsub.ValidationReject || len(g.offended()) != 1 || tp.messages != 0 || tp.bytes != 0 {
		t.Errorf("validate = %v, offences %v, %d messages of %d bytes wait, want one, none", got, g.offended(), tp.messages, tp.bytes)
	}
	if got := tp.validate(t.Context(), newTestHost(t).ID(), message); got != pubsub.ValidationIgnore || len(g.offended()) != 1 {
		t.Errorf("validate of a stranger's = %v, want that it is ignored", got)
	}
}
