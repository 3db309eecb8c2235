package search

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Config is what a Searcher is made of. All fields are required.
type Config struct {
	Source  Source
	Feed    Feed                  // begun before the documents are read for the first time
	Open    func() (Index, error) // opens the index, or makes an empty one
	Extract Extract
	Logger  *slog.Logger
}

// Searcher answers queries and keeps the index for them. It is safe for concurrent use.
type Searcher struct {
	config  Config
	stop    context.CancelFunc
	stopped chan struct{} // closed when the indexer has ended
	ready   chan struct{} // closed when the index was opened, or could not be
	called  chan struct{} // has a value when callers wait

	mu      sync.Mutex
	index   Index // nil while there is none
	suspect Index // a query found it damaged
	fault   error // why the index is not up to date, nil if it is or will be
	callers []chan error
}

// Start begins to index in the background. It neither waits nor fails. Close ends it.
func Start(c Config) *Searcher {
	ctx, stop := context.WithCancel(context.Background())
	s := &Searcher{
		config: c, stop: stop, stopped: make(chan struct{}), ready: make(chan struct{}), called: make(chan struct{}, 1),
	}
	go func() {
		defer close(s.stopped)
		w := indexer{Searcher: s}
		w.run(ctx)
		w.settle(w.index, nil)
	}()
	return s
}

// Close ends the indexing, between two batches, and closes the index. Calls that wait
// return core.ErrClosed.
func (s *Searcher) Close() error {
	s.stop()
	<-s.stopped
	s.config.Feed.Close()
	s.mu.Lock()
	index := s.index
	s.index, s.fault = nil, core.ErrClosed
	s.mu.Unlock()
	if index == nil {
		return nil
	}
	return index.Close()
}

// Options say what Search returns.
type Options struct {
	Limit  int // at most so many hits
	Offset int // after so many
	Fresh  bool
}

// Hit is a document that was found.
type Hit struct {
	ID           core.DocumentID
	Title        string
	TitleMatches []Range
	Snippet      Snippet
	Score        float64
	UpdatedAtMs  int64
}

// Search returns the documents of a space that match a query, best first. The index says
// which ones may; whether they do, and where, is looked up in the documents themselves.
// It returns core.ErrNotFound for an unknown space, and why there is no index.
func (s *Searcher) Search(ctx context.Context, space core.SpaceID, text string, o Options) ([]Hit, error) {
	if _, err := s.config.Source.DocRecords(ctx, space, nil); err != nil {
		return nil, err
	}
	if o.Fresh {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	q := parse(text)
	if len(q.All) == 0 || o.Limit == 0 {
		return nil, nil
	}
	found, err := s.query(ctx, space, q)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b core.IndexMatch) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.UpdatedAtMs, a.UpdatedAtMs), strings.Compare(a.ID, b.ID))
	})
	r := reader{Searcher: s, space: space, query: q, skip: o.Offset, limit: o.Limit}
	for page := range slices.Chunk(found, pageDocs) {
		if err := r.read(ctx, page); err != nil || len(r.hits) == r.limit {
			return r.hits, err
		}
	}
	return r.hits, nil
}

// query asks the index. If that is damaged, it waits for another, once.
func (s *Searcher) query(ctx context.Context, space core.SpaceID, q core.SearchQuery) ([]core.IndexMatch, error) {
	for again := false; ; again = true {
		index, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		found, err := index.Query(ctx, space, q, func(m core.MatchInfo) float64 { return rank(m, q.Weights) })
		switch {
		case err == nil || again:
			return found, err
		case errors.Is(err, core.ErrCorrupt):
			s.mu.Lock()
			s.suspect = index
			s.mu.Unlock()
		case !errors.Is(err, core.ErrClosed): // else it was replaced meanwhile
			return nil, err
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// reader reads the documents of matches, in order.
type reader struct {
	*Searcher
	space core.SpaceID
	query core.SearchQuery
	skip  int
	limit int
	hits  []Hit
}

func (r *reader) read(ctx context.Context, page []core.IndexMatch) error {
	ids := make([]core.DocumentID, len(page))
	for i, m := range page {
		ids[i] = m.ID
	}
	recs, err := r.config.Source.DocRecords(ctx, r.space, ids)
	if err != nil {
		return err
	}
	for _, m := range page {
		if len(recs) == 0 || recs[0].ID != m.ID { // deleted since
			continue
		}
		current := recs[0].UpdatedAtMs == m.UpdatedAtMs
		recs = recs[1:]
		if r.skip > 0 && current {
			r.skip--
			continue
		}
		hit, ok, err := r.hit(ctx, m)
		switch {
		case err != nil:
			return err
		case !ok:
		case r.skip > 0:
			r.skip--
		default:
			r.hits = append(r.hits, hit)
		}
		if len(r.hits) == r.limit {
			return nil
		}
	}
	return nil
}

// hit reads a document. It reports false for one that does not match any more.
func (r *reader) hit(ctx context.Context, m core.IndexMatch) (Hit, bool, error) {
	rec, doc, err := r.config.Source.LoadRecord(ctx, r.space, m.ID)
	if errors.Is(err, core.ErrNotFound) || rec.Key != 0 && isDamage(err) {
		return Hit{}, false, nil
	}
	if err != nil {
		return Hit{}, false, err
	}
	title, text, err := r.content(doc)
	if err != nil { // it has no words, as far as can be known
		return Hit{}, false, nil //nolint:nilerr // reading it fails again where its text is asked for
	}
	f := newFinder(r.query)
	inTitle, inText := f.find(title), f.find(text)
	return Hit{
		ID: m.ID, Title: title, TitleMatches: within(inTitle, Range{0, len(title)}), Snippet: snippet(text, inText),
		Score: m.Score, UpdatedAtMs: rec.UpdatedAtMs,
	}, f.matches(), nil
}

// content returns what is indexed of a document.
func (s *Searcher) content(doc *yjs.Doc) (title, text string, err error) {
	title, text, err = s.config.Extract(doc)
	return cut(title, MaxTitleBytes), cut(text, MaxTextBytes), err
}

// current returns the index. It waits until it has been opened.
func (s *Searcher) current(ctx context.Context) (Index, error) {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.stopped:
		return nil, core.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return nil, s.fault
	}
	return s.index, nil
}

// wait returns when all is indexed that was written before, or with the reason why not.
func (s *Searcher) wait(ctx context.Context) error {
	done := make(chan error, 1)
	s.mu.Lock()
	s.callers = append(s.callers, done)
	s.mu.Unlock()
	select {
	case s.called <- struct{}{}:
	default:
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return core.ErrClosed
	}
}

func (s *Searcher) takeCallers() []chan error {
	s.mu.Lock()
	defer s.mu.Unlock()
	callers := s.callers
	s.callers = nil
	return callers
}

func (s *Searcher) hasCallers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.callers) > 0
}

func (s *Searcher) isSuspect(index Index) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspect == index
}

// settle says with which index queries go on, and whether it is up to date.
func (s *Searcher) settle(index Index, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.fault = index, fault
	if index == nil && fault == nil {
		s.fault = core.ErrClosed
	}
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}
