package replica

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// Members returns the members of a space, owners first, then by key. It returns
// core.ErrNotFound.
func (r *Replica) Members(ctx context.Context, id core.SpaceID) (members []core.MemberRecord, err error) {
	err = r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
		members, err = v.Members(space.Key)
		return err
	})
	slices.SortFunc(members, func(a, b core.MemberRecord) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), a.Peer.Compare(b.Peer))
	})
	return members, err
}

// AddMember makes a peer a member. It returns core.ErrNotFound, core.ErrForbidden and
// core.ErrExists.
func (r *Replica) AddMember(ctx context.Context, id core.SpaceID, peer core.PeerID, role log.Role, kind log.Kind) error {
	return r.manage(ctx, id, func(w *work, space *core.SpaceRecord, now *log.State) error {
		if _, is := now.Member(peer); is {
			return fmt.Errorf("member %s: %w", peer, core.ErrExists)
		}
		return w.act(space, log.MemberAdd{Peer: peer, Role: role, Kind: kind})
	})
}

// SetRole changes the role of a member. The role they have changes nothing. It
// returns core.ErrNotFound, core.ErrForbidden and core.ErrLastOwner.
func (r *Replica) SetRole(ctx context.Context, id core.SpaceID, peer core.PeerID, role log.Role) error {
	return r.manage(ctx, id, func(w *work, space *core.SpaceRecord, now *log.State) error {
		m, err := memberOf(now, peer)
		if err != nil || m.Role == role {
			return err
		}
		body := log.MemberRole{Peer: peer, Role: role}
		if m.Role.Exceeds(role) {
			if m.Role == log.RoleOwner && now.Owners() == 1 {
				return core.ErrLastOwner
			}
			if body.Cut, err = w.cutOf(space, peer); err != nil {
				return err
			}
		}
		return w.act(space, body)
	})
}

// RemoveMember takes a member out of a space. It returns core.ErrNotFound,
// core.ErrForbidden and core.ErrLastOwner.
func (r *Replica) RemoveMember(ctx context.Context, id core.SpaceID, peer core.PeerID, purge bool) error {
	return r.change(ctx, id, log.CapManage, peer, func(w *work, space *core.SpaceRecord, now *log.State) error {
		m, err := memberOf(now, peer)
		if err != nil {
			return err
		}
		if m.Role == log.RoleOwner && now.Owners() == 1 {
			return core.ErrLastOwner
		}
		cut, err := w.cutOf(space, peer)
		if err != nil {
			return err
		}
		return w.act(space, log.MemberRemove{Peer: peer, Purge: purge, Cut: cut})
	})
}

// Leave takes the local member out of a space, which stays here to be read. It
// returns core.ErrNotFound, core.ErrForbidden for who is no member, and
// core.ErrLastOwner. A ticket that waits for the space waits no more; for who has no role
// there yet that is all.
func (r *Replica) Leave(ctx context.Context, id core.SpaceID) error {
	if gone, err := r.dropTicket(ctx, id); gone || err != nil {
		return err
	}
	return r.change(ctx, id, log.CapMember, core.PeerID{}, func(w *work, space *core.SpaceRecord, now *log.State) error {
		if now.Role(r.self.peer) == log.RoleOwner && now.Owners() == 1 {
			return core.ErrLastOwner
		}
		cut, err := w.cutOf(space, r.self.peer)
		if err != nil {
			return err
		}
		return w.act(space, log.MemberLeave{Cut: cut})
	})
}

// dropTicket drops a ticket that waits, and reports whether there was one of a space in
// which the local member has no role.
func (r *Replica) dropTicket(ctx context.Context, id core.SpaceID) (gone bool, err error) {
	if waits, err := r.isAwaited(ctx, id); err != nil || !waits {
		return false, err
	}
	err = r.writeSynced(ctx, events.SourceRenderer, func(w *work) error {
		space, err := w.space(id)
		if isNotFound(err) {
			gone = true
			return w.setJoining(id, nil)
		}
		if err != nil {
			return err
		}
		a, err := w.authority(space)
		if err != nil || a.Now().Role(r.self.peer) != 0 {
			return err
		}
		gone = true
		return w.setJoining(id, nil)
	})
	return gone, err
}

// manage is change for what needs an owner.
func (r *Replica) manage(ctx context.Context, id core.SpaceID, fn func(*work, *core.SpaceRecord, *log.State) error) error {
	return r.change(ctx, id, log.CapManage, core.PeerID{}, fn)
}

