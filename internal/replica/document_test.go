package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
)

// TestOutOfOrderUpdates hands in recordings of yjs in a shuffled order, with
// repetitions, and compares with a document that was given the same.
func TestOutOfOrderUpdates(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	pending := 0
	for n, session := range fixtures(t)[:12] {
		doc := fmt.Sprint("doc-", n)
		r := rand.New(rand.NewPCG(uint64(n), 3))
		updates := session.Updates[:min(len(session.Updates), 60)]
		var given [][]byte
		for _, i := range r.Perm(len(updates)) {
			rev := s.upsert(space, doc, updates[i])
			given = append(given, updates[i])
			want, err := yjs.Load(yjs.Options{}, given...)
			if err != nil {
				t.Fatal(err)
			}
			state, err := want.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			state = somatest.WithoutEarly(t, state)
			got, err := s.Get(s.ctx(), space, doc)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Update, state) || got.Pending != want.HasPending() || !bytes.Equal(got.StateVector, want.StateVector()) {
				t.Fatalf("%s after %d updates: pending %v, vector %x, want %v, %x, and the same state",
					doc, len(given), got.Pending, got.StateVector, want.HasPending(), want.StateVector())
			}
			if !bytes.Equal(rev.StateVector, got.StateVector) || rev.UpdatedAtMs != got.UpdatedAtMs {
				t.Errorf("revision = %+v, want the vector %x at %d", rev, got.StateVector, got.UpdatedAtMs)
			}
			if got.Pending {
				pending++
			}
			// Again, and something from before: nothing changes.
			for _, again := range [][]byte{updates[i], given[r.IntN(len(given))]} {
				if after := s.upsert(space, doc, again); after.UpdatedAtMs != rev.UpdatedAtMs {
					t.Fatalf("%s: an update that was there moved the time by %d", doc, after.UpdatedAtMs-rev.UpdatedAtMs)
				}
			}
		}
	}
	if pending == 0 {
		t.Error("no document ever waited for anything")
	}
}

// What waits is kept in few parts, so that updates that come in any order cost what
// they are, and not what waits already.
func TestWhatWaitsIsKeptInFewParts(t *testing.T) {
	const updates = 2000
	s := openSite(t, siteOptions{})
	space := s.create("space")
	r := rand.New(rand.NewPCG(8, 9))
	most, written := 0, 0
	for i, n := range r.Perm(updates) {
		s.upsert(space, "doc", insert(1, uint64(n), "x"))
		s.view(func(v core.View) error {
			rec, err := v.Space(space)
			if err != nil {
				return err
			}
			d, err := v.Doc(rec.Key, "doc")
			if err != nil {
				return err
			}
			parts, err := v.DocPending(d.Key)
			if len(parts) > 0 {
				written += len(parts[len(parts)-1].Update)
			}
			most = max(most, len(parts))
			return err
		})
		if i == updates/2 { // and is known again after opening
			s.close()
			s = s.reopen()
		}
	}
	if s.wantText(space, "doc", strings.Repeat("x", updates)); most > 16 {
		t.Errorf("what waits was in %d parts, want few", most)
	}
	if limit := updates * 500; written > limit {
		t.Errorf("%d bytes were written of what waits, want less than %d", written, limit)
	}
}

func TestPendingContent(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	vector := func() []byte {
		got, err := s.Get(s.ctx(), space, "doc")
		if err != nil {
			t.Fatal(err)
		}
		return got.StateVector
	}
	s.upsert(space, "doc", insert(1, 2, "c"))
	s.upsert(space, "doc", insert(1, 1, "b"))
	s.wantText(space, "doc", "")
	if got := vector(); !bytes.Equal(got, []byte{0}) {
		t.Errorf("state vector = %x, want an empty one", got)
	}
	s.upsert(space, "doc", erase(1, 1, 1)) // of content that waits
	s.upsert(space, "doc", insert(1, 0, "a"))
	s.wantText(space, "doc", "ac")
	if got := vector(); !bytes.Equal(got, []byte{1, 1, 3}) {
		t.Errorf("state vector = %x, want client 1 at 3", got)
	}

	// A deletion that comes before anything else is remembered.
	s.upsert(space, "early", erase(5, 0, 3))
	if got, err := s.Get(s.ctx(), space, "early"); err != nil || !got.Pending {
		t.Errorf("Get = %+v, %v, want a document that waits", got, err)
	}
	rev := s.upsert(space, "early", erase(5, 1, 1))
	if again := s.upsert(space, "early", erase(5, 0, 3)); again.UpdatedAtMs != rev.UpdatedAtMs {
		t.Error("a deletion that is remembered moved the time")
	}
	s.upsert(space, "early", insert(5, 0, "abcd"))
	s.wantText(space, "early", "d")
	if got, err := s.Get(s.ctx(), space, "early"); err != nil || got.Pending {
		t.Errorf("Get = %+v, %v, want one that waits for nothing", got, err)
	}
	// A deletion of what is there does not wait for anything.
	s.upsert(space, "early", erase(5, 3, 1))
	if got, err := s.Get(s.ctx(), space, "early"); err != nil || got.Pending {
		t.Errorf("after a deletion: Get = %+v, %v, want one that waits for nothing", got, err)
	}
}

