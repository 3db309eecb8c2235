package mailbox_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	startMs = int64(1_700_000_000_000)
	dayMs   = int64(24 * time.Hour / time.Millisecond)
)

// box is a mailbox over a real store, with a clock that stands still until it is moved.
type box struct {
	*mailbox.Mailbox
	t     testing.TB
	store *store.DB
	ms    *atomic.Int64
}

func openBox(t testing.TB, limits mailbox.Limits) *box {
	t.Helper()
	return openBoxIn(t, t.TempDir(), limits)
}

func openBoxIn(t testing.TB, dir string, limits mailbox.Limits) *box {
	t.Helper()
	limits.TTL = cmp.Or(limits.TTL, mailbox.DefaultTTL)
	limits.Drafts = cmp.Or(limits.Drafts, mailbox.DefaultDrafts)
	limits.SnippetBytes = cmp.Or(limits.SnippetBytes, mailbox.DefaultSnippetBytes)
	db, err := store.Open(dir, store.Options{Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, store: db, ms: &atomic.Int64{}}
	b.ms.Store(startMs)
	b.reopen(limits)
	t.Cleanup(func() {
		b.Close()
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// reopen opens another mailbox over the same store.
func (b *box) reopen(limits mailbox.Limits) {
	b.t.Helper()
	var err error
	b.Mailbox, err = mailbox.Open(context.Background(), b.store, func() time.Time { return time.UnixMilli(b.ms.Load()) }, slog.New(slog.DiscardHandler), limits)
	if err != nil {
		b.t.Fatal(err)
	}
}

func draft(doc string, atMs int64, snippet string) mailbox.Draft {
	return mailbox.Draft{SpaceID: "s", DocumentID: doc, UpdatedAtMs: atMs, Snippet: snippet}
}

func (b *box) save(drafts ...mailbox.Draft) {
	b.t.Helper()
	for _, d := range drafts {
		if err := b.Save(context.Background(), d); err != nil {
			b.t.Fatalf("Save(%+v) = %v", d, err)
		}
	}
}

func (b *box) discard(doc string) {
	b.t.Helper()
	if err := b.Discard(context.Background(), "s", doc); err != nil {
		b.t.Fatalf("Discard(%s) = %v", doc, err)
	}
}

// all returns the drafts as text, the newest first.
func (b *box) all(cleared bool) string {
	b.t.Helper()
	var out []string
	first := core.MaxDraftPlace()
	for after := &first; after != nil; {
		page, next, err := b.Page(context.Background(), cleared, *after)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, d := range page {
			text := d.Draft.DocumentID + ":" + d.Draft.Snippet
			if d.Err != nil {
				text = d.Draft.DocumentID + ":" + d.Err.Error()
			}
			if cleared {
				text += "(" + string(d.Reason) + ")"
			}
			out = append(out, text)
		}
		after = next
	}
	return strings.Join(out, " ")
}

func (b *box) want(live, cleared string) {
	b.t.Helper()
	if got := b.all(false); got != live {
		b.t.Errorf("live drafts are %q, want %q", got, live)
	}
	if got := b.all(true); got != cleared {
		b.t.Errorf("cleared drafts are %q, want %q", got, cleared)
	}
}

func TestSaveAndGet(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	d := full()
	d.UpdatedAtMs = startMs
	b.save(d)
	if got, err := b.Get(t.Context(), d.SpaceID, d.DocumentID); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("Get = %+v, %v, want %+v", got, err, d)
	}
	for _, key := range [][2]string{{"s", "a"}, {"s", "a/b/"}, {"t", "a/b"}} {
		if got, err := b.Get(t.Context(), core.SpaceID(key[0]), key[1]); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("Get(%s) = %+v, %v, want ErrNotFound", key, got, err)
		}
	}
	for _, key := range [][2]string{{"", "a"}, {"s", ""}, {"s/a", "b"}} {
		_, err := b.Get(t.Context(), core.SpaceID(key[0]), key[1])
		_, err2 := b.Restore(t.Context(), core.SpaceID(key[0]), key[1])
		err3 := b.Discard(t.Context(), core.SpaceID(key[0]), key[1])
		for _, err := range []error{err, err2, err3} {
			if !errors.Is(err, core.ErrInvalidID) {
				t.Errorf("%s: %v, want ErrInvalidID", key, err)
			}
		}
	}
}

// What is refused changes nothing.
func TestSaveRefuses(t *testing.T) {
	b := openBox(t, mailbox.Limits{SnippetBytes: 10})
	b.save(draft("d", startMs, "kept"))
	for _, tt := range []struct {
		atMs    int64
		snippet string
		want    error
	}{
		{startMs + 1, "12345678901", core.ErrTooLarge},
		{startMs + 1, "123456789é", core.ErrTooLarge},
		{startMs + 1, "\xff", core.ErrInvalidDraft},
		{-1, "x", core.ErrInvalidTime},
		{maxMs + 1, "x", core.ErrInvalidTime},
		{startMs + dayMs + 1, "x", core.ErrClockSkew},
		{maxMs, "x", core.ErrClockSkew},
		{startMs - 30*dayMs, "x", core.ErrInvalidTime},
		{0, "x", core.ErrInvalidTime},
	} {
		err := b.Save(t.Context(), draft("d", tt.atMs, tt.snippet))
		if !errors.Is(err, tt.want) || !errors.Is(err, core.ErrInvalidDraft) {
			t.Errorf("Save(%d, %q) = %v, want %v", tt.atMs, tt.snippet, err, tt.want)
		}
	}
	b.want("d:kept", "")
	b.save(draft("d", startMs+dayMs, "1234567890"), draft("old", startMs-30*dayMs+1, "12345678é"))
	b.want("d:1234567890 old:12345678é", "")
}

// Saves of one document, in any order and any number of times, leave the same draft.
func TestSavesConverge(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		small := rapid.Custom(func(t *rapid.T) mailbox.Draft {
			d := draft("d", startMs+rapid.Int64Range(0, 2).Draw(t, "at"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "snippet"))
			d.BaseStateVector = rapid.SampledFrom([][]byte{nil, vector(), vector(1, 1)}).Draw(t, "vector")
			d.BaseDaemonUpdatedAtMs = rapid.Int64Range(0, 2).Draw(t, "base")
			d.ConflictState = rapid.SampledFrom([]mailbox.ConflictState{"", "ahead", "diverged"}).Draw(t, "state")
			return d
		})
		saves := rapid.SliceOfN(small, 1, 6).Draw(t, "saves")
		again := append(slices.Clone(saves), rapid.SliceOfN(rapid.SampledFrom(saves), 0, 4).Draw(t, "again")...)
		again = rapid.Permutation(again).Draw(t, "order")
		var got [2]mailbox.Draft
		for i, order := range [][]mailbox.Draft{saves, again} {
			for _, d := range order {
				d.SpaceID = core.SpaceID(fmt.Sprint("s", n, " ", i))
				b.save(d)
			}
			var err error
			got[i], err = b.Get(context.Background(), core.SpaceID(fmt.Sprint("s", n, " ", i)), "d")
			if err != nil {
				t.Fatal(err)
			}
			got[i].SpaceID = ""
		}
		newest := slices.MaxFunc(saves, func(a, b mailbox.Draft) int { return cmp.Compare(a.UpdatedAtMs, b.UpdatedAtMs) })
		if !reflect.DeepEqual(got[0], got[1]) || got[0].UpdatedAtMs != newest.UpdatedAtMs {
			t.Fatalf("%+v, in another order %+v, of %+v", got[0], got[1], saves)
		}
	})
}

