package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// MaxTextBytes and MaxTitleBytes bound what is indexed, and found, of one document: the
// beginning of its text and title.
const (
	MaxTextBytes  = 1 << 20
	MaxTitleBytes = 1 << 10
)

// How the indexer works.
const (
	pageDocs   = 256     // documents compared at a time
	batchDocs  = 64      // changes written at a time
	batchBytes = 1 << 20 // or so much of terms

	// delay is how long changes wait for more of them.
	delay = 500 * time.Millisecond
	// While others write, a batch is followed by a rest of so many times its duration,
	// so that indexing takes a tenth of a processor from them.
	restFactor = 9
	maxRest    = 5 * time.Second

	// A purge rewrites the index, so the next one waits for so many times its duration.
	purgeFactor = 100

	minRetry = time.Second
	maxRetry = time.Minute
)

// indexer keeps the index up to date. It belongs to one goroutine.
type indexer struct {
	*Searcher
	feed   Feed
	index  Index // nil while there is none
	todo   todo
	urgent bool // somebody waits for the round at hand
	began  time.Time
	failed int       // rounds in a row
	dirty  bool      // the index was written, or opened, since the last purge
	purges time.Time // when the next one may be
}

// todo is what may have changed.
type todo struct {
	all    bool
	spaces map[core.SpaceID]bool
	docs   map[docRef]bool
}

type docRef struct {
	space core.SpaceID
	doc   core.DocumentID
}

// indexError is an error of the index, not of the documents.
type indexError struct{ error }

// Unwrap returns the error.
func (e indexError) Unwrap() error { return e.error }

func ofIndex(err error) error {
	if err == nil {
		return nil
	}
	return indexError{err}
}

// faultOf returns what makes queries fail. What cannot be read of some documents does not.
func faultOf(err error) error {
	if fault, ok := errors.AsType[indexError](err); ok {
		return fault
	}
	return nil
}

// run works until ctx ends. It begins by comparing all documents with the index.
func (w *indexer) run(ctx context.Context) {
	w.todo = todo{all: true, spaces: map[core.SpaceID]bool{}, docs: map[docRef]bool{}}
	for {
		callers := w.takeCallers() // before the events, which then have what they wait for
		w.urgent = len(callers) > 0
		w.todo.add(w.feed.Take())
		err := w.round(ctx)
		if ctx.Err() != nil {
			return
		}
		w.settle(w.index, faultOf(err))
		for _, done := range callers {
			done <- err
		}
		if err != nil {
			w.failed++
			w.config.Logger.Warn("search index not up to date", "err", err)
		} else {
			w.failed = 0
			w.purge(ctx)
		}
		if !w.sleep(ctx, err) {
			return
		}
	}
}

// add takes note of events.
func (t *todo) add(list []events.DomainEvent) {
	for _, e := range list {
		switch {
		case e.Kind == events.DocumentChanged:
			t.docs[docRef{e.SpaceID, e.DocumentID}] = true
		case e.Kind == events.SpaceChanged && e.Reason == events.ReasonWidened:
			t.spaces[e.SpaceID] = true
		case e.Kind == events.SpacesChanged:
			t.all = true
		}
	}
	if len(t.docs) > events.MaxPending { // of rounds that failed
		for ref := range t.docs {
			t.spaces[ref.space] = true
		}
		clear(t.docs)
	}
}

// round does all there is to do. A damaged index is made anew, once: a second time
// waits for the next round.
func (w *indexer) round(ctx context.Context) error {
	if w.index != nil && w.isSuspect(w.index) {
		w.discard(errors.New("a query found damage"))
	}
	err := w.catchUp(ctx)
	if ctx.Err() == nil && isDamage(faultOf(err)) && w.index != nil {
		w.discard(err)
		if w.failed == 0 {
			err = w.catchUp(ctx)
		}
	}
	return err
}

func isDamage(err error) bool { return errors.Is(err, core.ErrCorrupt) }

