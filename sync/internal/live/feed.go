package live

import (
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Feed hears of all commits of a directory, and passes them on to queues.
type Feed struct {
	stop func()

	mu     sync.Mutex
	queues map[*Queue]struct{}
}

// NewFeed returns a feed of what happens from now on. Close ends it.
func NewFeed(r interface {
	Follow(fn func(core.News)) (stop func())
},
) *Feed {
	f := &Feed{queues: make(map[*Queue]struct{})}
	f.stop = r.Follow(f.tell)
	return f
}

// Close ends the feed: its queues get nothing more.
func (f *Feed) Close() { f.stop() }

// Open returns a queue of what happens from now on. It is opened before the first
// exchange with its peer, so that what is committed meanwhile is in either.
func (f *Feed) Open() *Queue {
	q := &Queue{feed: f, notes: make(map[core.SpaceID]*note), wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[q] = struct{}{}
	return q
}

func (f *Feed) drop(q *Queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.queues, q)
}

// tell runs with each commit, and waits for nothing but the locks of queues.
func (f *Feed) tell(n core.News) {
	if len(n.Entries) == 0 && !n.Members {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queues) == 0 {
		return
	}
	newest := tipsOf(n.Entries)
	for q := range f.queues {
		q.add(n, newest)
	}
}

// tips are the newest entries of chains: whoever has them has what is before them too.
type tips map[core.ChainID]core.Tip

// tipsOf returns the last of each chain among entries in causal order. Those that are
// none are left out.
func tipsOf(entries []core.Entry) tips {
	t := make(tips)
	for _, e := range entries {
		t.add(e)
	}
	return t
}

func (t tips) add(e core.Entry) {
	h, err := log.DecodeHeader(e.Header)
	if err != nil {
		return
	}
	t[h.ChainID()] = core.Tip{Seq: h.Seq, Hash: e.Hash()}
}

// rows returns the tips as rows, in no order.
func (t tips) rows() []core.LogRow {
	rows := make([]core.LogRow, 0, len(t))
	for k, tip := range t {
		rows = append(rows, core.LogRow{Writer: k.Writer, Chain: k.Chain, Tips: []core.Tip{tip}})
	}
	return rows
}
