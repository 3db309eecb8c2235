// Package store keeps a replica's rows in one SQLite database. It is the only
// place of this module with SQL in it and implements core.Store.
//
// A directory holds soma.db (with its -wal and -shm files while open),
// soma.lock, which is locked for as long as a handle is open, soma.lock.owner,
// which names the holder for error messages, and soma.unclean, which exists
// while a handle is open and so survives a crash.
//
// search.db is apart from all that: SearchIndex, which may be deleted at any time.
//
// One goroutine owns the only writing connection. It takes every job that is
// waiting into one transaction, each in a savepoint, and answers after the
// commit reached the disk: sixty callers share one fsync. Readers have
// connections of their own and never wait for the writer.
//
// Connections are used through the driver, not through database/sql: a
// connection has one user at a time here, so its pool, its locks and its
// conversions would only cost (a point read takes about half the time without).
package store
