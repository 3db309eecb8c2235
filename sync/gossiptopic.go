package somasync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// topicDomain keeps the names of topics apart from other hashes.
const topicDomain = "soma-gossip-v1\x00"

// maxSubscriptions is how many topics a peer may name at a time.
const maxSubscriptions = 4096

// topicName returns the name of a space's topic, from which the space cannot be told.
func topicName(space core.SpaceID) (string, error) {
	genesis, err := space.Hash()
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, genesis[:])
	h.Write([]byte(topicDomain))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// messageID names a message by what is in it: it has no author.
func messageID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

// gossipMessage is what a message says: entries in causal order.
type gossipMessage struct {
	_       struct{} `cbor:",toarray"`
	Entries []wire.Entry
}

const kindGossip wire.Kind = 48

// maxGossipEntries is how many entries fit into a message: none is smaller than 128 bytes.
const maxGossipEntries = maxGossipBytes / 128

// gossipLimits is what messages may be.
var gossipLimits = wire.Limits{kindGossip: maxGossipBytes + maxGossipEntries*16 + 64}

// Kind implements wire.Message.
func (gossipMessage) Kind() wire.Kind { return kindGossip }

// Check implements the check of wire.Decode.
func (m gossipMessage) Check() error {
	size := 0
	for _, e := range m.Entries {
		size += e.Size()
	}
	if size > maxGossipBytes || len(m.Entries) > maxGossipEntries {
		return wire.Excess("%d entries of %d bytes in a message", len(m.Entries), size)
	}
	return wire.CheckEntries(m.Entries)
}

func decodeGossip(data []byte) ([]core.Entry, error) {
	r := bufio.NewReaderSize(bytes.NewReader(data), 16)
	f, err := wire.ReadFrame(r, gossipLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Breach("a message of gossip"), err)
	}
	if _, err := r.ReadByte(); err == nil {
		return nil, wire.Breach("bytes after a message of gossip")
	}
	m, err := wire.Decode[gossipMessage](f)
	if err != nil {
		return nil, err
	}
	return wire.ToCore(m.Entries), nil
}

// topic is a space that rides gossip.
type topic struct {
	g      *gossip
	space  core.SpaceID
	name   string
	pubsub *pubsub.PubSub
	topic  *pubsub.Topic
	sub    *pubsub.Subscription
	events *pubsub.TopicEventHandler
	cancel context.CancelFunc
	runs   sync.WaitGroup
	came   bell
	roles  atomic.Pointer[map[core.PeerID]log.Role]

	members atomic.Pointer[map[peer.ID]bool] // connected, as of the last time that the guard was told
	fresh   bool                             // the guard was not told yet
	absent  map[peer.ID]int                  // members that are not on, and at how many looks in a row

	mu       sync.Mutex
	on       map[peer.ID]bool // subscribed
	inbox    []*pubsub.Message
	messages int // that were let in and are not taken in
	bytes    int
	passed   map[core.Hash]bool // content that was let in and is not taken in
}

// newTopic subscribes to the topic of a space.
func (g *gossip) newTopic(space core.SpaceID) (_ *topic, err error) {
	name, err := topicName(space)
	if err != nil {
		return nil, err
	}
	t := &topic{g: g, space: space, name: name, pubsub: g.router.pubsub, fresh: true, came: newBell(), on: map[peer.ID]bool{}, passed: map[core.Hash]bool{}}
	t.roles.Store(&map[core.PeerID]log.Role{})
	t.members.Store(&map[peer.ID]bool{})
	fail := func(err error) (*topic, error) {
		return nil, errors.Join(fmt.Errorf("gossip of space %s: %w", space, err), t.unsubscribe())
	}
	if err := t.pubsub.RegisterTopicValidator(name, t.validate, pubsub.WithValidatorInline(true)); err != nil {
		return fail(err)
	}
	if t.topic, err = t.pubsub.Join(name); err != nil {
		return fail(err)
	}
	if t.events, err = t.topic.EventHandler(); err != nil {
		return fail(err)
	}
	if t.sub, err = t.topic.Subscribe(pubsub.WithBufferSize(gossipQueue)); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.runs.Go(func() { t.follow(ctx) })
	t.runs.Go(func() { t.receive(ctx) })
	t.runs.Go(func() { t.take(ctx) })
	return t, nil
}

// close unsubscribes.
func (t *topic) close() {
	t.cancel()
	t.runs.Wait()
	if err := t.unsubscribe(); err != nil {
		t.g.logger.Debug("soma: gossip ends", "error", err)
	}
}

