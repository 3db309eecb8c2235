package replica

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Rejection is an entry that does not count, or not all of it.
type Rejection struct {
	Entry     core.Hash
	Member    core.PeerID
	WallMs    int64 // by the author's clock
	Documents []core.DocumentID
	Reason    string      // one of the Rejection reasons
	By        core.PeerID // who took the right away; zero where nobody did by themselves
	Kept      bool        // because somebody built upon it
	VouchedBy core.PeerID // who, if it is kept
}

// The reasons of rejections.
const (
	RejectedRemoved    = "removed"    // its author was removed, or left
	RejectedDemoted    = "demoted"    // its author's role was lowered
	RejectedMembership = "membership" // what made its author a member, or gave them their role, has no effect
	RejectedClientID   = "client-id"  // some of it is written under a Yjs clientID where other content prevails
)

// Rejected returns the entries of a space that are over, those that are kept all the
// same too, and those of which some content lost its clocks to other content, in the
// order in which they came here. It returns core.ErrNotFound.
func (r *Replica) Rejected(ctx context.Context, id core.SpaceID) ([]Rejection, error) {
	var all []Rejection
	err := r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
		verdicts, err := v.Verdicts(space.Key)
		if err != nil {
			return err
		}
		for _, verdict := range verdicts {
			rejection, err := rejectionOf(v, space.Key, verdict)
			if err != nil {
				return err
			}
			all = append(all, rejection)
		}
		lost, err := v.Lost(space.Key)
		if err != nil {
			return err
		}
		losers, err := rejectionsOfLost(v, space.Key, lost)
		all = append(all, losers...)
		return err
	})
	return all, err
}

// rejectionsOfLost returns a rejection for each entry that lost some of its content.
func rejectionsOfLost(v core.View, space int64, lost []core.LostRecord) ([]Rejection, error) {
	slices.SortStableFunc(lost, func(a, b core.LostRecord) int { return cmp.Compare(a.Entry, b.Entry) })
	var all []Rejection
	for i, l := range lost {
		doc, err := v.DocByKey(l.Doc)
		if err != nil {
			return nil, err
		}
		if i == 0 || lost[i-1].Entry != l.Entry {
			e, err := entryByKey(v, space, l.Entry)
			if err != nil {
				return nil, err
			}
			all = append(all, Rejection{Entry: e.Hash, Member: e.Peer, WallMs: int64(e.WallMs), Reason: RejectedClientID})
		}
		last := &all[len(all)-1]
		if !slices.Contains(last.Documents, doc.ID) {
			last.Documents = append(last.Documents, doc.ID)
			slices.Sort(last.Documents)
		}
	}
	return all, nil
}

func rejectionOf(v core.View, space int64, verdict core.VerdictRecord) (Rejection, error) {
	e, err := entryByKey(v, space, verdict.Entry)
	if err != nil {
		return Rejection{}, err
	}
	out := Rejection{Entry: e.Hash, Member: e.Peer, WallMs: int64(e.WallMs), Documents: documentsOf(e), Reason: RejectedMembership}
	if verdict.Voucher != 0 {
		voucher, err := entryByKey(v, space, verdict.Voucher)
		if err != nil {
			return Rejection{}, err
		}
		out.Kept, out.VouchedBy = true, voucher.Peer
	}
	if verdict.Cut.IsZero() {
		return out, nil
	}
	cut, err := entryByHash(v, space, verdict.Cut)
	if err != nil {
		return Rejection{}, err
	}
	out.By, out.Reason = cut.Peer, RejectedRemoved
	for _, op := range cut.Ops {
		if b, ok := op.Body.(log.MemberRole); ok && b.Peer == e.Peer {
			out.Reason = RejectedDemoted
		}
	}
	return out, nil
}

// entryByHash returns a stored entry, decoded.
func entryByHash(v core.View, space int64, hash core.Hash) (*log.Entry, error) {
	rec, err := v.Entry(space, hash)
	if err != nil {
		return nil, err
	}
	e, err := log.Decode(rec.Entry)
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w: %w", hash, core.ErrCorrupt, err)
	}
	return e, nil
}

