package soma

import (
	"context"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"time"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/upload"
	"github.com/soma-sdk/soma/store"
)

// Limits of uploads. The defaults are changed by WithUploadWorkers, WithUploadAttempts and
// WithUploadBackoff. One source may have as many bytes as a blob: WithMaxBlobBytes.
const (
	// DefaultUploadWorkers is how many uploads run at the same time.
	DefaultUploadWorkers = upload.DefaultWorkers
	// DefaultUploadAttempts is how often an upload is tried until it fails.
	DefaultUploadAttempts = upload.DefaultAttempts
	// DefaultUploadFirstWait bounds the wait after the first attempt, which doubles with each.
	DefaultUploadFirstWait = upload.DefaultFirstWait
	// DefaultUploadMaxWait bounds each wait between two attempts.
	DefaultUploadMaxWait = upload.DefaultMaxWait

	// MaxUploadWorkers bounds WithUploadWorkers.
	MaxUploadWorkers = 64
	// MaxUploadJobs bounds the jobs that have not finished. One more is ErrTooManyUploads.
	MaxUploadJobs = upload.MaxJobs
	// MaxFinishedUploads bounds the jobs that have: of more, the ones that finished first go.
	MaxFinishedUploads = upload.MaxFinished
	// FinishedUploadTTL is how long a finished job is kept.
	FinishedUploadTTL = upload.FinishedTTL
	// LostUploadTTL is how long Open keeps the bytes of a reader whose job is not in the
	// database, in case that it is an older copy, and the newer one comes back.
	LostUploadTTL = upload.LostTTL
	// MaxUploadPathBytes bounds UploadSource.Path, once it is absolute.
	MaxUploadPathBytes = upload.MaxPathBytes
	// MaxUploadErrorBytes bounds UploadJob.LastError.
	MaxUploadErrorBytes = upload.MaxErrorBytes
	// MaxUploadRendererBytes bounds UploadJob.Renderer.
	MaxUploadRendererBytes = upload.MaxRendererBytes
	// MaxPendingUploads bounds the snapshots that wait for one reader of Watch.
	MaxPendingUploads = upload.MaxPending
)

// UploadJob is an upload as it was at one moment. Its JSON has the fields id, spaceId, size,
// state, attempts, sentBytes, createdAtMs and updatedAtMs, and, where they are not empty,
// path, spooled, name, mime, cid, lastError, permanent, nextAttemptAtMs and renderer. Reading
// it is strict: see ParseUploadJob. The schema is docs/schemas/upload-job.schema.json.
//
//   - ID is made by Enqueue: 26 lower-case letters and digits.
//   - Path is that of the source, absolute; "" and Spooled for a reader.
//   - Size is in bytes: at first what the file had, later how many were hashed.
//   - CID is known after hashing, for a reader at once.
//   - Attempts counts those that were begun, SentBytes what the sink said of the last one.
//   - LastError says what the last attempt failed with, in at most MaxUploadErrorBytes bytes;
//     paths in the DB's directory are relative to it. Permanent says that trying again would
//     not help.
//   - NextAttemptAtMs is set while the state is UploadWaiting.
//   - Renderer is one JSON object of at most MaxUploadRendererBytes bytes that belongs to the
//     user interface: see Collections and CollectionUploadJobs.
//
// Times are in milliseconds of this machine's clock.
type UploadJob = upload.Job

// UploadState says how far an upload is.
type UploadState = upload.State

// The states of uploads. Done, failed and cancelled are the end: IsFinished.
const (
	UploadQueued    = upload.Queued    // its time will come
	UploadHashing   = upload.Hashing   // the source is read
	UploadUploading = upload.Uploading // the sink has it
	UploadVerifying = upload.Verifying // the sink is asked whether it has the bytes
	UploadWaiting   = upload.Waiting   // for NextAttemptAtMs, after an error
	UploadDone      = upload.Done      // the space has the bytes
	UploadFailed    = upload.Failed    // LastError is permanent, or came too often
	UploadCancelled = upload.Cancelled // by Cancel

	// UploadRemoved is the state of a job that is not there any more. Only Watch has it.
	UploadRemoved = upload.Removed
	// UploadsListAgain stands for more news than could wait, of any jobs, and has no ID.
	// Only Watch has it.
	UploadsListAgain = upload.ListAgain
)

