package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// addOp makes an update of a document durable: as an entry at once after a quiet
// time, or else in the tail, until there is enough or time has passed.
func (w *work) addOp(space *core.SpaceRecord, h *head, update []byte, quiet bool) error {
	// Under relaxed durability an entry must still reach the disk before a peer
	// sees it; the sealer does that in the background.
	now := quiet && h.TailCount == 0 && !w.r.relax
	if now || h.TailBytes+int64(len(update)) >= MaxTailBytes {
		return w.sealDoc(space, h, update)
	}
	h.TailCount++
	h.TailBytes += int64(len(update))
	id := log.NewOpID(w.r.random)
	if err := w.AddTail(h.Key, core.TailRecord{N: h.TailCount, OpID: id[:], Update: update}); err != nil {
		return err
	}
	w.tailed = true
	w.tell(space.ID).Tail = true
	return w.save(h)
}

// Seal turns the tail of every space into entries. It returns when they are on disk. A
// space that is damaged does not keep the others from being sealed.
func (r *Replica) Seal(ctx context.Context) error {
	var damaged error
	after := core.SpaceID("")
	for {
		var spaces []core.SpaceRecord
		err := r.store.Read(ctx, func(v core.View) (err error) {
			spaces, err = v.Spaces(after, spacesPage)
			return err
		})
		if err != nil || len(spaces) == 0 {
			return errors.Join(damaged, err)
		}
		for i := range spaces {
			after = spaces[i].ID
			err := r.sealSpace(ctx, &spaces[i])
			switch {
			case err != nil && isDamage(err):
				damaged = errors.Join(damaged, err)
			case err != nil:
				return err
			}
		}
	}
}

// sealPage is how many documents one transaction of Seal takes: other writers
// wait meanwhile.
const sealPage = 64

