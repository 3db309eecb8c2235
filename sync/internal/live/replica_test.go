package live_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/live"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// site is a replica over a real store.
type site struct {
	*replica.Replica
	t    testing.TB
	feed *live.Feed
	docs int
}

func newSite(t testing.TB) *site {
	t.Helper()
	dir := t.TempDir()
	id, err := identity.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	// What these tests end is never the machine, so nothing has to wait for the disk.
	db, err := store.Open(dir, store.Options{Relaxed: true, Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	hub := events.NewHub()
	r, err := replica.Open(t.Context(), replica.Config{
		Store: db, Identity: id, Dir: dir, Database: db.Path(), Hub: hub, Logger: slog.New(slog.DiscardHandler),
		Now: time.Now, Timing: replica.Timing{Quiet: time.Nanosecond, Every: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Replica: r, t: t, feed: live.NewFeed(r)}
	t.Cleanup(func() {
		s.feed.Close()
		hub.Close()
		if err := errors.Join(r.Close(), db.Close()); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

// newSites returns two sites whose members share a space.
func newSites(t testing.TB) (a, b *site, space core.SpaceID) {
	t.Helper()
	a, b = newSite(t), newSite(t)
	made, err := a.CreateSpace(t.Context(), "space")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.AddMember(t.Context(), made.ID, b.Self(), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := a.Export(t.Context(), made.ID, &archive); err != nil {
		t.Fatal(err)
	}
	spool, err := b.Spool(t.Context(), &archive)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Discard()
	if err := b.Import(t.Context(), spool); err != nil {
		t.Fatal(err)
	}
	return a, b, made.ID
}

// write makes entries, each with an update of a new document.
func (s *site) write(space core.SpaceID, n int) {
	for range n {
		s.docs++
		doc := core.DocumentID(fmt.Sprintf("%s-%d", s.Self().String()[44:], s.docs))
		if _, err := s.Upsert(context.WithoutCancel(s.t.Context()), space, doc, somatest.Typed(uint64(s.docs), 0, "words"), replica.WriteOptions{Source: events.SourceRenderer}); err != nil {
			s.t.Errorf("Upsert(%q) = %v", doc, err)
			return
		}
	}
}

func (s *site) digest(space core.SpaceID) core.Hash {
	s.t.Helper()
	sum, err := s.Summary(s.t.Context(), space)
	if err != nil {
		s.t.Fatal(err)
	}
	return sum.Digest
}

func (s *site) onlyHere(space core.SpaceID) int64 {
	s.t.Helper()
	entries, tails, err := s.OnlyHere(s.t.Context(), space)
	if err != nil {
		s.t.Fatal(err)
	}
	return entries + tails
}

// end is one side of two sites that are connected, as a node makes it.
type end struct {
	site  *site
	pair  *share.Pair
	queue *live.Queue
	want  chan struct{}
	other *end

	mu       sync.Mutex
	offences []error
}

// meet connects two sites, until the returned function is called.
func meet(t testing.TB, a, b *site) (x, y *end, part func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	x = &end{site: a, pair: share.NewPair(a, b.Self()), queue: a.feed.Open(), want: make(chan struct{}, 1)}
	y = &end{site: b, pair: share.NewPair(b, a.Self()), queue: b.feed.Open(), want: make(chan struct{}, 1), other: x}
	x.other = y
	var runs sync.WaitGroup
	for _, e := range []*end{x, y} {
		near, far := wire.Pipe()
		runs.Go(func() { _ = live.Push(ctx, near, e.queue, e.options()) })
		runs.Go(func() { _ = live.Receive(ctx, far, e.other.options()) })
		runs.Go(func() { e.pulls(ctx) })
		e.options().Pull("")
	}
	return x, y, func() {
		cancel()
		runs.Wait()
		x.queue.Close()
		y.queue.Close()
	}
}

func (e *end) options() live.Options {
	return live.Options{
		Replica: e.site, Pair: e.pair,
		Pull: func(core.SpaceID) {
			select {
			case e.want <- struct{}{}:
			default:
			}
		},
		Offend: func(err error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.offences = append(e.offences, err)
		},
	}
}

func (e *end) pulls(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.want:
		}
		near, far := wire.Pipe()
		var serve sync.WaitGroup
		serve.Go(func() { _ = exchange.Serve(ctx, far, e.other.site, e.other.pair, exchange.ServeOptions{}) })
		if _, err := exchange.Pull(ctx, near, e.site, e.pair, exchange.PullOptions{}); err != nil && ctx.Err() == nil {
			e.site.t.Errorf("Pull = %v", err)
		}
		serve.Wait()
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it is still not so: %s", what)
		}
	}
}

// Two sites that are edited all the time connect and part at any moment. Nothing is lost,
// and what was acknowledged is there.
func TestSitesMeet(t *testing.T) {
	a, b, space := newSites(t)
	stop := make(chan struct{})
	var editors sync.WaitGroup
	for _, s := range []*site{a, b} {
		editors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.write(space, 1)
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for try := range 15 {
		_, _, part := meet(t, a, b)
		time.Sleep(time.Duration(try) * 7 * time.Millisecond)
		part()
	}
	x, y, part := meet(t, a, b)
	time.Sleep(50 * time.Millisecond)
	close(stop)
	editors.Wait()
	for _, s := range []*site{a, b} {
		if err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// From here on nothing pulls but what live streams ask for.
	eventually(t, "both have the same", func() bool { return a.digest(space) == b.digest(space) })
	eventually(t, "both know it", func() bool { return a.onlyHere(space) == 0 && b.onlyHere(space) == 0 })
	part()
	for _, e := range []*end{x, y} {
		if len(e.offences) > 0 {
			t.Errorf("offences: %v", e.offences)
		}
	}
}

// Whoever is removed while connected is shown that at once, and nothing after it.
func TestSiteIsRemoved(t *testing.T) {
	a, b, space := newSites(t)
	_, _, part := meet(t, a, b)
	defer part()
	a.write(space, 1)
	eventually(t, "both have the same", func() bool { return a.digest(space) == b.digest(space) })
	if err := a.RemoveMember(t.Context(), space, b.Self(), false); err != nil {
		t.Fatal(err)
	}
	a.write(space, 1)
	eventually(t, "the member knows that it is none", func() bool {
		shared, err := b.IsShared(t.Context(), space, a.Self())
		return err == nil && !shared
	})
	before := b.digest(space)
	a.write(space, 1)
	time.Sleep(300 * time.Millisecond)
	if got := b.digest(space); got != before || got == a.digest(space) {
		t.Error("who was removed gets more")
	}
}

// BenchmarkEdit measures an edit here until it is in the other replica.
func BenchmarkEdit(b *testing.B) {
	one, two, space := newSites(b)
	_, _, part := meet(b, one, two)
	defer part()
	arrived := make(chan struct{}, 1)
	defer two.Follow(func(n core.News) {
		if !n.Own && len(n.Entries) > 0 {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
	})()
	one.write(space, 1)
	<-arrived
	for b.Loop() {
		one.write(space, 1)
		<-arrived
	}
}

// BenchmarkBurst measures edits that do not wait for each other, until both have all.
func BenchmarkBurst(b *testing.B) {
	one, two, space := newSites(b)
	_, _, part := meet(b, one, two)
	defer part()
	const edits = 5000
	for b.Loop() {
		var editors sync.WaitGroup
		for range 8 {
			from := one.docs
			one.docs += edits / 8
			editors.Go(func() {
				e := &site{Replica: one.Replica, t: b, docs: from}
				e.write(space, edits/8)
			})
		}
		editors.Wait()
		eventually(b, "both have the same", func() bool { return one.digest(space) == two.digest(space) })
	}
	b.ReportMetric(float64(edits)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
