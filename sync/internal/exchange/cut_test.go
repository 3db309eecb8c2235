package exchange_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/exchange"
)

// A cut after any number of bytes loses nothing, and the next pull goes on.
func TestCuts(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	author := newAuthor(t, a.key, space, 5)
	whole := 0
	for n := range 120 {
		a.take(space, author.chain(t, 3)...)
		l.tap[0], l.tap[1] = &tape{}, &tape{}
		l.tap[n%2].cut = 1 + n/2*(7-n%2*4)*5 // a server sends more
		result, err, _ := l.pull(1, exchange.PullOptions{})
		if err == nil {
			whole++
		}
		if err == nil && len(result.Partial) > 0 {
			t.Errorf("cut of %d: Pull = %+v, want an error or everything", n, result)
		}
	}
	if whole == 0 || whole == 120 {
		t.Errorf("%d of 120 pulls were not cut, want some", whole)
	}
	l.tap[0], l.tap[1] = &tape{}, &tape{}
	if r := l.must(1); len(r.Partial) > 0 || r.Waiting > 0 {
		t.Errorf("Pull after all cuts = %+v", r)
	}
	same(t, space, a, b)
	if only, _, err := a.OnlyHere(a.ctx(), space); only != 0 || err != nil {
		t.Errorf("OnlyHere = %d, %v, want 0", only, err)
	}
}

// A large log that is cut in the middle is not fetched again from the start.
func TestCutInALargeLog(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	a.take(space, newAuthor(t, a.key, space, 5).chain(t, 10_000)...)
	l.tap[0] = &tape{cut: 1_500_000}
	if _, err, _ := l.pull(1, exchange.PullOptions{}); err == nil {
		t.Fatal("Pull over a cut stream = nil, want an error")
	}
	got := len(b.entries(space))
	if got < 1000 {
		t.Errorf("%d entries are here after the cut, want what came before it", got)
	}
	l.tap[0] = &tape{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	r := l.must(1)
	t.Logf("%d entries in %v", r.Accepted, time.Since(began))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if want := len(a.entries(space)) - got; r.Accepted != want || r.Known != 0 {
		t.Errorf("Pull = %+v, want the %d others", r, want)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	same(t, space, a, b)

	// 100 of 10,000: what is new, and little more.
	author := newAuthor(t, a.key, space, 6)
	a.take(space, author.chain(t, 100)...)
	l.tap[0], l.tap[1] = &tape{}, &tape{}
	if r := l.must(1); r.Accepted != 100 {
		t.Errorf("Pull = %+v, want 100", r)
	}
	if n := l.tap[0].n + l.tap[1].n; n > 60_000 {
		t.Errorf("100 of 10,000 entries cost %d bytes, want less than 60,000", n)
	} else {
		t.Logf("100 of 10,000 entries cost %d bytes", n)
	}
}

// Many spaces ride one stream.
func TestManySpaces(t *testing.T) {
	const many = 1000
	a, b := open(t, "a"), open(t, "b")
	for range many {
		if err := a.AddMember(a.ctx(), a.create(), b.Self(), log.RoleEditor, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	for _, space := range a.spaces() { // as an import brings them
		b.importSpace(a, space)
	}
	l := meet(t, a, b)
	for _, space := range a.spaces() {
		a.write(space, 1)
	}
	began := time.Now()
	r := l.must(1)
	if r.Accepted != many || r.Listed != many {
		t.Errorf("Pull = %+v, want %d", r, many)
	}
	t.Logf("an entry of each of %d spaces: %v", many, time.Since(began))
	began = time.Now()
	l.tap[0], l.tap[1] = &tape{keep: true}, &tape{keep: true}
	if r := l.must(1); !r.Same {
		t.Errorf("Pull = %+v, want the same", r)
	}
	if kinds, _ := l.tap[1].messages(); len(kinds) != 1 {
		t.Errorf("requests = %v, want one", kinds)
	}
	t.Logf("nothing changed in %d spaces: %v, %d bytes", many, time.Since(began), l.tap[0].n+l.tap[1].n)
}

// An own entry that is only there makes the directory another writer before it gives any.
func TestOwnAheadComesFirst(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.write(space, 3)
	backup := t.TempDir()
	a.close()
	copyDir(t, a.dir, backup)
	a.start()
	a.write(space, 4)
	writer := a.writer(space)
	meet(t, a, b)
	a.close()
	// The old copy comes back in the place of the directory.
	copyDir(t, backup, a.dir)
	a.start()
	a.write(space, 1)
	l := connect(t, a, b)
	l.both()
	same(t, space, a, b)
	forks, err := b.Forks(b.ctx(), space)
	if err != nil || len(forks) > 0 {
		t.Errorf("Forks = %v, %v, want none: writer %s", forks, err, writer)
	}
}

// A server gives nothing of its own before it has compared.
func TestServerWaitsForTheComparison(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.write(space, 1)
	l := connect(t, a, b)
	done := make(chan exchange.Result, 1)
	go func() {
		r, _, _ := l.pull(1, exchange.PullOptions{})
		done <- r
	}()
	select {
	case r := <-done:
		t.Errorf("Pull = %+v before the server compared", r)
	case <-time.After(200 * time.Millisecond):
	}
	if r := l.must(0); len(r.Partial) > 0 {
		t.Errorf("Pull of the other = %+v", r)
	}
	if r := <-done; r.Accepted != 1 {
		t.Errorf("Pull = %+v, want 1 entry", r)
	}
}
