package somasync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
)

// seenStep is how exact the address book is about when a peer was connected.
const seenStep = time.Hour

// followIdentify learns where peers are as soon as they have said so.
func (s *session) followIdentify(ctx context.Context) error {
	sub, err := s.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted), eventbus.BufSize(64), eventbus.Name("soma"))
	if err != nil {
		return fmt.Errorf("subscribe to the host's events: %w", err)
	}
	s.undo = append(s.undo, func() { _ = sub.Close() }) // it has no error to return
	s.tasks.start(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-sub.Out():
				if !ok {
					return
				}
				s.identified(e.(event.EvtPeerIdentificationCompleted))
			}
		}
	})
	return nil
}

// identified takes in what a peer says about itself when it connects. It need not be a
// partner yet.
func (s *session) identified(e event.EvtPeerIdentificationCompleted) {
	rem := s.remote(e.Peer)
	if rem == nil {
		return
	}
	if e.SignedPeerRecord != nil {
		if raw, err := e.SignedPeerRecord.Marshal(); err == nil && len(raw) <= maxRecordBytes {
			if p, rec, err := openRecord(raw); err == nil && p == rem.peer {
				rem.sign(signedRecord{raw, rec.Seq})
			}
		}
	}
	if ln := rem.link(); ln != nil {
		ln.learn.ring()
	}
}

// learn keeps where a partner can be reached, as it says itself.
func (s *session) learn(ctx context.Context, rem *remote) {
	if !s.isPartner(rem.id) {
		return // whoever is none is asked for a ticket's space only
	}
	if r, ok := rem.signed(); ok && s.keepRecord(rem.peer, r) {
		s.tellAll()
	}
	addrs := s.addressesOf(rem)
	err := s.node.book.update(ctx, s.replica, rem.peer, func(p *core.PeerAddresses) bool {
		seen := time.Now().UnixMilli()
		stale := seen-p.SeenMs >= seenStep.Milliseconds() || seen < p.SeenMs
		if len(addrs) == 0 {
			addrs = p.Addresses
		}
		if !stale && slices.Equal(p.Addresses, addrs) {
			return false
		}
		p.Addresses, p.SeenMs = addrs, seen
		return true
	})
	if err != nil && !interrupted(err) {
		s.logger.Warn("soma: where a peer is was not noted", "peer", rem.peer.String(), "error", err)
	}
}

// addressesOf returns where a connected peer can be reached: first where it was, then where
// it listens.
func (s *session) addressesOf(rem *remote) []string {
	var worked []ma.Multiaddr
	for _, c := range s.host.Network().ConnsToPeer(rem.id) {
		if c.Stat().Direction == network.DirOutbound && !c.Stat().Limited {
			worked = append(worked, c.RemoteMultiaddr())
		}
	}
	listed := s.host.Peerstore().Addrs(rem.id)
	slices.SortFunc(listed, func(a, b ma.Multiaddr) int { return a.Compare(b) })
	return addressTexts(mergeAddrs(worked, listed))
}