// change runs fn in a job if the local member has a capability, and all acts of owners
// but one, whom it takes out, can be judged. What was written here before is in the log
// by then: a cut must name it. Acts reach the disk at once, since others build upon them.
func (r *Replica) change(ctx context.Context, id core.SpaceID, needs log.Capability, out core.PeerID, fn func(*work, *core.SpaceRecord, *log.State) error) error {
	return r.writeSynced(ctx, events.SourceRenderer, func(w *work) error {
		space, err := w.permitted(id, needs)
		if err != nil {
			return err
		}
		if err := w.judgesAllBut(space, out); err != nil {
			return err
		}
		if err := w.sealAll(space); err != nil {
			return err
		}
		a, err := w.authority(space)
		if err != nil {
			return err
		}
		return fn(w, space, a.Now())
	})
}

// judgesAll returns core.ErrTooNew while acts of owners wait that only a later version
// can judge: who cannot judge them must not act beside them. What others may do by
// themselves stops nobody, nor what comes from who is no owner any more, or it would
// take one entry on old heads to end all management for good.
func (w *work) judgesAll(space *core.SpaceRecord) error { return w.judgesAllBut(space, core.PeerID{}) }

// judgesAllBut is judgesAll for an act against one member: an owner whose acts nobody
// here can judge can still be removed.
func (w *work) judgesAllBut(space *core.SpaceRecord, member core.PeerID) error {
	waiting, err := w.Parked(space.Key, core.Hash{})
	if err != nil || len(waiting) == 0 {
		return err
	}
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	for _, p := range waiting {
		e, err := log.Decode(p.Entry)
		if err != nil {
			return fmt.Errorf("entry that waits: %w: %w", core.ErrCorrupt, err)
		}
		if e.Needs() == log.CapManage && e.Peer != member && a.Now().Allows(e.Peer, log.CapManage) {
			return core.ErrTooNew
		}
	}
	return nil
}

func memberOf(now *log.State, peer core.PeerID) (log.Member, error) {
	m, is := now.Member(peer)
	if !is {
		return m, fmt.Errorf("member %s: %w", peer, core.ErrNotFound)
	}
	return m, nil
}

// cutOf returns where the content of a member stands, as far as it is here: the end
// of each of their chains.
func (w *work) cutOf(space *core.SpaceRecord, peer core.PeerID) ([]log.CutHead, error) {
	writers, err := w.WritersOf(peer)
	if err != nil {
		return nil, err
	}
	var cut []log.CutHead
	for _, writer := range writers {
		ends, err := w.endsOf(space, writer)
		if err != nil {
			return nil, err
		}
		cut = append(cut, ends...)
	}
	if len(cut) > log.MaxCut {
		if cut, err = w.newestOf(space, cut); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(cut, func(a, b log.CutHead) int {
		return cmp.Or(bytes.Compare(a.Incarnation[:], b.Incarnation[:]), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return cut, nil
}

// newestOf returns as many ends of chains as a cut can name, those that came last: what
// came earlier others have built upon, which keeps it. A member who has more, as only a
// flood does, must be no harder to remove for that.
func (w *work) newestOf(space *core.SpaceRecord, cut []log.CutHead) ([]log.CutHead, error) {
	arrived := make(map[core.Hash]int64, len(cut))
	for _, h := range cut {
		rec, err := w.EntryHeader(space.Key, h.Hash)
		if err != nil {
			return nil, err
		}
		arrived[h.Hash] = rec.Key
	}
	slices.SortFunc(cut, func(a, b log.CutHead) int { return cmp.Compare(arrived[b.Hash], arrived[a.Hash]) })
	return cut[:log.MaxCut], nil
}

// endsOf returns the ends of a writer's content chain: one, or several after a fork.
func (w *work) endsOf(space *core.SpaceRecord, writer core.WriterRecord) ([]log.CutHead, error) {
	head, err := w.WriterHead(space.Key, writer.Key, core.ChainContent)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fork, err := w.FirstFork(space.Key, writer.Key, core.ChainContent)
	if err != nil {
		return nil, err
	}
	if fork == 0 {
		return []log.CutHead{{Incarnation: writer.Incarnation, Seq: head.Seq, Hash: head.Hash}}, nil
	}
	ends := map[core.Hash]uint64{}
	for after := int64(0); ; {
		page, err := w.ContentOf(space.Key, writer.Key, fork, after, judgePage)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, rec := range page { // in causal order
			after = rec.Key
			h, err := log.DecodeHeader(rec.Entry.Header)
			if err != nil {
				return nil, err
			}
			delete(ends, h.Prev)
			ends[rec.Hash] = rec.Seq
		}
	}
	cut := make([]log.CutHead, 0, len(ends))
	for hash, seq := range ends {
		cut = append(cut, log.CutHead{Incarnation: writer.Incarnation, Seq: seq, Hash: hash})
	}
	return cut, nil
}
