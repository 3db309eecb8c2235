//go:build cgo

package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/search"
	"github.com/soma-sdk/soma/store"
)

func mustCloseSearch(t *testing.T, s *search.Searcher) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
}

// loaded returns which documents were read since the last call.
func (w *world) loaded() []core.DocumentID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []core.DocumentID
	for id := range w.loads {
		ids = append(ids, id)
	}
	clear(w.loads)
	slices.Sort(ids)
	return ids
}

func TestOnlyChangesAreRead(t *testing.T) {
	w := newWorld(t)
	for i := range 600 {
		w.put(fmt.Sprintf("doc%03d", i), fmt.Sprintf("number%d word", i))
	}
	if w.search(); store.HasSearch(w.dir) {
		t.Error("an index is made before anybody searches")
	}
	s := w.search()
	w.want(s, `"number7"`, "doc007")
	w.loaded()
	w.put("doc100", "changed")
	w.want(s, "changed", "doc100")
	w.want(s, "number100")
	if got := w.loaded(); !slices.Equal(got, []core.DocumentID{"doc100"}) {
		t.Errorf("read %q after one change, want that", got)
	}
	mustCloseSearch(t, s)

	// What happened while nobody looked.
	w.put("doc200", "changed")
	w.put("another", "changed")
	w.remove("doc300")
	w.remove("doc599")
	w.loaded()
	s = w.search()
	w.want(s, "zebra")
	if got := w.loaded(); !slices.Equal(got, []core.DocumentID{"another", "doc200"}) {
		t.Errorf("read %q after reopening, want what changed", got)
	}
	w.want(s, "changed", "another", "doc200", "doc100")
	w.want(s, "number300")
	if got := w.ids(s, "word"); len(got) != 596 {
		t.Errorf("found %d, want 596", len(got))
	}
}

// The database of an older backup has older times.
func TestTimesThatGoBack(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "older")
	older := w.docs[space]["doc"]
	w.put("doc", "newer")
	s := w.search()
	w.want(s, "newer", "doc")
	mustCloseSearch(t, s)
	w.docs[space]["doc"] = older
	s = w.search()
	w.want(s, "newer")
	w.want(s, "older", "doc")
}

func TestSpacesThatAreGone(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "here")
	w.putIn("other", "doc", "there secretword")
	s := w.search()
	w.want(s, "there")
	hits, err := s.Search(t.Context(), "other", "there", search.Options{Limit: 10, Fresh: true})
	if err != nil || len(hits) != 1 {
		t.Errorf("Search in the other space = %v, %v", hits, err)
	}
	w.mu.Lock()
	delete(w.docs, "other")
	w.mu.Unlock()
	if hits, err := s.Search(t.Context(), "other", "there", search.Options{Limit: 10}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Search in a space that is gone = %v, %v", hits, err)
	}
	w.hub.Emit(events.DomainEvent{Kind: events.SpacesChanged, Source: events.SourceDaemon})
	w.want(s, "here", "doc")
	w.want(s, "here", "doc") // the purge comes after the answer, and before the next round
	mustCloseSearch(t, s)
	assertNoWords(t, w.dir, "secretword")
}

func assertNoWords(t *testing.T, dir string, words ...string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s has the word %q", f.Name(), word)
			}
		}
	}
}

func TestDeletedWordsLeaveTheFiles(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		w.put(fmt.Sprint("doc", i), strings.Repeat(fmt.Sprintf("filler%d ", i), 50))
	}
	w.put("secret", "Hunter\nxyzzyplugh quuxfrob")
	s := w.search()
	w.want(s, "xyzzyplugh", "secret")
	w.remove("secret")
	w.want(s, "xyzzyplugh")
	w.want(s, `"filler7 filler7"`, "doc7") // the purge comes after the answer, and before the next round
	mustCloseSearch(t, s)
	assertNoWords(t, w.dir, "xyzzyplugh", "quuxfrob", "hunter")
}