func (w *indexer) discard(why error) {
	w.config.Logger.Warn("search index is damaged: it is made anew", "err", why)
	if err := w.index.Discard(); err != nil {
		w.config.Logger.Warn("damaged search index not deleted", "err", err)
	}
	w.index = nil
	w.todo.all = true
}

func (w *indexer) catchUp(ctx context.Context) error {
	w.began = time.Now()
	if w.index == nil {
		index, err := w.config.Open()
		if err != nil {
			return ofIndex(err)
		}
		w.index, w.todo.all, w.dirty = index, true, true
		w.settle(index, nil)
	}
	if err := w.index.Check(ctx); err != nil {
		return ofIndex(err)
	}
	if err := w.compareAll(ctx); err != nil {
		return err
	}
	var err error
	for _, space := range slices.Sorted(maps.Keys(w.todo.spaces)) {
		serr := w.compare(ctx, space)
		if _, broken := errors.AsType[indexError](serr); broken || ctx.Err() != nil {
			return serr
		}
		if serr == nil {
			delete(w.todo.spaces, space)
		}
		err = errors.Join(err, serr) // what is wrong in one space is no reason to leave others
	}
	if !w.index.IsComplete() {
		if err := w.index.SetComplete(); err != nil {
			return ofIndex(err)
		}
	}
	return errors.Join(err, w.changedDocs(ctx))
}

// compareAll takes out spaces that are gone, and has the others compared.
func (w *indexer) compareAll(ctx context.Context) error {
	if !w.todo.all {
		return nil
	}
	spaces, err := w.config.Source.SpaceIDs(ctx)
	if err != nil {
		return err
	}
	for _, space := range spaces {
		w.todo.spaces[space] = true
	}
	indexed, err := w.index.Spaces()
	if err != nil {
		return ofIndex(err)
	}
	for _, space := range indexed {
		if w.todo.spaces[space] {
			continue
		}
		if err := w.drop(space); err != nil {
			return err
		}
	}
	w.todo.all = false
	return nil
}

func (w *indexer) drop(space core.SpaceID) error {
	w.dirty = true
	return ofIndex(w.index.DropSpace(space))
}

// compare indexes the documents of a space that changed since they were indexed. It reads
// both sides a page at a time.
func (w *indexer) compare(ctx context.Context, space core.SpaceID) error {
	for after := core.DocumentID(""); ; {
		docs, next, err := w.config.Source.Docs(ctx, space, after, pageDocs)
		if errors.Is(err, core.ErrNotFound) {
			return w.drop(space)
		}
		if err != nil {
			return fmt.Errorf("list documents of space %s: %w", space, err)
		}
		indexed, err := w.indexed(space, after, next)
		if err != nil {
			return ofIndex(err)
		}
		var differ []docRef
		for _, d := range docs {
			if at, ok := indexed[d.ID]; !ok || at != d.UpdatedAtMs {
				differ = append(differ, docRef{space, d.ID})
			}
			delete(indexed, d.ID)
		}
		for _, id := range slices.Sorted(maps.Keys(indexed)) { // deleted
			differ = append(differ, docRef{space, id})
		}
		if err := w.update(ctx, differ); err != nil || next == "" {
			return err
		}
		after = next
	}
}

// indexed returns the documents in the index with IDs greater than after, up to last, ""
// for no end.
func (w *indexer) indexed(space core.SpaceID, after, last core.DocumentID) (map[core.DocumentID]int64, error) {
	all := map[core.DocumentID]int64{}
	for {
		page, err := w.index.Docs(space, after, pageDocs)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if last != "" && d.ID > last {
				return all, nil
			}
			all[d.ID] = d.UpdatedAtMs
			after = d.ID
		}
		if len(page) < pageDocs {
			return all, nil
		}
	}
}

