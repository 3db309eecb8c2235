package somasync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// peerStatuses returns the peers with whom something is done: partners, and those that this
// node dialed.
func (s *session) peerStatuses() []core.PeerStatus {
	var all []core.PeerStatus
	for _, rem := range s.allRemotes() {
		conns := s.host.Network().ConnsToPeer(rem.id)
		if len(conns) == 0 || rem.link() == nil && !rem.wasAsked() {
			continue
		}
		best := conns[0]
		for _, c := range conns {
			if best.Stat().Limited && !c.Stat().Limited {
				best = c
			}
		}
		shared, err := s.replica.Shared(context.Background(), rem.peer)
		if err != nil {
			shared = nil // closed meanwhile
		}
		all = append(all, core.PeerStatus{
			Peer: rem.peer, Address: best.RemoteMultiaddr().String(), Limited: best.Stat().Limited,
			Spaces: shared, SinceMs: rem.since.UnixMilli(),
		})
	}
	slices.SortFunc(all, func(a, b core.PeerStatus) int { return a.Peer.Compare(b.Peer) })
	return all
}

// Status implements core.Node.
func (n *Node) Status(ctx context.Context) (core.SyncStatus, error) {
	r, err := n.attached()
	if err != nil {
		return core.SyncStatus{}, fmt.Errorf("sync status: %w", err)
	}
	status := core.SyncStatus{State: core.SyncOff}
	near := map[core.SpaceID]int{}
	large := func(core.SpaceID) bool { return false }
	if s, err := n.running(); err == nil {
		status.State = core.SyncRunning
		large = s.gossip.isLarge
		for _, p := range s.peerStatuses() {
			if len(p.Spaces) > 0 {
				status.Peers++
			}
			for _, space := range p.Spaces {
				near[space]++
			}
		}
	}
	if status.Spaces, err = spaceStatuses(ctx, r, near); err != nil {
		return core.SyncStatus{}, fmt.Errorf("sync status: %w", err)
	}
	for i := range status.Spaces {
		status.Spaces[i].Large = large(status.Spaces[i].Space)
	}
	return status, nil
}

// spaceStatuses returns how the spaces are, in order of ID. near counts their connected members.
func spaceStatuses(ctx context.Context, r core.Replica, near map[core.SpaceID]int) ([]core.SpaceSyncStatus, error) {
	ids, err := r.SharedIDs(ctx)
	if err != nil {
		return nil, err
	}
	awaited, err := r.Awaited(ctx)
	if err != nil {
		return nil, err
	}
	joining := map[core.SpaceID]bool{}
	for _, a := range awaited {
		joining[a.Space] = true
		ids = append(ids, a.Space)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	all := make([]core.SpaceSyncStatus, 0, len(ids))
	for _, id := range ids {
		st, err := spaceStatus(ctx, r, id, joining[id])
		if errors.Is(err, core.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		st.Peers = near[id]
		all = append(all, st)
	}
	return all, nil
}

func spaceStatus(ctx context.Context, r core.Replica, id core.SpaceID, joining bool) (core.SpaceSyncStatus, error) {
	st := core.SpaceSyncStatus{Space: id, Joining: joining}
	_, at, err := r.LastExchange(ctx, id, core.PeerID{})
	if err != nil {
		return st, fmt.Errorf("space %s: %w", id, err)
	}
	st.LastExchangeMs = at
	if joining {
		return st, nil // there is nothing of it yet, or nothing that could be written
	}
	entries, tails, err := r.OnlyHere(ctx, id)
	if err != nil {
		return st, fmt.Errorf("space %s: %w", id, err)
	}
	st.OnlyHere = entries + tails
	if st.WantedBlobs, err = r.CountWanted(ctx, id); err != nil {
		return st, fmt.Errorf("space %s: %w", id, err)
	}
	return st, nil
}
