package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/sync/internal/fetch"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a directory with real stores.
type site struct {
	t       testing.TB
	dir     string
	limits  blob.Limits
	id      identity.Identity
	store   *store.DB
	pool    *store.Pool
	replica *replica.Replica
	hub     *events.Hub
	*blob.Blobs
	closed bool
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), limits: blob.Limits{Bytes: blob.DefaultBytes, Grace: time.Hour}}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *site) open() {
	s.t.Helper()
	var err error
	must := func() {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.id, err = identity.LoadOrCreate(s.dir)
	must()
	s.store, err = store.Open(s.dir, store.Options{Relaxed: true})
	must()
	s.pool, err = s.store.OpenPool(time.Now)
	must()
	s.hub = events.NewHub()
	logger := slog.New(slog.DiscardHandler)
	s.replica, err = replica.Open(s.t.Context(), replica.Config{
		Store: s.store, Identity: s.id, Dir: s.dir, Database: filepath.Join(s.dir, "soma.db"), Hub: s.hub, Logger: logger, Now: time.Now,
	})
	must()
	s.Blobs = blob.Open(blob.Config{Pool: s.pool, Log: s.replica, Limits: s.limits, Now: time.Now, Logger: logger})
	s.closed = false
}

func (s *site) close() {
	s.t.Helper()
	if s.closed {
		return
	}
	s.closed = true
	s.hub.Close()
	s.Close()
	if err := errors.Join(s.replica.Close(), s.store.Close()); err != nil {
		s.t.Errorf("Close = %v", err)
	}
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) put(space core.SpaceID, b []byte) core.Hash {
	s.t.Helper()
	rec, err := s.Put(s.t.Context(), space, bytes.NewReader(b), blob.Put{Source: events.SourceRenderer})
	s.must(err)
	return rec.Hash
}

// bring stores bytes that the space holds, as if they had been fetched.
func (s *site) bring(space core.SpaceID, b []byte) {
	s.t.Helper()
	p, err := s.Resume(s.t.Context(), core.WantedBlob{Space: space, Hash: sha256.Sum256(b)})
	s.must(err)
	_, err = p.Write(b)
	s.must(errors.Join(err, p.Commit(s.t.Context())))
}

// copyTo gives another site the log of a space.
func (s *site) copyTo(other *site, space core.SpaceID) {
	s.t.Helper()
	var archive bytes.Buffer
	s.must(s.replica.Export(s.t.Context(), space, &archive))
	spool, err := other.replica.Spool(s.t.Context(), &archive)
	s.must(err)
	defer spool.Discard()
	s.must(other.replica.Import(s.t.Context(), spool))
}

func (s *site) wantHere(space core.SpaceID, b []byte) {
	s.t.Helper()
	content, err := s.OpenBlob(context.Background(), space, sha256.Sum256(b))
	if err != nil {
		s.t.Errorf("OpenBlob of %d bytes = %v", len(b), err)
		return
	}
	got, err := io.ReadAll(content)
	if err != nil || !bytes.Equal(got, b) {
		s.t.Errorf("%d bytes, %v, want the %d that were put", len(got), err, len(b))
	}
	s.must(content.Close())
}

func (s *site) wantNotHere(space core.SpaceID, hash core.Hash) {
	s.t.Helper()
	if _, err := s.OpenBlob(context.Background(), space, hash); !errors.Is(err, core.ErrNotHere) {
		s.t.Errorf("OpenBlob = %v, want ErrNotHere", err)
	}
}

func (s *site) wantWanted(space core.SpaceID, want int) {
	s.t.Helper()
	if n, err := s.CountWanted(context.Background(), space); n != want || err != nil {
		s.t.Errorf("CountWanted = %d, %v, want %d", n, err, want)
	}
}

// randomBytes are n bytes that differ by seed.
func randomBytes(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// club says who is a member.
type club struct {
	mu  sync.Mutex
	out map[core.PeerID]bool // who is none
	of  []core.SpaceID
}

func (c *club) remove(p core.PeerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out[p] = true
}

func (c *club) isOut(p core.PeerID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out[p]
}

// seen is a club as one of its members sees it.
type seen struct {
	*club
	core.SharedSpaces // is not asked for more
	self              core.PeerID
}

func (s seen) Self() core.PeerID { return s.self }

func (s seen) Shared(_ context.Context, p core.PeerID) ([]core.SpaceID, error) {
	if s.isOut(p) {
		return nil, nil
	}
	return s.of, nil
}

func (s seen) IsShared(_ context.Context, space core.SpaceID, p core.PeerID) (bool, error) {
	return !s.isOut(p) && slices.Contains(s.of, space), nil
}

// host is a peer that can be asked: by default a site that serves what it has.
type host struct {
	peer   core.PeerID
	serve  func(ctx context.Context, st wire.Stream, pair *share.Pair)
	off    atomic.Bool
	cut    atomic.Int64 // of each stream, after as many bytes, 0 for never
	opened atomic.Int64
	sent   atomic.Int64 // bytes that the client read
}

// world is a client, and peers that it is connected with.
type world struct {
	t      testing.TB
	client *site
	space  core.SpaceID
	club   *club
	hosts  []*host
	serves sync.WaitGroup
	ctx    context.Context //nolint:containedctx // of the test

	mu       sync.Mutex
	offended map[core.PeerID][]error

	*fetch.Fetcher
	stop context.CancelFunc
	done chan struct{}
}

// newWorld makes a client without blobs, and as many sites that hold a space.
func newWorld(t testing.TB, n int) (*world, []*site) {
	t.Helper()
	w := &world{t: t, club: &club{out: map[core.PeerID]bool{}}, offended: map[core.PeerID][]error{}, ctx: context.WithoutCancel(t.Context())}
	w.client = newSite(t)
	sites := []*site{newSite(t)}
	space, err := sites[0].replica.CreateSpace(t.Context(), "s")
	w.client.must(err)
	w.space = space.ID
	w.club.of = []core.SpaceID{space.ID}
	for range n - 1 {
		sites = append(sites, newSite(t))
	}
	for _, s := range sites {
		w.serveFrom(s)
	}
	w.spread(sites)
	return w, sites
}

// spread gives everybody the log of the first.
func (w *world) spread(sites []*site) {
	w.t.Helper()
	for _, s := range append(slices.Clone(sites[1:]), w.client) {
		sites[0].copyTo(s, w.space)
	}
}

func (w *world) serveFrom(s *site) *host {
	server := fetch.NewServer(s.Blobs)
	h := &host{peer: s.id.PeerID()}
	h.serve = func(ctx context.Context, st wire.Stream, pair *share.Pair) { _ = server.Serve(ctx, st, pair) }
	w.hosts = append(w.hosts, h)
	return h
}

// hostile is a peer that does something else.
func (w *world) hostile(name string, serve func(st wire.Stream, conn *wire.Conn)) *host {
	h := &host{peer: peerOf(name)}
	h.serve = func(ctx context.Context, st wire.Stream, _ *share.Pair) {
		stop := context.AfterFunc(ctx, func() { _ = st.Reset(wire.CodeClosing) })
		defer stop()
		serve(st, wire.NewConn(st))
	}
	w.hosts = slices.Insert(w.hosts, 0, h) // it is asked first
	return h
}

// start runs the fetcher until end.
func (w *world) start() {
	ctx, stop := context.WithCancel(w.ctx)
	w.Fetcher = fetch.New(w.client.Blobs, w, fetch.Options{Offend: func(p core.PeerID, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.offended[p] = append(w.offended[p], err)
	}})
	w.stop, w.done = stop, make(chan struct{})
	go func() {
		defer close(w.done)
		w.Run(ctx)
	}()
}

func (w *world) end() {
	w.stop()
	<-w.done
	w.serves.Wait()
}

// restart closes the client, and opens it again.
func (w *world) restart() {
	w.t.Helper()
	w.end()
	w.client.close()
	w.client.open()
	w.start()
}

func (w *world) want(hashes ...core.Hash) {
	w.t.Helper()
	for _, h := range hashes {
		w.client.must(w.client.Want(w.t.Context(), w.space, h))
	}
	if w.Fetcher != nil {
		w.Changed(w.space)
	}
}

// fetch waits for a blob for up to an hour of virtual time.
func (w *world) fetch(hash core.Hash) error {
	ctx, stop := context.WithTimeout(w.ctx, time.Hour)
	defer stop()
	return w.Fetch(ctx, w.space, hash, nil)
}

func (w *world) wantOffended(want ...*host) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.offended) != len(want) {
		w.t.Errorf("offended are %v, want %d peers", w.offended, len(want))
	}
	for _, h := range want {
		if len(w.offended[h.peer]) != 1 || !wire.IsOffence(w.offended[h.peer][0]) {
			w.t.Errorf("offences of a peer: %v, want one", w.offended[h.peer])
		}
	}
}

