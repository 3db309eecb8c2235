package upload

import (
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

var (
	errCancelled = errors.New("cancelled")
	errRemoved   = errors.New("removed")
)

// Cancel ends a job. One that runs is interrupted, and Cancel waits until the sink has let go
// of it: if the bytes are there by then, it is done. It returns core.ErrUploadState for a job
// that has finished, or does so now, and core.ErrNotFound. If ctx ends, or after Interrupt,
// which is core.ErrClosed, a job that runs is cancelled all the same.
func (u *Uploads) Cancel(ctx context.Context, id string) error {
	for asked := false; ; {
		var r *run
		err := u.write(ctx, func(b *batch) error {
			rec, err := b.find(id)
			switch {
			case err != nil:
				return err
			case asked && rec.State == core.UploadCancelled:
				return nil
			case rec.State.IsFinished():
				return stateError(rec)
			case rec.State.IsRunning():
				if r = u.runOf(id); r != nil {
					return nil
				}
			}
			return b.finish(rec, core.UploadCancelled)
		})
		if err != nil || r == nil {
			return err
		}
		asked = true
		r.stop(errCancelled)
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-u.background.Done(): // the store must not stay open for as long as the sink takes
			return core.ErrClosed
		}
	}
}

// Retry queues a job anew that has failed, was cancelled, or waits. Its attempts are counted
// from 0. It returns core.ErrUploadState for any other, core.ErrInvalidSource for a cancelled
// one whose bytes came from a reader, core.ErrTooManyUploads and core.ErrNotFound.
func (u *Uploads) Retry(ctx context.Context, id string) error {
	return u.write(ctx, func(b *batch) error {
		rec, err := b.find(id)
		if err != nil {
			return err
		}
		switch rec.State {
		case core.UploadCancelled:
			if rec.Path == "" {
				return fmt.Errorf("the bytes of a reader go when it is cancelled: %w", core.ErrInvalidSource)
			}
			fallthrough
		case core.UploadFailed:
			if err := checkRoom(b); err != nil {
				return err
			}
		case core.UploadWaiting:
		default:
			return stateError(rec)
		}
		rec.State, rec.Attempts, rec.SentBytes, rec.NextAttemptMs = core.UploadQueued, 0, 0, 0
		rec.LastError, rec.Permanent = "", false
		b.OnCommit(func() { u.ready(id) })
		return b.put(rec)
	})
}

// Remove forgets a job that has finished, or is damaged. It returns core.ErrUploadState for
// any other, and core.ErrNotFound.
func (u *Uploads) Remove(ctx context.Context, id string) error {
	return u.write(ctx, func(b *batch) error {
		rec, err := b.Upload(id)
		if err != nil {
			return err
		}
		if !rec.Damaged && !rec.State.IsFinished() {
			return stateError(&rec)
		}
		return b.remove(&rec)
	})
}
