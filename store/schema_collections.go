package store

// schemaCollections adds what stays on this machine. None of it follows from the log, so
// every row has a checksum.
//
// The id of a record is its collection's key and its position in one number (recordID):
// a collection lies together, in order of insertion, without an index for it. Its age_ms is
// updated_at_ms or earlier: moving a record in the index with each write would double what
// the write costs, so that is left to who looks for the oldest.
const schemaCollections = `
CREATE TABLE collection (
	id            INTEGER PRIMARY KEY,
	name          TEXT NOT NULL UNIQUE,
	version       INTEGER NOT NULL,
	stale         INTEGER NOT NULL,
	seq           INTEGER NOT NULL,
	position      INTEGER NOT NULL,
	records       INTEGER NOT NULL,
	bytes         INTEGER NOT NULL,
	tombstones    INTEGER NOT NULL,
	cleared_at_ms INTEGER NOT NULL,
	sum           INTEGER NOT NULL
) STRICT;

CREATE TABLE record (
	id            INTEGER PRIMARY KEY,
	collection    INTEGER NOT NULL,
	key           TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	age_ms        INTEGER NOT NULL,
	seq           INTEGER NOT NULL,
	version       INTEGER NOT NULL,
	version_key   TEXT NOT NULL,
	seen          BLOB NOT NULL,
	sum           INTEGER NOT NULL,
	value         BLOB NOT NULL,
	UNIQUE (collection, key)
) STRICT;
CREATE INDEX record_by_age ON record (collection, age_ms, key);

CREATE TABLE tombstone (
	id            INTEGER PRIMARY KEY,
	collection    INTEGER NOT NULL,
	key           TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	made_at_ms    INTEGER NOT NULL,
	seq           INTEGER NOT NULL,
	seen          BLOB NOT NULL,
	sum           INTEGER NOT NULL,
	UNIQUE (collection, key)
) STRICT;
CREATE INDEX tombstone_by_age ON tombstone (collection, made_at_ms);

CREATE TABLE quarantine (
	id            INTEGER PRIMARY KEY,
	collection    INTEGER NOT NULL,
	key           TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	reason        TEXT NOT NULL,
	sum           INTEGER NOT NULL,
	value         BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_of ON quarantine (collection);
`
