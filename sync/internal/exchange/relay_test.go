package exchange_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// relayed is a stream over a relay that cuts connections, of which both sides hear at once.
type relayed struct {
	wire.Stream
	left *atomic.Int64
	cut  func()
}

func (s relayed) Write(b []byte) (int, error) {
	if s.left.Add(-int64(len(b))) < 0 {
		s.cut()
		return 0, context.Canceled
	}
	return s.Stream.Write(b)
}

// Over a relay that cuts each connection after 128 KiB everything comes all the same, a
// portion with each connection.
func TestRelayCuts(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	a.take(space, newAuthor(t, a.key, space, 5).chain(t, 3000)...)
	for n := 0; ; n++ {
		if n == 200 { // what is on its way when the cut comes may be lost, but not each time
			t.Fatalf("after %d connections %d entries are here", n, len(b.entries(space)))
		}
		ctx, cut := context.WithCancel(t.Context())
		x, y := wire.Pipe()
		left := &atomic.Int64{}
		left.Store(128 << 10)
		served := make(chan error, 1)
		go func() {
			served <- exchange.Serve(ctx, relayed{y, left, cut}, a, l.pair[0], exchange.ServeOptions{Portion: 16 << 10})
		}()
		_, err := exchange.Pull(ctx, x, b, l.pair[1], exchange.PullOptions{})
		t.Logf("Serve = %v", <-served)
		cut()
		if err == nil {
			if n < 3 {
				t.Fatalf("%d connections were cut, want some", n)
			}
			break
		}
	}
	same(t, space, a, b)
}

// elsewhere is a directory that gets everything from somebody else while it asks.
type elsewhere struct {
	*site
	from *site
	done bool
}

func (e *elsewhere) Missing(ctx context.Context, space core.SpaceID, rows []core.LogRow) ([]core.Range, error) {
	missing, err := e.site.Missing(ctx, space, rows)
	if !e.done {
		e.done = true
		e.take(space, e.from.entries(space)...)
	}
	return missing, err
}

// Who sends much that has come from somebody else meanwhile has done nothing wrong.
func TestComesFromTwo(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	author := newAuthor(t, a.key, space, 5)
	author.words = strings.Repeat("many words ", 1000)
	a.take(space, author.chain(t, 600)...)
	x, y := wire.Pipe()
	served := make(chan error, 1)
	go func() { served <- exchange.Serve(t.Context(), y, a, l.pair[0], exchange.ServeOptions{}) }()
	r, err := exchange.Pull(t.Context(), x, &elsewhere{site: b, from: a}, l.pair[1], exchange.PullOptions{})
	t.Logf("Serve = %v", <-served)
	if err == nil || wire.IsOffence(err) {
		t.Errorf("Pull = %+v, %v, want an error that is no offence", r, err)
	}
	if r.Bytes > 2*exchange.MaxKnown || r.Known == 0 {
		t.Errorf("Pull = %+v, want little more than %d bytes", r, exchange.MaxKnown)
	}
	if r := l.must(1); r.Known > 0 || len(r.Partial) > 0 {
		t.Errorf("Pull after that = %+v, want nothing", r)
	}
	same(t, space, a, b)
}

// taking is a directory whose connections end whenever it takes something in.
type taking struct {
	*site
	cut func()
}

func (r *taking) Take(ctx context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error) {
	r.cut()
	return r.site.Take(ctx, space, entries)
}

// What has arrived is taken in, though the connection is gone by then.
func TestCutWhileTaking(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	a.write(space, 3)
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	x, y := wire.Pipe()
	served := make(chan error, 1)
	go func() { served <- exchange.Serve(ctx, y, a, l.pair[0], exchange.ServeOptions{}) }()
	r, err := exchange.Pull(ctx, x, &taking{b, cut}, l.pair[1], exchange.PullOptions{})
	t.Logf("Serve = %v", <-served)
	if err == nil || r.Accepted != 3 {
		t.Errorf("Pull = %+v, %v, want 3 entries and an error", r, err)
	}
}
