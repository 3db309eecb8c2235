package store

// schemaSync adds what is known of peers. It follows from nothing, and names spaces,
// peers and writers in full, so that it outlives whatever is made anew; each row has a
// checksum.
const schemaSync = `
CREATE TABLE ack (
	space  TEXT NOT NULL,
	peer   BLOB NOT NULL,
	writer BLOB NOT NULL,
	chain  INTEGER NOT NULL,
	tips   BLOB NOT NULL,
	sum    INTEGER NOT NULL,
	PRIMARY KEY (space, peer, writer, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE exchange (
	space TEXT NOT NULL,
	peer  BLOB NOT NULL,
	epoch BLOB NOT NULL,
	row   INTEGER NOT NULL,
	at_ms INTEGER NOT NULL,
	sum   INTEGER NOT NULL,
	PRIMARY KEY (space, peer)
) STRICT, WITHOUT ROWID;

CREATE TABLE address (
	peer      BLOB PRIMARY KEY,
	addresses BLOB NOT NULL,
	seen_ms   INTEGER NOT NULL,
	blocked   INTEGER NOT NULL,
	sum       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