// When more changes than fit are waiting, the feed widens them.
func TestMoreChangesThanFit(t *testing.T) {
	w := newWorld(t)
	s := w.search()
	w.want(s, "x")
	for i := range events.MaxPending + 500 {
		w.put(fmt.Sprint("doc", i), fmt.Sprintf("word%d", i))
	}
	w.want(s, "word4500", "doc4500")
	w.want(s, "word0", "doc0")
}

// In the background, without anybody who waits.
func TestChangesComeByThemselves(t *testing.T) {
	w := newWorld(t)
	s := w.search()
	w.want(s, "hello")
	w.put("doc", "hello")
	for deadline := time.Now().Add(time.Minute); len(w.hits(s, "hello", search.Options{Limit: 1})) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the change was never found")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The index does not know yet, the answer is right all the same.
func TestStaleHits(t *testing.T) {
	w := newWorld(t)
	w.put("a", "apple")
	w.put("b", "apple")
	w.put("c", "apple")
	s := w.search()
	w.want(s, "apple", "c", "b", "a")
	w.mu.Lock() // without an event
	delete(w.docs[space], "a")
	w.docs[space]["b"] = page{"pear", 100}
	w.docs[space]["c"] = page{"an apple", 101}
	w.mu.Unlock()
	hits := w.hits(s, "apple", search.Options{Limit: 10})
	if len(hits) != 1 || hits[0].ID != "c" || hits[0].UpdatedAtMs != 101 || hits[0].Snippet.Text != "an apple" {
		t.Errorf("hits = %+v, want c as it is now", hits)
	}
}

// What cannot be read is indexed without words, once, and again when it changes.
func TestUnreadableDocuments(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t)
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.put("bad", "apple")
	w.put("good", "apple")
	w.broken["bad"] = fmt.Errorf("content: %w", core.ErrCorrupt)
	s := w.search()
	w.want(s, "apple", "good")
	w.put("good", "apple pie")
	w.want(s, "apple", "good")
	w.mu.Lock()
	delete(w.broken, "bad")
	w.mu.Unlock()
	w.want(s, "apple", "good")
	w.put("bad", "apple")
	w.want(s, "apple", "bad", "good")
	mustCloseSearch(t, s)
	if n := strings.Count(log.String(), "document=bad"); n != 1 {
		t.Errorf("the bad document was logged %d times, want once:\n%s", n, log.String())
	}
}

func TestListingFails(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "apple")
	w.listed = errors.New("disk trouble")
	s := w.search()
	if _, err := s.Search(t.Context(), space, "apple", search.Options{Limit: 1, Fresh: true}); !errors.Is(err, w.listed) {
		t.Errorf("Search = %v, want what went wrong", err)
	}
	w.mu.Lock()
	w.listed = nil
	w.mu.Unlock()
	w.want(s, "apple", "doc")
}

// faulty is an index in which things go wrong.
type faulty struct {
	search.Index
	mu    sync.Mutex
	apply error
	query error
	check error
}

func (f *faulty) Apply(changes []core.IndexChange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.apply != nil {
		return f.apply
	}
	return f.Index.Apply(changes)
}

func (f *faulty) Query(ctx context.Context, space core.SpaceID, q core.SearchQuery, rank func(core.MatchInfo) float64) ([]core.IndexMatch, error) {
	f.mu.Lock()
	err := f.query
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.Index.Query(ctx, space, q, rank)
}

func (f *faulty) Check(ctx context.Context) error {
	if f.check != nil {
		return f.check
	}
	return f.Index.Check(ctx)
}

func TestDiskIsFull(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "apple")
	var x *faulty
	w.open = func(index search.Index) search.Index {
		x = &faulty{Index: index}
		return x
	}
	s := w.search()
	w.want(s, "apple", "doc")
	x.mu.Lock()
	x.apply = fmt.Errorf("disk is full: %w", syscall.ENOSPC)
	x.mu.Unlock()
	w.put("doc", "pear")
	for _, fresh := range []bool{true, false} {
		if _, err := s.Search(t.Context(), space, "pear", search.Options{Limit: 1, Fresh: fresh}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Search = %v, want ENOSPC", err)
		}
	}
	x.mu.Lock()
	x.apply = nil
	x.mu.Unlock()
	w.want(s, "pear", "doc")
	if !store.HasSearch(w.dir) {
		t.Error("a full disk cost the index")
	}
}

