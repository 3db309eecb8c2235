package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) ListMembers(ctx context.Context, r *pb.ListMembersRequest) (*pb.ListMembersResponse, error) {
	all, err := d.db.Spaces().Members(ctx, soma.SpaceID(r.GetSpaceId()))
	if err != nil {
		return nil, err
	}
	list := &pb.ListMembersResponse{}
	for _, m := range all {
		list.Members = append(list.Members, &pb.Member{
			PeerId: m.Peer.String(), Role: pb.Role(m.Role), Kind: pb.Kind(m.Kind), AddedBy: m.AddedBy.String(),
		})
	}
	return list, nil
}

func (d *daemon) AddMember(ctx context.Context, r *pb.AddMemberRequest) (*emptypb.Empty, error) {
	m, err := newMember(r)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, d.db.Spaces().AddMember(ctx, soma.SpaceID(r.GetSpaceId()), m)
}

func newMember(r *pb.AddMemberRequest) (m soma.NewMember, err error) {
	if _, known := pb.Kind_name[int32(r.GetKind())]; !known {
		return m, fmt.Errorf("kind %d: %w", r.GetKind(), errArgument)
	}
	m.Kind = soma.Kind(r.GetKind())
	if m.Role, err = role(r.GetRole()); err == nil {
		m.Peer, err = soma.ParsePeerID(r.GetPeerId())
	}
	return m, err
}

func (d *daemon) SetMemberRole(ctx context.Context, r *pb.SetMemberRoleRequest) (*emptypb.Empty, error) {
	to, err := role(r.GetRole())
	if err != nil {
		return nil, err
	}
	who, err := soma.ParsePeerID(r.GetPeerId())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, d.db.Spaces().SetRole(ctx, soma.SpaceID(r.GetSpaceId()), who, to)
}

func (d *daemon) RemoveMember(ctx context.Context, r *pb.RemoveMemberRequest) (*emptypb.Empty, error) {
	who, err := soma.ParsePeerID(r.GetPeerId())
	if err != nil {
		return nil, err
	}
	opts := soma.RemoveOptions{Purge: r.GetPurge()}
	return &emptypb.Empty{}, d.db.Spaces().RemoveMember(ctx, soma.SpaceID(r.GetSpaceId()), who, opts)
}

func (d *daemon) CreateInvite(ctx context.Context, r *pb.CreateInviteRequest) (*pb.CreateInviteResponse, error) {
	to, err := role(r.GetRole())
	if err != nil {
		return nil, err
	}
	opts := soma.InviteOptions{Uses: int(r.GetUses())}
	if ms := r.GetExpiresAtMs(); ms != 0 {
		opts.ExpiresAt = time.UnixMilli(ms)
	}
	ticket, err := d.db.Spaces().Invite(ctx, soma.SpaceID(r.GetSpaceId()), to, opts)
	if err != nil {
		return nil, err
	}
	return &pb.CreateInviteResponse{Ticket: ticket}, nil
}

func (d *daemon) RevokeInvite(ctx context.Context, r *pb.RevokeInviteRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Spaces().RevokeInvite(ctx, soma.SpaceID(r.GetSpaceId()), r.GetTicket())
}

// role refuses what has no name before it is cut to the library's size.
func role(r pb.Role) (soma.Role, error) {
	if _, known := pb.Role_name[int32(r)]; !known {
		return 0, fmt.Errorf("role %d: %w", r, errArgument)
	}
	return soma.Role(r), nil
}
