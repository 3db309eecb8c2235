package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// work does one job after the other until Close.
func (u *Uploads) work() {
	for {
		r := u.next(u.background)
		if r == nil {
			return
		}
		if err := u.perform(r); err != nil {
			u.logger.Error("state of an upload not stored", "id", r.id, "err", err)
			u.later(r.id, u.limits.FirstWait)
		}
		u.leave(r)
	}
}

// perform makes one attempt of a job. It returns errors of the store.
func (u *Uploads) perform(r *run) error {
	rec, err := u.claim(r.id)
	if err != nil || rec == nil {
		return err
	}
	return u.settle(r, rec, u.attempt(r, rec))
}

// claim begins an attempt, and returns nil if there is nothing to be done.
func (u *Uploads) claim(id string) (claimed *core.UploadRecord, err error) {
	err = u.write(context.Background(), func(b *batch) error {
		rec, err := b.find(id)
		if isNotFound(err) || errors.Is(err, core.ErrCorrupt) || err == nil && rec.State.IsFinished() {
			return nil
		}
		if err != nil {
			return err
		}
		if !rec.State.IsRunning() { // else what became of an attempt could not be stored
			rec.Attempts++
		}
		rec.State, rec.SentBytes, rec.NextAttemptMs = core.UploadHashing, 0, 0
		claimed = rec
		return b.put(rec)
	})
	return claimed, err
}

// What an attempt ends with, besides what goes wrong.
var (
	errBusy     = errors.New("the same bytes are being uploaded")
	errNotThere = errors.New("the sink does not have the bytes after the upload")
	errUnproved = errors.New("closed while the sink was asked for what it has stored")
	errExited   = errors.New("the sink ended its goroutine")
)

// attempt brings the bytes of a job to the sink. It returns nil when they are there.
func (u *Uploads) attempt(r *run, rec *core.UploadRecord) error {
	if u.isAsHashed(rec) {
		if found, err := u.has(r.ctx, rec); err != nil || found {
			return err
		}
	}
	src, err := u.hash(r, rec)
	if err != nil {
		return err
	}
	defer src.Close()
	t := targetOf(rec)
	if !u.acquire(t) {
		return errBusy
	}
	defer u.release(t)
	if found, err := u.has(r.ctx, rec); err != nil || found {
		return err
	}
	if err := u.advance(r, rec, core.UploadUploading); err != nil {
		return err
	}
	if err := u.upload(r, rec, src); err != nil {
		return err
	}
	rec.SentBytes = rec.Size
	if err := u.advance(r, rec, core.UploadVerifying); err != nil {
		return err
	}
	found, err := u.has(u.background, rec) // of no use to whoever has cancelled it just now
	switch {
	case err != nil && u.background.Err() != nil:
		return errUnproved
	case err == nil && !found:
		return errNotThere
	}
	return err
}

// isAsHashed reports whether the bytes of a job are those that were hashed before, as far as
// can be told without reading them.
func (u *Uploads) isAsHashed(rec *core.UploadRecord) bool {
	if rec.Hash == nil || rec.Path == "" {
		return rec.Hash != nil
	}
	info, err := os.Stat(rec.Path)
	return err == nil && info.Mode().IsRegular() && info.Size() == rec.Size && info.ModTime().UnixNano() == rec.ModifiedNs
}

// hash opens the source of a job and notes what it is.
func (u *Uploads) hash(r *run, rec *core.UploadRecord) (_ *source, err error) {
	path := rec.Path
	if path == "" {
		path = u.spool.path(rec.ID)
	}
	src, err := openSource(path)
	if err == nil {
		if err = src.read(r.ctx, u.limits.Bytes); err != nil {
			err = errors.Join(err, src.Close())
		}
	}
	if err == nil && rec.Path == "" && !bytes.Equal(rec.Hash, src.hash[:]) {
		err = errors.Join(Permanent(fmt.Errorf("spooled bytes: %w", core.ErrCorrupt)), src.Close())
	}
	if err != nil {
		return nil, err
	}
	rec.Hash, rec.Size, rec.ModifiedNs = src.hash[:], src.size, src.info.ModTime().UnixNano()
	return src, nil
}

