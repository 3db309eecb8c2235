package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// MaxDoubts is how many times in an hour entries of a peer who is no member are admitted to
// see whether they make it one, in vain.
const MaxDoubts = 16

var errNoMember = errors.New("the entries do not make the peer a member")

// Remember implements core.SharedLog.
func (r *Replica) Remember(ctx context.Context, space core.SpaceID, peer core.PeerID, entries []core.Entry) (bool, error) {
	arrivals := inspectAll(entries)
	write := func(ctx context.Context, source events.EventSource, take func(*work) error) error {
		return r.writeSynced(ctx, source, func(w *work) error { return w.remember(space, peer, arrivals, take) })
	}
	_, err := r.acceptBy(ctx, write, space, arrivals, func(*work) (bool, error) { return false, nil })
	if errors.Is(err, errNoMember) {
		return false, nil
	}
	return err == nil, err
}

// remember calls take, which admits arrivals, and returns errNoMember, so that nothing of it
// stays, unless they make a peer a member and were lost here.
func (w *work) remember(id core.SpaceID, peer core.PeerID, arrivals []arrival, take func(*work) error) error {
	space, err := w.space(id)
	if err != nil {
		return err
	}
	s := w.r.self
	s.doubts = slices.DeleteFunc(s.doubts, func(ms int64) bool { return ms < w.nowMs-3600_000 })
	if len(s.doubts) >= MaxDoubts {
		return fmt.Errorf("peers remind again and again of what is of no use: %w", core.ErrForbidden)
	}
	var lost []core.Hash // that may have been
	for i := range arrivals {
		if !arrivals[i].remembers(s.peer, peer) {
			continue
		}
		has, err := isStored(w.Tx, space, arrivals[i].entry.Hash)
		if err != nil {
			return err
		}
		if !has {
			lost = append(lost, arrivals[i].entry.Hash)
		}
	}
	if err := take(w); err != nil {
		return err
	}
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	found := false
	for _, hash := range lost {
		has, err := isStored(w.Tx, space, hash)
		if err != nil {
			return err
		}
		found = found || has
	}
	if found && a.Now().Role(peer) != 0 {
		w.r.logger.Warn("a peer has entries that were lost here, which let it in", "space", id, "peer", peer.String())
		return nil
	}
	now := w.nowMs
	w.OnRollback(func() { s.doubts = append(s.doubts, now) })
	return errNoMember
}

// remembers reports whether an entry is one that the local member made, or by which a peer
// joined.
func (a *arrival) remembers(self, peer core.PeerID) bool {
	if a.err != nil || a.entry.Chain != core.ChainMembership {
		return false
	}
	_, joins := a.entry.Redemption()
	return a.entry.Peer == self || a.entry.Peer == peer && joins
}
