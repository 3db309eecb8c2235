package replica

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// MaxAckTips bounds the tips that are kept of one chain that a peer has. The rest counts
// as not had.
const MaxAckTips = 64

// maxNotes is of how many spaces notes are kept in memory.
const maxNotes = 4096

// notes is what is known of peers by space: what they have of own chains, and what was
// exchanged with them. It is written behind, by the sealer: a crash that loses some makes
// the status too careful, and an exchange longer. What makes a claim smaller is written
// at once.
type notes struct {
	mu     sync.Mutex
	spaces map[core.SpaceID]*spaceNotes

	removals int // of members, see forgetPeer
}

type spaceNotes struct {
	acks      map[ackKey][]core.Tip
	exchanges map[core.PeerID]core.ExchangeRecord
	dirty     map[ackKey]bool
	exchanged map[core.PeerID]bool // dirty, too
	flushing  bool                 // a job writes what was dirty
}

type ackKey struct {
	peer core.PeerID
	core.ChainID
}

func newNotes() *notes { return &notes{spaces: map[core.SpaceID]*spaceNotes{}} }

func (s *spaceNotes) clean() bool { return len(s.dirty) == 0 && len(s.exchanged) == 0 && !s.flushing }

// withNotes calls fn, under the lock, with the notes of a space, which it reads if it must.
func (r *Replica) withNotes(ctx context.Context, space core.SpaceID, fn func(*spaceNotes)) error {
	n := r.notes
	for {
		n.mu.Lock()
		if s := n.spaces[space]; s != nil {
			fn(s)
			n.mu.Unlock()
			return nil
		}
		removals := n.removals
		n.mu.Unlock()
		var acks []core.AckRecord
		var exchanges []core.ExchangeRecord
		err := r.store.Read(ctx, func(v core.View) (err error) {
			if acks, err = v.Acks(space); err != nil {
				return err
			}
			exchanges, err = v.Exchanges(space)
			return err
		})
		if err != nil {
			return err
		}
		n.mu.Lock()
		if n.spaces[space] == nil && removals == n.removals { // else what was read may be of an ex-member
			n.put(space, acks, exchanges)
		}
		n.mu.Unlock()
	}
}

func (n *notes) put(space core.SpaceID, acks []core.AckRecord, exchanges []core.ExchangeRecord) {
	if len(n.spaces) >= maxNotes {
		maps.DeleteFunc(n.spaces, func(_ core.SpaceID, s *spaceNotes) bool { return s.clean() })
	}
	s := &spaceNotes{
		acks: map[ackKey][]core.Tip{}, exchanges: map[core.PeerID]core.ExchangeRecord{},
		dirty: map[ackKey]bool{}, exchanged: map[core.PeerID]bool{},
	}
	for _, a := range acks {
		s.acks[ackKey{a.Peer, core.ChainID{Writer: a.Writer, Chain: a.Chain}}] = a.Tips
	}
	for _, e := range exchanges {
		s.exchanges[e.Peer] = e
	}
	n.spaces[space] = s
}

// flushNotes writes what was noted.
func (r *Replica) flushNotes(ctx context.Context) error {
	n := r.notes
	if !n.anyDirty() {
		return nil
	}
	return r.store.Write(ctx, func(tx core.Tx) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		for id, s := range n.spaces {
			for key := range s.dirty {
				if err := tx.PutAck(id, core.AckRecord{Peer: key.peer, Writer: key.Writer, Chain: key.Chain, Tips: s.acks[key]}); err != nil {
					return err
				}
			}
			for peer := range s.exchanged {
				if e, ok := s.exchanges[peer]; ok {
					if err := tx.PutExchange(id, e); err != nil {
						return err
					}
				}
			}
			if len(s.dirty)+len(s.exchanged) == 0 {
				continue
			}
			dirty, exchanged := s.dirty, s.exchanged
			s.dirty, s.exchanged = map[ackKey]bool{}, map[core.PeerID]bool{}
			s.flushing = true
			tx.OnCommit(func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				s.flushing = false
			})
			tx.OnRollback(func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				s.flushing = false
				maps.Copy(s.dirty, dirty)
				maps.Copy(s.exchanged, exchanged)
			})
		}
		return nil
	})
}