func TestOnlyNewIsStored(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	text := strings.Repeat("A long text. ", 8000)
	s.upsert(space, "doc", insert(1, 0, text))
	before := s.record(space, "doc")
	full, err := yjs.Merge(insert(1, 0, text), insert(1, uint64(len(text)), "twenty bytes of news"))
	if err != nil {
		t.Fatal(err)
	}
	s.upsert(space, "doc", full)
	s.seal()
	after := s.record(space, "doc")
	if got := after.OpBytes - before.OpBytes + after.TailBytes; got > 60 {
		t.Errorf("20 new bytes in %d stored %d", len(full), got)
	}
	s.wantText(space, "doc", text+"twenty bytes of news")
}

func TestInvalidUpdates(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "kept"))
	dump := s.dump(space)
	events := s.hub.Subscribe(t.Context())
	for _, body := range [][]byte{nil, {}, {0}, {1}, {0, 0, 0}, []byte("no update"), insert(1, 4, "cut")[:8]} {
		for _, doc := range []string{"doc", "new"} {
			if _, err := s.Upsert(s.ctx(), space, doc, body, replica.WriteOptions{Source: "renderer"}); !errors.Is(err, core.ErrInvalidUpdate) {
				t.Errorf("Upsert(%x) = %v, want ErrInvalidUpdate", body, err)
			}
		}
	}
	if _, err := s.Upsert(s.ctx(), space, "doc", make([]byte, replica.MaxUpdateBytes+1), replica.WriteOptions{Source: "renderer"}); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("Upsert(huge) = %v, want ErrTooLarge", err)
	}
	wantEqual(t, "after invalid updates", s.dump(space), dump)
	s.upsert(space, "doc", insert(1, 4, "!"))
	if e := <-events; e.DocumentID != "doc" {
		t.Errorf("event = %+v, want one for the valid update only", e)
	}
}

// TestDamagedUpdates changes bytes of recorded updates. What still reads as an
// update is taken, and must never make a document unreadable or stop a write.
func TestDamagedUpdates(t *testing.T) {
	s := openSite(t, siteOptions{noVerify: true}) // hostile content contradicts itself
	space := s.create("space")
	taken := 0
	for n, session := range fixtures(t) {
		doc := fmt.Sprint("doc-", n)
		r := rand.New(rand.NewPCG(uint64(n), 4))
		s.upsert(space, doc, session.Updates[0])
		for range 40 {
			body := bytes.Clone(session.Updates[r.IntN(len(session.Updates))])
			for range 1 + r.IntN(3) {
				body[r.IntN(len(body))] = byte(r.IntN(256))
			}
			_, err := s.Upsert(s.ctx(), space, doc, body, replica.WriteOptions{Source: events.SourceRenderer})
			if err != nil && !errors.Is(err, core.ErrInvalidUpdate) {
				t.Fatalf("Upsert(%x) = %v, want nil or ErrInvalidUpdate", body, err)
			}
			if err == nil {
				taken++
			}
		}
		if err := s.Seal(s.ctx()); err != nil {
			t.Fatalf("%s: Seal = %v", doc, err)
		}
		if _, err := s.Get(s.ctx(), space, doc); err != nil {
			t.Errorf("%s: Get = %v", doc, err)
		}
		if err := s.Compact(s.ctx(), s.record(space, doc).Key); err != nil {
			t.Errorf("%s: compact = %v", doc, err)
		}
		if _, err := s.Load(s.ctx(), space, doc); err != nil {
			t.Errorf("%s: Load = %v", doc, err)
		}
	}
	if taken < 50 {
		t.Errorf("%d damaged updates were taken, want enough to mean something", taken)
	}
	other := openSite(t, siteOptions{noVerify: true})
	other.found(s, space)
	entries := s.entries(space)
	r := rand.New(rand.NewPCG(9, 9))
	r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	for _, e := range entries {
		if o := other.accept(space, e)[0]; o.Status == core.EntryRejected || o.Status == core.EntryDropped {
			t.Errorf("entry %s is %s: %v", o.Hash, o.Status, o.Err)
		}
	}
}

