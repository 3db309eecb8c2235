package main

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) CreateSpace(ctx context.Context, r *pb.CreateSpaceRequest) (*pb.Space, error) {
	return space(d.db.Spaces().Create(ctx, soma.NewSpace{Name: r.GetName()}))
}

func (d *daemon) GetSpace(ctx context.Context, r *pb.GetSpaceRequest) (*pb.Space, error) {
	return space(d.db.Spaces().Get(ctx, soma.SpaceID(r.GetSpaceId())))
}

func (d *daemon) ListSpaces(ctx context.Context, _ *pb.ListSpacesRequest) (*pb.ListSpacesResponse, error) {
	all, err := d.db.Spaces().List(ctx)
	if err != nil {
		return nil, err
	}
	list := &pb.ListSpacesResponse{}
	for _, s := range all {
		list.Spaces = append(list.Spaces, spaceMessage(s))
	}
	return list, nil
}

func (d *daemon) RenameSpace(ctx context.Context, r *pb.RenameSpaceRequest) (*pb.Space, error) {
	return space(d.db.Spaces().Rename(ctx, soma.SpaceID(r.GetSpaceId()), r.GetName()))
}

func (d *daemon) JoinSpace(ctx context.Context, r *pb.JoinSpaceRequest) (*pb.Space, error) {
	return space(d.db.Spaces().Join(ctx, r.GetTicket()))
}

func (d *daemon) LeaveSpace(ctx context.Context, r *pb.LeaveSpaceRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Spaces().Leave(ctx, soma.SpaceID(r.GetSpaceId()))
}

func space(s soma.Space, err error) (*pb.Space, error) {
	if err != nil {
		return nil, err
	}
	return spaceMessage(s), nil
}

func spaceMessage(s soma.Space) *pb.Space {
	return &pb.Space{
		Id: string(s.ID), Name: s.Name, Role: pb.Role(s.Role), CreatedAtMs: s.CreatedAtMs, UpdatedAtMs: s.UpdatedAtMs,
	}
}
