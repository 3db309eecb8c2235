package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// The defaults of Limits.
const (
	DefaultWorkers   = 2
	DefaultAttempts  = 10
	DefaultFirstWait = time.Second
	DefaultMaxWait   = 5 * time.Minute
)

// What is kept at most.
const (
	MaxJobs     = 10_000 // that have not finished
	MaxFinished = 1000
	FinishedTTL = 7 * 24 * time.Hour
)

// Limits say how uploads are made. All but Attempts are positive.
type Limits struct {
	Workers   int           // uploads at the same time
	Attempts  int64         // until a job fails, 0 for any number
	FirstWait time.Duration // at most, after the first attempt; it doubles with each
	MaxWait   time.Duration
	Bytes     int64 // of one source
}

// Config is what Uploads are made of. All fields are required.
type Config struct {
	Store  core.Store
	Gate   Gate
	Sink   Sink
	Dir    string // of the DB
	Limits Limits
	Now    func() time.Time
	Logger *slog.Logger
}

// Uploads are the uploads of one directory. They are safe for concurrent use.
type Uploads struct {
	store  core.Store
	gate   Gate
	sink   Sink
	dir    string
	spool  spool
	limits Limits
	now    func() time.Time
	logger *slog.Logger
	topic  *events.Topic[Job]
	mirror func(Change)

	windows authors

	background context.Context //nolint:containedctx // it is the life of the workers
	stop       context.CancelFunc
	workers    sync.WaitGroup
	schedule
}

// Open returns the uploads of an open store, and goes on with those that an earlier handle
// did not get done with. mirror, if not nil, is called with each change of a row, after the
// commit, and must not wait. Close must be called before the store is closed.
func Open(ctx context.Context, c Config, mirror func(Change)) (*Uploads, error) {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	u := &Uploads{
		store: c.Store, gate: c.Gate, sink: c.Sink, dir: c.Dir, spool: newSpool(filepath.Join(c.Dir, "uploads")), limits: c.Limits, now: c.Now,
		logger: c.Logger, topic: events.NewTopic(func() events.Pending[Job] { return newNews(MaxPending) }), mirror: mirror,
		windows: authors{}, background: background, stop: stop,
	}
	u.init()
	if err := u.resume(ctx); errors.Is(err, core.ErrCorrupt) { // Verify needs an open directory
		u.logger.Error("uploads cannot be read", "err", err)
	} else if err != nil {
		stop()
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	for range u.limits.Workers {
		u.workers.Go(u.work)
	}
	return u, nil
}

// resume queues what was running, sweeps, and schedules what is to be done.
func (u *Uploads) resume(ctx context.Context) error {
	var active []core.UploadRecord
	var excess bool
	jobs := claims{needs: map[string]bool{}}
	err := u.store.Read(ctx, func(v core.View) (err error) {
		if excess, err = u.hasExcess(v); err != nil {
			return err
		}
		return eachUpload(v, func(rec *core.UploadRecord) error {
			jobs.needs[rec.ID] = rec.Damaged || rec.Path == "" && rec.State != core.UploadDone && rec.State != core.UploadCancelled
			jobs.doubt = jobs.doubt || rec.Damaged // its ID may be what is wrong
			if !rec.Damaged && !rec.State.IsFinished() {
				active = append(active, *rec)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := u.spool.sweep(jobs, u.now().UnixMilli()); err != nil {
		u.logger.Warn("spooled uploads not swept", "err", err)
	}
	running := slices.ContainsFunc(active, func(rec core.UploadRecord) bool { return rec.State.IsRunning() })
	if running || excess {
		err = u.write(ctx, func(b *batch) error {
			for i := range active {
				if active[i].State.IsRunning() {
					if err := b.requeue(&active[i]); err != nil {
						return err
					}
				}
			}
			return b.sweep()
		})
	}
	if err != nil {
		return err
	}
	for i := range active {
		rec := &active[i]
		if rec.State == core.UploadWaiting {
			u.later(rec.ID, u.waitOf(rec))
		} else {
			u.ready(rec.ID)
		}
	}
	return nil
}

// waitOf returns how long a job still waits. A clock that was set back does not make it long.
func (u *Uploads) waitOf(rec *core.UploadRecord) time.Duration {
	ms := min(max(rec.NextAttemptMs-u.now().UnixMilli(), 0), u.limits.MaxWait.Milliseconds())
	return time.Duration(ms) * time.Millisecond
}

// Interrupt ends what is running, which the next Open goes on with, and makes nobody wait for
// it any longer: Cancel and Copy return core.ErrClosed.
func (u *Uploads) Interrupt() {
	u.stop()
	u.shut()
}

// Close is Interrupt, waits for what is running, and ends all subscriptions. It does not
// close the store.
func (u *Uploads) Close() {
	u.Interrupt()
	u.workers.Wait()
	u.topic.Close()
}

// Watch returns what jobs become from now on. It is events.Topic.Subscribe.
func (u *Uploads) Watch(ctx context.Context) <-chan Job { return u.topic.Subscribe(ctx) }

// Get returns core.ErrNotFound for an unknown job, and core.ErrCorrupt for one that is damaged.
func (u *Uploads) Get(ctx context.Context, id string) (Job, error) {
	if err := core.CheckID("id", id); err != nil {
		return Job{}, err
	}
	var rec core.UploadRecord
	err := u.store.Read(ctx, func(v core.View) (err error) {
		rec, err = v.Upload(id)
		return err
	})
	if err != nil {
		return Job{}, err
	}
	job, err := readable(&rec)
	return u.current(job), err
}

// readable returns a job, or core.ErrCorrupt.
func readable(rec *core.UploadRecord) (Job, error) {
	if rec.Damaged || stateOf(rec) == "" {
		return Job{ID: rec.ID}, fmt.Errorf("upload %q: %w", rec.ID, core.ErrCorrupt)
	}
	return jobOf(rec), nil
}

// Listed is an element of a page: a job, or its ID and core.ErrCorrupt.
type Listed struct {
	Job Job
	Err error
}

// listPage is how many jobs Page reads.
const listPage = 64

// Page returns jobs with keys greater than after, in the order in which they were made, and
// the key to go on from, 0 for the end.
func (u *Uploads) Page(ctx context.Context, after int64) (page []Listed, next int64, err error) {
	var recs []core.UploadRecord
	err = u.store.Read(ctx, func(v core.View) (err error) {
		recs, err = v.Uploads(after, listPage)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range recs {
		job, err := readable(&recs[i])
		page = append(page, Listed{u.current(job), err})
	}
	if len(recs) == listPage {
		next = recs[len(recs)-1].Key
	}
	return page, next, nil
}

// eachUpload calls fn with all jobs, in order of key.
func eachUpload(v core.View, fn func(*core.UploadRecord) error) error {
	for after := int64(-1 << 63); ; {
		page, err := v.Uploads(after, listPage)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Key
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < listPage {
			return nil
		}
	}
}
