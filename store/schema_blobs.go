package store

// schemaBlobs adds blobs. Tables blob and blob_op follow from the log. blob_file says which
// bytes are on this machine, and follows from nothing but them, so each row has a checksum.
const schemaBlobs = `
CREATE TABLE blob (
	space         INTEGER NOT NULL,
	hash          BLOB NOT NULL,
	size          INTEGER NOT NULL,
	mime          TEXT NOT NULL,
	name          TEXT NOT NULL,
	created_by    INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	PRIMARY KEY (space, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_of_hash ON blob (hash);

CREATE TABLE blob_op (
	space INTEGER NOT NULL,
	hash  BLOB NOT NULL,
	entry INTEGER NOT NULL,
	PRIMARY KEY (space, hash, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_file (
	id            INTEGER PRIMARY KEY,
	hash          BLOB NOT NULL UNIQUE,
	size          INTEGER NOT NULL,
	state         INTEGER NOT NULL,
	stored_at_ms  INTEGER NOT NULL,
	unused_at_ms  INTEGER NOT NULL,
	checked_at_ms INTEGER NOT NULL,
	sum           INTEGER NOT NULL,
	blocks        BLOB NOT NULL,
	bytes         BLOB
) STRICT;
CREATE INDEX blob_file_unused ON blob_file (unused_at_ms) WHERE unused_at_ms <> 0;

CREATE TABLE blob_usage (
	space INTEGER PRIMARY KEY,
	blobs INTEGER NOT NULL,
	bytes INTEGER NOT NULL
) STRICT;
`
