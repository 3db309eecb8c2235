package upload

import (
	"time"

	"github.com/soma-sdk/soma/internal/events"
)

// NewNews returns what waits for a subscriber with another limit.
func NewNews(limit int) events.Pending[Job] { return newNews(limit) }

// Backoff returns how long a job waits after some attempts.
func (u *Uploads) Backoff(attempts int64) time.Duration { return u.backoff(attempts) }

// FillDisk has writes of spooled bytes fail once there are more than room, and if sync is set
// only then when they are synced.
func (u *Uploads) FillDisk(room int, sync bool, err error) {
	create := u.spool.create
	u.spool.create = func(path string) (spoolFile, error) {
		f, cerr := create(path)
		return &fullFile{f, room, sync, err}, cerr
	}
}

type fullFile struct {
	spoolFile
	room int
	sync bool
	err  error
}

func (f *fullFile) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 && !f.sync {
		return 0, f.err
	}
	return f.spoolFile.Write(b)
}

func (f *fullFile) Sync() error {
	if f.room < 0 {
		return f.err
	}
	return f.spoolFile.Sync()
}