func TestDiscardAndRestore(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	if err := b.Discard(t.Context(), "s", "d"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Discard of nothing = %v, want ErrNotFound", err)
	}
	if d, err := b.Restore(t.Context(), "s", "d"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Restore of nothing = %+v, %v, want ErrNotFound", d, err)
	}
	one := full()
	one.DocumentID, one.UpdatedAtMs, one.Snippet = "d", startMs, "1"
	b.save(one)
	b.discard("d")
	b.want("", "d:1(discarded)")
	if err := b.Discard(t.Context(), "s", "d"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Discard once more = %v, want ErrNotFound", err)
	}
	if d, err := b.Restore(t.Context(), "s", "d"); err != nil || !reflect.DeepEqual(d, one) {
		t.Errorf("Restore = %+v, %v, want %+v", d, err, one)
	}
	b.want("d:1", "")
	b.discard("d")
	b.save(draft("d", startMs+2, "2"), draft("other", startMs+1, "x"))
	b.want("d:2 other:x", "d:1(discarded)")
	for range 2 { // and back
		if _, err := b.Restore(t.Context(), "s", "d"); err != nil {
			t.Fatal(err)
		}
		b.want("other:x d:1", "d:2(replaced)")
		if _, err := b.Restore(t.Context(), "s", "d"); err != nil {
			t.Fatal(err)
		}
		b.want("d:2 other:x", "d:1(replaced)")
	}
}

