// Package exchange brings two logs together: /soma/sync/1. A client (Pull) asks, a server
// (Serve) answers, over one stream. What the client has more than the server, the server
// gets by a Pull of its own, over another stream, so neither waits for the other.
//
// A Pull, in order:
//
//   - Hello, with one hash over all spaces: if it is the server's, all of them are the same
//   - otherwise the server lists its digests, and for each space that differs the client asks
//     for the rows since the last time, or walks down the tree of rows (rows.go). If one
//     shows own entries that are not here, the directory goes on as another writer, before
//     the server is given any (share.Pair.MarkCompared)
//   - the missing entries come, those of the membership chain first, and are taken in
//     batches (fetch.go); where one waits for an entry of its own writer, a fork is looked
//     for (fork.go)
//   - of spaces that the server does not show, but should, it is reminded (remind.go): a
//     directory that was put back may have lost whom it let in
//   - what was taken is acknowledged, so that the server knows what of its own is not
//     only there
//
// A cut loses nothing: what was taken is there, and the mark of the last time moves only
// when all before it is. What is refused is remembered while the two are connected, and not
// fetched again.
//
// A peer that may see nothing gets the answer of one with nothing to see. Who is removed
// while connected is told once what led to that (last.go), and nothing after it.
package exchange
