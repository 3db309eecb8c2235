package upload

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// Source is what is to be uploaded: a file, or all that a reader gives.
type Source struct {
	Path   string
	Reader io.Reader
	Name   string
	MIME   string
}

// Incoming is a job that is not there yet. Discard must be called; after Commit it does
// nothing.
type Incoming struct {
	u      *Uploads
	rec    core.UploadRecord
	reader io.Reader // nil for a path
	part   *part     // of the reader
}

// Prepare begins a job, and looks at its source, but does not read it. Name and MIME must
// have been checked. It returns core.ErrInvalidSource, core.ErrNotFound, core.ErrForbidden,
// core.ErrTooLarge, core.ErrTooManyUploads and core.ErrDiskFull.
func (u *Uploads) Prepare(ctx context.Context, space core.SpaceID, src Source) (*Incoming, error) {
	if (src.Path == "") == (src.Reader == nil) {
		return nil, fmt.Errorf("a source is either a path or a reader: %w", core.ErrInvalidSource)
	}
	if err := u.gate.MayPutBlobs(ctx, space); err != nil { // before anything is read
		return nil, err
	}
	if err := u.store.Read(ctx, func(v core.View) error { return checkRoom(v) }); err != nil {
		return nil, err
	}
	in := &Incoming{u: u, rec: core.UploadRecord{ID: newID(), Space: space, Name: src.Name, MIME: src.MIME}, reader: src.Reader}
	var err error
	if in.reader == nil {
		err = u.look(&in.rec, src.Path)
	} else {
		in.part, err = u.spool.begin(in.rec.ID)
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Copy reads the reader to its end, if there is one. It needs nothing of an open store: after
// Interrupt it returns core.ErrClosed once a Read returns. It also returns core.ErrTooLarge,
// core.ErrDiskFull, core.ErrInvalidSource and the errors of the reader.
func (in *Incoming) Copy(ctx context.Context) error {
	if in.reader == nil {
		return nil
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(in.u.background, func() { end(core.ErrClosed) })()
	hash, size, err := in.part.take(ctx, in.reader, in.u.limits.Bytes)
	in.rec.Hash, in.rec.Size = hash[:], size
	return err
}

// Commit adds the job and returns it when it is durable, with its bytes. It returns
// core.ErrTooManyUploads and core.ErrDiskFull.
func (in *Incoming) Commit(ctx context.Context) (Job, error) {
	if in.part != nil {
		if err := in.part.place(); err != nil {
			return Job{}, err
		}
	}
	u, rec := in.u, &in.rec
	err := u.write(ctx, func(b *batch) error {
		if err := checkRoom(b); err != nil {
			return err
		}
		rec.CreatedAtMs = u.now().UnixMilli()
		b.OnCommit(func() { u.ready(rec.ID) })
		return b.put(rec)
	})
	if err != nil {
		return Job{}, err
	}
	if in.part != nil {
		in.part.keep()
	}
	return jobOf(rec), nil
}

// Discard removes the bytes of a job that did not come to be. What it cannot remove, the next
// Open does.
func (in *Incoming) Discard() {
	if in.part == nil {
		return
	}
	if err := in.part.discard(); err != nil {
		in.u.logger.Warn("spooled upload not removed", "id", in.rec.ID, "err", err)
	}
}

// newID returns an ID that is a good name of a file everywhere.
func newID() string { return strings.ToLower(rand.Text()) }

const idLen = 26

// IsID reports whether a job may have an ID.
func IsID(id string) bool {
	return len(id) == idLen && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// look notes what a file is like, which is read later.
func (u *Uploads) look(rec *core.UploadRecord, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("%w: %w", core.ErrInvalidSource, err)
	}
	if len(abs) > MaxPathBytes || !utf8.ValidString(abs) {
		return fmt.Errorf("path of %d bytes, at most %d of UTF-8 are allowed: %w", len(abs), MaxPathBytes, core.ErrInvalidSource)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", core.ErrInvalidSource, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: %w", abs, core.ErrInvalidSource)
	case info.Size() > u.limits.Bytes:
		return tooLarge(info.Size(), u.limits.Bytes)
	}
	rec.Path, rec.Size, rec.ModifiedNs = abs, info.Size(), info.ModTime().UnixNano()
	return nil
}
