package upload

import (
	"context"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// How often progress is told, and how often it is stored: each time costs a sync of the disk.
const (
	reportEvery = 100 * time.Millisecond
	storeEvery  = 10 // reports
)

// report tells of what a sink says it has sent, until the function that it returns is called.
func (u *Uploads) report(r *run, job Job) (end func()) {
	r.sent.Store(0)
	r.live.Store(true)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		told, stored := int64(0), int64(0)
		for n := 1; ; n++ {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			sent := r.sent.Load()
			switch {
			case n%storeEvery == 0 && sent != stored:
				u.storeProgress(r, sent)
				told, stored = sent, sent
			case sent != told:
				u.tellProgress(r, job, sent)
				told = sent
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		r.live.Store(false)
	}
}

// tellProgress tells subscribers, unless the job is being ended: nothing may come after that.
func (u *Uploads) tellProgress(r *run, job Job, sent int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.ctx.Err() == nil {
		job.SentBytes, job.State, job.UpdatedAtMs = sent, Uploading, u.now().UnixMilli()
		u.topic.Emit(job)
	}
}

func (u *Uploads) storeProgress(r *run, sent int64) {
	err := u.write(r.ctx, func(b *batch) error {
		rec, err := b.find(r.id)
		if err != nil || rec.State != core.UploadUploading {
			return err
		}
		rec.SentBytes = sent
		return b.put(rec)
	})
	if err != nil && context.Cause(r.ctx) == nil { // a job that is being ended tells of it itself
		u.logger.Warn("progress of an upload not stored", "id", r.id, "err", err)
	}
}
