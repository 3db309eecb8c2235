package somasync

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/live"
	"github.com/soma-sdk/soma/sync/internal/retry"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// When something with a partner fails, it is tried again after firstRetry, and then after
// about twice as long each time.
const (
	firstRetry   = 500 * time.Millisecond
	longestRetry = time.Minute
	// joinRetry is how often who may have the space of a ticket is asked again.
	joinRetry = 10 * time.Second
	// maxPulls is from how many partners this node pulls at a time, and maxCompares with how
	// many of those that wait for that it compares.
	maxPulls    = 8
	maxCompares = 32
	// relayPortion is how many bytes of entries go into a frame over a relay, which cuts a
	// connection after 128 KiB: some must arrive before that.
	relayPortion = 16 << 10
)

// link is what is done with a peer that is no stranger: a partner, one that holds a ticket,
// or one that is asked for the space of a ticket.
type link struct {
	s      *session
	rem    *remote
	cancel context.CancelFunc
	pull   bell // there is something in wanted
	tell   bell // of other members
	learn  bell // where the peer is
	retry  bell // a stream that the peer refused may be welcome now

	unheard atomic.Bool // the last stream that was opened for a pull was not welcome

	common map[string]bool // spaces and tickets that there were for it, see sortOut

	mu     sync.Mutex
	wanted map[core.SpaceID]bool // spaces to pull, "" for all
}

// link begins one, unless there is one.
func (s *session) link(ctx context.Context, rem *remote) {
	ctx, cancel := context.WithCancel(ctx)
	ln := &link{s: s, rem: rem, cancel: cancel, pull: newBell(), tell: newBell(), learn: newBell(), retry: newBell(), wanted: map[core.SpaceID]bool{}}
	if !rem.setLink(ln) {
		cancel()
		return
	}
	s.host.ConnManager().Protect(rem.id, protection)
	queue := s.feed.Open() // before the first pull: between the two nothing is lost
	ln.want("")
	s.tasks.start(func() { ln.pulls(ctx) })
	s.tasks.start(func() { ln.tells(ctx) })
	s.tasks.start(func() { ln.learns(ctx) })
	pushes := s.tasks.start(func() {
		defer queue.Close()
		ln.pushes(ctx, queue)
	})
	if !pushes {
		queue.Close()
	}
}

// unlink ends the link with a peer.
func (s *session) unlink(rem *remote) {
	if rem.link() == nil {
		return
	}
	s.host.ConnManager().Unprotect(rem.id, protection)
	rem.part()
}

// content reports whether enough partners are connected, so that a peer need not be dialed:
// of each space that it shares somebody is.
func (s *session) content(p core.PeerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	links := 0
	for _, rem := range s.remotes {
		if rem.link() != nil {
			links++
		}
	}
	if links < s.node.o.maxPeers {
		return false
	}
	shared, err := s.replica.Shared(context.Background(), p)
	if err != nil {
		return true
	}
	for _, space := range shared {
		if !s.hastened[space] {
			return false
		}
	}
	return true
}

// membersChanged looks again at what depends on who is a member: streams that were refused,
// who may be told of whom, and whether the peer's addresses are kept.
func (ln *link) membersChanged() {
	ln.retry.ring()
	ln.tell.ring()
	ln.learn.ring()
}

// compare pulls when there is a space to share with the peer, or a ticket to show it, that
// was none before: nothing else says so. Only sortOut calls it.
func (ln *link) compare(shared []core.SpaceID, awaited []core.Awaited) {
	now := map[string]bool{}
	for _, space := range shared {
		now[string(space)] = true
	}
	for _, a := range awaited {
		now[string(a.Space)+string(a.Key.Public().(ed25519.PublicKey))] = true
	}
	for what := range now {
		if ln.common != nil && !ln.common[what] { // a new link pulls anyway
			ln.want("")
			break
		}
	}
	ln.common = now
}

// learns keeps where the peer can be reached, until ctx ends.
func (ln *link) learns(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ln.learn:
			ln.s.learn(ctx, ln.rem)
		}
	}
}

// want asks for a pull of a space, or of all for "". Those asked for meanwhile are one.
func (ln *link) want(space core.SpaceID) {
	ln.mu.Lock()
	ln.wanted[space] = true
	ln.mu.Unlock()
	ln.pull.ring()
}

// takeWanted returns the spaces to pull, none for all.
func (ln *link) takeWanted() (only []core.SpaceID) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if !ln.wanted[""] {
		for space := range ln.wanted {
			only = append(only, space)
		}
	}
	clear(ln.wanted)
	return only
}

// pulls pulls from the peer when it is asked to, and from time to time, until ctx ends.
func (ln *link) pulls(ctx context.Context) {
	s := ln.s
	failures := 0
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			ln.want("")
			continue
		case <-ln.pull:
		}
		err := ln.pullInTurn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
		default:
			failures++
		}
		ln.learn.ring() // where it is changes, too
		timer.Reset(ln.nextPull(ctx, failures))
		s.node.watch.Changed()
	}
}

// nextPull returns when to pull though nothing says that there is something.
func (ln *link) nextPull(ctx context.Context, failures int) time.Duration {
	if failures > 0 {
		return retry.Jitter(retry.Backoff(firstRetry, longestRetry, failures-1))
	}
	interval := ln.s.node.o.antiEntropy
	if awaited, err := ln.s.replica.Awaited(ctx); err == nil && len(awaited) > 0 {
		interval = min(interval, joinRetry)
	}
	return retry.Jitter(interval)
}

