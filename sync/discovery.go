package somasync

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/discovery"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"golang.org/x/sync/errgroup"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/retry"
)

// Discovery.
const (
	serviceName      = "_soma-sync._udp" // in the local network
	rendezvousDomain = "soma-rendezvous-v1\x00"

	lookupEvery   = 5 * time.Minute
	lookupPause   = 5 * time.Second // at least, whatever happens
	lookupTime    = 30 * time.Second
	maxLookups    = 16  // at a time
	maxFound      = 32  // of one lookup
	maxAdvertised = 256 // spaces a round; of more, others the next time
)

// HandlePeerFound implements mdns.Notifee.
func (d *dialer) HandlePeerFound(info peer.AddrInfo) { d.foundPeer(info) }

// searchNearby finds peers in the local network, and is found, until ctx ends. A machine
// without such a network is none where that fails.
func (s *session) searchNearby(ctx context.Context) {
	sub, err := s.host.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated), eventbus.Name("soma"))
	if err != nil {
		s.logger.Warn("soma: no search in the local network", "error", err)
		return
	}
	defer sub.Close()
	for {
		service := mdns.NewMdnsService(s.host, serviceName, s.dialer)
		if err := service.Start(); err != nil {
			s.logger.Info("soma: no search in the local network now", "error", err)
		}
		var open bool
		select {
		case <-ctx.Done():
		case _, open = <-sub.Out(): // what was announced is not true any more
		}
		_ = service.Close() // it has no error to return
		if !open {
			return
		}
	}
}

// searchFar finds the members of spaces by what the host program supplied, and is found,
// until ctx ends. While a ticket waits it looks more often: whoever it is from may not have
// been announced yet when it came.
func (s *session) searchFar(ctx context.Context) {
	moved, err := s.host.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated), eventbus.Name("soma"))
	if err != nil {
		s.logger.Warn("soma: no search by discovery", "error", err)
		return
	}
	defer moved.Close()
	next, again := 0, lookupPause
	for {
		var waits bool
		var err error
		if next, waits, err = s.searchOnce(ctx, next); err != nil && !interrupted(err) {
			s.logger.Debug("soma: discovery failed", "error", err)
		}
		pause := lookupEvery
		if waits {
			pause, again = again, min(2*again, lookupEvery)
		}
		timer := time.NewTimer(retry.Jitter(pause))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.search:
			again = lookupPause
			wait(ctx, retry.Jitter(lookupPause))
		case <-moved.Out(): // what was announced is not true any more
			wait(ctx, retry.Jitter(lookupPause))
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// searchOnce looks up all spaces once: those of tickets first, then up to maxAdvertised of the
// others from a place on, of which it returns the next, and whether a ticket waits.
func (s *session) searchOnce(ctx context.Context, from int) (next int, waits bool, err error) {
	awaited, err := s.replica.Awaited(ctx)
	if err != nil {
		return from, false, err
	}
	shared, err := s.replica.SharedIDs(ctx)
	if err != nil {
		return from, len(awaited) > 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxLookups)
	for _, a := range awaited {
		g.Go(func() error { return s.lookUp(ctx, a.Space, false) })
	}
	n := min(len(shared), maxAdvertised)
	for i := range n {
		space := shared[(from+i)%len(shared)]
		g.Go(func() error { return s.lookUp(ctx, space, true) })
	}
	return from + n, len(awaited) > 0, g.Wait()
}

// lookUp finds the members of a space, and with advertise says that one is here. Only
// that the directory is closed is an error: that nobody answers is the common case.
func (s *session) lookUp(ctx context.Context, space core.SpaceID, advertise bool) error {
	names, err := rendezvous(space, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	for _, name := range names {
		if advertise {
			if _, err := s.node.o.discovery.Advertise(ctx, name); err != nil {
				s.logger.Debug("soma: discovery did not advertise", "error", err)
			}
		}
		found, err := s.node.o.discovery.FindPeers(ctx, name, discovery.Limit(maxFound))
		if err != nil {
			s.logger.Debug("soma: discovery did not find", "error", err)
			continue
		}
		s.takeFound(ctx, found)
	}
	return nil
}

func (s *session) takeFound(ctx context.Context, found <-chan peer.AddrInfo) {
	for range maxFound {
		select {
		case <-ctx.Done():
			return
		case info, ok := <-found:
			if !ok {
				return
			}
			s.dialer.foundPeer(info)
		}
	}
}

// rendezvous returns the names under which members of a space find each other: that of the
// day, and around midnight also that of the other one, since clocks differ. Whoever does not
// know the space cannot tell it from the name, nor that the names of two days are of one space.
func rendezvous(space core.SpaceID, now time.Time) ([]string, error) {
	genesis, err := space.Hash()
	if err != nil {
		return nil, fmt.Errorf("rendezvous: %w", err)
	}
	const day, slack = 24 * 60 * 60, 60 * 60
	first, last := (now.Unix()-slack)/day, (now.Unix()+slack)/day
	names := []string{rendezvousOf(genesis, first)}
	if last != first {
		names = append(names, rendezvousOf(genesis, last))
	}
	return names, nil
}

func rendezvousOf(genesis core.Hash, day int64) string {
	h := hmac.New(sha256.New, genesis[:])
	h.Write(binary.BigEndian.AppendUint64([]byte(rendezvousDomain), uint64(day)))
	return "/soma/" + hex.EncodeToString(h.Sum(nil)[:20])
}
