package replica

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/yjs"
)

// A document is compacted when so many ops, or bytes of ops, follow its snapshot,
// and relative to the snapshot enough that the work is amortised.
const (
	compactOps        = 500
	compactBytes      = 256 << 10
	snapshotPerOp     = 512 // bytes of snapshot that one more op may wait for
	snapshotPerOpByte = 4

	// A document that paused is compacted after a read, unless it is so small that
	// reading it costs nothing anyway.
	worthCompactBytes = 16 << 10
)

func needsCompaction(d *core.DocRecord) bool {
	ops := d.LastN - d.ThroughN
	return (ops >= compactOps && ops*snapshotPerOp >= d.SnapBytes) ||
		(d.OpBytes >= compactBytes && d.OpBytes*snapshotPerOpByte >= d.SnapBytes)
}

// compactor compacts documents in the background, one after the other.
type compactor struct {
	r      *Replica
	signal chan struct{}

	mu    sync.Mutex
	queue []int64
	has   map[int64]bool
}

func newCompactor(r *Replica) *compactor {
	return &compactor{r: r, signal: make(chan struct{}, 1), has: map[int64]bool{}}
}

func (c *compactor) add(docs ...int64) {
	c.mu.Lock()
	for _, doc := range docs {
		if !c.has[doc] {
			c.has[doc] = true
			c.queue = append(c.queue, doc)
		}
	}
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

func (c *compactor) next() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return 0, false
	}
	doc := c.queue[0]
	c.queue = c.queue[1:]
	delete(c.has, doc)
	return doc, true
}

func (c *compactor) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.signal:
		}
		for {
			doc, ok := c.next()
			if !ok {
				break
			}
			if err := c.r.compact(ctx, doc); err != nil && ctx.Err() == nil {
				c.r.logger.Error("document not compacted", "err", err)
			}
		}
	}
}

// compact replaces a document's snapshot and the ops after it by a new snapshot.
// The log keeps the ops. What waits for missing content is in the snapshot as
// well, so nothing hangs on it any more that has to be read again.
func (r *Replica) compact(ctx context.Context, doc int64) error {
	var rec core.DocRecord
	var updates [][]byte
	var opBytes int64
	err := r.store.Read(ctx, func(v core.View) (err error) {
		if rec, err = v.DocByKey(doc); err != nil {
			return err
		}
		snapshot, err := v.DocSnapshot(doc)
		if err != nil {
			return err
		}
		if snapshot != nil {
			updates = append(updates, snapshot)
		}
		return v.DocOps(doc, rec.ThroughN, func(op core.DocOp) error {
			updates = append(updates, op.Update)
			opBytes += int64(len(op.Update))
			return nil
		})
	})
	if errors.Is(err, core.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec.LastN == rec.ThroughN {
		return nil // done meanwhile
	}
	state, err := yjs.Compact(updates...)
	if err != nil {
		return damaged("content", &head{DocRecord: rec}, err)
	}
	return r.write(ctx, events.SourceDaemon, func(w *work) error {
		h, err := w.head(rec.Space, rec.ID)
		if err != nil {
			return err
		}
		if h.ThroughN != rec.ThroughN || !bytes.Equal(h.Epoch, rec.Epoch) {
			return nil // another snapshot came first
		}
		h.ThroughN = rec.LastN
		h.OpBytes -= opBytes
		h.SnapBytes = int64(len(state))
		if err := w.SetDocSnapshot(h.Key, state); err != nil {
			return err
		}
		return w.save(h)
	})
}
