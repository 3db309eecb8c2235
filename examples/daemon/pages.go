package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) CreatePage(ctx context.Context, r *pb.CreatePageRequest) (*pb.Page, error) {
	to := target(r.GetTo())
	return page(d.db.Pages().Create(ctx, soma.SpaceID(r.GetSpaceId()), soma.NewPage{
		ID: soma.DocumentID(r.GetId()), Title: r.GetTitle(), Parent: to.Parent, Before: to.Before, After: to.After,
	}))
}

func (d *daemon) GetPage(ctx context.Context, r *pb.GetPageRequest) (*pb.Page, error) {
	return page(d.db.Pages().Get(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId())))
}

func (d *daemon) ListPages(r *pb.ListPagesRequest, stream grpc.ServerStreamingServer[pb.Page]) error {
	var opts []soma.PageOption
	if r.GetArchived() {
		opts = append(opts, soma.WithArchived())
	}
	tree, err := d.db.Pages().Tree(stream.Context(), soma.SpaceID(r.GetSpaceId()), opts...)
	if err != nil {
		return err
	}
	return sendTree(stream, tree)
}

func sendTree(stream grpc.ServerStreamingServer[pb.Page], nodes []*soma.PageNode) error {
	for _, node := range nodes {
		if err := stream.Send(pageMessage(node.Page)); err != nil {
			return err
		}
		if err := sendTree(stream, node.Children); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) RenamePage(ctx context.Context, r *pb.RenamePageRequest) (*pb.Page, error) {
	return page(d.db.Pages().Rename(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId()), r.GetTitle()))
}

func (d *daemon) MovePage(ctx context.Context, r *pb.MovePageRequest) (*pb.Page, error) {
	return page(d.db.Pages().Move(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId()), target(r.GetTo())))
}

func (d *daemon) ArchivePage(ctx context.Context, r *pb.ArchivePageRequest) (*pb.Page, error) {
	return page(d.db.Pages().Archive(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId())))
}

func (d *daemon) DeletePage(ctx context.Context, r *pb.DeletePageRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Pages().Delete(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId()))
}

func (d *daemon) RestorePage(ctx context.Context, r *pb.RestorePageRequest) (*pb.Page, error) {
	return page(d.db.Pages().Restore(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetPageId())))
}

func (d *daemon) ListTrash(r *pb.ListTrashRequest, stream grpc.ServerStreamingServer[pb.Page]) error {
	trash, err := d.db.Pages().Trash(stream.Context(), soma.SpaceID(r.GetSpaceId()))
	if err != nil {
		return err
	}
	for _, p := range trash {
		if err := stream.Send(pageMessage(p)); err != nil {
			return err
		}
	}
	return nil
}

func target(t *pb.PageTarget) soma.PageTarget {
	return soma.PageTarget{
		Parent: soma.DocumentID(t.GetParent()), Before: soma.DocumentID(t.GetBefore()), After: soma.DocumentID(t.GetAfter()),
	}
}

func page(p soma.Page, err error) (*pb.Page, error) {
	if err != nil {
		return nil, err
	}
	return pageMessage(p), nil
}

func pageMessage(p soma.Page) *pb.Page {
	return &pb.Page{
		SpaceId: string(p.SpaceID), Id: string(p.ID), Title: p.Title, Parent: string(p.Parent), Archived: p.Archived,
		Trashed: p.Trashed, CreatedAtMs: p.CreatedAtMs, UpdatedAtMs: p.UpdatedAtMs, CreatedBy: p.CreatedBy.String(),
	}
}
