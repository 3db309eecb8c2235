package soma

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/replica"
)

// Types of sync. Package sync has the one implementation of SyncNode.
type (
	// SyncNode keeps the spaces of a DB the same as those of their other members.
	SyncNode = core.Node
	// SyncState says whether a DB syncs.
	SyncState = core.SyncState
	// SyncStatus is how sync stands. What is not known of another device counts as not
	// being there.
	SyncStatus = core.SyncStatus
	// SpaceSyncStatus is how sync of one space stands.
	SpaceSyncStatus = core.SpaceSyncStatus
	// PeerStatus is a peer that is connected.
	PeerStatus = core.PeerStatus
)

// The states of sync.
const (
	SyncOff     = core.SyncOff     // there is no node, or it is stopped
	SyncRunning = core.SyncRunning // it listens, or dials
)

// WithSync makes the DB sync its spaces with their other members: soma.WithSync(node) with
// a node of somasync.New. It starts in Open, which fails if it cannot, and ends in Close. A
// node is for one DB: give each Open a new one.
func WithSync(node SyncNode) Option {
	return func(o *options) error {
		if node == nil {
			return fmt.Errorf("nil sync node: %w", ErrInvalidOption)
		}
		o.node = node
		return nil
	}
}

// WithManualSync leaves starting the node of WithSync to Sync.Start.
func WithManualSync() Option {
	return func(o *options) error {
		o.manualSync = true
		return nil
	}
}

// Sync is the exchange with other members over the network.
type Sync struct{ db *DB }

// Sync returns the service for sync. Without WithSync its status is SyncOff, and most calls
// return ErrSyncOff.
func (db *DB) Sync() Sync { return Sync{db} }

// Start listens and dials until Stop, and returns when it does. Starting it again does
// nothing. Errors: ErrSyncOff without a node, ErrInvalidOption for a host with the key of
// another member, those of the network.
func (s Sync) Start(ctx context.Context) error {
	return s.call(func(n SyncNode) error { return n.Start(ctx) })
}

// Stop ends all connections, and returns when nothing of sync runs any more. Start begins
// again. Errors: ErrSyncOff without a node.
func (s Sync) Stop(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.call(func(n SyncNode) error { return n.Stop() })
}

// Addrs returns where this device can be reached: multiaddrs with its peer ID, none while
// sync does not run.
func (s Sync) Addrs() []string {
	var addrs []string
	_ = s.call(func(n SyncNode) error { // an error means that there are none
		addrs = n.Addrs()
		return nil
	})
	return addrs
}

// Connect dials a peer, at a multiaddr that ends with its ID, and returns when the two are
// connected. The members of a space find each other by themselves when one of them has the
// address of another, from a ticket or from before. Errors: ErrSyncOff, ErrInvalidAddress,
// ErrUnreachable, ErrBlocked, ctx's.
func (s Sync) Connect(ctx context.Context, address string) error {
	return s.call(func(n SyncNode) error { return n.Connect(ctx, address) })
}

// Peers returns the peers that are connected, in order of their IDs: members of spaces
// that are shared with them, and those that this device dialed.
func (s Sync) Peers() []PeerStatus {
	var peers []PeerStatus
	_ = s.call(func(n SyncNode) error { // an error means that there are none
		peers = n.Peers()
		return nil
	})
	return peers
}

// Block ends the connections with a peer and lets it connect no more, through restarts,
// until Allow. It stays a member of the spaces of which it is one: what it writes still
// comes, by others. On a host of the host program the connection stays, unused. Errors:
// ErrSyncOff without a node, ErrInvalidID for the local member.
func (s Sync) Block(ctx context.Context, peer PeerID) error {
	return s.call(func(n SyncNode) error { return n.Block(ctx, peer) })
}

// Allow takes Block back, and a ban for having broken the protocol. Errors as of Block.
func (s Sync) Allow(ctx context.Context, peer PeerID) error {
	return s.call(func(n SyncNode) error { return n.Allow(ctx, peer) })
}

// Status returns how sync stands. It reads the database, and waits for no peer.
func (s Sync) Status(ctx context.Context) (SyncStatus, error) {
	if err := s.db.begin(); err != nil {
		return SyncStatus{}, fmt.Errorf("sync status: %w", err)
	}
	defer s.db.end()
	if s.db.node == nil {
		return SyncStatus{State: SyncOff}, ctx.Err()
	}
	return s.db.node.Status(ctx)
}

// Watch returns a channel that has a value whenever Status may have changed since the
// channel was last read from. It closes when ctx ends, and on Close. A reader that is slow
// slows nothing down.
func (s Sync) Watch(ctx context.Context) <-chan struct{} {
	if s.db.node == nil {
		return s.db.noNode.Add(ctx)
	}
	return s.db.node.Watch(ctx)
}

// call makes a call of the node, if there is one.
func (s Sync) call(f func(SyncNode) error) error {
	if err := s.db.begin(); err != nil {
		return err
	}
	defer s.db.end()
	if s.db.node == nil {
		return ErrSyncOff
	}
	return f(s.db.node)
}

// startSync gives the node its directory, and starts it unless the host program does.
func (db *DB) startSync(o *options) error {
	if o.node == nil {
		return nil
	}
	if err := o.node.Attach(directory{db.replica, db.blobs}, core.NodeSettings{Logger: o.logger}); err != nil {
		return err
	}
	db.node = o.node // from here on it is closed with the rest
	if o.manualSync {
		return nil
	}
	return db.node.Start(context.Background())
}

func (db *DB) closeSync() error {
	db.noNode.Close()
	if db.node == nil {
		return nil
	}
	return db.node.Close()
}

// directory is what a node sees of a DB: the spaces, and the bytes of their blobs.
type directory struct {
	*replica.Replica
	core.SharedBlobs
}

var _ core.Replica = directory{}
