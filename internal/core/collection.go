package core

// CollectionView is the part of View that reads collections. Keys of records are in
// their stored form: "s:" and a string, or "n:" and a number.
type CollectionView interface {
	// Collection returns ErrNotFound for a name that nothing was written under.
	Collection(name string) (CollectionRow, error)
	// Collections returns up to limit collections with names greater than after, in
	// order of name (bytewise).
	Collections(after string, limit int) ([]CollectionRow, error)
	// Record returns ErrNotFound where the key has no value.
	Record(collection int64, key string) (RecordRow, error)
	// Records returns values with positions greater than after, in order of position, or
	// ErrCorrupt.
	// It stops after limit of them, and after the one with which they exceed maxBytes.
	Records(collection, after int64, limit, maxBytes int) ([]RecordRow, error)
	// RecordHeads returns all of a collection's values but these themselves, in order of
	// position. Whether a row is what was written is not looked at.
	RecordHeads(collection int64) ([]RecordHead, error)
	// RecordsAged returns values whose AgeMs is untilMs or before, the oldest first, of
	// equal ones the lesser key (bytewise). It stops as Records does.
	RecordsAged(collection, untilMs int64, limit, maxBytes int) ([]RecordRow, error)
	// Tombstone returns ErrNotFound where the key has none.
	Tombstone(collection int64, key string) (TombstoneRow, error)
	// TombstonesUntil returns up to limit tombstones that were made at untilMs or before,
	// the oldest first.
	TombstonesUntil(collection, untilMs int64, limit int) ([]TombstoneRow, error)
	// Quarantine returns values that were set aside, with IDs greater than after, in order
	// of ID, which is that of time. It stops as Records does.
	Quarantine(collection, after int64, limit, maxBytes int) ([]QuarantineRow, error)
	// QuarantineSize returns how many values are set aside, and how long they are together.
	QuarantineSize(collection int64) (rows, bytes int64, err error)
}

// CollectionWrites is the part of Writes that changes collections. It does not look at
// what rows mean: a key has a value or a tombstone because its caller sees to it.
type CollectionWrites interface {
	// PutCollection inserts (Key 0, then set) or updates a collection.
	PutCollection(*CollectionRow) error
	// AddRecord stores a value under a key, and at a position, that has none. Its age is
	// when it was updated.
	AddRecord(collection int64, rec RecordRow) error
	// SetRecord changes the value at a position, which keeps its key and its age.
	SetRecord(collection int64, rec RecordRow) error
	// SetRecordAge changes the age of a value, and nothing else.
	SetRecordAge(collection, position, ageMs int64) error
	// RemoveRecord removes the value of a key, wherever it is. Where there is none it is
	// ErrCorrupt, because its caller has seen one.
	RemoveRecord(collection int64, key string) error
	// PutTombstone inserts or replaces the tombstone of a key.
	PutTombstone(collection int64, t TombstoneRow) error
	// RemoveTombstone is ErrCorrupt where there is none, as RemoveRecord.
	RemoveTombstone(collection int64, key string) error
	// AddQuarantine sets a value aside and sets its ID.
	AddQuarantine(collection int64, q *QuarantineRow) error
	RemoveQuarantine(collection, id int64) error
}

// CollectionTx reads and writes collections inside the writer's transaction.
type CollectionTx interface {
	CollectionView
	CollectionWrites
	OnRollback(fn func())
	OnCommit(fn func())
}

// CollectionRow is a row of table collection.
type CollectionRow struct {
	Key         int64
	Name        string
	Schema      int64 // version of the values, but for Stale of them
	Stale       int64 // how many values are of an older one
	Seq         int64 // of the newest change
	Position    int64 // of the newest insertion
	Records     int64 // how many values there are
	Bytes       int64 // sizes of their keys, without "s:" and "n:", and values
	Tombstones  int64
	ClearedAtMs int64 // what was updated then or before is deleted; -1 for never
	Damaged     bool  // the row is not what was written
}

// RecordRow is a row of table record: a value under a key.
type RecordRow struct {
	Position    int64 // from 1, in order of insertion
	Key         string
	UpdatedAtMs int64
	AgeMs       int64  // UpdatedAtMs or earlier: what RecordsAged goes by
	Seq         int64  // number of the change that wrote it
	Schema      int64  // version of the value
	VersionKey  string // new with each change
	Seen        []byte // what remains of earlier version keys, see internal/collection
	Value       []byte
	Damaged     bool // the row is not what was written
}

// RecordHead is the part of a RecordRow that says which version of a value it is.
type RecordHead struct {
	Position    int64
	Key         string
	UpdatedAtMs int64
	Seq         int64
	VersionKey  string
}

// TombstoneRow is a row of table tombstone: a key that was deleted.
type TombstoneRow struct {
	Key         string
	UpdatedAtMs int64
	MadeAtMs    int64 // this machine's clock, UpdatedAtMs if that is later
	Seq         int64
	Seen        []byte
	Damaged     bool
}

// QuarantineRow is a row of table quarantine: the bytes of a value that could not be
// read when it was replaced.
type QuarantineRow struct {
	ID          int64
	Key         string
	UpdatedAtMs int64
	Reason      string
	Value       []byte
	Damaged     bool
}
