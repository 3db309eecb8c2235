package search_test

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/search"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/store"
)

func TestMain(m *testing.M) { somatest.Main(m) }

const space = core.SpaceID("space")

// world is documents in memory, with an index of them in a directory.
type world struct {
	t     testing.TB
	dir   string
	rules string
	hub   *events.Hub
	log   *slog.Logger

	mu     sync.Mutex
	docs   map[core.SpaceID]map[core.DocumentID]page
	clock  int64
	loads  map[core.DocumentID]int
	broken map[core.DocumentID]error // what reading a document returns
	listed error                     // what listing documents returns

	open func(search.Index) search.Index // wraps an index
}

type page struct {
	text string
	at   int64
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, dir: t.TempDir(), hub: events.NewHub(), log: slog.New(slog.DiscardHandler),
		docs: map[core.SpaceID]map[core.DocumentID]page{space: {}}, loads: map[core.DocumentID]int{}, broken: map[core.DocumentID]error{},
	}
	t.Cleanup(w.hub.Close)
	return w
}

// search returns a Searcher that the end of the test closes.
func (w *world) search() *search.Searcher {
	s := search.New(search.Config{
		Source: w, Feed: func() search.Feed { return w.hub.Feed() }, Extract: extract, Logger: w.log, Exists: store.HasSearch(w.dir),
		Open: func() (search.Index, error) {
			x, err := store.OpenSearch(w.dir, store.SearchOptions{Source: "test", Rules: w.rules, Logger: w.log})
			if err != nil {
				return nil, err
			}
			if w.open != nil {
				return w.open(x), nil
			}
			return x, nil
		},
	})
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Errorf("Close = %v", err)
		}
	})
	return s
}

// extract takes the first line as the title, unlike what tests of texts alone want.
func extract(doc *yjs.Doc) (title, text string, err error) {
	if root := doc.Root(somatest.Root); root != nil {
		text = root.Text()
	}
	title, _, found := strings.Cut(text, "\n")
	if !found {
		title = ""
	}
	return title, text, nil
}

// put writes a document, and tells of it.
func (w *world) put(id core.DocumentID, text string) { w.putIn(space, id, text) }

func (w *world) putIn(space core.SpaceID, id core.DocumentID, text string) {
	w.mu.Lock()
	w.clock++
	if w.docs[space] == nil {
		w.docs[space] = map[core.DocumentID]page{}
	}
	w.docs[space][id] = page{text, w.clock}
	w.mu.Unlock()
	w.tell(space, id)
}

func (w *world) remove(id core.DocumentID) {
	w.mu.Lock()
	delete(w.docs[space], id)
	w.mu.Unlock()
	w.tell(space, id)
}

func (w *world) tell(space core.SpaceID, id core.DocumentID) {
	w.hub.Emit(events.DomainEvent{Kind: events.DocumentChanged, Source: events.SourceDaemon, SpaceID: space, DocumentID: id})
}

func (w *world) SpaceIDs(context.Context) ([]core.SpaceID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []core.SpaceID
	for id := range w.docs {
		all = append(all, id)
	}
	slices.Sort(all)
	return all, nil
}

func (w *world) Docs(_ context.Context, space core.SpaceID, after core.DocumentID, limit int) ([]core.DocRecord, core.DocumentID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.docs[space] == nil {
		return nil, "", core.ErrNotFound
	}
	if w.listed != nil {
		return nil, "", w.listed
	}
	var all []core.DocRecord
	for id, p := range w.docs[space] {
		if id > after {
			all = append(all, core.DocRecord{Key: 1, ID: id, UpdatedAtMs: p.at})
		}
	}
	slices.SortFunc(all, func(a, b core.DocRecord) int { return cmp.Compare(a.ID, b.ID) })
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], all[limit-1].ID, nil
}

func (w *world) DocRecords(_ context.Context, space core.SpaceID, ids []core.DocumentID) ([]core.DocRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.docs[space] == nil {
		return nil, core.ErrNotFound
	}
	var found []core.DocRecord
	for _, id := range ids {
		if p, ok := w.docs[space][id]; ok {
			found = append(found, core.DocRecord{Key: 1, ID: id, UpdatedAtMs: p.at})
		}
	}
	return found, nil
}

func (w *world) LoadRecord(_ context.Context, space core.SpaceID, id core.DocumentID) (core.DocRecord, *yjs.Doc, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.docs[space][id]
	if !ok {
		return core.DocRecord{}, nil, core.ErrNotFound
	}
	w.loads[id]++
	rec := core.DocRecord{Key: 1, ID: id, UpdatedAtMs: p.at}
	if err := w.broken[id]; err != nil {
		return rec, nil, err
	}
	var updates [][]byte
	if p.text != "" {
		updates = append(updates, somatest.Typed(1, 0, p.text))
	}
	doc, err := yjs.Load(yjs.Options{}, updates...)
	return rec, doc, err
}

// ids searches, up to date unless told otherwise, and returns what was found.
func (w *world) ids(s *search.Searcher, query string) []core.DocumentID {
	w.t.Helper()
	return idsOf(w.hits(s, query, search.Options{Limit: 1000, Fresh: true}))
}

func (w *world) hits(s *search.Searcher, query string, o search.Options) []search.Hit {
	w.t.Helper()
	hits, err := s.Search(context.Background(), space, query, o)
	if err != nil {
		w.t.Fatalf("Search(%q) = %v", query, err)
	}
	return hits
}

func idsOf(hits []search.Hit) []core.DocumentID {
	ids := []core.DocumentID{}
	for _, h := range hits {
		ids = append(ids, h.ID)
	}
	return ids
}

// want fails unless a query finds exactly some documents, in order.
func (w *world) want(s *search.Searcher, query string, ids ...core.DocumentID) {
	w.t.Helper()
	if got := w.ids(s, query); !slices.Equal(got, append([]core.DocumentID{}, ids...)) {
		w.t.Errorf("Search(%q) found %q, want %q", query, got, ids)
	}
}
