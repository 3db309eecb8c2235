package somasync

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
)

// noting is the directory as the protocols see it: what they note about peers changes the status.
type noting struct {
	core.Replica
	changed func()
}

// Acknowledge implements core.Acknowledgements.
func (n noting) Acknowledge(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error {
	defer n.changed()
	return n.Replica.Acknowledge(ctx, space, peer, rows)
}

// AcknowledgeTaken implements core.Acknowledgements.
func (n noting) AcknowledgeTaken(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error {
	defer n.changed()
	return n.Replica.AcknowledgeTaken(ctx, space, peer, rows)
}

// AcknowledgeAll implements core.Acknowledgements.
func (n noting) AcknowledgeAll(ctx context.Context, space core.SpaceID, peer core.PeerID, at core.Summary) error {
	defer n.changed()
	return n.Replica.AcknowledgeAll(ctx, space, peer, at)
}

// Exchanged implements core.Acknowledgements.
func (n noting) Exchanged(ctx context.Context, space core.SpaceID, peer core.PeerID, mark core.Mark, atMs int64) error {
	defer n.changed()
	return n.Replica.Exchanged(ctx, space, peer, mark, atMs)
}