// Peers implements fetch.Sources.
func (w *world) Peers(core.SpaceID) (peers []core.PeerID) {
	for _, h := range w.hosts {
		if !h.off.Load() {
			peers = append(peers, h.peer)
		}
	}
	return peers
}

// Open implements fetch.Sources.
func (w *world) Open(_ context.Context, peer core.PeerID) (fetch.Source, error) {
	i := slices.IndexFunc(w.hosts, func(h *host) bool { return h.peer == peer })
	h := w.hosts[i]
	if h.off.Load() {
		return fetch.Source{}, errors.New("not connected")
	}
	h.opened.Add(1)
	near, far := wire.Pipe()
	self := w.client.id.PeerID()
	ctx, leave := context.WithCancel(w.ctx)
	w.serves.Go(func() { h.serve(ctx, far, share.NewPair(seen{club: w.club, self: peer}, self)) })
	pair := share.NewPair(seen{club: w.club, self: self}, peer)
	return fetch.Source{Stream: &counted{Stream: near, host: h}, Pair: pair, Done: leave}, nil
}

// counted is a stream that counts what is read, and may be cut.
type counted struct {
	wire.Stream
	host *host
	read int64
}

func (c *counted) Read(b []byte) (int, error) {
	if cut := c.host.cut.Load(); cut > 0 {
		if c.read >= cut {
			_ = c.Reset(wire.CodeNone)
			return 0, &wire.Error{Remote: true, Detail: "cut"}
		}
		b = b[:min(int64(len(b)), cut-c.read)]
	}
	n, err := c.Stream.Read(b)
	c.read += int64(n)
	c.host.sent.Add(int64(n))
	return n, err
}

// Close fails as that of some networks does once the other side has closed the stream.
func (c *counted) Close() error {
	return errors.Join(c.Stream.Close(), errors.New("closed by the other side"))
}

func peerOf(name string) core.PeerID {
	id, err := identity.FromKey(keyOf(name))
	if err != nil {
		panic(err)
	}
	return id.PeerID()
}

// bubble runs a test in virtual time. Disks are real.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// damage changes bytes that are kept in a row.
func (s *site) damage(hash core.Hash) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "soma.db")+"?_busy_timeout=5000")
	s.must(err)
	_, err = db.Exec("UPDATE blob_file SET bytes = zeroblob(length(bytes)) WHERE hash = ?", hash[:])
	s.must(errors.Join(err, db.Close()))
}
