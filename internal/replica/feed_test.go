package replica_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// listener collects news.
type listener struct {
	mu  sync.Mutex
	all []core.News
}

func (l *listener) hear(n core.News) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, n)
}

// take returns the news since the last call, in short, and their entries.
func (l *listener) take() (text string, hashes []core.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []string
	for _, n := range l.all {
		for _, e := range n.Entries {
			hashes = append(hashes, e.Hash())
		}
		kind := ""
		if len(n.Entries) > 0 {
			kind = fmt.Sprintf("%d of others", len(n.Entries))
			if n.Own {
				kind = fmt.Sprintf("%d own", len(n.Entries))
			}
		}
		for what, is := range map[string]bool{"members": n.Members, "tail": n.Tail, "blobs": n.Blobs} {
			if is {
				kind += what
			}
		}
		kinds = append(kinds, kind)
	}
	l.all = nil
	return strings.Join(kinds, ", "), hashes
}

// TestFollow hears what commits change, in their order.
func TestFollow(t *testing.T) {
	a := openSite(t, siteOptions{})
	c := openSite(t, siteOptions{})
	space := a.create("space")
	c.found(a, space)
	c.pull(a, space)
	var l listener
	stop := a.Follow(l.hear)
	check := func(what, want string) {
		t.Helper()
		if got, _ := l.take(); got != want {
			t.Errorf("%s: news %q, want %q", what, got, want)
		}
	}
	a.clock.advance(time.Minute)
	a.upsert(space, "doc", insert(1, 0, "a"))
	check("the first update", "1 own")
	a.upsert(space, "doc", insert(1, 1, "a"))
	check("the second", "tail")
	a.seal()
	check("Seal", "1 own, tail")
	a.putBlob(space, newBlob("bytes", "", ""))
	check("a blob", "1 own, blobs")
	if err := a.AddMember(a.ctx(), space, c.Self(), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	check("a member", "1 own, members")
	if err := a.Delete(a.ctx(), space, "nowhere", events.SourceRenderer); err == nil {
		t.Error("Delete of what is not there did something")
	}
	check("nothing", "")
	c.pull(a, space)
	c.clock.advance(time.Minute)
	c.upsert(space, "doc", insert(2, 0, "c"))
	c.upsert(space, "doc", insert(2, 1, "c"))
	c.seal()
	a.upsert(space, "doc", insert(1, 2, "a"))
	l.take()
	a.pull(c, space)
	check("own and others' in one job", "1 own, 2 of others, tail")
	a.pull(c, space)
	check("the same again", "")
	stop()
	a.upsert(space, "doc", insert(1, 3, "a"))
	a.seal()
	check("after stop", "")
}

// TestFollowRelaxed hears of entries that are not on disk yet only once they are, in
// order, and the digest covers what is on disk.
func TestFollowRelaxed(t *testing.T) {
	a := openSite(t, siteOptions{relaxed: true})
	space := a.create("space")
	before := a.summary(space)
	var l listener
	defer a.Follow(l.hear)()
	a.rename(space, "one")
	a.rename(space, "two")
	if text, hashes := l.take(); len(hashes) > 0 {
		t.Errorf("news %q of what a crash may undo", text)
	}
	if now := a.summary(space); now != before {
		t.Errorf("summary %+v covers what a crash may undo, want %+v", now, before)
	}
	if err := a.SealSpace(a.ctx(), space); err != nil {
		t.Fatal(err)
	}
	_, hashes := l.take()
	recs := a.records(space)
	if want := []core.Hash{recs[len(recs)-2].Hash, recs[len(recs)-1].Hash}; !slices.Equal(hashes, want) {
		t.Errorf("news of %v, want %v", hashes, want)
	}
	if now := a.summary(space); now.Mark.Row != recs[len(recs)-1].Key || now.Digest == before.Digest {
		t.Errorf("summary %+v, want up to row %d", now, recs[len(recs)-1].Key)
	}
}

// TestSealingHaste seals a space that somebody waits for soon, and no other.
func TestSealingHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, siteOptions{now: time.Now, timing: replica.Timing{Every: time.Hour}})
		hasty, other := s.create("hasty"), s.create("other")
		write := func(clock uint64) {
			for _, space := range []core.SpaceID{hasty, other} {
				s.upsert(space, "doc", insert(1, clock, "x"))
				s.upsert(space, "doc", insert(1, clock+1, "x"))
			}
		}
		check := func(what string, want ...int64) {
			t.Helper()
			synctest.Wait()
			for i, space := range []core.SpaceID{hasty, other} {
				if _, tails, err := s.OnlyHere(s.ctx(), space); tails != want[i] || err != nil {
					t.Errorf("%s: %d documents with a tail, %v, want %d", what, tails, err, want[i])
				}
			}
		}
		time.Sleep(replica.DefaultQuiet)
		write(0)
		check("written", 1, 1)
		s.Hasten(hasty, true)
		time.Sleep(time.Millisecond) // the sealer's timer is one of no time
		check("written before somebody came", 0, 1)
		write(2)
		check("written again", 1, 1)
		time.Sleep(replica.DefaultHaste)
		check("in haste", 0, 1)
		s.Hasten(hasty, false)
		write(4)
		time.Sleep(time.Minute)
		check("without haste", 1, 1)
		s.close()
	})
}