func TestDiff(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "abc"))
	rev := s.upsert(space, "doc", insert(1, 3, "def"))
	for _, c := range []struct {
		vector []byte
		want   []byte
		err    error
	}{
		{nil, insert(1, 0, "abcdef"), nil},
		{[]byte{0}, insert(1, 0, "abcdef"), nil},
		{[]byte{1, 1, 3}, insert(1, 3, "def"), nil},
		{rev.StateVector, []byte{0, 0}, nil},
		{[]byte{1}, nil, core.ErrInvalidVector},
	} {
		got, err := s.Diff(s.ctx(), space, "doc", c.vector)
		if !errors.Is(err, c.err) || !bytes.Equal(got, c.want) {
			t.Errorf("Diff(%x) = %x, %v, want %x, %v", c.vector, got, err, c.want, c.err)
		}
	}
	if _, err := s.Diff(s.ctx(), space, "none", nil); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Diff(unknown) = %v, want ErrNotFound", err)
	}
}

// manyClients returns an update with one letter each from n clients.
func manyClients(t testing.TB, first, n int) []byte {
	t.Helper()
	updates := make([][]byte, n)
	for i := range updates {
		updates[i] = insert(uint64(first+i), 0, "x")
	}
	merged, err := yjs.Union(updates...)
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// TestHeadCacheIsBounded writes to more documents, and with more clients, than the
// cache holds.
func TestHeadCacheIsBounded(t *testing.T) {
	s := openSite(t, siteOptions{noVerify: true}) // the cache is all that this is about
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "a"))
	wide := manyClients(t, 1, replica.MaxCachedClients/2)
	for n := range 3 {
		s.upsert(space, fmt.Sprint("wide-", n), wide)
		s.upsert(space, "doc", insert(1, uint64(n)+1, "b"))
	}
	s.verifyCache()
	err := s.CachedHeads(s.ctx(), func(_ core.View, heads []replica.CachedHead, clients int) error {
		sum := 0
		for _, h := range heads {
			sum += len(h.Clients)
		}
		if most := replica.MaxCachedClients * 3 / 2; sum > most || clients != sum {
			t.Errorf("the cache holds %d clients and counts %d, want at most %d", sum, clients, most)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wantText(space, "doc", "abbb")
}

func TestUpdatedAtRises(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	last := int64(0)
	for n, move := range []time.Duration{0, 0, time.Second, -time.Hour, 0, 2 * time.Hour} {
		s.clock.advance(move)
		rev := s.upsert(space, "doc", insert(1, uint64(n), "x"))
		if rev.UpdatedAtMs <= last || rev.UpdatedAtMs < s.clock.ms.Load() {
			t.Errorf("step %d: time = %d after %d, with the clock at %d", n, rev.UpdatedAtMs, last, s.clock.ms.Load())
		}
		last = rev.UpdatedAtMs
	}
}

func TestCompaction(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(s *site, space core.SpaceID)
	}{
		{"ops", func(s *site, space core.SpaceID) {
			w := newAuthor(s.t, s.id.Key(), space, 1)
			var entries []core.Entry
			for n := range uint64(replica.CompactOps) {
				entries = append(entries, w.write(nil, update("doc", insert(1, n, "x"))).Raw)
			}
			s.wantStatus(space, core.EntryAccepted, entries...)
		}},
		{"bytes", func(s *site, space core.SpaceID) {
			s.upsert(space, "doc", insert(1, 0, strings.Repeat("x", replica.CompactBytes)))
		}},
		{"with content that waits", func(s *site, space core.SpaceID) {
			s.upsert(space, "doc", insert(1, replica.CompactBytes, "yz"))
			s.upsert(space, "doc", erase(2, 0, 2))
			s.upsert(space, "doc", insert(3, 0, strings.Repeat("x", replica.CompactBytes)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &faults{}
				s := openSite(t, siteOptions{now: time.Now, faults: f})
				space := s.create("space")
				c.write(s, space)
				s.seal()
				before := s.dump(space)
				synctest.Wait()
				d := s.record(space, "doc")
				if d.ThroughN == 0 || d.LastN-d.ThroughN > 2 {
					t.Errorf("snapshot covers %d of %d ops", d.ThroughN, d.LastN)
				}
				wantEqual(t, "compacted", s.dump(space), before)
				s.verify()
				// Reading, and asking again, does not compact again.
				calls := f.calls.Load()
				for range 3 {
					if _, err := s.Get(s.ctx(), space, "doc"); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if got := s.record(space, "doc"); d.ThroughN == d.LastN && (got.ThroughN != d.ThroughN || f.calls.Load() != calls) {
					t.Errorf("reading wrote %d times", f.calls.Load()-calls)
				}
				// What waited is completed after the compaction.
				if c.name == "with content that waits" {
					s.upsert(space, "doc", insert(1, 0, strings.Repeat("w", replica.CompactBytes)))
					s.upsert(space, "doc", insert(2, 0, "abc"))
					if got, err := s.Get(s.ctx(), space, "doc"); err != nil || got.Pending {
						t.Errorf("Get = pending %v, %v, want all complete", got.Pending, err)
					}
					if got := s.text(space, "doc"); len(got) != 2*replica.CompactBytes+3 || !strings.Contains(got, "wyz") {
						t.Errorf("text has %d letters, want %d with the pieces that waited", len(got), 2*replica.CompactBytes+3)
					}
				}
			})
		})
	}
}

// A document that was written right before the directory was closed is compacted after
// its first read in the next process: no read after that depends on its history.
func TestReadsAfterReopening(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	w := newAuthor(t, s.id.Key(), space, 1)
	for n := range uint64(20) {
		s.wantStatus(space, core.EntryAccepted, w.write(nil, update("doc", insert(1, 1000*n, strings.Repeat("x", 1000)))).Raw)
	}
	s.close()
	s.clock.advance(time.Millisecond)
	s = s.reopen()
	for try := 0; ; try++ {
		if _, err := s.Get(s.ctx(), space, "doc"); err != nil {
			t.Fatal(err)
		}
		d := s.record(space, "doc")
		if d.ThroughN == d.LastN {
			break
		}
		if try == 1000 {
			t.Fatalf("after %d reads the snapshot covers %d of %d ops", try, d.ThroughN, d.LastN)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestCompactionBesideWrites compacts at every write, several times at once.
func TestCompactionBesideWrites(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, strings.Repeat("x", 20000)))
	key := s.record(space, "doc").Key
	var compacting sync.WaitGroup
	for n, body := range fixtures(t)[0].Updates {
		compacting.Go(func() {
			if err := s.Compact(s.ctx(), key); err != nil {
				t.Errorf("compact = %v", err)
			}
		})
		s.clock.advance(time.Duration(n%3) * time.Second)
		s.upsert(space, "doc", body)
		if n%5 == 0 {
			s.seal()
			compacting.Wait()
		}
	}
	compacting.Wait()
	if s.record(space, "doc").ThroughN < 2 {
		t.Error("nothing was compacted meanwhile")
	}
	s.verify()
}

// TestReadersOfABusyDocument reads after every remote update, as a host does that
// hears of each: compacting every time would write the document every time.
func TestReadersOfABusyDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, siteOptions{now: time.Now})
		space := s.create("space")
		w := newAuthor(t, s.id.Key(), space, 1)
		const size = 100 << 10
		s.wantStatus(space, core.EntryAccepted, w.write(nil, update("doc", insert(1, 0, strings.Repeat("x", size)))).Raw)
		for n := range uint64(20) {
			s.wantStatus(space, core.EntryAccepted, w.write(nil, update("doc", insert(1, size+n, "y"))).Raw)
			if _, err := s.Get(s.ctx(), space, "doc"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := s.record(space, "doc").ThroughN; got != 0 {
				t.Fatalf("after update %d: the snapshot covers %d ops, want no snapshot yet", n, got)
			}
			time.Sleep(5 * replica.DefaultQuiet)
		}
		if _, err := s.Get(s.ctx(), space, "doc"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.record(space, "doc"); got.ThroughN != got.LastN {
			t.Errorf("after a pause: the snapshot covers %d of %d ops", got.ThroughN, got.LastN)
		}
	})
}

// TestReadingStaysCheap writes ten thousand times and counts what a read takes.
func TestReadingStaysCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, siteOptions{now: time.Now, noVerify: true, timing: replica.Timing{Every: replica.DefaultEvery}})
		space := s.create("space")
		const upserts = 10_000
		for n := range uint64(upserts) {
			s.upsert(space, "doc", insert(1, n, "x"))
			if n%3 == 0 {
				time.Sleep(replica.DefaultQuiet)
			}
		}
		s.seal()
		synctest.Wait()
		d := s.record(space, "doc")
		if after := d.LastN - d.ThroughN; after >= replica.CompactOps || d.OpBytes >= replica.CompactBytes {
			t.Errorf("a read takes %d ops of %d bytes behind the snapshot", after, d.OpBytes)
		}
		if d.LastN < replica.CompactOps {
			t.Errorf("%d ops in all, want enough for a compaction", d.LastN)
		}
		s.wantText(space, "doc", strings.Repeat("x", upserts))
	})
}