// ParseUploadJob reads one job from JSON. It reports ErrInvalidUpload for a missing, extra or
// repeated field, a wrong type (null too), a number that is not a plain integer from 0 to
// 2^53-1, an unknown state, a CID or an ID that is none, also if it is empty, a path that is
// absolute on no system (/a, C:\a and \\a are, wherever it is read), or beside a spooled that is
// true, text that is not UTF-8 or has half a surrogate pair, what is beyond its limit, and data
// after the job.
func ParseUploadJob(data []byte) (UploadJob, error) { return upload.ParseJob(data) }

// UploadSource is what is to be uploaded: either a file or a reader.
type UploadSource struct {
	// Path is that of a regular file, or of a link to one, in UTF-8. It is read later, in the
	// background, and anew with each attempt: what the file is then is uploaded. It must stay
	// where it is until the upload has finished.
	Path string
	// Reader is read to its end before Enqueue returns, into a file of the DB's directory that
	// goes once the upload is done, cancelled or removed.
	Reader io.Reader
	// Name is that of the blob: see PutOptions. It is that of the file if it is empty.
	Name string
	// MIME is the media type of the bytes. If it is empty the sink finds out.
	MIME string
}

// UploadSink is where uploads go: by default the blobs of the DB. See WithUploadSink.
type UploadSink = upload.Sink

// UploadRequest is what an UploadSink is to upload.
type UploadRequest = upload.Request

// PermanentUploadError marks an error of an UploadSink as one that trying again does not help
// against: the upload fails at once. nil stays nil.
//
// Permanent without it are ErrForbidden, ErrNotFound, ErrTooLarge, ErrQuota, the errors about
// arguments, fs.ErrNotExist and fs.ErrPermission, unless the error, or one that it wraps, has
// a method Permanent() bool, which decides. Any other is tried again.
func PermanentUploadError(err error) error { return upload.Permanent(err) }

// Uploads are the outbox of a DB: files and streams on their way into spaces. A job is a row
// of the database, survives restarts and crashes, and never leaves this machine; what it
// does is what Blobs.Put does.
//
// Each attempt reads and hashes the source (UploadHashing), asks the sink whether it has the
// bytes, hands them over (UploadUploading) and asks again (UploadVerifying): an upload is done
// when the sink says so, and bytes that are there already are not sent twice. The blobs of the
// DB say so after they were read to their end and hashed: damaged ones are put again. Of jobs
// with the same bytes for the same space one is uploaded at a time. A file that changes between
// hashing and uploading makes the attempt fail, and the next one hashes it anew.
//
// After an error that may pass a job waits, for any time up to 1, 2, 4 seconds and so on, at
// most 5 minutes (WithUploadBackoff), until it is done or has had WithUploadAttempts attempts.
// A wait is by a timer: it does not become longer when the clock is set. An attempt that Close
// or a crash interrupts does not count; the next Open begins it anew.
//
// Of finished jobs the newest MaxFinishedUploads are kept, for FinishedUploadTTL. One that is
// damaged on disk is ErrCorrupt wherever it would be returned, is reported by DB.Verify, does
// nothing, and stays until Remove.
type Uploads struct{ db *DB }

func openUploads(dir string, st *store.DB, gate upload.Gate, blobs *blob.Blobs, all *collection.Collections, o *options) (*upload.Uploads, error) {
	sink := o.uploadSink
	if sink == nil {
		sink = blobSink{blobs}
	}
	o.uploads.Bytes = o.blobs.Bytes
	return upload.Open(context.Background(), upload.Config{
		Store: st, Gate: gate, Sink: sink, Dir: dir, Limits: o.uploads, Now: o.now, Logger: o.logger,
	}, mirrorUploads(all))
}

// Uploads returns the service for uploads.
func (db *DB) Uploads() Uploads { return Uploads{db} }