// changedDocs indexes the documents that events named.
func (w *indexer) changedDocs(ctx context.Context) error {
	refs := slices.SortedFunc(maps.Keys(w.todo.docs), func(a, b docRef) int {
		return cmp.Or(cmp.Compare(a.space, b.space), strings.Compare(a.doc, b.doc))
	})
	if err := w.update(ctx, refs); err != nil {
		return err
	}
	clear(w.todo.docs)
	return nil
}

// update indexes documents as they are now.
func (w *indexer) update(ctx context.Context, refs []docRef) error {
	var changes []core.IndexChange
	size := 0
	for i, ref := range refs {
		change, err := w.change(ctx, ref)
		if err != nil {
			return err
		}
		changes = append(changes, change)
		size += len(change.Title) + len(change.Text)
		if len(changes) < batchDocs && size < batchBytes && i < len(refs)-1 {
			continue
		}
		w.dirty = true
		if err := w.index.Apply(changes); err != nil {
			return ofIndex(err)
		}
		changes, size = changes[:0], 0
		if err := w.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// change reads a document. What cannot be read has no words, until it changes.
func (w *indexer) change(ctx context.Context, ref docRef) (core.IndexChange, error) {
	ch := core.IndexChange{Space: ref.space, Doc: ref.doc}
	rec, doc, err := w.config.Source.LoadRecord(ctx, ref.space, ref.doc)
	switch {
	case errors.Is(err, core.ErrNotFound):
		ch.Gone = true
		return ch, nil
	case err != nil && (rec.Key == 0 || !isDamage(err)):
		return ch, fmt.Errorf("read document %q: %w", ref.doc, err)
	}
	ch.UpdatedAtMs = rec.UpdatedAtMs
	var title, text string
	if err == nil {
		title, text, err = w.content(doc)
	}
	if err != nil {
		w.config.Logger.Warn("document is not searchable", "space", ref.space, "document", ref.doc, "err", err)
		return ch, nil
	}
	ch.Title, ch.Text = spelled(title), spelled(text)
	return ch, nil
}

// cut returns the beginning of a text, of at most n bytes.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// rest lets others work after a batch, if they do. Nobody rests while somebody waits.
func (w *indexer) rest(ctx context.Context) error {
	pause := min(restFactor*time.Since(w.began), maxRest)
	if !w.urgent && w.feed.Waiting() {
		w.pause(ctx, pause)
	}
	w.began = time.Now()
	return ctx.Err()
}

// pause waits, less long if somebody waits for the index.
func (w *indexer) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !w.hasCallers() {
		select {
		case <-timer.C:
			return
		case <-w.called: // by whom was answered already, maybe
		case <-ctx.Done():
			return
		}
	}
}

// purge takes what was deleted out of the files, unless that was done just now.
func (w *indexer) purge(ctx context.Context) {
	began := time.Now()
	if !w.dirty || began.Before(w.purges) {
		return
	}
	w.dirty = false
	rewritten, err := w.index.Purge(ctx)
	if rewritten {
		w.purges = time.Now().Add(purgeFactor * time.Since(began))
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	w.config.Logger.Warn("search index not purged", "err", err)
	if isDamage(err) {
		w.discard(err)
	}
}

// sleep waits until there is something to do. It reports false when ctx has ended.
func (w *indexer) sleep(ctx context.Context, err error) bool {
	if w.index == nil && err == nil { // found damaged by purge
		return ctx.Err() == nil
	}
	if err != nil {
		w.pause(ctx, min(minRetry<<min(w.failed-1, 10), maxRetry))
		return ctx.Err() == nil
	}
	var purge <-chan time.Time
	if w.dirty {
		timer := time.NewTimer(time.Until(w.purges))
		defer timer.Stop()
		purge = timer.C
	}
	for !w.hasCallers() {
		select {
		case <-w.feed.Wake():
			w.pause(ctx, delay)
			return ctx.Err() == nil
		case <-purge:
			w.purge(ctx)
			return ctx.Err() == nil
		case <-w.called:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}