// A document keeps the drafts that were cleared last.
func TestClearedPerDocumentAreBounded(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	b.save(draft("other", startMs, "x"))
	b.discard("other")
	for i := range int64(mailbox.MaxClearedPerDocument + 3) {
		b.save(draft("d", startMs+1+i, fmt.Sprint(i)))
		b.discard("d")
	}
	var want []string
	for i := mailbox.MaxClearedPerDocument + 2; i >= 3; i-- {
		want = append(want, fmt.Sprintf("d:%d(discarded)", i))
	}
	b.want("", strings.Join(append(want, "other:x(discarded)"), " "))
}

func TestDraftsExpire(t *testing.T) {
	dir := t.TempDir()
	b := openBoxIn(t, dir, mailbox.Limits{TTL: time.Hour})
	const hour = int64(3_600_000)
	watch := b.Watch(t.Context())
	b.save(draft("c", startMs-30, "c"))
	b.discard("c")
	b.save(draft("a", startMs, "a"), draft("b", startMs+1, "b"))
	b.ms.Add(hour - 30)
	b.want("b:b a:a", "")
	b.ms.Add(29)
	b.want("b:b a:a", "")
	b.ms.Add(1)
	b.want("b:b", "")
	if d, err := b.Get(t.Context(), "s", "a"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Get = %+v, %v, want ErrNotFound", d, err)
	}
	for _, doc := range []string{"a", "c"} {
		if d, err := b.Restore(t.Context(), "s", doc); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("Restore(%s) = %+v, %v, want ErrNotFound", doc, d, err)
		}
	}
	if err := b.Discard(t.Context(), "s", "a"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Discard = %v, want ErrNotFound", err)
	}
	b.save(draft("e", startMs+hour, "e")) // sweeps
	if n := b.rows(); n != 2 {
		t.Errorf("%d rows, want those of b and e", n)
	}
	wantChanges(t, watch, "c cleared discarded", "b saved", "a expired", "e saved")
	b.ms.Add(2 * hour)
	b.reopen(mailbox.Limits{TTL: time.Hour, Drafts: 10, SnippetBytes: 10})
	if n := b.rows(); n != 0 {
		t.Errorf("%d rows after Open, want none", n)
	}
}

