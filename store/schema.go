package store

// applicationID marks the file as Soma's ("Soma" in ASCII).
const applicationID = 0x536f6d61

// migrations[n] leads from schema version n to n+1. A released step never
// changes; a new version appends one.
var migrations = []string{schema1, schemaPages, schemaCollections, schemaDrafts, schemaBlobs, schemaUploads, schemaFetch, schemaSync}

// schema1 is the first schema. Keys are integers: peers, writers, spaces and
// documents are named by 8 bytes at most in the rows that multiply.
//
// Small rows that are read in key order are WITHOUT ROWID. Anything that can be
// large lies in a rowid table, behind the small columns, so that reading those
// does not walk its overflow pages.
const schema1 = `
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peer (
	id  INTEGER PRIMARY KEY,
	key BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE space (
	id            INTEGER PRIMARY KEY,
	ident       TEXT NOT NULL UNIQUE,
	name          TEXT NOT NULL,
	creator       INTEGER REFERENCES peer(id),
	created_at_ms INTEGER NOT NULL,
	updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE field (
	space   INTEGER NOT NULL,
	object  TEXT NOT NULL,
	field   TEXT NOT NULL,
	entry   INTEGER NOT NULL,
	hash    BLOB NOT NULL,
	wall_ms INTEGER NOT NULL,
	value   BLOB,
	PRIMARY KEY (space, object, field, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE writer (
	id          INTEGER PRIMARY KEY,
	ident     BLOB NOT NULL UNIQUE,
	peer        INTEGER REFERENCES peer(id),
	incarnation BLOB NOT NULL
) STRICT;

CREATE TABLE entry (
	id     INTEGER PRIMARY KEY,
	space  INTEGER NOT NULL REFERENCES space(id),
	writer INTEGER NOT NULL REFERENCES writer(id),
	chain  INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	hash   BLOB NOT NULL,
	state  INTEGER NOT NULL,
	auth   INTEGER NOT NULL,
	pos    INTEGER NOT NULL,
	gaps   BLOB,
	header BLOB NOT NULL,
	sig    BLOB NOT NULL,
	ops    BLOB,
	UNIQUE (space, hash)
) STRICT;
CREATE INDEX entry_in_order ON entry (space);
CREATE INDEX entry_in_chain ON entry (space, writer, chain, seq);

CREATE TABLE writer_head (
	space  INTEGER NOT NULL,
	writer INTEGER NOT NULL,
	chain  INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	entry  INTEGER NOT NULL,
	hash   BLOB NOT NULL,
	PRIMARY KEY (space, writer, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE frontier (
	space INTEGER NOT NULL,
	chain INTEGER NOT NULL,
	hash  BLOB NOT NULL,
	entry INTEGER NOT NULL,
	PRIMARY KEY (space, chain, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE auth_set (
	id     INTEGER PRIMARY KEY,
	space  INTEGER NOT NULL,
	digest BLOB NOT NULL,
	heads  BLOB NOT NULL,
	UNIQUE (space, digest)
) STRICT;

CREATE TABLE parked (
	id      INTEGER PRIMARY KEY,
	space   INTEGER NOT NULL,
	hash    BLOB NOT NULL,
	author  INTEGER NOT NULL,
	missing BLOB NOT NULL,
	size    INTEGER NOT NULL,
	header  BLOB NOT NULL,
	sig     BLOB NOT NULL,
	ops     BLOB,
	UNIQUE (space, hash)
) STRICT;
CREATE INDEX parked_by_missing ON parked (space, missing);

CREATE TABLE parked_bytes (
	space  INTEGER NOT NULL,
	author INTEGER NOT NULL,
	bytes  INTEGER NOT NULL,
	PRIMARY KEY (space, author)
) STRICT, WITHOUT ROWID;

CREATE TABLE doc (
	id            INTEGER PRIMARY KEY,
	space         INTEGER NOT NULL REFERENCES space(id),
	ident       TEXT NOT NULL,
	created_by    INTEGER REFERENCES peer(id),
	created_at_ms INTEGER NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	hidden        INTEGER NOT NULL,
	epoch         BLOB,
	last_n        INTEGER NOT NULL,
	through_n     INTEGER NOT NULL,
	op_bytes      INTEGER NOT NULL,
	snap_bytes    INTEGER NOT NULL,
	tail_count    INTEGER NOT NULL,
	tail_bytes    INTEGER NOT NULL,
	logged_at_ms  INTEGER NOT NULL,
	UNIQUE (space, ident)
) STRICT;

CREATE TABLE doc_client (
	doc       INTEGER NOT NULL,
	client    INTEGER NOT NULL,
	end_clock INTEGER NOT NULL,
	PRIMARY KEY (doc, client)
) STRICT, WITHOUT ROWID;

CREATE TABLE doc_deleted (
	doc    INTEGER NOT NULL,
	client INTEGER NOT NULL,
	clock  INTEGER NOT NULL,
	len    INTEGER NOT NULL,
	PRIMARY KEY (doc, client, clock)
) STRICT, WITHOUT ROWID;

CREATE TABLE doc_pending (
	doc  INTEGER NOT NULL,
	n    INTEGER NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (doc, n)
) STRICT;

CREATE TABLE doc_early (
	doc  INTEGER PRIMARY KEY,
	body BLOB NOT NULL,
	sum  INTEGER NOT NULL
) STRICT;

CREATE TABLE doc_lost (
	space  INTEGER NOT NULL,
	doc    INTEGER NOT NULL,
	entry  INTEGER NOT NULL,
	client INTEGER NOT NULL,
	clock  INTEGER NOT NULL,
	len    INTEGER NOT NULL,
	PRIMARY KEY (space, doc, entry, client, clock)
) STRICT, WITHOUT ROWID;

CREATE TABLE doc_snapshot (
	doc  INTEGER PRIMARY KEY,
	body BLOB NOT NULL
) STRICT;

CREATE TABLE doc_op (
	doc   INTEGER NOT NULL,
	n     INTEGER NOT NULL,
	entry INTEGER NOT NULL,
	off   INTEGER NOT NULL,
	len   INTEGER NOT NULL,
	PRIMARY KEY (doc, n)
) STRICT, WITHOUT ROWID;

-- Appended by row id: updates of many documents that share a commit share a page,
-- where a key of (doc, n) would write a page for each.
CREATE TABLE tail (
	id    INTEGER PRIMARY KEY,
	doc   INTEGER NOT NULL,
	n     INTEGER NOT NULL,
	op_id BLOB NOT NULL,
	body  BLOB NOT NULL,
	sum   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX tail_doc ON tail (doc, n);

CREATE TABLE member (
	space    INTEGER NOT NULL,
	peer     INTEGER NOT NULL REFERENCES peer(id),
	role     INTEGER NOT NULL,
	kind     INTEGER NOT NULL,
	added_by INTEGER NOT NULL,
	since    BLOB NOT NULL,
	PRIMARY KEY (space, peer)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
	space      INTEGER NOT NULL,
	ident      BLOB NOT NULL,
	role       INTEGER NOT NULL,
	created_by INTEGER NOT NULL,
	uses       INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	PRIMARY KEY (space, ident)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict (
	space   INTEGER NOT NULL,
	entry   INTEGER NOT NULL,
	cut     BLOB NOT NULL,
	voucher INTEGER NOT NULL,
	PRIMARY KEY (space, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE joining (
	ident  TEXT PRIMARY KEY,
	ticket BLOB NOT NULL,
	sum    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX writer_of_peer ON writer (peer);

CREATE INDEX entry_membership ON entry (space) WHERE chain = 0;
`