func (t *topic) unsubscribe() error {
	if t.events != nil {
		t.events.Cancel()
	}
	if t.sub != nil {
		t.sub.Cancel()
	}
	var err error
	if t.topic != nil {
		err = t.topic.Close()
	}
	return errors.Join(err, t.pubsub.UnregisterTopicValidator(t.name))
}

// learn reads who may do what, for validate.
func (t *topic) learn(ctx context.Context, r gossipReplica) error {
	partners, err := r.Partners(ctx, t.space)
	if err != nil {
		return err
	}
	roles := make(map[core.PeerID]log.Role, len(partners))
	for _, m := range partners {
		roles[m.Peer] = log.Role(m.Role)
	}
	t.roles.Store(&roles)
	return nil
}

// isOn reports whether a peer gets what is published.
func (t *topic) isOn(p peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on[p]
}

// follow notes who is subscribed.
func (t *topic) follow(ctx context.Context) {
	for {
		e, err := t.events.NextPeerEvent(ctx)
		if err != nil {
			return // ctx ended
		}
		t.mu.Lock()
		if e.Type == pubsub.PeerJoin {
			t.on[e.Peer] = true
		} else {
			delete(t.on, e.Peer)
		}
		t.mu.Unlock()
	}
}

func (t *topic) publish(ctx context.Context, entries []core.Entry) error {
	data, err := wire.Encode(gossipMessage{Entries: wire.FromCore(entries)})
	if err != nil {
		return err
	}
	return t.topic.Publish(ctx, data)
}

// validate says what is passed on: entries that members signed who may make them, as far
// as is known here, and that build upon what is here. All else Take says.
func (t *topic) validate(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == t.g.host.ID() {
		return pubsub.ValidationAccept
	}
	p, ok := memberID(from)
	if shared, err := t.g.replica.IsShared(ctx, t.space, p); !ok || err != nil || !shared {
		return pubsub.ValidationIgnore
	}
	if !t.enter(len(m.GetData())) {
		return pubsub.ValidationIgnore // too much waits
	}
	verdict, entries, err := t.judge(m.GetData())
	if verdict == pubsub.ValidationAccept && !t.knowsPast(ctx, entries) {
		t.g.pull(from, t.space)
		verdict = pubsub.ValidationIgnore
	}
	if verdict != pubsub.ValidationAccept {
		t.exit(len(m.GetData()), nil)
	}
	m.ValidatorData = entries
	if err != nil {
		t.g.offend(from, fmt.Errorf("gossip of space %s: %w", t.space, err))
	}
	return verdict
}

// judge returns an error where whoever passed on the message should not have.
func (t *topic) judge(data []byte) (pubsub.ValidationResult, []*log.Entry, error) {
	raws, err := decodeGossip(data)
	if err != nil {
		return pubsub.ValidationReject, nil, err
	}
	roles := *t.roles.Load()
	var entries []*log.Entry
	for _, raw := range raws {
		e, err := log.Decode(raw)
		if err != nil {
			return pubsub.ValidationReject, nil, err
		}
		if e.SpaceID() != t.space {
			return pubsub.ValidationReject, nil, wire.Breach("an entry of another space")
		}
		// Who is no member here may be one where it comes from, and the other way round.
		if e.Peer != t.g.replica.Self() && !roles[e.Peer].Has(e.Needs()) {
			return pubsub.ValidationIgnore, nil, nil
		}
		if err := e.VerifySignature(); err != nil {
			return pubsub.ValidationReject, nil, err
		}
		entries = append(entries, e)
	}
	return pubsub.ValidationAccept, entries, nil
}

// knowsPast reports whether what entries build upon is here, or comes with them, and notes
// those that are content if so. Else the author may know of a removal that is not known
// here, and whoever was removed would get from here what was written without them.
func (t *topic) knowsPast(ctx context.Context, entries []*log.Entry) bool {
	var need []core.Hash
	t.mu.Lock()
	with := map[core.Hash]bool{}
	for _, e := range entries {
		need = append(need, e.Auth...)
		for _, h := range append(slices.Clip(e.Deps), e.Prev) {
			if !h.IsZero() && !t.passed[h] && !with[h] {
				need = append(need, h)
			}
		}
		if e.Chain == core.ChainContent {
			with[e.Hash] = true
		}
	}
	t.mu.Unlock()
	has, err := t.g.replica.Has(ctx, t.space, need)
	if err != nil || slices.Contains(has, false) {
		return false
	}
	if slices.ContainsFunc(entries, func(e *log.Entry) bool { return len(e.Auth) > 0 }) && !t.isCurrent(ctx) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.passed, with)
	return true
}

