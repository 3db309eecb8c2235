package main

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) SaveDraft(ctx context.Context, r *pb.SaveDraftRequest) (*emptypb.Empty, error) {
	m := r.GetDraft()
	return &emptypb.Empty{}, d.db.Mailbox().Save(ctx, soma.Draft{
		SpaceID: soma.SpaceID(m.GetSpaceId()), DocumentID: soma.DocumentID(m.GetDocumentId()), Snippet: m.GetSnippet(),
		UpdatedAtMs: m.GetUpdatedAtMs(), BaseDaemonUpdatedAtMs: m.GetBaseDaemonUpdatedAtMs(),
		BaseStateVector: m.GetBaseStateVector(), ConflictState: soma.ConflictState(m.GetConflictState()),
	})
}

func (d *daemon) GetDraft(ctx context.Context, r *pb.GetDraftRequest) (*pb.Draft, error) {
	return draft(d.db.Mailbox().Get(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId())))
}

// ListDrafts sends what can be read, and then the error of a draft that is damaged.
func (d *daemon) ListDrafts(_ *pb.ListDraftsRequest, stream grpc.ServerStreamingServer[pb.Draft]) error {
	var damaged error
	for found, err := range d.db.Mailbox().List(stream.Context()) {
		if errors.Is(err, soma.ErrCorrupt) {
			damaged = err
			continue
		}
		m, err := draft(found, err)
		if err != nil {
			return err
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return damaged
}

func (d *daemon) DiscardDraft(ctx context.Context, r *pb.DiscardDraftRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Mailbox().Discard(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId()))
}

func (d *daemon) RestoreDraft(ctx context.Context, r *pb.RestoreDraftRequest) (*pb.Draft, error) {
	return draft(d.db.Mailbox().Restore(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId())))
}

func draft(d soma.Draft, err error) (*pb.Draft, error) {
	if err != nil {
		return nil, err
	}
	return &pb.Draft{
		SpaceId: string(d.SpaceID), DocumentId: string(d.DocumentID), Snippet: d.Snippet, UpdatedAtMs: d.UpdatedAtMs,
		BaseDaemonUpdatedAtMs: d.BaseDaemonUpdatedAtMs, BaseStateVector: d.BaseStateVector, ConflictState: string(d.ConflictState),
	}, nil
}