// sealSpace seals each document at most once, so that it comes to an end, and runs
// stay long, however much is being written meanwhile.
func (r *Replica) sealSpace(ctx context.Context, space *core.SpaceRecord) error {
	for after, more := int64(0), true; more; {
		var left bool
		err := r.store.Read(ctx, func(v core.View) error {
			docs, err := v.TailDocs(space.Key, after, 1)
			left = len(docs) > 0
			return err
		})
		if err != nil || !left {
			return err
		}
		err = r.writeSynced(ctx, events.SourceDaemon, func(w *work) (err error) {
			after, more, err = w.sealSome(space, after)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sealAll seals the tail of a space inside a transaction.
func (w *work) sealAll(space *core.SpaceRecord) (err error) {
	for after, more := int64(0), true; more && err == nil; {
		after, more, err = w.sealSome(space, after)
	}
	return err
}

// sealSome seals the tails of the next sealPage documents after a key. It returns
// the last one's key and whether there may be more.
func (w *work) sealSome(space *core.SpaceRecord, after int64) (last int64, more bool, err error) {
	keys, err := w.TailDocs(space.Key, after, sealPage)
	if err != nil || len(keys) == 0 {
		return after, false, err
	}
	heads := make([]*head, len(keys))
	for i, key := range keys {
		rec, err := w.DocByKey(key)
		if err != nil {
			return after, false, err
		}
		if heads[i], err = w.head(space.Key, rec.ID); err != nil {
			return after, false, err
		}
	}
	return keys[len(keys)-1], len(keys) == sealPage, w.sealDocs(space, heads...)
}

// sealDocs seals the tails of documents into as few entries as hold them.
func (w *work) sealDocs(space *core.SpaceRecord, heads ...*head) error {
	p := packer{w: w, space: space}
	for _, h := range heads {
		if h.TailCount == 0 {
			continue
		}
		err := p.addTail(h, nil)
		if errors.Is(err, core.ErrCorrupt) {
			// One damaged row must not keep the rest of the directory from being sealed.
			w.r.logger.Error("tail not sealed", "document", h.ID, "err", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return p.flush()
}

// sealDoc seals a document's tail and one more update. An update that fits into an entry
// is in one: what an Edit did must not be seen in part.
func (w *work) sealDoc(space *core.SpaceRecord, h *head, update []byte) error {
	p := packer{w: w, space: space}
	if h.TailCount > 0 && h.TailBytes+int64(len(update)) > maxPartBytes/2 {
		if err := p.addTail(h, nil); err != nil {
			return err
		}
	}
	if err := p.addTail(h, update); err != nil {
		return err
	}
	return p.flush()
}

// maxPartBytes bounds an update in an own entry, which may be the first of an
// incarnation.
const maxPartBytes = log.MaxDocUpdateBytes - retireBytes

// packBytes is from which size on an entry takes no further update: an entry comes whole
// or not at all, and relays cut connections after 128 KiB.
const packBytes = 24 << 10

// packer packs updates into entries.
type packer struct {
	w      *work
	space  *core.SpaceRecord
	bodies []log.Body
	size   int
	heads  map[core.DocumentID]*head
}

// addTail takes a document's tail, merged, and an update that did not go there. A
// tail that cannot be merged is core.ErrCorrupt, and stays.
func (p *packer) addTail(h *head, update []byte) error {
	parts, err := p.w.mergedTail(h, update)
	if err != nil {
		return err
	}
	if h.TailCount > 0 {
		if err := p.w.ClearTail(h.Key); err != nil {
			return err
		}
		p.w.tell(p.space.ID).Tail = true
		h.TailCount, h.TailBytes = 0, 0
	}
	for _, part := range parts {
		if err := p.add(h, part); err != nil {
			return err
		}
	}
	return nil
}

// mergedTail returns a document's tail and one more update as few updates that
// each fit into an entry.
func (w *work) mergedTail(h *head, update []byte) ([][]byte, error) {
	var updates [][]byte
	if h.TailCount > 0 {
		tail, err := w.Tail(h.Key)
		if err != nil {
			return nil, err
		}
		for _, t := range tail {
			updates = append(updates, t.Update)
		}
	}
	if update != nil {
		updates = append(updates, update)
	}
	merged, err := mergeTail(updates)
	if err != nil {
		return nil, damaged("tail", h, err)
	}
	parts, err := yjs.Split(merged, maxPartBytes)
	if errors.Is(err, yjs.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", core.ErrTooLarge, err)
	}
	if err != nil {
		return nil, damaged("tail", h, err)
	}
	return parts, nil
}

// mergeTail merges what was typed in pieces into runs.
func mergeTail(updates [][]byte) ([]byte, error) {
	if len(updates) == 1 {
		return updates[0], nil
	}
	merged, err := yjs.Union(updates...)
	if err != nil {
		return nil, err
	}
	return yjs.Coalesce(merged)
}

func (p *packer) add(h *head, update []byte) error {
	size := len(update) + log.DocUpdateOverhead
	// One op is kept free for the retirement of earlier incarnations.
	if p.size+size > packBytes || len(p.bodies) == log.MaxOps-1 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.heads == nil {
		p.heads = map[core.DocumentID]*head{}
	}
	p.bodies = append(p.bodies, log.DocUpdate{Doc: h.ID, Update: update})
	p.heads[h.ID] = h
	p.size += size
	return nil
}

// flush seals what was packed.
func (p *packer) flush() error {
	if len(p.bodies) == 0 {
		return nil
	}
	e, rec, err := p.w.append(p.space, p.bodies...)
	if err != nil {
		return err
	}
	for _, op := range e.Ops {
		if u, ok := op.Body.(log.DocUpdate); ok {
			if err := p.w.addSealed(p.heads[u.Doc], rec.Key, u); err != nil {
				return err
			}
		}
	}
	p.bodies, p.size, p.heads = nil, 0, nil
	return nil
}

// addSealed adds an op of an entry to its document.
func (w *work) addSealed(h *head, entry int64, op log.DocUpdate) error {
	h.LoggedAtMs = w.nowMs
	h.OpBytes += int64(op.Length)
	err := w.noteOp(h, entry, op.Offset, op.Length)
	if needsCompaction(&h.DocRecord) {
		w.compact = append(w.compact, h.Key)
	}
	return err
}

// noteOp notes where an op of a document lies in an entry; a delete has no length.
func (w *work) noteOp(h *head, entry int64, offset, length int) error {
	h.LastN++
	if err := w.AddDocOp(h.Key, h.LastN, entry, offset, length); err != nil {
		return err
	}
	return w.save(h)
}

// sealer seals tails in the background, and brings to the disk what a relaxed commit
// left: both at most once per Timing.Every, or Timing.Haste in spaces where somebody waits.
type sealer struct {
	r      *Replica
	signal chan struct{} // something is to be done
	quick  chan struct{} // in a space where somebody waits
	now    chan struct{} // too much is not on disk

	mu    sync.Mutex
	hasty map[core.SpaceID]bool // where somebody waits
	due   map[core.SpaceID]bool // those of these in which something is to be done
	first bool                  // somebody has just come, and wants what there is
}

func newSealer(r *Replica) *sealer {
	return &sealer{
		r: r, signal: make(chan struct{}, 1), quick: make(chan struct{}, 1), now: make(chan struct{}, 1),
		hasty: map[core.SpaceID]bool{}, due: map[core.SpaceID]bool{},
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wake tells the sealer that there is a tail.
func (s *sealer) wake() { notify(s.signal) }

// wakeFor tells in which space.
func (s *sealer) wakeFor(space core.SpaceID) {
	s.wake()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasty[space] {
		s.due[space] = true
		notify(s.quick)
	}
}

// hurry tells the sealer that too much is not on disk yet.
func (s *sealer) hurry() { notify(s.now) }

// Hasten implements core.SharedLog.
func (r *Replica) Hasten(space core.SpaceID, on bool) {
	s := r.sealer
	s.mu.Lock()
	defer s.mu.Unlock()
	if !on {
		delete(s.hasty, space)
		return
	}
	if !s.hasty[space] {
		s.hasty[space], s.due[space], s.first = true, true, true // there may be a tail
		notify(s.quick)
	}
}

// takeFirst reports whether somebody has come who must not wait, and forgets it.
func (s *sealer) takeFirst() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first
	s.first = false
	return first
}

// takeDue returns the spaces that are due, and forgets them.
func (s *sealer) takeDue() []core.SpaceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := slices.Sorted(maps.Keys(s.due))
	clear(s.due)
	return due
}

// run seals, as long as there are tails.
func (s *sealer) run(ctx context.Context) {
	var every, haste <-chan time.Time
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.signal:
			if every == nil {
				every = time.After(s.r.timing.Every)
			}
		case <-s.quick:
			switch {
			case s.takeFirst():
				haste = time.After(0)
			case haste == nil:
				haste = time.After(s.r.timing.Haste)
			}
		case <-s.now:
			err = s.r.syncWaiting(ctx)
		case <-every:
			every = nil
			err = errors.Join(s.r.Seal(ctx), s.r.syncWaiting(ctx), s.r.flushNotes(ctx))
		case <-haste:
			haste = nil
			for _, space := range s.takeDue() {
				if serr := s.r.SealSpace(ctx, space); serr != nil && !isNotFound(serr) {
					err = errors.Join(err, serr)
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			s.r.logger.Error("tail not sealed, trying again", "err", err)
			s.wake()
		}
	}
}

// syncWaiting brings entries to the disk that only a relaxed commit holds.
func (r *Replica) syncWaiting(ctx context.Context) error {
	if !r.feed.unsynced() {
		return nil
	}
	return r.sync(ctx)
}
