package store

// schemaDrafts adds the mailbox. It refers to no other table, and follows from none, so
// each row has a checksum. A row gets a new id with each change: that is their order. No id
// comes twice.
const schemaDrafts = `
CREATE TABLE draft (
	id                 INTEGER PRIMARY KEY,
	space              TEXT NOT NULL,
	doc                TEXT NOT NULL,
	updated_at_ms      INTEGER NOT NULL,
	base_updated_at_ms INTEGER NOT NULL,
	conflict           INTEGER NOT NULL,
	cleared            INTEGER NOT NULL,
	cleared_at_ms      INTEGER NOT NULL,
	sum                INTEGER NOT NULL,
	base_vector        BLOB NOT NULL,
	snippet            TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX draft_live ON draft (space, doc) WHERE cleared = 0;
CREATE INDEX draft_live_by_age ON draft (updated_at_ms) WHERE cleared = 0;
CREATE INDEX draft_cleared ON draft (space, doc) WHERE cleared <> 0;
CREATE INDEX draft_cleared_by_age ON draft (updated_at_ms) WHERE cleared <> 0;
CREATE INDEX draft_by_age ON draft (updated_at_ms);
`
