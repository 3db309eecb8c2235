package store

import "path/filepath"

// Path returns the database file. Nobody else may open it while the store is open:
// closing a second handle would drop SQLite's locks.
func (db *DB) Path() string { return filepath.Join(db.dir, databaseName) }
