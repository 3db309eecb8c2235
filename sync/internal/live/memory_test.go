package live_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/live"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// memory is a replica in memory for tests in virtual time, where no database can run. It
// keeps the promises of core.Replica about order and pasts, and judges nothing. Real
// replicas are in replica_test.go.
type memory struct {
	key  ed25519.PrivateKey
	self core.PeerID

	mu        sync.Mutex
	members   map[core.SpaceID][]core.PeerID
	entries   map[core.SpaceID][]core.Entry
	has       map[core.Hash]bool
	heads     map[core.SpaceID]core.Entry // of the own writer
	waiting   int
	takes     []int // how many entries each Take had
	followers map[int]func(core.News)
	acked     map[core.PeerID]map[core.SpaceID]uint64
	ackWrites int
	ackRows   int // the most in one write
	ackDelay  time.Duration
	takeDelay time.Duration
}

func newMemory(t testing.TB) *memory {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &memory{
		key: key, self: core.PeerIDFromKey(key.Public().(ed25519.PublicKey)),
		members: map[core.SpaceID][]core.PeerID{}, entries: map[core.SpaceID][]core.Entry{}, has: map[core.Hash]bool{},
		heads: map[core.SpaceID]core.Entry{}, followers: map[int]func(core.News){}, acked: map[core.PeerID]map[core.SpaceID]uint64{},
	}
}

// newSpace makes a space that replicas share.
func newSpace(t testing.TB, owner *memory, others ...*memory) core.SpaceID {
	t.Helper()
	genesis, err := log.SealGenesis(owner.key, core.Incarnation{1}, 1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	space := core.SpaceIDFromHash(genesis.Hash)
	all := append([]*memory{owner}, others...)
	for _, m := range all {
		m.mu.Lock()
		for _, o := range all {
			m.members[space] = append(m.members[space], o.self)
		}
		m.entries[space] = []core.Entry{genesis.Raw}
		m.has[genesis.Hash] = true
		m.mu.Unlock()
	}
	return space
}

// edit makes an own entry with an update of some bytes.
func (m *memory) edit(t testing.TB, space core.SpaceID, size int) core.Entry {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	h := log.Header{Space: genesis, Incarnation: core.Incarnation{1}, Chain: core.ChainContent, Seq: 1, Lamport: 2, Auth: []core.Hash{genesis}}
	if head, ok := m.heads[space]; ok {
		was, err := log.DecodeHeader(head.Header)
		if err != nil {
			t.Fatal(err)
		}
		h.Seq, h.Prev, h.Lamport, h.Auth = was.Seq+1, head.Hash(), was.Lamport+1, nil
	}
	e, err := log.Seal(m.key, h, []log.Op{{ID: log.NewOpID(rand.Reader), Body: log.DocUpdate{Doc: "d", Update: bytes.Repeat([]byte{1}, size)}}})
	if err != nil {
		t.Fatal(err)
	}
	m.heads[space] = e.Raw
	m.entries[space] = append(m.entries[space], e.Raw)
	m.has[e.Hash] = true
	m.tell(core.News{Space: space, Entries: []core.Entry{e.Raw}, Own: true})
	return e.Raw
}

func (m *memory) tell(n core.News) {
	for _, fn := range m.followers {
		fn(n)
	}
}

// part makes a peer no member any more, as a commit would.
func (m *memory) part(space core.SpaceID, peer core.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[space] = slices.DeleteFunc(slices.Clone(m.members[space]), func(p core.PeerID) bool { return p == peer })
	m.tell(core.News{Space: space, Members: true})
}

func (m *memory) Follow(fn func(core.News)) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.followers) + 1
	m.followers[n] = fn
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.followers, n)
	}
}

func (m *memory) Self() core.PeerID { return m.self }

func (m *memory) Shared(_ context.Context, peer core.PeerID) ([]core.SpaceID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var spaces []core.SpaceID
	for space, members := range m.members {
		if slices.Contains(members, peer) && slices.Contains(members, m.self) {
			spaces = append(spaces, space)
		}
	}
	slices.Sort(spaces)
	return spaces, nil
}

func (m *memory) IsShared(ctx context.Context, space core.SpaceID, peer core.PeerID) (bool, error) {
	shared, err := m.Shared(ctx, peer)
	return slices.Contains(shared, space), err
}

func (m *memory) SharedIDs(ctx context.Context) ([]core.SpaceID, error) { return m.Shared(ctx, m.self) }

func (m *memory) Partners(context.Context, core.SpaceID) ([]core.MemberRecord, error) {
	return nil, nil
}

func (m *memory) Awaited(context.Context) ([]core.Awaited, error) { return nil, nil }

func (m *memory) Left(context.Context, core.PeerID) ([]core.SpaceID, error) { return nil, nil }

func (m *memory) Invited(context.Context, core.SpaceID, core.InviteID) (bool, error) {
	return false, nil
}