// Enqueue adds a job and returns it, queued, when it is durable. Of a Path only size and time
// are looked at; a Reader is copied and hashed first. ctx counts as in Blobs.Put. On an error
// nothing is stored, and nothing is left on the disk.
//
// Close does not wait for the Reader: an Enqueue that runs then returns ErrClosed once a Read
// returns. If the process ends before that, the next Open removes what was copied, but what
// was whole by then after LostUploadTTL only.
//
// Errors: ErrInvalidSource for a source that has not just one of Path and Reader, and for a
// Path that is no regular file (fs.ErrNotExist too if there is none), not UTF-8 or too long;
// ErrNotFound for an unknown space, ErrForbidden for who may not write in it, both before
// anything is read; ErrTooLarge beyond WithMaxBlobBytes; ErrTooManyUploads; ErrDiskFull;
// ErrInvalidID, ErrInvalidName, ErrInvalidMIME; what the reader returns, wrapped.
func (u Uploads) Enqueue(ctx context.Context, space SpaceID, source UploadSource) (UploadJob, error) {
	if err := checkSpace(space); err != nil {
		return UploadJob{}, err
	}
	from, err := source.checked()
	if err != nil {
		return UploadJob{}, fmt.Errorf("enqueue upload: %w", err)
	}
	in, err := u.prepare(ctx, space, from)
	if err != nil {
		return UploadJob{}, fmt.Errorf("enqueue upload: %w", err)
	}
	defer in.Discard()
	if err := in.Copy(ctx); err != nil { // Close must not wait for the reader
		return UploadJob{}, fmt.Errorf("enqueue upload: %w", err)
	}
	if err := u.db.begin(); err != nil {
		return UploadJob{}, err
	}
	defer u.db.end()
	job, err := in.Commit(ctx)
	if err != nil {
		return UploadJob{}, fmt.Errorf("enqueue upload: %w", err)
	}
	return job, nil
}

func (u Uploads) prepare(ctx context.Context, space SpaceID, from upload.Source) (*upload.Incoming, error) {
	if err := u.db.begin(); err != nil {
		return nil, err
	}
	defer u.db.end()
	return u.db.uploads.Prepare(ctx, space, from)
}

func (s UploadSource) checked() (upload.Source, error) {
	if s.Name == "" && s.Path != "" {
		if name := filepath.Base(s.Path); log.CheckBlobName(name) == nil {
			s.Name = name
		}
	}
	if s.Name != "" {
		if err := log.CheckBlobName(s.Name); err != nil {
			return upload.Source{}, err
		}
	}
	if s.MIME != "" {
		if err := blob.CheckMIME(s.MIME); err != nil {
			return upload.Source{}, err
		}
	}
	return upload.Source(s), nil
}

// Get returns a job. Errors: ErrNotFound, ErrCorrupt, ErrInvalidID.
func (u Uploads) Get(ctx context.Context, id string) (UploadJob, error) {
	if err := u.db.begin(); err != nil {
		return UploadJob{}, err
	}
	defer u.db.end()
	job, err := u.db.uploads.Get(ctx, id)
	if err != nil {
		return UploadJob{}, fmt.Errorf("get upload: %w", err)
	}
	return job, nil
}

// UploadFilter says which jobs List returns: those of which all that is set holds.
type UploadFilter struct {
	SpaceID SpaceID       // "" for any
	States  []UploadState // none for any
}

func (f UploadFilter) takes(j *UploadJob) bool {
	return (f.SpaceID == "" || f.SpaceID == j.SpaceID) && (len(f.States) == 0 || slices.Contains(f.States, j.State))
}

// List iterates over the jobs that one of the filters takes, or over all without a filter, in
// the order in which they were enqueued. It reads a page at a time: calls on the DB are
// allowed inside the loop, which may or may not see what they change. A job that is damaged is
// an element with the error ErrCorrupt, and the others follow; any other error is the last
// element. Breaking off releases everything.
func (u Uploads) List(ctx context.Context, filters ...UploadFilter) iter.Seq2[UploadJob, error] {
	takes := func(j *UploadJob) bool {
		return len(filters) == 0 || slices.ContainsFunc(filters, func(f UploadFilter) bool { return f.takes(j) })
	}
	return func(yield func(UploadJob, error) bool) {
		for after, more := int64(0), true; more; {
			page, next, err := u.page(ctx, after)
			if err != nil {
				yield(UploadJob{}, fmt.Errorf("list uploads: %w", err))
				return
			}
			for i := range page {
				if job := &page[i]; (job.Err != nil || takes(&job.Job)) && !yield(job.Job, job.Err) {
					return
				}
			}
			after, more = next, next != 0
		}
	}
}

func (u Uploads) page(ctx context.Context, after int64) ([]upload.Listed, int64, error) {
	if err := u.db.begin(); err != nil {
		return nil, 0, err
	}
	defer u.db.end()
	return u.db.uploads.Page(ctx, after)
}

