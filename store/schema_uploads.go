package store

// schemaUploads adds the outbox. It refers to no other table, and follows from none, so
// each row has a checksum. States from 5 on are those of jobs that have finished.
const schemaUploads = `
CREATE TABLE upload_job (
	id              INTEGER PRIMARY KEY,
	ident           TEXT NOT NULL UNIQUE,
	space           TEXT NOT NULL,
	state           INTEGER NOT NULL,
	path            TEXT NOT NULL,
	name            TEXT NOT NULL,
	mime            TEXT NOT NULL,
	size            INTEGER NOT NULL,
	modified_ns     INTEGER NOT NULL,
	hash            BLOB NOT NULL,
	attempts        INTEGER NOT NULL,
	sent_bytes      INTEGER NOT NULL,
	last_error      TEXT NOT NULL,
	permanent       INTEGER NOT NULL,
	next_attempt_ms INTEGER NOT NULL,
	created_at_ms   INTEGER NOT NULL,
	updated_at_ms   INTEGER NOT NULL,
	renderer_at_ms  INTEGER NOT NULL,
	seq             INTEGER NOT NULL,
	known_seq       INTEGER NOT NULL,
	sum             INTEGER NOT NULL,
	seen            BLOB NOT NULL,
	renderer        BLOB NOT NULL
) STRICT;

CREATE INDEX upload_by_change ON upload_job (seq);
CREATE INDEX upload_active ON upload_job (state) WHERE state < 5;
CREATE INDEX upload_finished ON upload_job (updated_at_ms) WHERE state >= 5;
`