func entryByKey(v core.View, space, key int64) (*log.Entry, error) {
	rec, err := v.EntryByKey(key)
	if err != nil {
		return nil, err
	}
	return entryByHash(v, space, rec.Hash)
}

// documentsOf returns the documents that an entry writes to, each once.
func documentsOf(e *log.Entry) []core.DocumentID {
	seen := map[core.DocumentID]bool{}
	for _, op := range e.Ops {
		switch b := op.Body.(type) {
		case log.DocUpdate:
			seen[b.Doc] = true
		case log.DocDelete:
			seen[b.Doc] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Adopt signs the updates of a void entry as the local member, so that they count. It
// returns core.ErrNotFound for an entry that is not void, and core.ErrForbidden for
// who is no owner.
func (r *Replica) Adopt(ctx context.Context, id core.SpaceID, hash core.Hash) error {
	return r.manage(ctx, id, func(w *work, space *core.SpaceRecord, _ *log.State) error {
		rec, err := w.Entry(space.Key, hash)
		if err != nil {
			return err
		}
		if rec.State != core.EntryVoid {
			return fmt.Errorf("entry %s is not void: %w", hash, core.ErrNotFound)
		}
		e, err := log.Decode(rec.Entry)
		if err != nil {
			return fmt.Errorf("entry %s: %w: %w", hash, core.ErrCorrupt, err)
		}
		return w.adopt(space, &rec, e)
	})
}

func (w *work) adopt(space *core.SpaceRecord, rec *core.EntryRecord, e *log.Entry) error {
	p := packer{w: w, space: space}
	heads := map[core.DocumentID]*head{}
	for _, op := range e.Ops {
		u, ok := op.Body.(log.DocUpdate)
		if !ok {
			continue
		}
		h, err := w.head(space.Key, u.Doc)
		if err != nil {
			return err
		}
		update, err := w.adoptable(space, h, rec, u.Update)
		if err != nil {
			return damaged("void content", h, err)
		}
		if update.Empty() {
			continue
		}
		heads[u.Doc] = h
		parts, err := yjs.Split(update.Encode(), maxPartBytes)
		if err != nil {
			return damaged("void content", h, err)
		}
		for _, part := range parts {
			if err := p.add(h, part); err != nil {
				return err
			}
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	for _, h := range heads {
		if err := w.rebuild(space, h); err != nil {
			return err
		}
	}
	return nil
}

// adoptable returns what of a void update is not there, with the deletions of what its
// author knew: who adopts it knows more, and did not mean to delete that.
func (w *work) adoptable(space *core.SpaceRecord, h *head, rec *core.EntryRecord, update []byte) (*yjs.Update, error) {
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		return nil, err
	}
	d := &dispute{resolver: w.resolver(space), owners: map[uint64]core.PeerID{}}
	if err := d.read(h.Key, nil); err != nil {
		return nil, err
	}
	standings, err := yjs.Settle(updatesOf(d.kept), d.prevails)
	if err != nil {
		return nil, err
	}
	before := slices.IndexFunc(d.kept, func(v version) bool { return v.rec.Key == 0 || v.rec.Pos >= rec.Pos })
	if before < 0 {
		before = len(d.kept)
	}
	there, known := map[uint64][]yjs.Range{}, u.Content()
	for i, s := range standings {
		yjs.AddRanges(there, s.Held)
		if i < before {
			yjs.AddRanges(known, s.Held)
		}
	}
	beyond, err := d.reachless(rec, before, before, u.Deleted(), standings, known)
	if err != nil {
		return nil, err
	}
	deletes := yjs.Without(u.Deleted(), beyond)
	for client, ranges := range deletes {
		for _, r := range ranges {
			had, err := w.DeletedRanges(h.Key, client, r.Clock, r.Clock+r.Len)
			if err != nil {
				return nil, err
			}
			gone := map[uint64][]yjs.Range{}
			for _, g := range had {
				gone[client] = append(gone[client], yjs.Range{Clock: g.Clock, Len: g.Len})
			}
			deletes[client] = yjs.Without(map[uint64][]yjs.Range{client: deletes[client]}, gone)[client]
		}
	}
	u.SubtractRanges(there)
	u.SetDeletes(deletes)
	return u, nil
}
