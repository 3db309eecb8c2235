package replica

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"math"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// Self implements core.Replica.
func (r *Replica) Self() core.PeerID { return r.self.peer }

// Key implements core.Replica.
func (r *Replica) Key() ed25519.PrivateKey { return r.self.key }

// Summary implements core.SharedLog.
func (r *Replica) Summary(ctx context.Context, space core.SpaceID) (core.Summary, error) {
	if s, ok := r.logs.summaryOf(space); ok {
		return s, nil
	}
	var s core.Summary
	err := r.withLog(ctx, space, func(c *cachedLog, epoch core.Incarnation) error {
		s = c.sum(epoch)
		return nil
	})
	return s, r.orAwaited(ctx, space, err)
}

// summaryOf returns the summary of a log that has not changed since the last one.
func (l *logs) summaryOf(space core.SpaceID) (core.Summary, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.known[space]
	if c == nil || l.epoch == nil || !c.fresh && c.tree == nil {
		return core.Summary{}, false
	}
	return c.sum(*l.epoch), true
}

// sum returns the summary of a log whose tree is there, or which has not changed.
func (c *cachedLog) sum(epoch core.Incarnation) core.Summary {
	if !c.fresh {
		c.summary = core.Summary{Digest: c.tree.root.digest(), Rows: len(c.tree.rows), Mark: core.Mark{Row: c.tree.last}}
		c.fresh = true
	}
	s := c.summary
	s.Mark.Epoch = epoch
	return s
}

// orAwaited returns nil instead of core.ErrNotFound for a space that a ticket waits for.
func (r *Replica) orAwaited(ctx context.Context, space core.SpaceID, err error) error {
	if !isNotFound(err) {
		return err
	}
	awaited, aerr := r.isAwaited(ctx, space)
	if aerr != nil || !awaited {
		return cmp.Or(aerr, err)
	}
	return nil
}

// readLog is readSpace that does nothing for a space that is awaited and not here.
func (r *Replica) readLog(ctx context.Context, id core.SpaceID, fn func(core.View, *core.SpaceRecord) error) error {
	return r.orAwaited(ctx, id, r.readSpace(ctx, id, fn))
}

// Node implements core.SharedLog.
func (r *Replica) Node(ctx context.Context, space core.SpaceID, path core.TreePath) (node core.TreeNode, err error) {
	err = r.withLog(ctx, space, func(c *cachedLog, _ core.Incarnation) error {
		node = c.tree.node(path)
		return nil
	})
	return node, r.orAwaited(ctx, space, err)
}

// RowsSince implements core.SharedLog.
func (r *Replica) RowsSince(
	ctx context.Context, space core.SpaceID, mark core.Mark, limit int,
) (rows []core.LogRow, now core.Mark, ok bool, err error) {
	err = r.withLog(ctx, space, func(c *cachedLog, epoch core.Incarnation) error {
		if mark.Epoch != epoch || mark.Row < 0 || mark.Row > c.tree.last {
			return nil
		}
		now = core.Mark{Epoch: epoch, Row: c.tree.last}
		rows, ok = c.tree.since(mark.Row, limit)
		return nil
	})
	return rows, now, ok, r.orAwaited(ctx, space, err)
}

// ownRows returns the rows that are here beside those of a peer, without tips where there
// are none.
func (r *Replica) ownRows(ctx context.Context, space core.SpaceID, rows []core.LogRow) ([]core.LogRow, error) {
	own := make([]core.LogRow, len(rows))
	err := r.withLog(ctx, space, func(c *cachedLog, _ core.Incarnation) error {
		for i, row := range rows {
			if have := c.tree.rows[row.ChainID()]; have != nil {
				own[i] = have.log()
			}
		}
		return nil
	})
	return own, r.orAwaited(ctx, space, err)
}

// Missing implements core.SharedLog.
func (r *Replica) Missing(ctx context.Context, space core.SpaceID, rows []core.LogRow) ([]core.Range, error) {
	own, err := r.ownRows(ctx, space, rows)
	if err != nil {
		return nil, err
	}
	var missing []core.Range
	compare := func(v core.View, s *core.SpaceRecord) error {
		missing = nil
		for i, row := range rows {
			ranges, err := missingOf(v, s, row, own[i])
			if err != nil {
				return err
			}
			missing = append(missing, ranges...)
		}
		return nil
	}
	err = r.readSpace(ctx, space, compare)
	if isNotFound(err) {
		if err = r.orAwaited(ctx, space, err); err == nil {
			err = compare(nil, nil) // nothing is here, so there is nothing to look up
		}
	}
	slices.SortStableFunc(missing, func(a, b core.Range) int { return cmp.Compare(a.Chain, b.Chain) })
	return missing, err
}

// missingOf returns what is not here of a peer's row.
func missingOf(v core.View, space *core.SpaceRecord, row, own core.LogRow) ([]core.Range, error) {
	if row.Chain > core.ChainContent {
		return nil, nil
	}
	have := highest(own.Tips)
	top := uint64(0)
	var beside []uint64 // seqs of tips that a fork made
	for _, tip := range row.Tips {
		if tip.Seq == 0 || tip.Seq > math.MaxInt64 {
			continue
		}
		if tip.Seq > have {
			top = max(top, tip.Seq)
			continue
		}
		if slices.Contains(own.Tips, tip) {
			continue
		}
		here, err := isStored(v, space, tip.Hash)
		if err != nil {
			return nil, err
		}
		if !here {
			beside = append(beside, tip.Seq)
		}
	}
	slices.Sort(beside)
	var ranges []core.Range
	for _, seq := range slices.Compact(beside) {
		ranges = append(ranges, core.Range{Writer: row.Writer, Chain: row.Chain, From: seq, To: seq})
	}
	if top > 0 {
		ranges = append(ranges, core.Range{Writer: row.Writer, Chain: row.Chain, From: have + 1, To: top})
	}
	return ranges, nil
}

