package store

// pragma is a setting of a connection and what SQLite must answer to a question for it.
type pragma struct{ name, set, want string }

// creationPragmas returns the settings that become part of the database. They
// count before the first page is written only, and setting auto_vacuum later
// would still cost a write at each opening.
func creationPragmas() []pragma {
	return []pragma{
		{"page_size", "4096", "4096"},
		{"auto_vacuum", "INCREMENTAL", "2"},
	}
}

// writerPragmas returns the settings of the writing connection, in order.
func writerPragmas(relaxed bool) []pragma {
	synchronous := synchronousFull
	if relaxed {
		synchronous = synchronousNormal
	}
	return []pragma{
		{"journal_mode", "WAL", "wal"},
		synchronous,
		{"foreign_keys", "ON", "1"},
		{"cache_size", "-16000", "-16000"},
		{"mmap_size", "0", "0"}, // a fault on a mapped page is SIGBUS in the host
		{"temp_store", "MEMORY", "2"},
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"},
		{"journal_size_limit", "67108864", "67108864"},
		{"fullfsync", "1", "1"},
		{"checkpoint_fullfsync", "1", "1"},
		{"busy_timeout", "5000", "5000"},
	}
}

// readerPragmas returns the settings of a reading connection.
func readerPragmas() []pragma {
	return append(writerPragmas(false), pragma{"query_only", "ON", "1"})
}

// The two levels a writer can commit at: FULL syncs the log at each commit.
var (
	synchronousFull   = pragma{"synchronous", "FULL", "2"}
	synchronousNormal = pragma{"synchronous", "NORMAL", "1"}
)
