package replica

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// MaxCachedRows bounds the rows of logs that are kept in memory, of all spaces together.
// A row is a chain of a writer, and takes about 200 bytes.
const MaxCachedRows = 1 << 17

// logs keeps the rows of the logs that were asked for, as of what is on disk. Summaries
// stay when rows have to go, so that an unchanged space costs nothing.
type logs struct {
	mu     sync.Mutex
	known  map[core.SpaceID]*cachedLog
	rows   int
	epoch  *core.Incarnation // of marks, nil until it is known
	resets int
	plans  []*plan // of reads that go on, the newest last
}

// cachedLog is what is known of one log.
type cachedLog struct {
	tree    *rowTree     // nil if it has to be read
	summary core.Summary // without Epoch
	fresh   bool         // summary is that of the log

	building chan struct{} // closed when a read of the tree has ended, nil if there is none
	missed   []storedEntry // that came since it began
}

func newLogs() *logs { return &logs{known: map[core.SpaceID]*cachedLog{}} }

// add takes in entries that are on disk. It runs on the writer's goroutine.
func (l *logs) add(entries []storedEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		c := l.known[e.space]
		if c == nil {
			continue
		}
		c.fresh = false
		if c.building != nil {
			c.missed = append(c.missed, *e)
		}
		if c.tree != nil {
			before := len(c.tree.rows)
			c.tree.add(e)
			l.rows += len(c.tree.rows) - before
		}
	}
	l.bound(nil)
}

// reset forgets everything: what is stored was made anew.
func (l *logs) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resets++
	l.rows, l.epoch, l.plans = 0, nil, nil
	for _, c := range l.known {
		c.tree, c.fresh = nil, false
	}
}

// bound drops trees until the rows are within bounds again.
func (l *logs) bound(keep *cachedLog) {
	for _, c := range l.known {
		if l.rows <= MaxCachedRows {
			return
		}
		if c != keep && c.tree != nil {
			l.rows -= len(c.tree.rows)
			c.tree = nil
		}
	}
}

