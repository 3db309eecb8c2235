package core

// UploadView is the part of View that reads upload jobs.
type UploadView interface {
	// Upload returns ErrNotFound for an unknown job.
	Upload(id string) (UploadRecord, error)
	// Uploads returns up to limit jobs with keys greater than after, in order of key,
	// which is that in which they were made.
	Uploads(after int64, limit int) ([]UploadRecord, error)
	// UploadTotals returns how many jobs have not finished, and how many have, and when the
	// least recent of the latter did, 0 for none.
	UploadTotals() (active, finished int, oldestMs int64, err error)
	// FinishedUploads returns up to limit jobs that have finished, in order of UpdatedAtMs
	// and key, after a place. Nothing comes before the zero place.
	FinishedUploads(after UploadPlace, limit int) ([]UploadRecord, error)
	// UploadSeq returns the number of the newest change of any job, 0 for none ever.
	UploadSeq() (int64, error)
}

// UploadWrites is the part of Writes that changes upload jobs.
type UploadWrites interface {
	// PutUpload inserts a job (Key 0, then set) or updates it, and sets its Seq to a new
	// number above all others. A record that was Damaged stays so.
	PutUpload(*UploadRecord) error
	// DeleteUpload removes a job and returns the number of that change. It does nothing for
	// an unknown key.
	DeleteUpload(key int64) (seq int64, err error)
}

// UploadState says how far an upload is. It is stored.
type UploadState uint8

// The states of uploads. Those from UploadDone on are the end.
const (
	UploadQueued UploadState = iota
	UploadHashing
	UploadUploading
	UploadVerifying
	UploadWaiting
	UploadDone
	UploadFailed
	UploadCancelled
)

// IsFinished reports whether a job is at its end.
func (s UploadState) IsFinished() bool { return s >= UploadDone }

// IsRunning reports whether a worker has the job.
func (s UploadState) IsRunning() bool { return s >= UploadHashing && s <= UploadVerifying }

// UploadRecord is a row of table upload_job. The space need not be known.
type UploadRecord struct {
	Key           int64
	ID            string
	Space         SpaceID
	State         UploadState
	Path          string // absolute; "" for spooled bytes
	Name          string
	MIME          string
	Size          int64
	ModifiedNs    int64  // of the file
	Hash          []byte // sha2-256 of the bytes, nil until it is known
	Attempts      int64
	SentBytes     int64
	LastError     string
	Permanent     bool  // LastError cannot go away
	NextAttemptMs int64 // of a job that waits
	CreatedAtMs   int64
	UpdatedAtMs   int64
	Renderer      []byte // JSON of the renderer's part, nil for none
	RendererAtMs  int64  // when that was updated, by the renderer's clock
	Seen          []byte // versions of the row that windows wrote, 8 bytes each
	Seq           int64  // of the last change
	KnownSeq      int64  // of the change that made the job, or of the last one of Renderer
	Damaged       bool   // the row is not what was written; no field can be trusted
}

// Place returns where a job is in the order of FinishedUploads.
func (u *UploadRecord) Place() UploadPlace { return UploadPlace{u.UpdatedAtMs, u.Key} }

// UploadPlace is a place in the order of UpdatedAtMs, then Key.
type UploadPlace struct{ UpdatedAtMs, Key int64 }
