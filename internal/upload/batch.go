package upload

import (
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Change is a change of a row, with its number. A job that is gone has the state Removed.
type Change struct {
	Job Job
	Row Row
}

// batch is jobs inside of a transaction.
type batch struct {
	core.Tx
	u     *Uploads
	spent []string // jobs whose spooled bytes nobody needs any more
}

func (u *Uploads) write(ctx context.Context, fn func(*batch) error) error {
	var spent []string
	err := u.store.Write(ctx, func(tx core.Tx) error {
		b := &batch{Tx: tx, u: u}
		err := fn(b)
		spent = b.spent
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range spent {
		if err := u.spool.remove(id); err != nil {
			u.logger.Warn("spooled upload not removed", "id", id, "err", err)
		}
	}
	return nil
}

// find returns a job that can be read.
func (b *batch) find(id string) (*core.UploadRecord, error) {
	rec, err := b.Upload(id)
	if err == nil {
		_, err = readable(&rec)
	}
	return &rec, err
}

// put stores a job, of which subscribers learn after the commit.
func (b *batch) put(rec *core.UploadRecord) error {
	rec.UpdatedAtMs = b.u.now().UnixMilli()
	return b.store(rec)
}

// store is put without saying that the job has changed.
func (b *batch) store(rec *core.UploadRecord) error {
	if err := b.PutUpload(rec); err != nil {
		return err
	}
	b.tell(Change{jobOf(rec), rowOf(rec)})
	return nil
}

func (b *batch) tell(c Change) {
	b.OnCommit(func() {
		b.u.topic.Emit(c.Job)
		if b.u.mirror != nil {
			b.u.mirror(c)
		}
	})
}

// remove takes a job out, whatever it does.
func (b *batch) remove(rec *core.UploadRecord) error {
	seq, err := b.DeleteUpload(rec.Key)
	if err != nil {
		return err
	}
	b.spend(rec)
	c := Change{jobOf(rec), rowOf(rec)}
	c.Job.State, c.Row.Seq = Removed, seq
	b.OnCommit(func() { b.u.interrupt(rec.ID, errRemoved) })
	b.tell(c)
	return nil
}

func (b *batch) spend(rec *core.UploadRecord) {
	if rec.Path == "" && !rec.Damaged {
		b.spent = append(b.spent, rec.ID)
	}
}

// finish brings a job to an end.
func (b *batch) finish(rec *core.UploadRecord, state core.UploadState) error {
	rec.State, rec.NextAttemptMs = state, 0
	if err := b.put(rec); err != nil {
		return err
	}
	if state != core.UploadFailed {
		b.spend(rec)
	}
	b.OnCommit(func() { b.u.forget(rec.ID) })
	return b.sweep()
}

// requeue undoes the beginning of an attempt, which then does not count.
func (b *batch) requeue(rec *core.UploadRecord) error {
	rec.State, rec.SentBytes, rec.Attempts = core.UploadQueued, 0, max(rec.Attempts-1, 0)
	return b.put(rec)
}

// checkRoom returns core.ErrTooManyUploads unless one more job may be active.
func checkRoom(v core.UploadView) error {
	active, _, _, err := v.UploadTotals()
	if err == nil && active >= MaxJobs {
		err = fmt.Errorf("%d uploads have not finished: %w", active, core.ErrTooManyUploads)
	}
	return err
}

// hasExcess reports whether sweep has something to do.
func (u *Uploads) hasExcess(v core.UploadView) (bool, error) {
	_, finished, oldestMs, err := v.UploadTotals()
	return finished > MaxFinished || finished > 0 && u.isPast(oldestMs), err
}

// isPast reports whether what finished at that time has been kept long enough.
func (u *Uploads) isPast(updatedAtMs int64) bool {
	return updatedAtMs <= u.now().Add(-FinishedTTL).UnixMilli()
}

// sweepPage is how many jobs sweep reads at a time: mostly one has to go.
const sweepPage = 16

// sweep removes finished jobs that are past their time, and the oldest beyond the limit.
// What is damaged stays: its time may be wrong.
func (b *batch) sweep() error {
	if excess, err := b.u.hasExcess(b); err != nil || !excess {
		return err
	}
	_, finished, _, err := b.UploadTotals()
	if err != nil {
		return err
	}
	for after := (core.UploadPlace{UpdatedAtMs: -1 << 63}); ; {
		page, err := b.FinishedUploads(after, sweepPage)
		if err != nil {
			return err
		}
		for i := range page {
			rec := &page[i]
			after = rec.Place()
			switch {
			case rec.Damaged:
				continue
			case finished <= MaxFinished && !b.u.isPast(rec.UpdatedAtMs):
				return nil
			}
			if err := b.remove(rec); err != nil {
				return err
			}
			finished--
		}
		if len(page) < sweepPage {
			return nil
		}
	}
}

func stateError(rec *core.UploadRecord) error {
	return fmt.Errorf("it is %s: %w", stateOf(rec), core.ErrUploadState)
}

func isNotFound(err error) bool { return errors.Is(err, core.ErrNotFound) }