// withLog calls fn, under the lock, with what is known of a space's log, whose tree is
// there. It returns core.ErrNotFound for a space that is not here.
func (r *Replica) withLog(ctx context.Context, id core.SpaceID, fn func(*cachedLog, core.Incarnation) error) error {
	l := r.logs
	for {
		epoch, err := r.logEpoch(ctx)
		if err != nil {
			return err
		}
		l.mu.Lock()
		c := l.known[id]
		if c == nil {
			c = &cachedLog{}
			l.known[id] = c
		}
		if c.tree != nil && l.epoch != nil && *l.epoch == epoch {
			err := fn(c, epoch)
			l.mu.Unlock()
			return err
		}
		if wait := c.building; wait != nil {
			l.mu.Unlock()
			select {
			case <-wait:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		c.building, c.missed = make(chan struct{}), nil
		resets := l.resets
		l.mu.Unlock()
		tree, err := r.buildTree(ctx, id)
		l.mu.Lock()
		if err == nil && resets == l.resets {
			l.install(c, tree)
		}
		if isNotFound(err) {
			delete(l.known, id)
		}
		close(c.building)
		c.building, c.missed = nil, nil
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// install makes a tree that was read the one of a log, with what came since.
func (l *logs) install(c *cachedLog, tree *rowTree) {
	last := tree.last
	for i := range c.missed {
		if c.missed[i].row > last {
			tree.add(&c.missed[i])
		}
	}
	c.tree, c.fresh = tree, false
	l.rows += len(tree.rows)
	l.bound(c)
}

// buildTree reads the rows of a log. What it has is on disk.
func (r *Replica) buildTree(ctx context.Context, id core.SpaceID) (*rowTree, error) {
	var tree *rowTree
	err := r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) (err error) {
		tree, err = readTree(v, space, r.self.peer)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.syncTo(ctx, tree.last); err != nil {
		return nil, err
	}
	tree.root.digest() // outside of the lock
	return tree, nil
}

// syncTo returns when all that is stored up to a row is on disk.
func (r *Replica) syncTo(ctx context.Context, row int64) error {
	if r.feed.isSynced(row) {
		return nil
	}
	if err := r.sync(ctx); err != nil {
		return err
	}
	r.feed.syncedTo(row)
	return nil
}

// readTree reads the rows of a log. A chain has a fork if it has more entries than its
// highest seq says.
func readTree(v core.View, space *core.SpaceRecord, self core.PeerID) (*rowTree, error) {
	heads, err := v.Heads(space.Key)
	if err != nil {
		return nil, err
	}
	ends := make(map[storedChain]core.HeadRecord, len(heads))
	for _, h := range heads {
		ends[storedChain{h.Writer, h.Chain}] = h
	}
	chains, err := v.Chains(space.Key)
	if err != nil {
		return nil, err
	}
	tree := newRowTree()
	for _, c := range chains {
		head, ok := ends[storedChain{c.Writer, c.Chain}]
		if !ok {
			return nil, fmt.Errorf("chain of writer %d has no head: %w", c.Writer, core.ErrCorrupt)
		}
		writer, err := v.Writer(c.Writer)
		if err != nil {
			return nil, err
		}
		row := &treeRow{ChainID: core.ChainID{Writer: writer.ID, Chain: c.Chain}, key: c.Writer, own: writer.Peer == self, tips: []core.Tip{{Seq: head.Seq, Hash: head.Hash}}, last: head.Entry}
		if c.Count != head.Seq {
			if row.tips, row.last, err = readTips(v, head); err != nil {
				return nil, err
			}
		}
		tree.put(row)
		tree.size += c.Count
	}
	return tree, nil
}

// readTips returns the ends of the branches of a chain that is forked, and the highest
// row of its entries.
func readTips(v core.View, head core.HeadRecord) (tips []core.Tip, last int64, err error) {
	fork, err := v.FirstFork(head.Space, head.Writer, head.Chain)
	if err != nil {
		return nil, 0, err
	}
	keys, err := v.ChainKeys(head.Space, head.Writer, head.Chain, max(fork, 1), math.MaxInt64)
	if err != nil {
		return nil, 0, err
	}
	return tipsOf(v, keys)
}

// tipsOf returns the entries of a chain, of those with keys, that none of the others names
// as the one before it, and the highest key.
func tipsOf(v core.View, keys []int64) (tips []core.Tip, last int64, err error) {
	ends := map[core.Hash]uint64{}
	named := map[core.Hash]bool{}
	for _, key := range keys {
		rec, err := v.EntryByKey(key)
		if err != nil {
			return nil, 0, err
		}
		h, err := log.DecodeHeader(rec.Entry.Header)
		if err != nil {
			return nil, 0, fmt.Errorf("entry %s: %w: %w", rec.Hash, core.ErrCorrupt, err)
		}
		named[h.Prev] = true
		ends[rec.Hash] = rec.Seq
		last = max(last, key)
	}
	for hash, seq := range ends {
		if !named[hash] {
			tips = append(tips, core.Tip{Seq: seq, Hash: hash})
		}
	}
	slices.SortFunc(tips, compareTips)
	return tips, last, nil
}

// metaEpoch is the key of the epoch of marks.
const metaEpoch = "log-epoch"

// logEpoch returns the epoch of marks: as long as it is the same, a row that was given to
// an entry is never given to another. It is made when it is first asked for, and anew when
// the directory is a copy or rows were made anew.
func (r *Replica) logEpoch(ctx context.Context) (core.Incarnation, error) {
	r.logs.mu.Lock()
	known, resets := r.logs.epoch, r.logs.resets
	r.logs.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var epoch core.Incarnation
	err := r.store.WriteSynced(ctx, func(tx core.Tx) error {
		stored, err := tx.Meta(metaEpoch)
		if err != nil {
			return err
		}
		if len(stored) == len(epoch) {
			epoch = core.Incarnation(stored)
			return nil
		}
		core.Fill(r.random, epoch[:])
		return tx.SetMeta(metaEpoch, epoch[:])
	})
	if err != nil {
		return epoch, err
	}
	r.logs.mu.Lock()
	defer r.logs.mu.Unlock()
	if resets == r.logs.resets {
		r.logs.epoch = &epoch
	}
	return epoch, nil
}
