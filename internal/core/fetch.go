package core

// FetchView reads which bytes are to come to this machine.
type FetchView interface {
	// Pin returns the policy of a space, PinOnDemand unless it was set.
	Pin(space SpaceID) (PinPolicy, error)
	// WantedBlobs returns up to limit blobs that a space holds, whose bytes are wanted and
	// not here, with hashes greater than after, in order of hash: with PinOnDemand those of
	// WantBlob, with PinAll all, with PinNone none. It returns ErrNotFound for an unknown space.
	WantedBlobs(space SpaceID, after Hash, limit int) ([]WantedBlob, error)
	// CountWantedBlobs returns how many there are.
	CountWantedBlobs(space SpaceID) (int, error)
	// NextWanting returns the first space after one that may want blobs, "" for none.
	NextWanting(after SpaceID) (SpaceID, error)
	// IsWanted reports whether bytes are not here, and wanted for a space that holds them. What
	// WantBlob noted counts whatever the policy is: it may change again.
	IsWanted(hash Hash) (bool, error)
}

// FetchWrites changes what FetchView reads. What is wanted of a blob ends when its bytes
// come, in the transaction that says so.
type FetchWrites interface {
	SetPin(space SpaceID, policy PinPolicy) error
	// WantBlob notes that the bytes of a blob are wanted for a space, which need not be
	// known, nor hold the blob: then it counts once it does. Noting it again changes nothing.
	WantBlob(space SpaceID, hash Hash) error
	// UnwantBlob takes that back. It does nothing if it was not noted.
	UnwantBlob(space SpaceID, hash Hash) error
}
