package exchange

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// state is a space and its log in short.
type state struct {
	space core.SpaceID
	tag   wire.Tag // of the client
	core.Summary
}

// statesOf returns the states of spaces, in order of the client's tags. One that is gone is
// left out.
func statesOf(ctx context.Context, r Replica, spaces []core.SpaceID, tag func(core.SpaceID) wire.Tag) ([]state, error) {
	states := make([]state, 0, len(spaces))
	for _, space := range spaces {
		sum, err := r.Summary(ctx, space)
		if errors.Is(err, core.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		states = append(states, state{space, tag(space), sum})
	}
	slices.SortFunc(states, func(a, b state) int { return bytes.Compare(a.tag[:], b.tag[:]) })
	return states, nil
}

func rootOf(states []state) core.Hash {
	items := make([]wire.SpaceItem, len(states))
	for i, s := range states {
		items[i] = wire.SpaceItem{Tag: s.tag, Digest: wire.Shorten(s.Digest)}
	}
	return share.Root(items)
}

// note notes that a peer's logs are those of states.
func note(ctx context.Context, r Replica, peer core.PeerID, states []state, now time.Time) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(notes) // together they cost few commits
	for _, s := range states {
		g.Go(func() error { return gone(noteSame(ctx, r, peer, s, now)) })
	}
	return g.Wait()
}

func noteSame(ctx context.Context, r Replica, peer core.PeerID, s state, now time.Time) error {
	if err := r.AcknowledgeAll(ctx, s.space, peer, s.Summary); err != nil {
		return err
	}
	mark, _, err := r.LastExchange(ctx, s.space, peer)
	if err != nil {
		return err
	}
	return r.Exchanged(ctx, s.space, peer, mark, now.UnixMilli())
}

// gone returns nil for what is not there any more.
func gone(err error) error {
	if errors.Is(err, core.ErrNotFound) {
		return nil
	}
	return err
}
