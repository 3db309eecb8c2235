package somasync

import (
	"context"
	"errors"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/fetch"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// sources are the partners of a session, as those who have blobs.
type sources struct{ s *session }

// Peers implements fetch.Sources: those behind a relay, which cuts connections short, come last.
func (x sources) Peers(space core.SpaceID) []core.PeerID {
	var direct, relayed []core.PeerID
	for _, rem := range x.s.allRemotes() {
		if rem.link() == nil {
			continue
		}
		shared, err := x.s.replica.IsShared(context.Background(), space, rem.peer)
		switch {
		case err != nil || !shared:
		case x.s.isLimited(rem):
			relayed = append(relayed, rem.peer)
		default:
			direct = append(direct, rem.peer)
		}
	}
	return slices.Concat(direct, relayed)
}

// Open implements fetch.Sources.
func (x sources) Open(ctx context.Context, p core.PeerID) (fetch.Source, error) {
	rem := x.s.remote(networkID(p))
	if rem == nil {
		return fetch.Source{}, core.ErrUnreachable
	}
	_, st, leave, err := x.s.open(ctx, rem, protocolBlob)
	if err != nil {
		return fetch.Source{}, errors.Join(core.ErrUnreachable, err)
	}
	return fetch.Source{Stream: st, Pair: rem.pair, Done: leave}, nil
}

// isLimited reports whether a peer is connected through a relay only.
func (s *session) isLimited(rem *remote) bool {
	for _, c := range s.host.Network().ConnsToPeer(rem.id) {
		if !c.Stat().Limited {
			return false
		}
	}
	return true
}

func (s *session) newFetcher() *fetch.Fetcher {
	return fetch.New(s.replica, sources{s}, fetch.Options{Logger: s.logger, Offend: func(p core.PeerID, err error) {
		if rem := s.remote(networkID(p)); rem != nil {
			s.offend(rem, offenceProtocol, err)
		}
	}})
}

func (s *session) fetch(ctx context.Context, space core.SpaceID, hash core.Hash, progress func(done, size int64)) error {
	if !s.tasks.begin() {
		return core.ErrSyncOff
	}
	defer s.tasks.end()
	return s.fetcher.Fetch(ctx, space, hash, progress)
}

// serveBlob gives a peer bytes.
func (s *session) serveBlob(ctx context.Context, rem *remote, st wire.Stream) error {
	return s.blobs.Serve(ctx, st, rem.pair)
}