// isStored reports whether a space holds an entry.
func isStored(v core.View, space *core.SpaceRecord, hash core.Hash) (bool, error) {
	_, err := v.EntryHeader(space.Key, hash)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// MaxForkHashes bounds how many entries with one seq Hashes names, those that came first.
const MaxForkHashes = 256

// Hashes implements core.SharedLog.
func (r *Replica) Hashes(ctx context.Context, space core.SpaceID, writer core.WriterID, chain core.Chain, seqs []uint64) ([][]core.Hash, error) {
	all := make([][]core.Hash, len(seqs))
	err := r.readLog(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		w, err := v.WriterByID(writer)
		if err != nil {
			return err
		}
		for i, seq := range seqs {
			if seq > math.MaxInt64 {
				continue
			}
			if all[i], err = v.ChainHashes(s.Key, w.Key, chain, seq, MaxForkHashes); err != nil {
				return err
			}
		}
		return nil
	})
	if isNotFound(err) { // of the space, or of the writer
		if _, serr := r.Space(ctx, space); serr == nil {
			err = nil
		}
	}
	return all, err
}

// Has implements core.SharedLog.
func (r *Replica) Has(ctx context.Context, space core.SpaceID, hashes []core.Hash) ([]bool, error) {
	all := make([]bool, len(hashes))
	err := r.readLog(ctx, space, func(v core.View, s *core.SpaceRecord) (err error) {
		for i, hash := range hashes {
			if all[i], err = isStored(v, s, hash); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// Take implements core.SharedLog. What is stored already it neither verifies nor writes.
func (r *Replica) Take(ctx context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error) {
	outcomes := make([]core.Outcome, len(entries))
	hashes := make([]core.Hash, len(entries))
	for i, e := range entries {
		hashes[i] = e.Hash()
	}
	known, err := r.Has(ctx, space, hashes)
	if err != nil {
		return nil, err
	}
	var fresh []core.Entry
	var at []int
	for i, is := range known {
		if outcomes[i] = (core.Outcome{Hash: hashes[i], Status: core.EntryKnown}); !is {
			fresh, at = append(fresh, entries[i]), append(at, i)
		}
	}
	if len(fresh) == 0 {
		return outcomes, r.syncWaiting(ctx) // others may have taken them a moment ago
	}
	taken, err := r.acceptBy(ctx, r.writeSynced, space, inspectAll(fresh), func(w *work) (bool, error) {
		kept, err := w.Joining(space)
		return kept != nil, err
	})
	if err != nil {
		return nil, err
	}
	for i, o := range taken {
		outcomes[at[i]] = o
	}
	return outcomes, nil
}

// SealSpace implements core.SharedLog.
func (r *Replica) SealSpace(ctx context.Context, id core.SpaceID) error {
	space, err := r.Space(ctx, id)
	if err != nil {
		return err
	}
	if err := r.sealSpace(ctx, &space.SpaceRecord); err != nil {
		return err
	}
	return r.syncWaiting(ctx)
}

// maxClaims is how many times in an hour a claim alone makes the directory another writer:
// a peer may lie, and each writer stays in the log for good.
const maxClaims = 8

// OwnAhead implements core.SharedLog. Entries that come make the directory another writer
// in any case, however often that was claimed.
func (r *Replica) OwnAhead(ctx context.Context, id core.SpaceID, rows []core.LogRow) (bool, error) {
	suspect := false
	err := r.store.Read(ctx, func(v core.View) (err error) {
		suspect, err = r.anyAhead(v, id, rows)
		return err
	})
	if err != nil || !suspect {
		return false, err
	}
	ahead := false
	err = r.writeSynced(ctx, events.SourceDaemon, func(w *work) error {
		own := slices.DeleteFunc(slices.Clone(rows), func(row core.LogRow) bool { return row.Writer != r.self.writer })
		if ahead, err = r.anyAhead(w.Tx, id, own); err != nil || !ahead {
			return err
		}
		claims := slices.DeleteFunc(slices.Clone(r.self.claims), func(ms int64) bool { return ms < w.nowMs-3600_000 })
		if len(claims) >= maxClaims {
			return fmt.Errorf("peers claim again and again that own entries are not here: %w", core.ErrForbidden)
		}
		was := r.self.claims
		w.OnRollback(func() { r.self.claims = was })
		r.self.claims = append(claims, w.nowMs)
		r.logger.Warn("a peer has own entries that are not here: the directory goes on as another writer of the same member", "space", id)
		return w.mint()
	})
	return ahead, err
}

// anyAhead reports whether a row of an own writer has tips that are not here.
func (r *Replica) anyAhead(v core.View, id core.SpaceID, rows []core.LogRow) (bool, error) {
	space, err := v.Space(id)
	unknown := isNotFound(err)
	if err != nil && !unknown {
		return false, err
	}
	for _, row := range rows {
		writer, err := v.WriterByID(row.Writer)
		if isNotFound(err) || err == nil && writer.Peer != r.self.peer {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, tip := range row.Tips {
			here := false
			if !unknown {
				if here, err = isStored(v, &space, tip.Hash); err != nil {
					return false, err
				}
			}
			if !here {
				return true, nil
			}
		}
	}
	return false, nil
}

var (
	_ core.SharedSpaces     = (*Replica)(nil)
	_ core.SharedLog        = (*Replica)(nil)
	_ core.Acknowledgements = (*Replica)(nil)
	_ core.AddressBook      = (*Replica)(nil)
)
