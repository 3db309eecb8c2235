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

// Config is what a Searcher is made of. All fields but Exists are required.
type Config struct {
	Source  Source
	Feed    func() Feed
	Open    func() (Index, error) // opens the index, or makes an empty one
	Exists  bool                  // there is an index: somebody searched before
	Extract Extract
	Logger  *slog.Logger
}

// Searcher answers queries and keeps the index for them. It is safe for concurrent use.
type Searcher struct {
	config  Config
	ready   chan struct{} // closed when the index was opened, or could not be
	called  chan struct{} // has a value when callers wait
	stopped chan struct{} // closed when the indexer has ended

	mu      sync.Mutex
	closed  bool
	stop    context.CancelFunc // nil until the indexer was started
	feed    Feed
	index   Index // nil while there is none
	suspect Index // a query found it damaged
	fault   error // why the index is not up to date, nil if it is or will be
	callers []chan error
}

// New returns a Searcher. If an index exists, it is brought up to date in the background;
// else it is made when somebody searches for the first time, and until then nothing
// happens. It neither waits nor fails. Close ends it.
func New(c Config) *Searcher {
	s := &Searcher{config: c, stopped: make(chan struct{}), ready: make(chan struct{}), called: make(chan struct{}, 1)}
	if c.Exists {
		_ = s.start() // only a closed one does not start
	}
	return s
}

// start starts the indexer, unless it runs.
func (s *Searcher) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return core.ErrClosed
	}
	if s.stop != nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.feed = s.config.Feed() // before the documents are read for the first time
	w := indexer{Searcher: s, feed: s.feed}
	go func() {
		defer close(s.stopped)
		w.run(ctx)
	}()
	return nil
}

// Close ends the indexing, between two batches, and closes the index. Calls that wait
// return core.ErrClosed.
func (s *Searcher) Close() error {
	s.mu.Lock()
	closed, stop := s.closed, s.stop
	s.closed = true
	s.mu.Unlock()
	if closed || stop == nil {
		return nil
	}
	stop()
	<-s.stopped
	s.feed.Close()
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
	if err := s.start(); err != nil {
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

// query asks the index. It waits for one that is not complete, and if one is found
// damaged, for another, once.
func (s *Searcher) query(ctx context.Context, space core.SpaceID, q core.SearchQuery) ([]core.IndexMatch, error) {
	for again := false; ; again = true {
		index, err := s.complete(ctx)
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

// complete returns an index in which all documents are, as they were at some time. If
// something is wrong with it, that is tried once more.
func (s *Searcher) complete(ctx context.Context) (Index, error) {
	index, err := s.current(ctx)
	if err == nil && index.IsComplete() {
		return index, nil
	}
	waited := s.wait(ctx)
	if index, err = s.current(ctx); err == nil && !index.IsComplete() {
		err = waited
		if err == nil { // found damaged once more, just now
			err = core.ErrCorrupt
		}
	}
	return index, err
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
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}
