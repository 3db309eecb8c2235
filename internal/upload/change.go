package upload

import "github.com/soma-sdk/soma/internal/events"

// MaxPending bounds the snapshots of jobs that wait for one subscriber.
const MaxPending = 16384

// newsKey is what a snapshot takes the place of: an earlier one of its job of the same kind.
// So progress never takes the place of an end, nor does what comes after a Retry.
type newsKey struct {
	id   string
	kind int // 0 while something is to be done, 1 for an end, 2 for Removed
}

func newsKeyOf(j Job) newsKey {
	switch {
	case j.State == Removed:
		return newsKey{j.ID, 2}
	case j.State.IsFinished():
		return newsKey{j.ID, 1}
	}
	return newsKey{j.ID, 0}
}

// news is what waits for one subscriber. One more than the limit turns all into one
// ListAgain, which covers whatever comes until it is taken.
type news struct {
	*events.Latest[newsKey, Job]
}

func newNews(limit int) events.Pending[Job] {
	return news{events.NewLatest(limit, newsKeyOf, func(l *events.Latest[newsKey, Job]) {
		l.Clear()
		l.Push(Job{State: ListAgain})
	})}
}

// Push implements events.Pending.
func (n news) Push(j Job) bool {
	if n.Has(newsKeyOf(Job{State: ListAgain})) {
		j = Job{State: ListAgain} // the one on offer may have been taken just now
	}
	return n.Latest.Push(j)
}
