package somasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// Node syncs one directory. Its methods are safe for concurrent use. It does nothing until
// Start, which soma.Open calls unless it is told not to.
type Node struct {
	o      options
	book   *peerBook
	scores *scores
	watch  core.Watchers

	lifecycle sync.Mutex // held while the node starts or stops

	mu       sync.Mutex // guards what follows
	replica  core.Replica
	logger   *slog.Logger
	session  *session // while it runs
	closed   bool
	unfollow func()
}

var _ core.Node = (*Node)(nil)

// New returns a node for soma.WithSync. It opens nothing. Errors: ErrInvalidOption.
func New(opts ...Option) (*Node, error) {
	o, err := collect(opts)
	if err != nil {
		return nil, fmt.Errorf("sync node: %w", err)
	}
	return &Node{o: o, book: newPeerBook(), scores: newScores(), logger: slog.New(slog.DiscardHandler)}, nil
}

// Attach implements core.Node.
func (n *Node) Attach(r core.Replica, s core.NodeSettings) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return fmt.Errorf("attach sync node: %w", core.ErrClosed)
	case r == nil || n.replica != nil:
		return fmt.Errorf("attach sync node: it has a directory: %w", core.ErrInvalidOption)
	}
	n.replica = r
	if s.Logger != nil {
		n.logger = s.Logger
	}
	n.unfollow = r.Follow(func(core.News) { n.watch.Changed() }) // the status of a stopped node changes too
	return nil
}

// Start implements core.Node.
func (n *Node) Start(ctx context.Context) error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	n.mu.Lock()
	replica, closed, running := n.replica, n.closed, n.session != nil
	n.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("start sync: %w", core.ErrClosed)
	case replica == nil:
		return fmt.Errorf("start sync: no directory is attached: %w", core.ErrSyncOff)
	case running:
		return ctx.Err()
	}
	if err := n.book.load(ctx, replica); err != nil {
		return fmt.Errorf("start sync: %w", err)
	}
	s, err := startSession(ctx, n, noting{replica, n.watch.Changed})
	if err != nil {
		return fmt.Errorf("start sync: %w", err)
	}
	n.mu.Lock()
	n.session = s
	n.mu.Unlock()
	n.watch.Changed()
	return nil
}

// Stop implements core.Node.
func (n *Node) Stop() error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	return n.stop()
}

func (n *Node) stop() error {
	n.mu.Lock()
	s := n.session
	n.session = nil
	n.mu.Unlock()
	if s == nil {
		return nil
	}
	err := s.stop()
	n.watch.Changed()
	if err != nil {
		return fmt.Errorf("stop sync: %w", err)
	}
	return nil
}

// Close implements core.Node.
func (n *Node) Close() error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	n.mu.Lock()
	n.closed = true
	unfollow := n.unfollow
	n.unfollow = nil
	n.mu.Unlock()
	err := n.stop()
	if unfollow != nil {
		unfollow()
	}
	n.watch.Close()
	return err
}

// running returns the session, and errors if there is none.
func (n *Node) running() (*session, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return nil, core.ErrClosed
	case n.session == nil:
		return nil, core.ErrSyncOff
	}
	return n.session, nil
}

// attached returns the directory, and errors if there is none.
func (n *Node) attached() (core.Replica, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return nil, core.ErrClosed
	case n.replica == nil:
		return nil, core.ErrSyncOff
	}
	return n.replica, nil
}

// Addrs implements core.Node.
func (n *Node) Addrs() []string {
	s, err := n.running()
	if err != nil {
		return nil
	}
	return s.addrs()
}

// Connect implements core.Node.
func (n *Node) Connect(ctx context.Context, address string) error {
	s, err := n.running()
	if err == nil {
		err = s.connect(ctx, address)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// Block implements core.Node.
func (n *Node) Block(ctx context.Context, peer core.PeerID) error {
	return n.setBlocked(ctx, peer, true)
}

// Allow implements core.Node.
func (n *Node) Allow(ctx context.Context, peer core.PeerID) error {
	return n.setBlocked(ctx, peer, false)
}

func (n *Node) setBlocked(ctx context.Context, peer core.PeerID, blocked bool) error {
	r, err := n.attached()
	if err == nil && (peer.IsZero() || peer == r.Self()) {
		err = core.ErrInvalidID
	}
	if err == nil {
		err = n.book.update(ctx, r, peer, func(p *core.PeerAddresses) bool {
			changes := p.Blocked != blocked
			p.Blocked = blocked
			return changes
		})
	}
	if err != nil {
		return fmt.Errorf("block or allow peer %s: %w", peer, err)
	}
	if !blocked {
		n.scores.forgive(peer)
	}
	if s, err := n.running(); err == nil {
		s.blockChanged(peer)
	}
	n.watch.Changed()
	return nil
}

// Peers implements core.Node.
func (n *Node) Peers() []core.PeerStatus {
	s, err := n.running()
	if err != nil {
		return nil
	}
	return s.peerStatuses()
}

// Fetch implements core.Node.
func (n *Node) Fetch(ctx context.Context, space core.SpaceID, hash core.Hash, progress func(done, size int64)) error {
	s, err := n.running()
	if err == nil {
		err = s.fetch(ctx, space, hash, progress)
	}
	if err != nil {
		return fmt.Errorf("fetch a blob of space %s: %w", space, err)
	}
	return nil
}

// Watch implements core.Node.
func (n *Node) Watch(ctx context.Context) <-chan struct{} { return n.watch.Add(ctx) }

// refuses reports whether a peer is not to be talked to: the host program blocked it, or it
// has broken the protocol too often.
func (n *Node) refuses(peer core.PeerID) bool {
	return n.book.get(peer).Blocked || n.scores.banned(peer)
}

// interrupted reports whether err only says that something was ended on purpose.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, core.ErrClosed)
}