// pullInTurn pulls what is wanted when it is the link's turn. Until then the two are
// compared at least: the peer's pull waits for that, and might be what others wait for.
func (ln *link) pullInTurn(ctx context.Context) error {
	s := ln.s
	if !s.pulling.tryEnter() {
		if !s.comparing.enter(ctx) {
			return ctx.Err()
		}
		err := ln.pullOnce(ctx, exchange.PullOptions{CompareOnly: true})
		s.comparing.leave()
		if err != nil {
			return err
		}
		if !s.pulling.enter(ctx) {
			return ctx.Err()
		}
	}
	defer s.pulling.leave()
	return ln.pullOnce(ctx, exchange.PullOptions{Only: ln.takeWanted()})
}

// pushes keeps a live stream to the peer until ctx ends.
func (ln *link) pushes(ctx context.Context, queue *live.Queue) {
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := ln.pushOnce(ctx, queue)
		if time.Since(began) > longestRetry {
			failures = 0
		}
		if !interrupted(err) {
			ln.s.logger.Debug("soma: a live stream ended", "peer", ln.rem.peer.String(), "error", err)
		}
		wait := time.NewTimer(retry.Jitter(retry.Backoff(firstRetry, longestRetry, failures)))
		select {
		case <-ctx.Done():
		case <-ln.retry:
			failures = 0
		case <-wait.C:
		}
		wait.Stop()
		queue.Shed()
	}
}

func (ln *link) pushOnce(ctx context.Context, queue *live.Queue) error {
	ctx, st, leave, err := ln.s.open(ctx, ln.rem, protocolLive)
	if err != nil {
		return err
	}
	defer leave()
	err = live.Push(ctx, st, queue, ln.s.liveOptions(ln.rem))
	ln.s.judge(ln.rem, err)
	return err
}

// liveOptions say what live streams with a peer have to do with the rest.
func (s *session) liveOptions(rem *remote) live.Options {
	return live.Options{
		Replica: s.replica, Pair: rem.pair, Logger: s.logger,
		Pull: func(space core.SpaceID) {
			if ln := rem.link(); ln != nil {
				ln.want(space)
			}
		},
		Offend:  func(err error) { s.offend(rem, offenceEntry, err) },
		Carried: func(space core.SpaceID, e core.Entry) bool { return s.gossip.carries(space, rem.id, e) },
	}
}

// serveLive takes in what a peer pushes.
func (s *session) serveLive(ctx context.Context, rem *remote, st wire.Stream) error {
	err := live.Receive(ctx, st, s.liveOptions(rem))
	if ln := rem.link(); ln != nil && wire.IsParted(err) {
		ln.want("") // to be shown why
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// judge notes it if an error says that a peer broke the protocol.
func (s *session) judge(rem *remote, err error) {
	if wire.IsOffence(err) {
		s.offend(rem, offenceProtocol, err)
	}
}

// pullOnce pulls once. It returns an error if something is missing still, so that it is
// tried again.
func (ln *link) pullOnce(ctx context.Context, opts exchange.PullOptions) error {
	if len(opts.Only) > wire.MaxOnly {
		opts.Only = nil
	}
	ctx, st, leave, err := ln.s.open(ctx, ln.rem, protocolSync)
	ln.unheard.Store(err != nil)
	if err != nil {
		return err
	}
	defer leave()
	result, err := exchange.Pull(ctx, st, ln.s.replica, ln.rem.pair, opts)
	ln.s.judge(ln.rem, err)
	if result.Rejected > 0 {
		ln.s.offend(ln.rem, offenceEntry, errRejected)
	}
	if err != nil {
		return err
	}
	if err := ln.wantUnasked(ctx); err != nil {
		return err
	}
	if len(result.Partial) > 0 {
		return errPartial
	}
	return nil
}

// wantUnasked asks for a pull if there are tickets that the peer has not been shown yet: only
// some go into one. Each pull that succeeds shows more.
func (ln *link) wantUnasked(ctx context.Context) error {
	awaited, err := ln.s.replica.Awaited(ctx)
	if err == nil && ln.rem.pair.Unasked(awaited) {
		ln.want("")
	}
	return err
}

var (
	errRejected = errors.New("soma: a peer passes on entries that break a rule")
	errPartial  = errors.New("soma: a peer has not given all that it has")
)

// heard has a peer asked that asks, and could not be asked before: its host may have been
// connected for long when its program began to sync.
func (ln *link) heard() {
	if ln.unheard.Swap(false) {
		ln.want("")
		ln.retry.ring()
	}
}

// serveSync answers what a peer asks. One that shows a ticket is a stranger no more.
func (s *session) serveSync(ctx context.Context, rem *remote, st wire.Stream) error {
	if ln := rem.link(); ln != nil {
		ln.heard()
	}
	opts := exchange.ServeOptions{Joined: func() {
		s.members.ring()
		if ln := rem.link(); ln != nil { // there is one because of another space
			ln.want("")
		}
	}}
	if s.isLimited(rem) {
		opts.Portion = relayPortion
	}
	return exchange.Serve(ctx, st, s.replica, rem.pair, opts)
}
