package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// Rebuild makes everything that follows from the log anew: first the rows of spaces,
// writers and entries from what is signed, then space by space the rest. Each space is
// one transaction, and rows of documents that are as they should be are not written. A
// space whose signed entries, or whose tail, are damaged stays as it is; the error is
// core.ErrCorrupt then, and names them, after the other spaces.
func (r *Replica) Rebuild(ctx context.Context) error {
	var spaces map[int64]core.SpaceRecord
	err := r.writeSynced(ctx, events.SourceDaemon, func(w *work) (err error) {
		if err := w.mendRows(ctx); err != nil {
			return err
		}
		spaces, err = spacesByKey(w.Tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("mend rows: %w", err)
	}
	var damaged error
	for _, key := range slices.Sorted(maps.Keys(spaces)) {
		id := spaces[key].ID
		err := r.writeSynced(ctx, events.SourceDaemon, func(w *work) error { return w.rederive(ctx, id) })
		switch {
		case errors.Is(err, core.ErrCorrupt):
			damaged = errors.Join(damaged, fmt.Errorf("space %s: %w", id, err))
		case err != nil:
			return fmt.Errorf("space %s: %w", id, err)
		}
	}
	return damaged
}

// mendRows sets the columns of spaces, writers and entries to what is signed. An entry
// that is damaged itself is left alone.
func (w *work) mendRows(ctx context.Context) error {
	if err := w.remade(); err != nil {
		return err
	}
	if err := w.Mend(); err != nil {
		return err
	}
	m := rowMender{work: w, writers: map[core.WriterID]int64{}}
	var err error
	if m.spaces, err = spacesByKey(w.Tx); err != nil {
		return err
	}
	own, damaged := uint64(0), false
	err = eachHeader(ctx, w.Tx, func(rec *core.EntryRecord) error {
		row, ok, err := rowOf(w.Tx, rec)
		if err != nil || !ok { // rederive says what is wrong with the entry
			damaged = true
			return err
		}
		if row.writer.ID == w.r.self.writer {
			own++
		}
		return m.mend(rec, row)
	})
	if err != nil {
		return err
	}
	if err := m.dropWriters(); err != nil {
		return err
	}
	if err := w.Sweep(); err != nil {
		return err
	}
	sealed, err := w.Meta(metaSealed)
	if err != nil || damaged || bytes.Equal(sealed, bytesOf(own)) {
		return err
	}
	return w.mint() // own entries may be lost: no seq must be used twice
}

// rowMender is one run of mendRows.
type rowMender struct {
	*work
	spaces  map[int64]core.SpaceRecord
	writers map[core.WriterID]int64 // that were found, or mended
}

// mend sets the row of an entry to what its header says.
func (m *rowMender) mend(rec *core.EntryRecord, row entryRow) error {
	want := *rec
	want.Chain, want.Seq, want.Hash = row.chain, row.seq, row.hash
	var err error
	if want.Space, err = m.spaceOf(rec, row); err != nil {
		return err
	}
	if want.Writer, err = m.writerOf(row.writer); err != nil {
		return err
	}
	if want.Space == rec.Space && want.Writer == rec.Writer && want.Chain == rec.Chain && want.Seq == rec.Seq && want.Hash == rec.Hash {
		return nil
	}
	return m.SetEntry(want)
}

// spaceOf returns the space that an entry belongs to. If none has its ID, the one that
// the genesis lies in has lost it, or is lost itself.
func (m *rowMender) spaceOf(rec *core.EntryRecord, row entryRow) (int64, error) {
	in := m.spaces[rec.Space]
	if in.ID == row.space {
		return rec.Space, nil
	}
	for key, space := range m.spaces {
		if space.ID == row.space {
			return key, nil
		}
	}
	if core.SpaceIDFromHash(row.hash) != row.space {
		return rec.Space, nil
	}
	anothers, err := m.hasGenesis(in)
	if err != nil {
		return 0, err
	}
	if anothers || in.Key == 0 {
		in = core.SpaceRecord{UpdatedAtMs: m.nowMs}
	}
	in.ID = row.space
	if err := m.PutSpace(&in); err != nil {
		return 0, err
	}
	m.spaces[in.Key] = in
	return in.Key, nil
}

// hasGenesis reports whether a space holds the genesis that its ID names.
func (m *rowMender) hasGenesis(space core.SpaceRecord) (bool, error) {
	hash, err := space.ID.Hash()
	if err != nil {
		return false, nil //nolint:nilerr // no genesis has such an ID
	}
	_, err = m.EntryHeader(space.Key, hash)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// writerOf returns the row of a writer, and mends it if it has to.
func (m *rowMender) writerOf(want core.WriterRecord) (int64, error) {
	if key := m.writers[want.ID]; key != 0 {
		return key, nil
	}
	rec, err := m.WriterByID(want.ID)
	switch {
	case isNotFound(err):
		rec.Key, err = m.EnsureWriter(want)
	case err == nil && (rec.Peer != want.Peer || rec.Incarnation != want.Incarnation):
		want.Key = rec.Key
		err = m.PutWriter(want)
	}
	m.writers[want.ID] = rec.Key
	return rec.Key, err
}

// dropWriters removes writers that are nobody's, but for the own one.
func (m *rowMender) dropWriters() error {
	self := m.r.self
	own, err := m.writerOf(core.WriterRecord{ID: self.writer, Peer: self.peer, Incarnation: self.incarnation})
	if err != nil {
		return err
	}
	was := self.writerKey
	m.OnRollback(func() { self.writerKey = was })
	self.writerKey = own
	var nobodys []int64
	err = eachWriter(m.Tx, func(rec core.WriterRecord) error {
		if rec.ID != log.WriterIDOf(rec.Peer, rec.Incarnation) {
			nobodys = append(nobodys, rec.Key)
		}
		return nil
	})
	for _, key := range nobodys {
		err = errors.Join(err, m.DeleteWriter(key))
	}
	return err
}

// remade forgets what is kept in memory: the job makes rows anew.
func (w *work) remade() error {
	w.r.heads.clear()
	w.outdate(liveKey{})
	w.OnCommit(w.r.logs.reset)
	w.OnCommit(w.r.circle.forget)
	return w.SetMeta(metaEpoch, nil)
}

// rederive makes a space anew from its log and its tail.
func (w *work) rederive(ctx context.Context, id core.SpaceID) error {
	if err := w.remade(); err != nil {
		return err
	}
	space, err := w.space(id)
	if err != nil {
		return err
	}
	d := rederiving{work: w, space: space, void: map[int64]bool{}, docs: map[core.DocumentID]*core.DocRecord{}}
	was, err := d.outline()
	if err != nil {
		return err
	}
	if err := d.readPages(ctx); err != nil {
		return err
	}
	if err := d.readBlobs(ctx); err != nil {
		return err
	}
	if err := w.ResetSpace(space.Key); err != nil {
		return err
	}
	if err := d.readDocs(); err != nil {
		return err
	}
	d.membership = w.emptyAuthority(space)
	for _, step := range []func() error{d.replay, d.judge, d.name, d.fold, d.content, d.parked} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	is, err := d.outline()
	if err != nil {
		return err
	}
	if is != was {
		w.changed(events.SpaceChanged, id, "", ReasonRebuilt)
		w.changed(events.SpacesChanged, "", "", "")
	}
	return nil
}

// emptyAuthority is authority for a space of which all entries are about to be read.
func (w *work) emptyAuthority(space *core.SpaceRecord) *authority {
	whole := &cachedAuthority{Authority: log.NewAuthority()}
	a := &authority{
		cachedAuthority: whole, space: space, before: whole.Now(),
		judge: map[core.PeerID]bool{}, judged: map[core.PeerID]*log.State{},
	}
	w.r.heads.authorities[space.Key] = whole
	w.OnRollback(func() { delete(w.r.heads.authorities, space.Key) })
	w.authorities = map[int64]*authority{space.Key: a}
	return a
}

// rederiving is one run of rederive.
type rederiving struct {
	*work
	space       *core.SpaceRecord
	membership  *authority
	authors     map[core.PeerID]bool
	void        map[int64]bool
	names       []namedBy
	traces      []*notedEntry
	storedPages map[core.DocumentID]core.PageRecord // as they were
	storedBlobs map[core.Hash]core.BlobRecord
	docs        map[core.DocumentID]*core.DocRecord // with how many ops were counted
	stored      map[core.DocumentID]core.DocRecord  // as they were
}

// namedBy is an entry that names the space.
type namedBy struct {
	entry *log.Entry
	rec   *core.EntryRecord
	name  string
}

// outline describes what is seen of a space besides its documents. What cannot be read
// is not as it was.
func (d *rederiving) outline() (string, error) {
	members, err := d.Members(d.space.Key)
	if err == nil {
		slices.SortFunc(members, func(a, b core.MemberRecord) int { return a.Peer.Compare(b.Peer) })
		var invites []core.InviteRecord
		if invites, err = d.Invites(d.space.Key); err == nil {
			return fmt.Sprint(d.space.ID, d.space.Name, d.space.Creator, d.space.CreatedAtMs, members, invites), nil
		}
	}
	if errors.Is(err, core.ErrCorrupt) {
		return "", nil
	}
	return "", err
}

func (d *rederiving) readDocs() error {
	d.stored = map[core.DocumentID]core.DocRecord{}
	for after := core.DocumentID(""); ; {
		page, err := d.Docs(d.space.Key, after, docsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].ID
			d.stored[after] = page[i]
			d.docs[after] = &page[i]
			page[i].LastN = 0
		}
	}
}

// replay admits every entry once more. All are kept until they are judged.
func (d *rederiving) replay() error {
	d.authors = map[core.PeerID]bool{}
	d.pastOf(d.space).count = 0
	for after := int64(0); ; {
		page, err := d.EntriesAfter(d.space.Key, after, batchBytes)
		switch {
		case err != nil:
			return err
		case len(page) == 0 && after == 0:
			return fmt.Errorf("it has no entries: %w", core.ErrCorrupt)
		case len(page) == 0:
			d.arrived = nil // whose votes count is for content to find out
			return nil
		}
		for i, a := range inspectStored(page) {
			after = page[i].Key
			if err := d.replayOne(after, &a); err != nil {
				return fmt.Errorf("entry %s: %w", page[i].Hash, err)
			}
		}
	}
}

func (d *rederiving) replayOne(key int64, a *arrival) error {
	if a.err != nil {
		return fmt.Errorf("%w: %w", core.ErrCorrupt, a.err)
	}
	e := a.entry
	if e.IsGenesis() {
		d.space.Creator, d.space.CreatedAtMs = e.Peer, int64(e.WallMs)
	}
	early, err := d.early(e, key)
	if err != nil {
		return err
	}
	if early { // it comes once more, after what it builds upon
		return d.MoveEntry(key)
	}
	rec, err := d.admitAs(d.space, e, key)
	var waiting *log.WaitingError
	if errors.As(err, &waiting) || log.ReasonOf(err) != "" {
		err = fmt.Errorf("%w: %w", core.ErrCorrupt, err)
	}
	if err != nil || e.Chain == core.ChainMembership {
		return err
	}
	d.authors[e.Peer] = true
	if trace := notedTrace(e, rec); trace != nil {
		d.traces = append(d.traces, trace)
	}
	for _, op := range e.Ops {
		switch b := op.Body.(type) {
		case log.SpaceMeta:
			head := &log.Entry{Header: e.Header, Hash: e.Hash}
			d.names = append(d.names, namedBy{head, rec, b.Name})
		case log.DocUpdate:
			err = d.countOp(b.Doc, e.Peer, rec.Key, b.Offset, b.Length)
		case log.DocDelete:
			if doc := d.docs[b.Doc]; doc != nil && doc.LastN > 0 { // else it hides nothing
				err = d.countOp(b.Doc, e.Peer, rec.Key, 0, 0)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// early reports whether an entry is stored before one that it cites.
func (d *rederiving) early(e *log.Entry, key int64) (bool, error) {
	for _, hash := range append(parentsOf(&e.Header), e.Auth...) {
		rec, err := d.EntryHeader(d.space.Key, hash)
		if err != nil && !isNotFound(err) || err == nil && rec.Key > key {
			return err == nil, err
		}
	}
	return false, nil
}

// countOp notes where an op of a document is.
func (d *rederiving) countOp(id core.DocumentID, by core.PeerID, entry int64, offset, length int) error {
	doc := d.docs[id]
	if doc == nil {
		doc = &core.DocRecord{Space: d.space.Key, ID: id, CreatedAtMs: d.nowMs, LoggedAtMs: d.nowMs}
		if err := d.PutDoc(doc); err != nil {
			return err
		}
		d.docs[id] = doc
	}
	if doc.LastN == 0 {
		doc.CreatedBy = by
	}
	doc.LastN++
	return d.AddDocOp(doc.Key, doc.LastN, entry, offset, length)
}

// judge writes down the members, and judges all content.
func (d *rederiving) judge() error {
	a := d.membership
	a.before = a.Now()
	if err := d.SetMembers(d.space.Key, memberRecords(a.before), inviteRecords(a.before)); err != nil {
		return err
	}
	all, err := d.judgeAll(a, d.authors, nil, nil)
	if err != nil {
		return err
	}
	for _, j := range all {
		if err := d.PutVerdict(j.verdict()); err != nil {
			return err
		}
		if j.state() != core.EntryVoid {
			continue
		}
		d.void[j.rec.Key] = true
		d.mintNext = d.mintNext || j.rec.Writer == d.r.self.writerKey
		if err := d.SetEntryState(j.rec.Key, core.EntryVoid); err != nil {
			return err
		}
	}
	return nil
}

// name folds the name of the space.
func (d *rederiving) name() error {
	was := *d.space
	d.space.Name = ""
	for _, n := range d.names {
		if d.void[n.rec.Key] {
			continue
		}
		if _, err := d.foldName(d.space, n.entry, n.rec, n.name); err != nil {
			return err
		}
	}
	d.space.UpdatedAtMs = was.UpdatedAtMs
	return d.PutSpace(d.space)
}

// content makes those documents anew that are not what they should be.
func (d *rederiving) content() error {
	for _, id := range slices.Sorted(maps.Keys(d.docs)) {
		if err := d.contentOf(d.docs[id]); err != nil {
			return fmt.Errorf("document %q: %w", id, err)
		}
	}
	return nil
}

func (d *rederiving) contentOf(rec *core.DocRecord) error {
	was, had := d.stored[rec.ID]
	tail, err := d.Tail(rec.Key)
	if err != nil {
		return err
	}
	if rec.LastN == 0 && len(tail) == 0 {
		if !was.Hidden {
			d.changed(events.DocumentChanged, d.space.ID, rec.ID, ReasonDeleted)
		}
		return d.DeleteDoc(rec.Key)
	}
	should, err := d.derive(d.space, rec)
	if err != nil {
		return err
	}
	found, err := d.differences(rec, should)
	if err != nil {
		return err
	}
	if had && len(found) == 0 && was.LastN == rec.LastN && was.CreatedBy == rec.CreatedBy {
		return nil
	}
	rec.TailCount, rec.TailBytes = int64(len(tail)), 0
	for _, t := range tail {
		rec.TailBytes += int64(len(t.Update))
	}
	hidden := had && was.Hidden && should.hidden
	shows := !had || slices.ContainsFunc(found, func(f difference) bool { return f.shows })
	h := &head{DocRecord: *rec}
	if shows && !hidden {
		d.touch(h)
		d.changed(events.DocumentChanged, d.space.ID, rec.ID, ReasonRebuilt)
	}
	return d.putDerived(d.space, h, should)
}

// parked takes up again what waits for its past. What is damaged is dropped, to be sent
// again.
func (d *rederiving) parked() error {
	var waiting []core.Entry
	for after := (core.Hash{}); ; {
		page, err := d.ParkedAfter(d.space.Key, after, batchBytes)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, rec := range page {
			after = rec.Hash
			waiting = append(waiting, rec.Entry)
		}
	}
	if err := d.ClearParked(d.space.Key); err != nil {
		return err
	}
	for _, a := range inspectAll(waiting) {
		outcome, err := d.take(d.space, &a)
		if err != nil {
			return err
		}
		if outcome.Status == core.EntryRejected {
			d.r.logger.Warn("entry that waited dropped", "space", d.space.ID, "err", outcome.Err)
		}
	}
	return nil
}