func (n *notes) anyDirty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.spaces {
		if !s.clean() {
			return true
		}
	}
	return false
}

// forgetPeer drops what is noted of who is no member of a space any more: should they come
// back, their directory may be another.
func (w *work) forgetPeer(space core.SpaceID, peer core.PeerID) error {
	n := w.r.notes
	w.OnCommit(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.removals++
		s := n.spaces[space]
		if s == nil {
			return
		}
		ofPeer := func(key ackKey) bool { return key.peer == peer }
		maps.DeleteFunc(s.acks, func(key ackKey, _ []core.Tip) bool { return ofPeer(key) })
		maps.DeleteFunc(s.dirty, func(key ackKey, _ bool) bool { return ofPeer(key) })
		delete(s.exchanges, peer)
		delete(s.exchanged, peer)
	})
	return w.ForgetPeer(space, peer)
}

// Acknowledge implements core.Acknowledgements. Rows of who is no member are ignored.
func (r *Replica) Acknowledge(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error {
	return r.acknowledgeRows(ctx, space, peer, rows, false)
}

// AcknowledgeTaken implements core.Acknowledgements.
func (r *Replica) AcknowledgeTaken(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error {
	return r.acknowledgeRows(ctx, space, peer, rows, true)
}

func (r *Replica) acknowledgeRows(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow, more bool) error {
	member, err := r.IsShared(ctx, space, peer)
	if err != nil || !member || peer == r.self.peer {
		return err
	}
	var had []core.LogRow
	err = r.readLog(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		had = nil
		for _, row := range rows {
			writer, err := v.WriterByID(row.Writer)
			if isNotFound(err) || err == nil && writer.Peer != r.self.peer {
				continue
			}
			if err != nil {
				return err
			}
			known, err := knownTips(v, s, writer.Key, row)
			if err != nil {
				return err
			}
			had = append(had, known)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.acknowledge(ctx, space, peer, had, more)
}

// knownTips returns a row with the tips that are entries of its chain here.
func knownTips(v core.View, space *core.SpaceRecord, writer int64, row core.LogRow) (core.LogRow, error) {
	known := core.LogRow{Writer: row.Writer, Chain: row.Chain}
	for _, tip := range row.Tips {
		rec, err := v.EntryHeader(space.Key, tip.Hash)
		if isNotFound(err) || err == nil && (rec.Writer != writer || rec.Chain != row.Chain) {
			continue
		}
		if err != nil {
			return known, err
		}
		known.Tips = append(known.Tips, core.Tip{Seq: rec.Seq, Hash: rec.Hash})
	}
	return known, nil
}

// AcknowledgeAll implements core.Acknowledgements.
func (r *Replica) AcknowledgeAll(ctx context.Context, space core.SpaceID, peer core.PeerID, at core.Summary) error {
	member, err := r.IsShared(ctx, space, peer)
	if err != nil || !member || peer == r.self.peer {
		return err
	}
	own, same, err := r.ownChains(ctx, space, at)
	if err != nil || own == nil {
		return err
	}
	if !same {
		if err := r.asOf(ctx, space, own, at.Mark.Row); err != nil {
			return err
		}
	}
	return r.acknowledge(ctx, space, peer, own, false)
}

// ownChains returns the rows of own writers, and whether the log is still what a summary
// says; nothing if that is of another epoch.
func (r *Replica) ownChains(ctx context.Context, space core.SpaceID, at core.Summary) (own []core.LogRow, same bool, err error) {
	err = r.withLog(ctx, space, func(c *cachedLog, epoch core.Incarnation) error {
		own = nil
		if at.Mark.Epoch != epoch {
			return nil
		}
		same = c.tree.last == at.Mark.Row
		for _, row := range c.tree.own {
			own = append(own, row.log())
		}
		return nil
	})
	return own, same, r.orAwaited(ctx, space, err)
}

// asOf sets rows to what they were when the log ended with a row.
func (r *Replica) asOf(ctx context.Context, space core.SpaceID, rows []core.LogRow, end int64) error {
	return r.readLog(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		for i := range rows {
			row := &rows[i]
			writer, err := v.WriterByID(row.Writer)
			if err != nil {
				return err
			}
			forked := len(row.Tips) > 1
			row.Tips = nil
			if forked {
				keys, err := v.ChainKeys(s.Key, writer.Key, row.Chain, 1, math.MaxInt64)
				if err != nil {
					return err
				}
				keys = slices.DeleteFunc(keys, func(key int64) bool { return key > end })
				if row.Tips, _, err = tipsOf(v, keys); err != nil {
					return err
				}
				continue
			}
			seq, err := v.SeqUntil(s.Key, writer.Key, row.Chain, end)
			if err != nil || seq == 0 {
				return err
			}
			hashes, err := v.ChainHashes(s.Key, writer.Key, row.Chain, seq, 1)
			if err != nil {
				return err
			}
			for _, hash := range hashes {
				row.Tips = append(row.Tips, core.Tip{Seq: seq, Hash: hash})
			}
		}
		return nil
	})
}

// acknowledge notes what a member has of own chains; with more, only what is more than was
// noted before.
func (r *Replica) acknowledge(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow, more bool) error {
	changed, less := false, false
	err := r.withNotes(ctx, space, func(s *spaceNotes) {
		for _, row := range rows {
			key := ackKey{peer, row.ChainID()}
			tips := slices.Clone(row.Tips[:min(len(row.Tips), MaxAckTips)])
			slices.SortFunc(tips, compareTips)
			tips = slices.Compact(tips)
			before := s.acks[key]
			if slices.Equal(before, tips) {
				continue
			}
			// Of a fork nobody can tell from one tip what is known of the others.
			if more && (len(before) > 1 || highest(tips) <= highest(before)) {
				continue
			}
			changed = true
			less = less || len(tips) < len(before) || highest(tips) < highest(before) || len(before) > 1
			s.dirty[key] = true
			s.acks[key] = tips
			if len(tips) == 0 {
				delete(s.acks, key)
			}
		}
	})
	if err != nil || !changed {
		return err
	}
	if err := r.confirmJoining(ctx, space, rows); err != nil {
		return err
	}
	if less {
		return r.flushNotes(ctx)
	}
	r.sealer.wake()
	return nil
}

// confirmJoining lets go of a ticket once a member has the entry that redeems it.
func (r *Replica) confirmJoining(ctx context.Context, id core.SpaceID, rows []core.LogRow) error {
	if awaited, err := r.isAwaited(ctx, id); err != nil || !awaited {
		return err
	}
	return r.write(ctx, events.SourceDaemon, func(w *work) error {
		kept, err := w.Joining(id)
		if err != nil || kept == nil {
			return err
		}
		j, err := decodeJoining(kept)
		if err != nil || j.redeemed.IsZero() {
			return err
		}
		space, err := w.space(id)
		if err != nil {
			return err
		}
		rec, err := w.EntryHeader(space.Key, j.redeemed)
		if err != nil {
			return err
		}
		writer, err := w.Writer(rec.Writer)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Writer != writer.ID || row.Chain != core.ChainMembership {
				continue
			}
			had, err := ancestors(w.Tx, space.Key, row.Tips, rec.Seq)
			if err != nil {
				return err
			}
			if had[j.redeemed] {
				return w.setJoining(id, nil)
			}
		}
		return nil
	})
}

// ancestors returns the entries of a chain that end with tips, with seqs from one on.
func ancestors(v core.View, space int64, tips []core.Tip, from uint64) (map[core.Hash]bool, error) {
	had := map[core.Hash]bool{}
	for _, tip := range tips {
		for hash, seq := tip.Hash, tip.Seq; seq >= max(from, 1) && !had[hash]; seq-- {
			had[hash] = true
			rec, err := v.EntryHeader(space, hash)
			if err != nil {
				return nil, err
			}
			h, err := log.DecodeHeader(rec.Entry.Header)
			if err != nil {
				return nil, err
			}
			hash = h.Prev
		}
	}
	return had, nil
}

// Exchanged implements core.Acknowledgements. Who is no member is ignored.
func (r *Replica) Exchanged(ctx context.Context, space core.SpaceID, peer core.PeerID, mark core.Mark, atMs int64) error {
	member, err := r.IsShared(ctx, space, peer)
	if err != nil || !member {
		return err
	}
	err = r.withNotes(ctx, space, func(s *spaceNotes) {
		s.exchanges[peer] = core.ExchangeRecord{Peer: peer, Mark: mark, AtMs: atMs}
		s.exchanged[peer] = true
	})
	r.sealer.wake()
	return err
}

// LastExchange implements core.Acknowledgements.
func (r *Replica) LastExchange(ctx context.Context, space core.SpaceID, peer core.PeerID) (mark core.Mark, atMs int64, err error) {
	err = r.withNotes(ctx, space, func(s *spaceNotes) {
		if !peer.IsZero() {
			mark, atMs = s.exchanges[peer].Mark, s.exchanges[peer].AtMs
			return
		}
		for _, e := range s.exchanges {
			atMs = max(atMs, e.AtMs)
		}
	})
	return mark, atMs, err
}

// OnlyHere implements core.Acknowledgements.
func (r *Replica) OnlyHere(ctx context.Context, space core.SpaceID) (entries, tails int64, err error) {
	acked := map[core.ChainID][]core.Tip{}
	var crowd *crowd
	if err := r.reading(ctx, func(c *circle) { crowd = c.crowds[space] }); err != nil {
		return 0, 0, err
	}
	err = r.withNotes(ctx, space, func(s *spaceNotes) {
		for key, tips := range s.acks {
			if crowd != nil && crowd.has(key.peer) {
				acked[key.ChainID] = append(acked[key.ChainID], tips...)
			}
		}
	})
	if err != nil {
		return 0, 0, err
	}
	forked := map[core.ChainID]bool{}
	err = r.withLog(ctx, space, func(c *cachedLog, _ core.Incarnation) error {
		for _, row := range c.tree.own {
			forked[row.ChainID] = len(row.tips) > 1
		}
		return nil
	})
	if err != nil {
		return 0, 0, r.orAwaited(ctx, space, err)
	}
	err = r.readLog(ctx, space, func(v core.View, s *core.SpaceRecord) (err error) {
		if entries, err = r.unacked(v, s, acked, forked); err != nil {
			return err
		}
		tails = 0
		for after := int64(0); ; {
			docs, err := v.TailDocs(s.Key, after, spacesPage)
			if err != nil || len(docs) == 0 {
				return err
			}
			tails += int64(len(docs))
			after = docs[len(docs)-1]
		}
	})
	return entries, tails, err
}

// unacked counts the entries of own writers that are not among those that end with tips.
func (r *Replica) unacked(v core.View, space *core.SpaceRecord, acked map[core.ChainID][]core.Tip, forked map[core.ChainID]bool) (n int64, err error) {
	writers, err := v.WritersOf(r.self.peer)
	if err != nil {
		return 0, err
	}
	for _, w := range writers {
		for _, chain := range []core.Chain{core.ChainMembership, core.ChainContent} {
			head, err := v.WriterHead(space.Key, w.Key, chain)
			if isNotFound(err) {
				continue
			}
			if err != nil {
				return 0, err
			}
			key := core.ChainID{Writer: w.ID, Chain: chain}
			if !forked[key] {
				n += int64(head.Seq - min(head.Seq, highest(acked[key])))
				continue
			}
			keys, err := v.ChainKeys(space.Key, w.Key, chain, 1, math.MaxInt64)
			if err != nil {
				return 0, err
			}
			had, err := ancestors(v, space.Key, acked[key], 1)
			if err != nil {
				return 0, err
			}
			n += int64(len(keys) - len(had))
		}
	}
	return n, nil
}
