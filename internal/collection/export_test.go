package collection

// Remember and HasSeen are what rows know of their earlier version keys.
var (
	Remember = remember
	HasSeen  = hasSeen
)

// NewVersionKey returns a version key as rows get it.
var NewVersionKey = newVersionKey

// The size of what rows remember.
const SeenBytes = seenSize * maxSeen