// TestRowsSince asks for what came after marks.
func TestRowsSince(t *testing.T) {
	a, c, space := pair(t)
	start := a.summary(space).Mark
	check := func(what string, mark core.Mark, limit int, want ...core.WriterID) core.Mark {
		t.Helper()
		rows, now, ok, err := a.RowsSince(a.ctx(), space, mark, limit)
		var got []core.WriterID
		for _, row := range rows {
			got = append(got, row.Writer)
		}
		if err != nil || !ok || !slices.Equal(got, want) || now != a.summary(space).Mark {
			t.Errorf("%s: RowsSince = %v, %+v, %v, %v, want %v", what, got, now, ok, err, want)
		}
		return now
	}
	check("nothing new", start, 9)
	a.clock.advance(time.Minute)
	a.upsert(space, "doc", insert(1, 0, "a"))
	own, _ := a.Writer()
	mark := check("an own entry", start, 9, own)
	c.clock.advance(time.Minute)
	c.upsert(space, "doc", insert(2, 0, "c"))
	a.pull(c, space)
	theirs, _ := c.Writer()
	check("one of another", mark, 9, theirs)
	both := []core.WriterID{own, theirs}
	slices.SortFunc(both, func(a, b core.WriterID) int { return bytes.Compare(a[:], b[:]) })
	check("both", start, 2, both...)
	wrong := start
	wrong.Epoch[0]++
	for what, mark := range map[string]core.Mark{
		"no mark": {}, "another epoch": wrong, "beyond the end": {Epoch: start.Epoch, Row: 1 << 40}, "before all": {Epoch: start.Epoch, Row: -1},
	} {
		if rows, _, ok, err := a.RowsSince(a.ctx(), space, mark, 9); ok || len(rows) > 0 || err != nil {
			t.Errorf("%s: RowsSince = %v, %v, %v, want not ok", what, rows, ok, err)
		}
	}
	if rows, _, ok, err := a.RowsSince(a.ctx(), space, start, 1); ok || len(rows) > 0 || err != nil {
		t.Errorf("more than the limit: RowsSince = %v, %v, %v, want not ok", rows, ok, err)
	}
	a.close()
	a = a.reopen()
	check("after a restart", start, 2, both...)
	before := a.summary(space)
	if err := a.Rebuild(a.ctx()); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := a.RowsSince(a.ctx(), space, start, 9); ok || err != nil {
		t.Errorf("RowsSince a mark of before Rebuild = %v, %v, want not ok", ok, err)
	}
	if sum := a.summary(space); sum.Digest != before.Digest || sum.Mark.Epoch == before.Mark.Epoch {
		t.Errorf("summary after Rebuild is %+v, want that of before, %+v, in another epoch", sum, before)
	}
}
