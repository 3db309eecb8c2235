package replica

import (
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// judgePage is how many entries one read takes when they are judged again.
const judgePage = 1024

// writing describes a content entry to package log. needs may be nil: then it is
// read from the entry if it comes to that.
func (w *work) writing(space int64, rec *core.EntryRecord, peer core.PeerID, writer core.WriterID, needs *log.Capability) (log.Writing, error) {
	heads, err := w.AuthSet(rec.Auth)
	if err != nil {
		return log.Writing{}, err
	}
	return log.Writing{
		Peer: peer, Writer: writer, Seq: rec.Seq, AuthSet: heads,
		Needs: func() (log.Capability, error) {
			if needs != nil {
				return *needs, nil
			}
			e, err := entryByHash(w.Tx, space, rec.Hash)
			if err != nil {
				return 0, err
			}
			return e.Needs(), nil
		},
		LeadsTo: func(heads []log.CutHead) (bool, error) { return w.leadsTo(space, rec, heads) },
	}, nil
}

// forked reports whether a writer has two entries of one seq, at or before that of
// an entry's: only then does its seq not say which chain it is on.
func (w *work) forked(space int64, rec *core.EntryRecord) (bool, error) {
	first, known := w.forks[rec.Writer]
	if !known {
		var err error
		if first, err = w.FirstFork(space, rec.Writer, rec.Chain); err != nil {
			return false, err
		}
		if w.forks == nil {
			w.forks = map[int64]uint64{}
		}
		w.forks[rec.Writer] = first
	}
	return first > 0 && first <= rec.Seq, nil
}

// judgeNew judges an entry that was just accepted. Nothing builds upon it yet, so
// if it is over, it is void. If it is not, it may be what keeps others.
func (w *work) judgeNew(space *core.SpaceRecord, e *log.Entry, rec *core.EntryRecord) error {
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	now := a.Now()
	if len(now.Cuts()) == 0 && !now.HasIgnored() {
		return nil
	}
	// More may follow in this job that changes the state, or what cuts mean.
	a.judged[e.Peer] = now
	if err := w.noteCuts(space, e, rec); err != nil {
		return err
	}
	needs := e.Needs()
	wr, err := w.writing(space.Key, rec, e.Peer, e.Writer, &needs)
	if err != nil {
		return err
	}
	over, err := now.Over(wr)
	if err != nil {
		return err
	}
	if len(over) > 0 {
		rec.State = core.EntryVoid
		if a.void != nil {
			a.void[e.Peer] = true
		}
		if e.Peer == w.r.self.peer {
			w.mintNext = w.mintNext || e.Writer == w.r.self.writer
		}
		if err := w.SetEntryState(rec.Key, core.EntryVoid); err != nil {
			return err
		}
		return w.PutVerdict(core.VerdictRecord{Space: space.Key, Entry: rec.Key, Cut: over[0].Entry()})
	}
	return w.mayVouch(a, e, wr.AuthSet)
}

// noteAct notes what a new membership entry may change by the end of the job.
func (w *work) noteAct(space *core.SpaceRecord, e *log.Entry, rec *core.EntryRecord) error {
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(e.Ops, func(op log.Op) bool { return op.Body.Number() == log.OpInviteRedeem }) {
		a.joined = append(a.joined, e.Hash)
	}
	return w.noteCuts(space, e, rec)
}

// noteCuts notes whose entries to judge again because of what a new entry says of
// cuts: it may be the end of a chain that one names and that was not here, or show
// that the chain of a writer forks, so that a seq does not say which branch is meant.
func (w *work) noteCuts(space *core.SpaceRecord, e *log.Entry, rec *core.EntryRecord) error {
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	now := a.Now()
	for _, peer := range now.NamedBy(e.Hash) {
		a.judge[peer] = true
		clear(w.chains)
	}
	if len(now.CutsOf(e.Peer)) == 0 || e.Chain != core.ChainContent {
		return nil
	}
	same, err := w.EntriesAt(space.Key, rec.Writer, rec.Chain, rec.Seq, 2)
	if err == nil && len(same) > 1 {
		a.judge[e.Peer] = true
	}
	return err
}

// mayVouch notes whose entries to judge again because of a new one that does not
// know why they are over.
func (w *work) mayVouch(a *authority, e *log.Entry, authSet []core.Hash) error {
	void, err := w.voidPeers(a)
	if err != nil {
		return err
	}
	for peer := range void {
		if peer == e.Peer || a.judge[peer] {
			continue
		}
		unknown, err := a.unknown(authSet, peer)
		if err != nil {
			return err
		}
		if len(unknown) > 0 {
			a.judge[peer] = true
		}
	}
	return nil
}

// unknown returns the reasons for which entries of a peer may be over that a membership
// past does not hold. That the peer was no member at all is one; whether they had what
// an entry needs beyond that is for vouching to ask.
func (a *authority) unknown(authSet []core.Hash, peer core.PeerID) ([]log.Over, error) {
	reasons := []log.Over{{}}
	for _, c := range a.Now().CutsOf(peer) {
		reasons = append(reasons, log.Over{Cut: c})
	}
	var unknown []log.Over
	for _, o := range reasons {
		knows, err := a.Knows(authSet, o, peer, log.CapMember)
		if err != nil {
			return nil, err
		}
		if !knows {
			unknown = append(unknown, o)
		}
	}
	return unknown, nil
}

// voidPeers returns the authors of void entries.
func (w *work) voidPeers(a *authority) (map[core.PeerID]bool, error) {
	if a.void != nil {
		return a.void, nil
	}
	verdicts, err := w.Verdicts(a.space.Key)
	if err != nil {
		return nil, err
	}
	writers := map[int64]uint64{}
	for _, v := range verdicts {
		if v.Voucher == 0 {
			if err := w.noteFirst(writers, v.Entry); err != nil {
				return nil, err
			}
		}
	}
	void := map[core.PeerID]bool{}
	if err := w.addPeers(void, writers); err != nil {
		return nil, err
	}
	a.void = void
	return void, nil
}

// noteFirst notes the writer of an entry, with the lowest seq of those noted.
func (w *work) noteFirst(first map[int64]uint64, entry int64) error {
	rec, err := w.EntryByKey(entry)
	if err != nil {
		return err
	}
	if seq, known := first[rec.Writer]; !known || rec.Seq < seq {
		first[rec.Writer] = rec.Seq
	}
	return nil
}

// addPeers adds the peers of writers.
func (w *work) addPeers(peers map[core.PeerID]bool, writers map[int64]uint64) error {
	for key := range writers {
		writer, err := w.Writer(key)
		if err != nil {
			return err
		}
		peers[writer.Peer] = true
	}
	return nil
}

// judged is a content entry that is over, or was.
type judged struct {
	rec     core.EntryRecord
	peer    core.PeerID
	over    []log.Over
	open    []log.Over // what nobody has vouched for
	needs   func() (log.Capability, error)
	branch  int // entries of a writer that follow each other are on one branch
	voucher int64
}

// judgeAgain judges all entries of some members, and those that are over already: who
// vouched for these may be over now, or no more. It applies what that changes, and adds
// to peers.
func (w *work) judgeAgain(a *authority, peers map[core.PeerID]bool) error {
	verdicts, err := w.Verdicts(a.space.Key)
	if err != nil {
		return err
	}
	a.void = nil // may change
	old := make(map[int64]core.VerdictRecord, len(verdicts))
	first := map[int64]uint64{} // by writer: the lowest seq that was over
	for _, v := range verdicts {
		old[v.Entry] = v
		if err := w.noteFirst(first, v.Entry); err != nil {
			return err
		}
	}
	if err := w.addPeers(peers, first); err != nil {
		return err
	}
	all, err := w.judgeAll(a, peers, old, first)
	if err != nil || len(all) == 0 {
		return err
	}
	return w.applyVerdicts(a.space, all, old)
}

// judgeAll returns what is to be said of the entries of some members that are over, or
// were, in order of key. It only reads.
func (w *work) judgeAll(
	a *authority, peers map[core.PeerID]bool, old map[int64]core.VerdictRecord, first map[int64]uint64,
) ([]*judged, error) {
	var all []*judged
	for _, peer := range slices.SortedFunc(maps.Keys(peers), core.PeerID.Compare) {
		some, err := w.overOf(a, peer, old, first)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	slices.SortFunc(all, func(x, y *judged) int { return int(x.rec.Key - y.rec.Key) })
	return all, w.vouch(a, all)
}

// state returns what becomes of the entry.
func (j *judged) state() core.EntryState {
	if len(j.open) > 0 {
		return core.EntryVoid
	}
	return core.EntryKept
}

// verdict returns the row of an entry that is over.
func (j *judged) verdict() core.VerdictRecord {
	v := core.VerdictRecord{Space: j.rec.Space, Entry: j.rec.Key, Cut: j.over[0].Entry()}
	if j.state() == core.EntryKept {
		v.Voucher = j.voucher
	}
	return v
}

// overOf returns the entries of a member that are over, and those that were.
func (w *work) overOf(a *authority, peer core.PeerID, old map[int64]core.VerdictRecord, first map[int64]uint64) ([]*judged, error) {
	writers, err := w.WritersOf(peer)
	if err != nil {
		return nil, err
	}
	var out []*judged
	for _, writer := range writers {
		from, err := w.firstOver(a, writer)
		if err != nil {
			return nil, err
		}
		seq, was := first[writer.Key]
		switch {
		case was:
			from = min(from, seq)
		case from == noneOver:
			continue
		}
		for after := int64(0); ; {
			page, err := w.ContentOf(a.space.Key, writer.Key, from, after, judgePage)
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			for _, rec := range page {
				after = rec.Key
				wr, err := w.writing(a.space.Key, &rec, peer, writer.ID, nil)
				if err != nil {
					return nil, err
				}
				over, err := a.Now().Over(wr)
				if err != nil {
					return nil, err
				}
				if _, was := old[rec.Key]; was || len(over) > 0 {
					out = append(out, &judged{rec: rec, peer: peer, over: over, open: over, needs: wr.Needs})
				}
			}
		}
	}
	return out, nil
}

// noneOver is a seq that no entry has.
const noneOver = log.MaxCounter + 1

// firstOver returns a seq below which no entry of a writer is over: every cut that
// there is leaves what came before it.
func (w *work) firstOver(a *authority, writer core.WriterRecord) (uint64, error) {
	cuts := a.Now().CutsOf(writer.Peer)
	switch {
	case a.Now().HasIgnored():
		return 1, nil
	case len(cuts) == 0:
		return noneOver, nil
	}
	fork, err := w.FirstFork(a.space.Key, writer.Key, core.ChainContent)
	if err != nil || fork > 0 {
		return 1, err
	}
	from := uint64(noneOver)
	for _, c := range cuts {
		seen := uint64(0)
		for _, h := range c.Heads {
			if h.Incarnation != writer.Incarnation {
				continue
			}
			at, err := w.EntryHeader(a.space.Key, h.Hash)
			if err != nil && !isNotFound(err) {
				return 0, err
			}
			if err == nil && (at.Writer != writer.Key || at.Chain != core.ChainContent || at.Seq != h.Seq) {
				continue // it names something else
			}
			seen = max(seen, h.Seq)
		}
		from = min(from, seen+1)
	}
	return from, nil
}

// applyVerdicts writes down what became of entries, and makes anew what they are
// part of.
func (w *work) applyVerdicts(space *core.SpaceRecord, all []*judged, old map[int64]core.VerdictRecord) error {
	var changed []core.EntryRecord
	for _, j := range all {
		state := j.state()
		was, had := old[j.rec.Key]
		switch {
		case len(j.over) == 0:
			if err := w.DeleteVerdict(space.Key, j.rec.Key); err != nil {
				return err
			}
		default:
			v := j.verdict()
			if had && was == v {
				break
			}
			if err := w.PutVerdict(v); err != nil {
				return err
			}
		}
		if state == j.rec.State {
			continue
		}
		if err := w.SetEntryState(j.rec.Key, state); err != nil {
			return err
		}
		if state == core.EntryVoid && j.rec.Writer == w.r.self.writerKey {
			w.mintNext = true
		}
		changed = append(changed, j.rec)
	}
	if len(changed) == 0 {
		return nil
	}
	if err := w.remakeContested(space); err != nil {
		return err
	}
	return w.rebuildFrom(space, changed)
}
