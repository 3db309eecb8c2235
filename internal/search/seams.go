package search

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Index holds the terms of documents. The indexer alone calls what is not said to be
// for others. core.ErrCorrupt says that the index is damaged.
type Index interface {
	// Spaces returns the spaces that have documents in it.
	Spaces() ([]core.SpaceID, error)
	// Docs returns up to limit documents of a space with IDs greater than after, in
	// order of ID (bytewise).
	Docs(space core.SpaceID, after core.DocumentID, limit int) ([]core.IndexedDoc, error)
	// Apply makes changes, all or none. A document is in them once.
	Apply([]core.IndexChange) error
	// DropSpace takes a space out.
	DropSpace(core.SpaceID) error
	// Query returns the documents of a space that match, in no order. It may be called
	// at any time.
	Query(ctx context.Context, space core.SpaceID, q core.SearchQuery, rank func(core.MatchInfo) float64) ([]core.IndexMatch, error)
	// IsComplete reports whether SetComplete was ever called: all documents were in it
	// at some time. It may be called at any time.
	IsComplete() bool
	SetComplete() error
	// Check looks for damage that a crash may have left.
	Check(context.Context) error
	// Purge makes sure that nothing is left of what was taken out. It reports whether
	// it had to rewrite the index for that.
	Purge(context.Context) (bool, error)
	// Close lets queries finish.
	Close() error
	// Discard closes and deletes it.
	Discard() error
}

// Source has the documents. core.ErrNotFound stands for an unknown space, and for a
// document that is unknown or deleted.
type Source interface {
	SpaceIDs(context.Context) ([]core.SpaceID, error)
	// Docs returns a page of the documents of a space in order of ID, and the ID to go
	// on after, "" at the end.
	Docs(ctx context.Context, space core.SpaceID, after core.DocumentID, limit int) ([]core.DocRecord, core.DocumentID, error)
	// DocRecords returns the records of those documents that are there.
	DocRecords(ctx context.Context, space core.SpaceID, ids []core.DocumentID) ([]core.DocRecord, error)
	// LoadRecord returns a document with its record as of the same moment. With
	// core.ErrCorrupt the record may be there all the same.
	LoadRecord(ctx context.Context, space core.SpaceID, id core.DocumentID) (core.DocRecord, *yjs.Doc, error)
}

// Feed tells which documents changed. A change is in it before the call that made it returns.
type Feed interface {
	Wake() <-chan struct{}
	Waiting() bool
	Take() []events.DomainEvent
	Close()
}

// Extract returns the title and the text of a document.
type Extract func(*yjs.Doc) (title, text string, err error)
