// Package search finds documents by words in their titles and texts.
//
// The words are in an index (Index, which package store implements beside the database)
// that can be lost at any time: it is made from the documents in the background, by
// comparing when a document was changed with when it was indexed. Nothing of that can
// make a write fail, or wait.
//
// fold.go and term.go say what a word is, query.go what a query asks for, rank.go how
// well a document fits. indexer.go keeps the index up to date. search.go answers: it asks
// the index which documents may match, and the database whether they do.
package search
