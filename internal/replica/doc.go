// Package replica keeps spaces: it turns local calls into signed entries, takes
// in the entries of others by the same rules, and maintains what hosts read, the
// projections of the log.
//
// It owns no rows and no formats. Package store keeps the rows behind
// core.Store, package log defines entries and who may write them, package yjs
// merges documents. What is here is the order of things:
//
//   - append.go: an own entry, from ops to the log
//   - tail.go: when ops that are durable already become entries (sealing)
//   - accept.go: an entry of others, from bytes to the log or to the waiting room
//   - document.go, project.go: what a doc.update means for a document
//   - state.go: reading a document; compact.go: keeping that cheap
//   - space.go: spaces and their fields; transfer.go: export and import
package replica
