package exchange_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// site is a replica over a real store.
type site struct {
	*replica.Replica
	t    testing.TB
	key  ed25519.PrivateKey
	dir  string
	db   *store.DB
	hub  *events.Hub
	docs int // that write made
}

func keyOf(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte("exchange test " + name))
	return ed25519.NewKeyFromSeed(sum[:])
}

func peerOf(key ed25519.PrivateKey) core.PeerID {
	return core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
}

// open opens a site of the member with that name in a new directory.
func open(t testing.TB, name string) *site { return openIn(t, name, t.TempDir()) }

func openIn(t testing.TB, name, dir string) *site {
	t.Helper()
	s := &site{t: t, key: keyOf(name), dir: dir}
	s.start()
	t.Cleanup(s.close)
	return s
}

func (s *site) start() {
	s.t.Helper()
	id, err := identity.FromKey(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	// What these tests end is never the machine, so nothing has to wait for the disk.
	if s.db, err = store.Open(s.dir, store.Options{Relaxed: true, Readers: 2}); err != nil {
		s.t.Fatal(err)
	}
	s.hub = events.NewHub()
	s.Replica, err = replica.Open(s.t.Context(), replica.Config{
		Store: s.db, Identity: id, Dir: s.dir, Database: s.db.Path(), Hub: s.hub, Logger: slog.New(slog.DiscardHandler),
		Now: time.Now, Timing: replica.Timing{Quiet: time.Nanosecond, Every: 24 * time.Hour},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) close() {
	if s.Replica == nil {
		return
	}
	s.hub.Close()
	if err := errors.Join(s.Close(), s.db.Close()); err != nil {
		s.t.Errorf("Close = %v", err)
	}
	s.Replica = nil
}

func (s *site) ctx() context.Context { return context.WithoutCancel(s.t.Context()) }

func (s *site) create() core.SpaceID {
	s.t.Helper()
	space, err := s.CreateSpace(s.ctx(), "space")
	if err != nil {
		s.t.Fatalf("CreateSpace = %v", err)
	}
	return space.ID
}

// write makes entries, each with an update of a new document.
func (s *site) write(space core.SpaceID, n int) {
	s.t.Helper()
	for range n {
		s.docs++
		doc := fmt.Sprintf("%s-%d", s.Self().String()[44:], s.docs)
		_, err := s.Upsert(s.ctx(), space, doc, insert(uint64(s.docs), "some words"), replica.WriteOptions{Source: events.SourceRenderer})
		if err != nil {
			s.t.Fatalf("Upsert(%q) = %v", doc, err)
		}
	}
	if err := s.SealSpace(s.ctx(), space); err != nil {
		s.t.Fatalf("SealSpace = %v", err)
	}
}

func (s *site) remove(space core.SpaceID, peer core.PeerID) {
	s.t.Helper()
	if err := s.RemoveMember(s.ctx(), space, peer, false); err != nil {
		s.t.Fatalf("RemoveMember = %v", err)
	}
}

func (s *site) summary(space core.SpaceID) core.Summary {
	s.t.Helper()
	sum, err := s.Summary(s.ctx(), space)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		s.t.Fatalf("Summary = %v", err)
	}
	return sum
}

func (s *site) role(space core.SpaceID) uint8 {
	s.t.Helper()
	members, err := s.Members(s.ctx(), space)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		s.t.Fatalf("Members = %v", err)
	}
	for _, m := range members {
		if m.Peer == s.Self() {
			return m.Role
		}
	}
	return 0
}

func (s *site) invite(space core.SpaceID, role log.Role, uses uint64) ticket.Ticket {
	s.t.Helper()
	text, err := s.Invite(s.ctx(), space, replica.InviteOptions{Role: role, Uses: uses})
	if err != nil {
		s.t.Fatalf("Invite = %v", err)
	}
	tk, err := ticket.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return tk
}

func (s *site) join(tk ticket.Ticket) {
	s.t.Helper()
	if _, err := s.Join(s.ctx(), tk, log.KindDevice); err != nil {
		s.t.Fatalf("Join = %v", err)
	}
}

// entries returns all entries of a space, in order.
func (s *site) entries(space core.SpaceID) (all []core.Entry) {
	s.t.Helper()
	err := s.db.Read(s.ctx(), func(v core.View) error {
		rec, err := v.Space(space)
		if errors.Is(err, core.ErrNotFound) {
			return nil
		}
		for after := int64(0); err == nil; {
			var page []core.EntryRecord
			if page, err = v.EntriesAfter(rec.Key, after, 1<<20); len(page) == 0 {
				return err
			}
			for _, e := range page {
				all = append(all, e.Entry)
				after = e.Key
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// insert is a Yjs update with a string in the root "text".
func insert(client uint64, text string) []byte {
	b := []byte{1, 1}
	b = binary.AppendUvarint(b, client)
	b = append(b, 0, 4, 1, 4)
	b = append(b, "text"...)
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(append(b, text...), 0)
}

// author writes entries of an owner without a replica.
type author struct {
	key         ed25519.PrivateKey
	incarnation core.Incarnation
	genesis     core.Hash
	last        *log.Entry // on the content chain
	words       string     // of each document
}

func newAuthor(t testing.TB, key ed25519.PrivateKey, space core.SpaceID, incarnation byte) *author {
	t.Helper()
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return &author{words: "words", key: key, incarnation: core.Incarnation{incarnation}, genesis: genesis}
}

// write makes the author's next entry, upon deps.
func (a *author) write(t testing.TB, doc string, deps ...*log.Entry) *log.Entry {
	t.Helper()
	h := log.Header{
		Space: a.genesis, Incarnation: a.incarnation, Chain: core.ChainContent, Seq: 1,
		Auth: []core.Hash{a.genesis}, Lamport: 1, WallMs: 1_700_000_000_000,
	}
	if a.last != nil {
		h.Seq, h.Prev, h.Auth, h.Lamport = a.last.Seq+1, a.last.Hash, nil, a.last.Lamport
	}
	for _, dep := range deps {
		h.Deps = append(h.Deps, dep.Hash)
		h.Lamport = max(h.Lamport, dep.Lamport)
	}
	slices.SortFunc(h.Deps, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
	h.Lamport++
	e, err := log.Seal(a.key, h, []log.Op{{ID: log.NewOpID(rand.Reader), Body: log.DocUpdate{Doc: doc, Update: insert(h.Seq, a.words)}}})
	if err != nil {
		t.Fatal(err)
	}
	a.last = e
	return e
}

// chain makes a run of entries.
func (a *author) chain(t testing.TB, n int) (all []core.Entry) {
	t.Helper()
	for range n {
		all = append(all, a.write(t, fmt.Sprint("doc-", len(all)%50)).Raw)
	}
	return all
}

func (s *site) take(space core.SpaceID, entries ...core.Entry) {
	s.t.Helper()
	for part := range slices.Chunk(entries, 1000) {
		outcomes, err := s.Take(s.ctx(), space, part)
		if err != nil {
			s.t.Fatalf("Take = %v", err)
		}
		for _, o := range outcomes {
			if o.Status > core.EntryKnown {
				s.t.Fatalf("Take: %s, %v, want accepted", o.Status, o.Err)
			}
		}
	}
}

// link is two sites that are connected.
type link struct {
	t    testing.TB
	ends [2]*site
	pair [2]*share.Pair // of each with the other
	tap  [2]*tape       // what each has sent as a client, and as a server

	joined sync.WaitGroup // pulls from who has shown a ticket
}

func connect(t testing.TB, a, b *site) *link {
	return &link{
		t: t, ends: [2]*site{a, b}, tap: [2]*tape{{}, {}},
		pair: [2]*share.Pair{share.NewPair(a, b.Self()), share.NewPair(b, a.Self())},
	}
}

// tape counts and keeps what a side writes, and may cut the stream.
type tape struct {
	mu    sync.Mutex
	bytes []byte
	keep  bool
	n     int
	cut   int // after as many bytes, 0 for never
}

// tapped is a stream that is taped.
type tapped struct {
	wire.Stream
	tape *tape
}

func (s tapped) Write(b []byte) (int, error) {
	t := s.tape
	t.mu.Lock()
	t.n += len(b)
	if t.keep {
		t.bytes = append(t.bytes, b...)
	}
	over := t.cut > 0 && t.n >= t.cut
	t.mu.Unlock()
	if over {
		_ = s.Reset(wire.CodeClosing)
		return 0, errors.New("the cable was cut")
	}
	return s.Stream.Write(b)
}

// messages returns the kinds of the messages on a tape, with their sizes.
func (t *tape) messages() (kinds []wire.Kind, sizes []int) {
	all := wire.Limits{}
	for k := range 32 {
		all[wire.Kind(k)] = wire.MaxFrameBytes
	}
	for r := bufio.NewReader(bytes.NewReader(t.bytes)); ; {
		f, err := wire.ReadFrame(r, all)
		if err != nil {
			return kinds, sizes
		}
		kinds, sizes = append(kinds, f.Kind), append(sizes, f.Len())
	}
}

// pull has one end pull from the other. It returns the errors of both.
func (l *link) pull(end int, opts exchange.PullOptions) (exchange.Result, error, error) {
	l.t.Helper()
	x, y := wire.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- exchange.Serve(l.t.Context(), tapped{y, l.tap[1-end]}, l.ends[1-end], l.pair[1-end], exchange.ServeOptions{
			Joined: func() { l.joined.Go(func() { _, _, _ = l.pull(1-end, exchange.PullOptions{}) }) },
		})
	}()
	result, err := exchange.Pull(l.t.Context(), tapped{x, l.tap[end]}, l.ends[end], l.pair[end], opts)
	sent := <-served
	return result, err, sent
}

// must is pull that has to go well.
func (l *link) must(end int) exchange.Result {
	l.t.Helper()
	result, err, served := l.pull(end, exchange.PullOptions{})
	if err != nil || served != nil {
		l.t.Fatalf("Pull = %v, Serve = %v", err, served)
	}
	return result
}

// once pulls in both directions at once, as when two meet, and returns how much came.
func (l *link) once() (accepted int) {
	l.t.Helper()
	var results [2]exchange.Result
	var errs [2]error
	var wg sync.WaitGroup
	for end := range 2 {
		wg.Go(func() {
			var served error
			results[end], errs[end], served = l.pull(end, exchange.PullOptions{})
			errs[end] = errors.Join(errs[end], served)
		})
	}
	wg.Wait()
	l.joined.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		l.t.Fatal(err)
	}
	return results[0].Accepted + results[1].Accepted
}

// both exchanges until nothing comes any more.
func (l *link) both() {
	l.t.Helper()
	for range 10 {
		if l.once() == 0 {
			return
		}
	}
	l.t.Fatal("entries come again and again")
}

// meet connects two sites and exchanges all that they have.
func meet(t testing.TB, a, b *site) *link {
	t.Helper()
	l := connect(t, a, b)
	l.both()
	return l
}

// admit makes joiner an editor in a space of owner.
func admit(t testing.TB, owner, joiner *site, space core.SpaceID) *link {
	t.Helper()
	joiner.join(owner.invite(space, log.RoleEditor, 1))
	l := meet(t, owner, joiner)
	if got := joiner.role(space); got != uint8(log.RoleEditor) {
		t.Fatalf("role of the joiner = %d, want %d", got, log.RoleEditor)
	}
	same(t, space, owner, joiner)
	return l
}

func same(t testing.TB, space core.SpaceID, sites ...*site) {
	t.Helper()
	want := sites[0].summary(space)
	if want.Digest.IsZero() {
		t.Errorf("the log is empty")
	}
	for _, s := range sites[1:] {
		if got := s.summary(space); got.Digest != want.Digest || got.Rows != want.Rows {
			t.Errorf("digest = %s of %d rows, want %s of %d", got.Digest, got.Rows, want.Digest, want.Rows)
		}
	}
}

// importSpace brings a space as a file does.
func (s *site) importSpace(from *site, space core.SpaceID) {
	s.t.Helper()
	var b bytes.Buffer
	if err := from.Export(from.ctx(), space, &b); err != nil {
		s.t.Fatalf("Export = %v", err)
	}
	spool, err := s.Spool(s.ctx(), &b)
	if err != nil {
		s.t.Fatalf("Spool = %v", err)
	}
	defer spool.Discard()
	if err := s.Import(s.ctx(), spool); err != nil {
		s.t.Fatalf("Import = %v", err)
	}
}

// writer returns the writer of the newest entry.
func (s *site) writer(space core.SpaceID) core.WriterID {
	s.t.Helper()
	all := s.entries(space)
	e, err := log.Decode(all[len(all)-1])
	if err != nil {
		s.t.Fatal(err)
	}
	return e.Writer
}

// copyDir copies a closed directory over another, all but its lock.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	old, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range old {
		if err := os.RemoveAll(filepath.Join(to, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
