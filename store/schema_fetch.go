package store

// schemaFetch adds which blobs' bytes are to come to this machine. Its rows refer to no
// other table, and follow from none, so that they outlast a space that is made anew, and
// each has a checksum.
const schemaFetch = `
CREATE TABLE blob_want (
	id    INTEGER PRIMARY KEY,
	space TEXT NOT NULL,
	hash  BLOB NOT NULL,
	sum   INTEGER NOT NULL,
	UNIQUE (space, hash)
) STRICT;
CREATE INDEX blob_want_of_hash ON blob_want (hash);

CREATE TABLE blob_pin (
	id     INTEGER PRIMARY KEY,
	space  TEXT NOT NULL UNIQUE,
	policy INTEGER NOT NULL,
	sum    INTEGER NOT NULL
) STRICT;
CREATE INDEX blob_pin_all ON blob_pin (space) WHERE policy = 1;
`
