package main

import (
	"context"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) GetStatus(ctx context.Context, _ *pb.GetStatusRequest) (*pb.Status, error) {
	now, err := d.db.Sync().Status(ctx)
	if err != nil {
		return nil, err
	}
	status := &pb.Status{
		PeerId: d.db.PeerID().String(), Syncing: now.State == soma.SyncRunning, Addresses: d.db.Sync().Addrs(),
	}
	for _, s := range now.Spaces {
		status.Spaces = append(status.Spaces, &pb.SpaceStatus{
			SpaceId: string(s.Space), Joining: s.Joining, Peers: int32(s.Peers), OnlyHere: s.OnlyHere,
		})
	}
	return status, nil
}
