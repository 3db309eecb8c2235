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
//   - authority.go, judge.go, vouch.go: who may do what, and what becomes of content
//     whose author had lost the right; member.go, invite.go: own acts; rejected.go
//   - document.go, project.go, waiting.go: what a doc.update means for a document
//   - rebuild.go: making a document anew after what became of its entries changed
//   - state.go: reading a document; compact.go: keeping that cheap
//   - space.go: spaces and their fields; transfer.go: export and import
//   - share.go, pull.go: the log as a sync node asks for it; logcache.go, rowtree.go: its
//     rows in memory, by which two logs are compared; circle.go: who may see what; feed.go:
//     what was committed, told once it is on disk; acks.go: what others have; addressbook.go
package replica