// Damage that shows in a query, in a write, and in the check after a crash.
func TestDamageWhileOpen(t *testing.T) {
	damage := fmt.Errorf("page: %w", core.ErrCorrupt)
	w := newWorld(t)
	w.put("doc", "apple")
	opened := 0
	var x *faulty
	w.open = func(index search.Index) search.Index {
		opened++
		x = &faulty{Index: index}
		if opened == 1 {
			x.check = damage
		}
		return x
	}
	s := w.search()
	w.want(s, "apple", "doc")
	if opened != 2 {
		t.Errorf("opened %d times after a failed check, want 2", opened)
	}
	x.mu.Lock()
	x.query = damage
	x.mu.Unlock()
	if got := idsOf(w.hits(s, "apple", search.Options{Limit: 1})); len(got) != 1 || opened != 3 {
		t.Errorf("found %q, opened %d times after damage in a query", got, opened)
	}
	x.mu.Lock()
	x.apply = damage
	x.mu.Unlock()
	w.put("doc", "pear")
	w.want(s, "pear", "doc")
	if opened != 4 {
		t.Errorf("opened %d times after damage in a write, want 4", opened)
	}
}

// An index that is damaged each time is not made anew without end.
func TestDamageThatStays(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "apple")
	opened := 0
	w.open = func(index search.Index) search.Index {
		opened++
		return &faulty{Index: index, apply: fmt.Errorf("page: %w", core.ErrCorrupt)}
	}
	s := w.search()
	for range 3 {
		if _, err := s.Search(t.Context(), space, "apple", search.Options{Limit: 1}); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Search = %v, want ErrCorrupt", err)
		}
	}
	mustCloseSearch(t, s)
	if opened > 5 { // twice by itself, then as often as somebody asks
		t.Errorf("opened %d times for 3 searches", opened)
	}
}

func TestIndexCannotBeMade(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "apple")
	w.dir = filepath.Join(w.dir, "later")
	s := w.search()
	for _, fresh := range []bool{false, true} {
		if _, err := s.Search(t.Context(), space, "apple", search.Options{Limit: 1, Fresh: fresh}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Search = %v, want ErrNotExist", err)
		}
	}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.want(s, "apple", "doc")
}

func TestFreshIsBounded(t *testing.T) {
	w := newWorld(t)
	w.put("doc", "apple")
	hold := make(chan struct{})
	w.open = func(index search.Index) search.Index {
		<-hold
		return index
	}
	s := w.search()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, fresh := range []bool{true, false} {
		if _, err := s.Search(ctx, space, "apple", search.Options{Limit: 1, Fresh: fresh}); !errors.Is(err, context.Canceled) {
			t.Errorf("Search = %v, want Canceled", err)
		}
	}
	close(hold)
	w.want(s, "apple", "doc")
}

// Close comes while it is being indexed, queried and waited for.
func TestCloseUnderLoad(t *testing.T) {
	w := newWorld(t)
	for i := range 500 {
		w.put(fmt.Sprint("doc", i), strings.Repeat(fmt.Sprintf("word%d apple ", i), 50))
	}
	for round := range 5 {
		s := w.search()
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for {
					_, err := s.Search(context.Background(), space, "apple", search.Options{Limit: 3, Fresh: g%2 == 0})
					if errors.Is(err, core.ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("Search = %v", err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 100 {
				w.put(fmt.Sprint("doc", i), fmt.Sprint("apple ", round, i))
			}
		})
		time.Sleep(time.Duration(round) * 20 * time.Millisecond) // at various stages; any will do
		mustCloseSearch(t, s)
		wg.Wait()
		if _, err := s.Search(context.Background(), space, "apple", search.Options{Limit: 1}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("Search after Close = %v, want ErrClosed", err)
		}
	}
	s := w.search()
	if got := w.ids(s, "apple"); len(got) != 500 {
		t.Errorf("found %d, want 500", len(got))
	}
}