// isCurrent reports whether all who were admitted are still members.
func (t *topic) isCurrent(ctx context.Context) bool {
	for id := range *t.members.Load() {
		p, _ := memberID(id)
		if shared, err := t.g.replica.IsShared(ctx, t.space, p); err != nil || !shared {
			return false
		}
	}
	return true
}

// enter lets a message in if there is room: what is let in is taken in, and never dropped
// by a buffer.
func (t *topic) enter(size int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.messages >= gossipQueue/2 || t.bytes+size > maxGossipWaits {
		return false
	}
	t.messages++
	t.bytes += size
	return true
}

// exit makes the room of a message free.
func (t *topic) exit(size int, entries []*log.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages--
	t.bytes -= size
	for _, e := range entries {
		delete(t.passed, e.Hash)
	}
}

// receive reads what was let in.
func (t *topic) receive(ctx context.Context) {
	for {
		m, err := t.sub.Next(ctx)
		if err != nil {
			return // ctx ended, or pubsub did
		}
		if m.ReceivedFrom == t.g.host.ID() {
			continue
		}
		t.mu.Lock()
		t.inbox = append(t.inbox, m)
		t.mu.Unlock()
		t.came.ring()
	}
}

// take takes in what came, all that is there in one transaction.
func (t *topic) take(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.came:
		}
		t.mu.Lock()
		messages := t.inbox
		t.inbox = nil
		t.mu.Unlock()
		if err := t.takeMessages(ctx, messages); err != nil && !interrupted(err) {
			t.g.logger.Warn("soma: gossip was not taken in", "space", string(t.space), "error", err)
		}
		for _, m := range messages {
			t.exit(len(m.GetData()), entriesOf(m))
		}
	}
}

// entriesOf returns what validate found in a message.
func entriesOf(m *pubsub.Message) []*log.Entry {
	entries, _ := m.ValidatorData.([]*log.Entry)
	return entries
}

func (t *topic) takeMessages(ctx context.Context, messages []*pubsub.Message) error {
	var entries []core.Entry
	var from []peer.ID
	for _, m := range messages {
		for _, e := range entriesOf(m) {
			entries, from = append(entries, e.Raw), append(from, m.ReceivedFrom)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	outcomes, err := t.g.replica.Take(ctx, t.space, entries)
	if err != nil {
		return err
	}
	asked := map[peer.ID]bool{}
	for i, out := range outcomes {
		if log.WaitsForPast(out) && !asked[from[i]] {
			asked[from[i]] = true
			t.g.pull(from[i], t.space)
		}
	}
	return nil
}

// memberFilter lets peers subscribe to the topics of spaces that they share. Who is no
// member of a space is not on its topic, whatever they say.
type memberFilter struct {
	replica gossipReplica

	mu    sync.Mutex
	names map[core.SpaceID]string
}

// CanSubscribe implements pubsub.SubscriptionFilter.
func (f *memberFilter) CanSubscribe(string) bool { return true }

// FilterIncomingSubscriptions implements pubsub.SubscriptionFilter.
func (f *memberFilter) FilterIncomingSubscriptions(from peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	if len(subs) > maxSubscriptions {
		return nil, pubsub.ErrTooManySubscriptions
	}
	p, ok := memberID(from)
	if !ok {
		return nil, nil
	}
	names, err := f.shared(p)
	if err != nil {
		return nil, err
	}
	var allowed []*pb.RPC_SubOpts
	for _, s := range subs {
		if !s.GetSubscribe() || names[s.GetTopicid()] {
			allowed = append(allowed, s)
		}
	}
	return allowed, nil
}

// shared returns the names of the topics of the spaces that a peer shares.
func (f *memberFilter) shared(p core.PeerID) (map[string]bool, error) {
	spaces, err := f.replica.Shared(context.Background(), p)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names == nil || len(f.names) > 2*len(spaces)+maxSubscriptions {
		f.names = map[core.SpaceID]string{}
	}
	shared := make(map[string]bool, len(spaces))
	for _, space := range spaces {
		name, ok := f.names[space]
		if !ok {
			if name, err = topicName(space); err != nil {
				return nil, err
			}
			f.names[space] = name
		}
		shared[name] = true
	}
	return shared, nil
}
