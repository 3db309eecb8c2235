package core

// BlobRecord is a row of table blob: a blob that a space holds.
type BlobRecord struct {
	Space       int64
	Hash        Hash   // sha2-256 of the bytes
	Size        int64  // as CreatedBy says
	MIME        string // as CreatedBy says, "" for unknown
	Name        string // of the file that it was, "" for none
	CreatedBy   PeerID // who put it, of several the one that counts
	CreatedAtMs int64  // by their clock
	UpdatedAtMs int64  // by the clock of this machine
	// Here says that the bytes are on this machine, as far as known undamaged, and
	// HereSize how many there truly are. Neither is part of the row: PutBlob ignores both.
	Here     bool
	HereSize int64
}

// NewBlob is a blob that a space is to hold. An empty MIME or Name leaves what the space
// says of it already.
type NewBlob struct {
	Hash Hash
	Size int64
	MIME string
	Name string
}

// BlobUsage is how much bytes take that are on this machine and referenced.
type BlobUsage struct {
	Blobs int64
	Bytes int64
}

// BlobView reads which blobs spaces hold.
type BlobView interface {
	// Blob returns ErrNotFound for a blob that the space does not hold.
	Blob(space int64, hash Hash) (BlobRecord, error)
	// Blobs returns up to limit blobs with hashes greater than after, in order of hash.
	// Nothing comes before the zero hash.
	Blobs(space int64, after Hash, limit int) ([]BlobRecord, error)
	// BlobSpaces returns the spaces that hold a blob, in any order.
	BlobSpaces(hash Hash) ([]SpaceID, error)
	// BlobOps returns the keys of the kept entries that put or remove a blob, in order.
	BlobOps(space int64, hash Hash) ([]int64, error)
	// BlobUsage returns what is here of the blobs of a space, or, for space 0, of all
	// blobs that some space holds, each once. Its cost does not grow with them.
	BlobUsage(space int64) (BlobUsage, error)
}

// BlobWrites changes what BlobView reads.
type BlobWrites interface {
	// PutBlob inserts or updates a row.
	PutBlob(BlobRecord) error
	// DeleteBlob removes a row. If no other space holds the blob, its bytes are unused
	// from nowMs on. It does nothing for an unknown row.
	DeleteBlob(space int64, hash Hash, nowMs int64) error
	// UnuseBlob says that the bytes of a blob are unused from nowMs on, unless a space holds
	// it, or somebody said so before.
	UnuseBlob(hash Hash, nowMs int64) error
	// AddBlobOp notes that an entry puts or removes a blob. Noting it again changes nothing.
	AddBlobOp(space int64, hash Hash, entry int64) error
	DeleteBlobOp(space int64, hash Hash, entry int64) error
}