func (m *memory) Summary(_ context.Context, space core.SpaceID) (core.Summary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hashes [][]byte
	for _, e := range m.entries[space] {
		h := e.Hash()
		hashes = append(hashes, h[:])
	}
	slices.SortFunc(hashes, bytes.Compare)
	return core.Summary{Digest: sha256.Sum256(bytes.Join(hashes, nil))}, nil
}

func (m *memory) Missing(_ context.Context, _ core.SpaceID, rows []core.LogRow) ([]core.Range, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var missing []core.Range
	for _, r := range rows {
		for _, tip := range r.Tips {
			if !m.has[tip.Hash] {
				missing = append(missing, core.Range{Writer: r.Writer, Chain: r.Chain, From: 1, To: tip.Seq})
			}
		}
	}
	return missing, nil
}

func (m *memory) Take(_ context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error) {
	m.mu.Lock()
	delay := m.takeDelay
	m.mu.Unlock()
	time.Sleep(delay)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takes = append(m.takes, len(entries))
	var outcomes []core.Outcome
	var taken []core.Entry
	for _, raw := range entries {
		out := core.Outcome{Hash: raw.Hash()}
		e, err := log.Decode(raw)
		switch {
		case err != nil:
			out.Status, out.Err = core.EntryRejected, err
		case e.SpaceID() != space:
			out.Status, out.Err = core.EntryRejected, &log.RejectedError{Reason: log.ReasonSpace, Hash: e.Hash}
		case m.has[out.Hash]:
			out.Status = core.EntryKnown
		case e.Seq > 1 && !m.has[e.Prev]:
			m.waiting++
			out.Status, out.Err = core.EntryWaiting, &log.WaitingError{Reason: log.WaitPast, Hash: e.Hash, Missing: []core.Hash{e.Prev}}
		default:
			m.has[out.Hash] = true
			m.entries[space] = append(m.entries[space], raw)
			taken = append(taken, raw)
		}
		outcomes = append(outcomes, out)
	}
	if len(taken) > 0 {
		m.tell(core.News{Space: space, Entries: taken})
	}
	return outcomes, nil
}

func (m *memory) AcknowledgeTaken(_ context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error {
	time.Sleep(m.ackDelay)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ackWrites++
	m.ackRows = max(m.ackRows, len(rows))
	for _, r := range rows {
		if r.Writer == log.WriterIDOf(m.self, core.Incarnation{1}) {
			if m.acked[peer] == nil {
				m.acked[peer] = map[core.SpaceID]uint64{}
			}
			m.acked[peer][space] = r.Tips[0].Seq
		}
	}
	return nil
}

// pull copies what another has, as an exchange would.
func (m *memory) pull(from *memory, space core.SpaceID) {
	from.mu.Lock()
	entries := slices.Clone(from.entries[space])
	from.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken []core.Entry
	for _, e := range entries {
		if !m.has[e.Hash()] {
			m.has[e.Hash()] = true
			m.entries[space] = append(m.entries[space], e)
			taken = append(taken, e)
		}
	}
	if len(taken) > 0 {
		m.tell(core.News{Space: space, Entries: taken})
	}
}

func (m *memory) count(space core.SpaceID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries[space])
}

func (m *memory) ackedBy(peer core.PeerID, space core.SpaceID) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acked[peer][space]
}

// stream is one direction between two replicas: from pushes to to.
type stream struct {
	from, to       *memory
	feed           *live.Feed
	queue          *live.Queue
	out, in        *share.Pair // of from, of to
	push           live.Options
	receive        live.Options
	near, far      wire.Stream
	cancel         context.CancelFunc
	ran            sync.WaitGroup
	pushErr, inErr error

	mu     sync.Mutex
	pulls  []core.SpaceID // that to was asked to pull
	faults []error
}

// connect makes a stream between two replicas whose logs have been compared, and does not
// run it.
func connect(t testing.TB, from, to *memory) *stream {
	t.Helper()
	s := &stream{from: from, to: to, feed: live.NewFeed(from)}
	s.queue = s.feed.Open()
	s.out, s.in = share.NewPair(from, to.self), share.NewPair(to, from.self)
	shared, err := s.out.Shared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.out.MarkCompared(shared...)
	s.near, s.far = wire.Pipe()
	s.push = live.Options{Replica: from, Pair: s.out, Pull: func(core.SpaceID) {}, Offend: func(error) {}}
	s.receive = live.Options{
		Replica: to, Pair: s.in,
		Pull: func(space core.SpaceID) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pulls = append(s.pulls, space)
		},
		Offend: func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.faults = append(s.faults, err)
		},
	}
	t.Cleanup(s.end)
	return s
}

// start runs both ends.
func (s *stream) start(t testing.TB) {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	s.ran.Go(func() { s.pushErr = live.Push(ctx, s.near, s.queue, s.push) })
	s.ran.Go(func() { s.inErr = live.Receive(ctx, s.far, s.receive) })
}

func (s *stream) end() {
	if s.cancel != nil {
		s.cancel()
		s.ran.Wait()
	}
	s.queue.Close()
	s.feed.Close()
}

func (s *stream) pulled() []core.SpaceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pulls)
}

func (s *stream) offences() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}