// rows counts what is stored.
func (b *box) rows() (n int) {
	b.t.Helper()
	err := b.store.Read(context.Background(), func(v core.View) (err error) {
		n, _, err = v.DraftTotals()
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// wantChanges reads as many changes as are wanted, in any order of documents.
func wantChanges(t *testing.T, watch <-chan mailbox.Change, want ...string) {
	t.Helper()
	var got []string
	for range want {
		c := <-watch
		got = append(got, strings.TrimSpace(fmt.Sprint(c.DocumentID, " ", c.Kind, " ", c.Reason)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("changes are %q, want %q", got, want)
	}
}

func TestTheOldestIsEvicted(t *testing.T) {
	b := openBox(t, mailbox.Limits{Drafts: 4})
	watch := b.Watch(t.Context())
	b.save(draft("a", startMs+5, "1"), draft("b", startMs+1, "2"), draft("c", startMs+9, "3"))
	b.discard("c")
	b.save(draft("d", startMs+3, "4"))
	b.want("a:1 d:4 b:2", "c:3(discarded)")
	b.save(draft("e", startMs+4, "5")) // the cleared one goes, though it is the newest
	b.want("a:1 e:5 d:4 b:2", "")
	b.save(draft("f", startMs+2, "6"))
	b.want("a:1 e:5 d:4 f:6", "")
	b.save(draft("g", startMs, "7")) // older than all of them
	b.want("a:1 e:5 d:4 f:6", "")
	b.save(draft("f", startMs+6, "8")) // no more than before
	b.want("f:8 a:1 e:5 d:4", "")
	wantChanges(t, watch, "a saved", "b evicted", "c cleared discarded", "d saved", "e saved", "f saved", "g evicted")
	b.reopen(mailbox.Limits{TTL: mailbox.DefaultTTL, Drafts: 2, SnippetBytes: 10})
	b.want("f:8 a:1", "")
}

// A mailbox does what a plain model does.
func TestMailboxIsItsModel(t *testing.T) {
	type cleared struct {
		mailbox.Draft
		n int // order of clearing
	}
	rapid.Check(t, func(rt *rapid.T) {
		const limit = 5
		b := openBox(t, mailbox.Limits{Drafts: limit})
		live, gone, n := map[string]mailbox.Draft{}, []cleared{}, 0
		clearDraft := func(doc string) {
			if d, ok := live[doc]; ok {
				n++
				gone = append(gone, cleared{d, n})
				delete(live, doc)
			}
		}
		evict := func() {
			for len(live)+len(gone) > limit {
				if len(gone) > 0 {
					oldest := slices.MinFunc(gone, func(a, b cleared) int {
						return cmp.Or(cmp.Compare(a.UpdatedAtMs, b.UpdatedAtMs), cmp.Compare(a.n, b.n))
					})
					gone = slices.DeleteFunc(gone, func(c cleared) bool { return c.n == oldest.n })
					continue
				}
				oldest := slices.MinFunc(slices.Collect(maps.Values(live)), func(a, b mailbox.Draft) int { return cmp.Compare(a.UpdatedAtMs, b.UpdatedAtMs) })
				delete(live, oldest.DocumentID)
			}
		}
		docs := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		at := startMs
		rt.Repeat(map[string]func(*rapid.T){
			"save": func(t *rapid.T) {
				at++
				d := draft(docs.Draw(t, "doc"), at-100*rapid.Int64Range(0, 1).Draw(t, "back"), fmt.Sprint(at))
				b.save(d)
				if was, ok := live[d.DocumentID]; !ok || was.UpdatedAtMs < d.UpdatedAtMs {
					live[d.DocumentID] = d
				}
				evict()
			},
			"discard": func(t *rapid.T) {
				doc := docs.Draw(t, "doc")
				_, ok := live[doc]
				if err := b.Discard(context.Background(), "s", doc); (err == nil) != ok {
					t.Fatalf("Discard = %v, there is one: %t", err, ok)
				}
				clearDraft(doc)
			},
			"restore": func(t *rapid.T) {
				doc := docs.Draw(t, "doc")
				var last *cleared
				for i := range gone {
					if gone[i].DocumentID == doc {
						last = &gone[i]
					}
				}
				got, err := b.Restore(context.Background(), "s", doc)
				if last == nil {
					if !errors.Is(err, core.ErrNotFound) {
						t.Fatalf("Restore = %+v, %v, want ErrNotFound", got, err)
					}
					return
				}
				back := *last
				if err != nil || !reflect.DeepEqual(got, back.Draft) {
					t.Fatalf("Restore = %+v, %v, want %+v", got, err, back.Draft)
				}
				gone = slices.DeleteFunc(gone, func(c cleared) bool { return c.n == back.n })
				clearDraft(doc)
				live[doc] = back.Draft
			},
			"": func(t *rapid.T) {
				var want []string
				all := slices.SortedFunc(maps.Values(live), func(a, b mailbox.Draft) int { return cmp.Compare(b.UpdatedAtMs, a.UpdatedAtMs) })
				for _, d := range all {
					want = append(want, d.DocumentID+":"+d.Snippet)
				}
				if got := b.all(false); len(all) > 0 && got != strings.Join(want, " ") && !sameTimes(all) {
					t.Fatalf("live drafts are %s, want %s", got, want)
				}
				if got, want := b.rows(), len(live)+len(gone); got != want {
					t.Fatalf("%d rows, want %d", got, want)
				}
			},
		})
	})
}

func sameTimes(all []mailbox.Draft) bool {
	for i := 1; i < len(all); i++ {
		if all[i].UpdatedAtMs == all[i-1].UpdatedAtMs {
			return true
		}
	}
	return false
}

func TestWatch(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	watch, ended := b.Watch(t.Context()), b.Watch(ctx)
	b.save(draft("d", startMs, "1"))
	if got, want := <-watch, (mailbox.Change{Kind: mailbox.Saved, SpaceID: "s", DocumentID: "d", UpdatedAtMs: startMs}); got != want {
		t.Errorf("change = %+v, want %+v", got, want)
	}
	b.save(draft("d", startMs-1, "older"), draft("d", startMs, "1")) // changes nothing
	b.discard("d")
	want := mailbox.Change{Kind: mailbox.Cleared, SpaceID: "s", DocumentID: "d", UpdatedAtMs: startMs, Reason: mailbox.Discarded}
	if got := <-watch; got != want {
		t.Errorf("change = %+v, want %+v", got, want)
	}
	if _, err := b.Restore(t.Context(), "s", "d"); err != nil {
		t.Fatal(err)
	}
	if got := <-watch; got.Kind != mailbox.Restored {
		t.Errorf("change = %+v, want restored", got)
	}
	cancel()
	for range ended { // until it is closed
	}
	b.Close()
	if c, ok := <-watch; ok {
		t.Errorf("%+v after Close", c)
	}
	if c, ok := <-b.Watch(t.Context()); ok {
		t.Errorf("%+v from a Watch after Close", c)
	}
	b.save(draft("d", startMs+1, "2"))
}

// More changes than can wait are one, which says to list again; what comes after it was
// read is told again.
func TestWatchIsBounded(t *testing.T) {
	q := mailbox.NewChanges(3)
	change := func(doc string) mailbox.Change {
		return mailbox.Change{Kind: mailbox.Saved, SpaceID: "s", DocumentID: doc}
	}
	for _, doc := range []string{"a", "b", "c", "a"} {
		q.Push(change(doc))
	}
	if q.Len() != 3 {
		t.Errorf("%d wait, want 3", q.Len())
	}
	first, _ := q.Peek()
	q.Push(change("d"))
	again := mailbox.Change{Kind: mailbox.ListAgain}
	if got, ok := q.Peek(); first != change("b") || !ok || got != again || q.Len() != 1 {
		t.Errorf("%+v, then %+v of %d, want b, then list-again alone", first, got, q.Len())
	}
	q.Push(change("e")) // is that list with it, or without?
	q.Taken()
	if got, ok := q.Peek(); !ok || got != again {
		t.Errorf("%+v, %t, want list-again", got, ok)
	}
	q.Taken()
	q.Push(change("f"))
	if got, ok := q.Peek(); !ok || got != change("f") || q.Len() != 1 {
		t.Errorf("%+v, %t, want f", got, ok)
	}
}

// A write that fails tells nobody.
func TestFailedSaveIsNotTold(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	watch := b.Watch(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Save(ctx, draft("d", startMs, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Save = %v", err)
	}
	mine := errors.New("mine")
	if err := b.store.Write(t.Context(), func(tx core.Tx) error {
		if err := tx.PutDraft(&core.DraftRecord{Space: "s", Doc: "d", UpdatedAtMs: startMs}); err != nil {
			return err
		}
		return errors.Join(b.Confirm(tx, "s", "d", startMs), mine)
	}); !errors.Is(err, mine) {
		t.Errorf("Write = %v", err)
	}
	b.save(draft("e", startMs, "y"))
	wantChanges(t, watch, "e saved")
	b.want("e:y", "")
}

// damage flips the checksum of the live draft, or of the one cleared last.
func (b *box) damage(doc string, cleared bool) {
	b.t.Helper()
	err := b.store.Write(context.Background(), func(tx core.Tx) error {
		rec, err := tx.Draft("s", doc)
		if cleared {
			var all []core.DraftRecord
			if all, err = tx.ClearedDrafts("s", doc); err == nil {
				rec = all[0]
			}
		}
		if err != nil {
			return err
		}
		rec.Damaged = true
		return tx.PutDraft(&rec)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestDamagedDrafts(t *testing.T) {
	b := openBox(t, mailbox.Limits{Drafts: 3})
	b.save(draft("a", startMs, "1"), draft("b", startMs+1, "2"))
	b.damage("a", false)
	if d, err := b.Get(t.Context(), "s", "a"); !errors.Is(err, core.ErrCorrupt) || d.Snippet != "" {
		t.Errorf("Get = %+v, %v, want ErrCorrupt", d, err)
	}
	const bad = `a:draft of document "a": soma: stored data is damaged`
	b.want("b:2 "+bad, "")

	// It outlives its time, its eviction, and a newer draft of its document.
	b.ms.Add(31 * dayMs)
	now := b.ms.Load()
	b.save(draft("c", now, "3"))
	b.want("c:3 "+bad, "")
	b.save(draft("d", now+1, "4"), draft("e", now+2, "5"))
	b.want("e:5 d:4 "+bad, "")
	b.save(draft("a", now+3, "6"))
	b.want("a:6 e:5", bad+"()")
	if d, err := b.Get(t.Context(), "s", "a"); err != nil || d.Snippet != "6" {
		t.Errorf("Get = %+v, %v, want 6", d, err)
	}
	if d, err := b.Restore(t.Context(), "s", "a"); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Restore = %+v, %v, want ErrCorrupt", d, err)
	}
	// Discard removes it, beside clearing the good one.
	b.discard("a")
	b.want("e:5", "a:6(discarded)")
	b.damage("a", true)
	if d, err := b.Get(t.Context(), "s", "a"); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Get where only a damaged one is = %+v, %v, want ErrCorrupt", d, err)
	}
	b.discard("a")
	b.want("e:5", "")
	if err := b.Discard(t.Context(), "s", "a"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Discard = %v, want ErrNotFound", err)
	}

	// A damaged live one is no obstacle to restoring another.
	b.discard("e")
	b.save(draft("e", now+9, "7"))
	b.damage("e", false)
	if d, err := b.Restore(t.Context(), "s", "e"); err != nil || d.Snippet != "5" {
		t.Errorf("Restore = %+v, %v, want 5", d, err)
	}
	b.want("e:5", `e:draft of document "e": soma: stored data is damaged()`)
}

func TestFollow(t *testing.T) {
	b := openBox(t, mailbox.Limits{})
	d := draft("d", startMs+5, "x")
	d.BaseStateVector = vector(1, 4)
	b.save(d, draft("old", startMs, "y"), draft("bad", startMs, "z"))
	b.damage("bad", false)
	watch := b.Watch(t.Context())
	asked := 0
	change := func(id string, atMs int64, state []byte) core.ChangedDoc {
		return core.ChangedDoc{Space: "s", ID: id, State: func() (int64, []byte, error) { asked++; return atMs, state, nil }}
	}
	review := func(docs ...core.ChangedDoc) {
		t.Helper()
		if err := b.store.Write(t.Context(), func(tx core.Tx) error { return b.Review(tx, docs) }); err != nil {
			t.Fatal(err)
		}
	}
	review(change("d", startMs+4, vector(1, 4)), change("old", startMs, nil), change("none", startMs, nil), change("bad", startMs, nil))
	if asked != 2 { // what has no draft costs a look
		t.Errorf("the state of %d documents was asked for, want 2", asked)
	}
	wantChanges(t, watch, "d conflict", "old cleared stale")
	got, err := b.Get(t.Context(), "s", "d")
	if err != nil || got.ConflictState != mailbox.Ahead || got.BaseDaemonUpdatedAtMs != startMs+4 || got.Snippet != "x" || got.UpdatedAtMs != d.UpdatedAtMs {
		t.Errorf("Get = %+v, %v, want it to be ahead", got, err)
	}
	b.save(d) // again, as it was
	if got, err := b.Get(t.Context(), "s", "d"); err != nil || got.ConflictState != mailbox.Ahead {
		t.Errorf("Get after saving it again = %+v, %v, want it to be ahead", got, err)
	}
	review(change("d", startMs+4, vector(1, 5)))
	if got, err := b.Get(t.Context(), "s", "d"); err != nil || got.ConflictState != mailbox.Diverged {
		t.Errorf("Get = %+v, %v, want it to be diverged", got, err)
	}
	confirm := func(atMs int64) {
		t.Helper()
		if err := b.store.Write(t.Context(), func(tx core.Tx) error { return b.Confirm(tx, "s", "d", atMs) }); err != nil {
			t.Fatal(err)
		}
	}
	confirm(startMs + 4)
	if _, err := b.Get(t.Context(), "s", "d"); err != nil {
		t.Errorf("Get after an older write = %v", err)
	}
	confirm(startMs + 5)
	confirm(startMs + 5)
	wantChanges(t, watch, "d cleared confirmed")
	if got := b.all(true); got != "d:x(confirmed) old:y(stale)" {
		t.Errorf("cleared drafts are %s", got)
	}
}
