package core

// DraftView is the part of View that reads drafts. A draft is live, or was cleared and
// can be restored; a document has at most one live draft.
type DraftView interface {
	// HasDrafts reports whether there is a live draft.
	HasDrafts() (bool, error)
	// DraftSeq returns the number of the newest change of any draft, 0 for none ever: no
	// Key is greater.
	DraftSeq() (int64, error)
	// DraftTotals returns how many drafts there are, cleared ones too, and the least
	// UpdatedAtMs of them, 0 for no drafts.
	DraftTotals() (n int, oldestMs int64, err error)
	// Draft returns the live draft of a document, or ErrNotFound.
	Draft(space SpaceID, doc DocumentID) (DraftRecord, error)
	// ClearedDrafts returns the cleared drafts of a document, the one cleared last first.
	ClearedDrafts(space SpaceID, doc DocumentID) ([]DraftRecord, error)
	// NewestDrafts returns up to limit drafts that come after a place, the live ones or
	// the cleared ones, in falling order of place. Nothing comes before MaxDraftPlace.
	NewestDrafts(cleared bool, after DraftPlace, limit int) ([]DraftRecord, error)
	// OldestDrafts is NewestDrafts in rising order. Nothing comes before the zero place.
	OldestDrafts(cleared bool, after DraftPlace, limit int) ([]DraftRecord, error)
}

// DraftWrites is the part of Writes that changes drafts.
type DraftWrites interface {
	// PutDraft stores a draft in place of the one under its Key, 0 for none, and sets its
	// Key to a new one above all others. A record that was Damaged stays so.
	PutDraft(*DraftRecord) error
	// DeleteDraft does nothing for an unknown key.
	DeleteDraft(key int64) error
}

// DraftRecord is a row of table draft. It belongs to no row of a space or a document:
// these need not be known.
type DraftRecord struct {
	Key             int64 // the order of changes; PutDraft gives a new one
	Space           SpaceID
	Doc             DocumentID
	UpdatedAtMs     int64
	Snippet         string
	BaseUpdatedAtMs int64
	BaseVector      []byte // nil for none
	Conflict        int64
	Cleared         int64 // why it was cleared, 0 for a live one
	ClearedAtMs     int64
	Damaged         bool // the row is not what was written; no field can be trusted
}

// Place returns where a draft is in the order of drafts.
func (d *DraftRecord) Place() DraftPlace { return DraftPlace{d.UpdatedAtMs, d.Key} }

// DraftPlace is a place in the order of drafts: that of UpdatedAtMs, then Key.
type DraftPlace struct{ UpdatedAtMs, Key int64 }

// MaxDraftPlace returns the place above all drafts.
func MaxDraftPlace() DraftPlace { return DraftPlace{1<<63 - 1, 1<<63 - 1} }

// ChangedDoc is a document that a transaction changed.
type ChangedDoc struct {
	Space SpaceID
	ID    DocumentID
	// State returns when the document was updated, and its encoded state vector, as the
	// transaction leaves them.
	State func() (updatedAtMs int64, stateVector []byte, err error)
}