// Cancel ends a job, and returns when that is durable. One that is being uploaded is
// interrupted, through the ctx of the sink, and Cancel waits until the sink has returned: if
// the bytes are stored by then, the job is done and Cancel returns ErrUploadState. So a
// cancelled job never shows as done later, and bytes that were stored never as cancelled. If
// ctx ends, or the DB is closed, while it waits, the job is cancelled all the same once the
// sink returns, unless the bytes are stored by then.
//
// Errors: ErrNotFound; ErrUploadState for a job that has finished; ErrCorrupt, ErrInvalidID;
// ErrClosed.
func (u Uploads) Cancel(ctx context.Context, id string) error {
	return u.act("cancel", id, func() error { return u.db.uploads.Cancel(ctx, id) })
}

// Retry queues a job that failed, was cancelled, or waits for its next attempt. Its Attempts
// begin at 0 again, and LastError is forgotten.
//
// Errors: ErrNotFound; ErrUploadState for a job that is queued, running or done;
// ErrInvalidSource for a cancelled one whose bytes came from a reader, since they are gone;
// ErrTooManyUploads; ErrCorrupt, ErrInvalidID.
func (u Uploads) Retry(ctx context.Context, id string) error {
	return u.act("retry", id, func() error { return u.db.uploads.Retry(ctx, id) })
}

// Remove forgets a job that has finished, or is damaged. The blob stays.
//
// Errors: ErrNotFound; ErrUploadState for a job that has not finished; ErrInvalidID.
func (u Uploads) Remove(ctx context.Context, id string) error {
	return u.act("remove", id, func() error { return u.db.uploads.Remove(ctx, id) })
}

func (u Uploads) act(op, id string, fn func() error) error {
	if err := checkUploadID(id); err != nil {
		return fmt.Errorf("%s upload: %w", op, err)
	}
	if err := u.db.begin(); err != nil {
		return err
	}
	defer u.db.end()
	if err := fn(); err != nil {
		return fmt.Errorf("%s upload %q: %w", op, id, err)
	}
	return nil
}

// Watch returns a channel of what jobs become from now on, each after it is durable: every
// change of a state at once, progress at most 10 times a second for a job. Of each job the
// newest snapshot waits, and beside it the newest in which it has finished, and that it was
// removed: so a slow reader blocks nobody and misses no end. Beyond MaxPendingUploads all
// become one UploadsListAgain. The channel closes when ctx ends, and on Close.
func (u Uploads) Watch(ctx context.Context) <-chan UploadJob { return u.db.uploads.Watch(ctx) }

// WithUploadSink has uploads go somewhere else than into the blobs of the DB.
func WithUploadSink(sink UploadSink) Option {
	return func(o *options) error {
		if sink == nil {
			return fmt.Errorf("nil upload sink: %w", ErrInvalidOption)
		}
		o.uploadSink = sink
		return nil
	}
}

// WithUploadWorkers sets how many uploads run at the same time, DefaultUploadWorkers by
// default: 1 to MaxUploadWorkers.
func WithUploadWorkers(n int) Option {
	return func(o *options) error {
		if n < 1 || n > MaxUploadWorkers {
			return fmt.Errorf("%d upload workers are not from 1 to %d: %w", n, MaxUploadWorkers, ErrInvalidOption)
		}
		o.uploads.Workers = n
		return nil
	}
}

// WithUploadAttempts sets how often an upload is tried until it fails, DefaultUploadAttempts
// by default. 0 is for ever.
func WithUploadAttempts(n int) Option {
	return func(o *options) error {
		if n < 0 {
			return fmt.Errorf("%d upload attempts: %w", n, ErrInvalidOption)
		}
		o.uploads.Attempts = int64(n)
		return nil
	}
}

// WithUploadBackoff bounds the waits between the attempts of an upload: the first one, from a
// millisecond on, and each, up to a day. A wait is any time from 0 to its bound.
func WithUploadBackoff(first, most time.Duration) Option {
	return func(o *options) error {
		if first < time.Millisecond || most < first || most > 24*time.Hour {
			return fmt.Errorf("upload backoff from %v to %v is not within 1ms to 24h: %w", first, most, ErrInvalidOption)
		}
		o.uploads.FirstWait, o.uploads.MaxWait = first, most
		return nil
	}
}
