// Package core is the leaf of the package graph: the identifiers, the raw
// entry and the sentinel errors that the root package, the store, the log and
// the sync node share. It imports nothing else of this module.
package core