// has asks the sink for the bytes of a job. Others than these do not count.
func (u *Uploads) has(ctx context.Context, rec *core.UploadRecord) (found bool, err error) {
	var size int64
	err = guard(func() (err error) {
		size, found, err = u.sink.Has(ctx, rec.Space, core.CIDFromHash(core.Hash(rec.Hash)))
		return err
	})
	if err != nil {
		return false, err
	}
	return found && size == rec.Size, nil
}

// advance stores how far a job is, unless it was cancelled or removed. What Upload has
// stored is looked at even then.
func (u *Uploads) advance(r *run, rec *core.UploadRecord, to core.UploadState) error {
	if r.ctx.Err() != nil && to != core.UploadVerifying {
		return context.Cause(r.ctx)
	}
	return u.write(context.Background(), func(b *batch) error {
		is, err := b.find(r.id)
		if err != nil {
			return err
		}
		takeHash(is, rec)
		is.State, is.SentBytes = to, rec.SentBytes
		return b.put(is)
	})
}

// takeHash notes what is known of the bytes of a job.
func takeHash(to, from *core.UploadRecord) {
	to.Hash, to.Size, to.ModifiedNs = from.Hash, from.Size, from.ModifiedNs
}

func targetOf(rec *core.UploadRecord) target { return target{rec.Space, core.Hash(rec.Hash)} }

// upload hands the bytes to the sink, and tells of the progress meanwhile.
func (u *Uploads) upload(r *run, rec *core.UploadRecord, src *source) error {
	body, req := src.body(), Request{
		SpaceID: rec.Space, CID: core.CIDFromHash(src.hash), Size: src.size, MIME: rec.MIME, Name: rec.Name,
	}
	told := u.report(r, jobOf(rec))
	err := guard(func() error {
		return u.sink.Upload(r.ctx, req, body, func(sent int64) { r.sent.Store(min(max(sent, 0), src.size)) })
	})
	told()
	if broken := body.end(); broken != nil { // a sink may have taken it for the end
		return broken
	}
	return err
}

// guard makes errors of what a sink must not do. It runs it in a goroutine of its own,
// because one that ends its goroutine must not end the worker.
func guard(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errExited
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			done <- err
		}()
		err = sinkErrorOf(fn())
	}()
	return <-done
}

// settle stores what became of an attempt.
func (u *Uploads) settle(r *run, hashed *core.UploadRecord, failure error) error {
	return u.write(context.Background(), func(b *batch) error {
		rec, err := b.find(r.id)
		if isNotFound(err) || errors.Is(err, core.ErrCorrupt) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		takeHash(rec, hashed)
		cause := context.Cause(r.ctx)
		switch {
		case failure == nil:
			rec.LastError, rec.Permanent, rec.SentBytes = "", false, rec.Size
			return b.finish(rec, core.UploadDone)
		case errors.Is(failure, errUnproved): // even if it was cancelled: what is stored is done
			return b.requeue(rec)
		case errors.Is(cause, errCancelled):
			return b.finish(rec, core.UploadCancelled)
		case cause != nil: // Close
			return b.requeue(rec)
		case errors.Is(failure, errBusy):
			b.OnCommit(func() { u.readyAfter(targetOf(hashed), r.id) })
			return b.requeue(rec)
		}
		return b.fail(rec, failure)
	})
}

// fail has a job wait for its next attempt, or ends it.
func (b *batch) fail(rec *core.UploadRecord, failure error) error {
	u := b.u
	rec.LastError, rec.Permanent = u.errorText(failure), isPermanent(failure)
	if rec.Permanent || u.limits.Attempts > 0 && rec.Attempts >= u.limits.Attempts {
		return b.finish(rec, core.UploadFailed)
	}
	wait := u.backoff(rec.Attempts)
	rec.State, rec.NextAttemptMs = core.UploadWaiting, u.now().Add(wait).UnixMilli()
	b.OnCommit(func() { u.later(rec.ID, wait) })
	return b.put(rec)
}

// backoff returns how long a job waits after some attempts: any time up to a limit that
// doubles with each, so that jobs which failed together do not come back together.
func (u *Uploads) backoff(attempts int64) time.Duration {
	limit := u.limits.FirstWait
	for ; attempts > 1 && limit < u.limits.MaxWait; attempts-- {
		limit *= 2
	}
	return rand.N(min(limit, u.limits.MaxWait) + 1)
}
