package soma

import (
	"context"
	"fmt"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/search"
	"github.com/soma-sdk/soma/internal/shape"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/store"
)

// Limits of Search.
const (
	// MaxSearchText is how many bytes of a document's text can be found: the first ones.
	MaxSearchText = search.MaxTextBytes
	// MaxSearchTitle is how many bytes of a document's title can be found.
	MaxSearchTitle = search.MaxTitleBytes
	// MaxSearchTerms is how many terms of a query count, the first ones.
	MaxSearchTerms = search.MaxQueryTerms
	// MaxSearchHits is how many hits one call returns at most.
	MaxSearchHits = 1000
	// DefaultSearchHits is how many it returns unless WithLimit says otherwise.
	DefaultSearchHits = 20
)

// TextRange is a part of a string, in bytes of its UTF-8, from Start up to before End.
type TextRange = search.Range

// Snippet is a part of a document's text, in which most of a query is: about 160
// characters, that begin and end with whole words.
type Snippet struct {
	Text    string      // plain text, not HTML; line breaks and tabs are spaces
	Matches []TextRange // the parts of Text that match, in order, apart from each other
	Before  bool        // the document has text before it
	After   bool        // the document has text after it
}

// SearchHit is a document that Search found.
type SearchHit struct {
	DocumentID   DocumentID
	Title        string      // its first MaxSearchTitle bytes
	TitleMatches []TextRange // the parts of Title that match, in order, apart from each other
	Snippet      Snippet     // the beginning of the text where only the title matches
	Score        float64     // higher is better; of use only to compare hits of one query
	UpdatedAtMs  int64       // as DocumentInfo
}

// SearchOption changes one Search.
type SearchOption func(*search.Options) error

// WithLimit sets how many hits Search returns at most, from 1 to MaxSearchHits.
func WithLimit(n int) SearchOption {
	return func(o *search.Options) error {
		if n < 1 || n > MaxSearchHits {
			return fmt.Errorf("limit %d, 1 to %d are allowed: %w", n, MaxSearchHits, ErrInvalidOption)
		}
		o.Limit = n
		return nil
	}
}

// WithOffset leaves out the first n hits, for the next page.
func WithOffset(n int) SearchOption {
	return func(o *search.Options) error {
		if n < 0 {
			return fmt.Errorf("offset %d: %w", n, ErrInvalidOption)
		}
		o.Offset = n
		return nil
	}
}

// WithFresh makes Search wait until every write that returned before the call can be
// found.
func WithFresh() SearchOption {
	return func(o *search.Options) error {
		o.Fresh = true
		return nil
	}
}

// Search finds documents of a space by the words in their titles and texts, the best
// match first. Deleted documents are not found.
//
// A document is found if it holds every word of the query. A word also stands for those
// that it is the beginning of ("note" finds "notes"), where itself it counts more. Words
// in quotes have to follow each other, each whole. A word, or quoted words, with "-" in
// front must not be there. Nothing else in a query has a meaning, and none is an error:
// one without words finds nothing, and so does one with excluded words only.
//
// Case, accents, width (ｗｉｄｅ) and compatibility forms (ﬁ) do not matter, in the documents
// and in the query. A word is a run of letters and digits; what is written with other
// signs between ("e-mail", "don't") is looked for as words that follow each other. In
// scripts without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) any part of
// a run of characters can be looked for, also a single character. Emoji are words.
//
// Matches in the title count five times those in the text. Scores are by BM25: words that
// few documents have count more, and long documents less. Of equal scores the document
// that was updated last is first. The title is that of Title.
//
// The first Search in a directory makes an index, the file search.db, of all documents,
// and waits until they are in it. From then on the index is kept up to date in the
// background, also when the directory is opened again: half a second after a change, or
// later while much is written. Search does not wait for that (WithFresh does): it may miss
// what was written just now, but what it returns is checked with the documents as they
// are, and none is found by words that it does not have any more. An index that is damaged
// or of another version is made anew, and then waited for. No write depends on it.
//
// ctx interrupts. Errors: ErrNotFound for an unknown space, ErrInvalidID, ErrInvalidOption
// (also after WithoutSearch), and those of the disk while the index cannot be written.
func (d Documents) Search(ctx context.Context, space SpaceID, query string, opts ...SearchOption) ([]SearchHit, error) {
	o := search.Options{Limit: DefaultSearchHits}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if err := checkSpace(space); err != nil {
		return nil, err
	}
	if err := d.db.begin(); err != nil {
		return nil, err
	}
	defer d.db.end()
	if d.db.search == nil {
		return nil, fmt.Errorf("search is turned off: %w", ErrInvalidOption)
	}
	found, err := d.db.search.Search(ctx, space, query, o)
	if err != nil {
		return nil, fmt.Errorf("search space %s: %w", space, err)
	}
	hits := make([]SearchHit, len(found))
	for i, h := range found {
		hits[i] = SearchHit{
			DocumentID: h.ID, Title: h.Title, TitleMatches: h.TitleMatches, Snippet: Snippet(h.Snippet),
			Score: h.Score, UpdatedAtMs: h.UpdatedAtMs,
		}
	}
	return hits, nil
}

// textRules counts the changes of what searchText returns.
const textRules = 1

// searchText returns what can be found of a document.
func searchText(doc *yjs.Doc) (title, text string, err error) {
	if text, err = shape.Text(doc, shape.Source{}, "\n"); err == nil {
		title, err = shape.Title(doc, shape.Source{})
	}
	return title, text, err
}

// startSearch brings the index of dir up to date in the background, or deletes it.
func startSearch(dir string, rep *replica.Replica, hub *events.Hub, o *options) (*search.Searcher, error) {
	if o.noSearch {
		if err := store.RemoveSearch(dir); err != nil {
			o.logger.Warn("search index not deleted", "err", err)
		}
		return nil, nil
	}
	// Times of changes tell documents apart within one copy of a directory only.
	incarnation, err := rep.Incarnation(context.Background())
	if err != nil {
		return nil, err
	}
	so := store.SearchOptions{
		Source: fmt.Sprintf("%x", incarnation),
		Rules:  fmt.Sprintf("%d.%d %s %s", search.Rules, textRules, unicode.Version, norm.Version),
		Logger: o.logger,
	}
	return search.New(search.Config{
		Source: rep, Feed: func() search.Feed { return hub.Feed() }, Extract: searchText, Logger: o.logger, Exists: store.HasSearch(dir),
		Open: func() (search.Index, error) { return store.OpenSearch(dir, so) },
	}), nil
}

// closeSearch ends the indexing. What goes wrong with an index is no error of a host's.
func (db *DB) closeSearch() {
	if db.search == nil {
		return
	}
	if err := db.search.Close(); err != nil {
		db.logger.Warn("search index not closed", "err", err)
	}
}
