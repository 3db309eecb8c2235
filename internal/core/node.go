package core

import (
	"context"
	"log/slog"
)

// Node is a sync node as the root of the library sees it: package sync makes one, and a
// host hands it to Open. The root calls Attach once, before anything else.
type Node interface {
	// Attach gives the node the directory that it is to sync. It starts nothing. A node
	// belongs to one directory for ever: a second Attach is ErrInvalidOption.
	Attach(r Replica, s NodeSettings) error
	// Start listens and dials, until Stop. Starting a running node does nothing.
	Start(ctx context.Context) error
	// Stop ends all connections and returns when nothing of the node runs any more. It can
	// be started again.
	Stop() error
	// Close is Stop for good. It is idempotent.
	Close() error

	// Addrs returns where the node can be reached, multiaddrs with /p2p, none while it is stopped.
	Addrs() []string
	// Connect dials a peer, at a multiaddr with /p2p, and returns when the two are
	// connected. Errors: ErrSyncOff, ErrInvalidAddress, ErrUnreachable, ErrBlocked, ctx's.
	Connect(ctx context.Context, address string) error
	// Peers returns who is connected.
	Peers() []PeerStatus
	// Block ends the connections with a peer and lets it connect no more, through
	// restarts, until Allow. Neither changes who is a member.
	Block(ctx context.Context, peer PeerID) error
	Allow(ctx context.Context, peer PeerID) error
	// Status returns how things are. It reads the database.
	Status(ctx context.Context) (SyncStatus, error)
	// Watch returns a channel that has a value whenever Status may have changed since it
	// was last read from. It closes when ctx ends, and on Close.
	Watch(ctx context.Context) <-chan struct{}
	// Fetch brings the bytes of a blob here, from whoever has them, and returns when they
	// are. Progress may be nil. If ctx ends the obligation stays (SharedBlobs.Want). Errors: ErrNotFound for
	// a blob that the space does not hold, ErrSyncOff, ErrDiskFull, ErrQuota, ErrTooLarge, ctx's.
	Fetch(ctx context.Context, space SpaceID, hash Hash, progress func(done, size int64)) error
}

// NodeSettings are what a DB has for its node.
type NodeSettings struct {
	Logger *slog.Logger
}

// PeerStatus is a peer that is connected.
type PeerStatus struct {
	Peer    PeerID
	Address string // of the connection, a multiaddr
	Limited bool   // through a relay, which cuts connections short
	Spaces  []SpaceID
	SinceMs int64
}

// SyncState says whether a node runs.
type SyncState string

// The states of a node.
const (
	SyncOff     SyncState = "off"     // there is none, or it is stopped
	SyncRunning SyncState = "running" // it listens, or dials
)

// SyncStatus is how a node and its spaces are. Nothing in it is a guess: what is not known
// of another device counts as not being there.
type SyncStatus struct {
	State  SyncState
	Peers  int // connected members
	Spaces []SpaceSyncStatus
}

// SpaceSyncStatus is how one space is.
type SpaceSyncStatus struct {
	Space          SpaceID
	Joining        bool  // a ticket waits for it
	Peers          int   // members that are connected
	LastExchangeMs int64 // when all that a peer had was here, 0 for never
	// OnlyHere is how many changes of the local member's no other device is known to
	// have: sealed entries, and documents with changes that are in no entry yet.
	OnlyHere    int64
	WantedBlobs int  // whose bytes are to come here
	Large       bool // it rides gossip
}
