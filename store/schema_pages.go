package store

// schemaPages adds the tree of pages. Positions are blobs: they are compared as bytes.
const schemaPages = `
CREATE TABLE page (
	space         INTEGER NOT NULL,
	ident         TEXT NOT NULL,
	parent        TEXT NOT NULL,
	position      BLOB NOT NULL,
	state         INTEGER NOT NULL,
	under         TEXT NOT NULL,
	title         TEXT NOT NULL,
	archived      INTEGER NOT NULL,
	created_by    INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	updated_at_ms INTEGER NOT NULL,
	PRIMARY KEY (space, ident)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_under ON page (space, under, position, ident) WHERE state & 1 <> 0;
CREATE INDEX page_orphan ON page (space, parent) WHERE under <> parent;
CREATE INDEX page_trashed ON page (space, ident) WHERE state & 2 <> 0;

CREATE TABLE page_move (
	space        INTEGER NOT NULL,
	lamport      INTEGER NOT NULL,
	author       BLOB NOT NULL,
	hash         BLOB NOT NULL,
	n            INTEGER NOT NULL,
	entry        INTEGER NOT NULL,
	page         TEXT NOT NULL,
	kind         INTEGER NOT NULL,
	parent       TEXT NOT NULL,
	position     BLOB NOT NULL,
	was_parent   TEXT NOT NULL,
	was_position BLOB NOT NULL,
	was_state    INTEGER NOT NULL,
	PRIMARY KEY (space, lamport, author, hash, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_move_of ON page_move (space, page);

CREATE TABLE page_put (
	space INTEGER NOT NULL,
	page  TEXT NOT NULL,
	entry INTEGER NOT NULL,
	PRIMARY KEY (space, page, entry)
) STRICT, WITHOUT ROWID;
`
