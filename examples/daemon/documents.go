package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) UpsertDocument(ctx context.Context, r *pb.UpsertDocumentRequest) (*pb.Revision, error) {
	var opts []soma.WriteOption
	if r.Epoch != nil {
		opts = append(opts, soma.WithEpoch(r.Epoch))
	}
	if r.DraftUpdatedAtMs != nil {
		opts = append(opts, soma.WithDraft(*r.DraftUpdatedAtMs))
	}
	if r.GetSource() != "" {
		opts = append(opts, soma.WithSource(soma.EventSource(r.GetSource())))
	}
	rev, err := d.db.Documents().Upsert(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId()), r.GetUpdate(), opts...)
	if err != nil {
		return nil, err
	}
	return &pb.Revision{UpdatedAtMs: rev.UpdatedAtMs, StateVector: rev.StateVector, Epoch: rev.Epoch}, nil
}

func (d *daemon) GetDocument(ctx context.Context, r *pb.GetDocumentRequest) (*pb.Document, error) {
	doc, err := d.db.Documents().Get(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId()))
	if err != nil {
		return nil, err
	}
	return &pb.Document{
		SpaceId: string(doc.SpaceID), Id: string(doc.ID), Update: doc.Update, StateVector: doc.StateVector, Epoch: doc.Epoch,
		CreatedAtMs: doc.CreatedAtMs, UpdatedAtMs: doc.UpdatedAtMs, CreatedBy: doc.CreatedBy.String(), Pending: doc.Pending,
	}, nil
}

func (d *daemon) DiffDocument(ctx context.Context, r *pb.DiffDocumentRequest) (*pb.DiffDocumentResponse, error) {
	diff, err := d.db.Documents().Diff(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId()), r.GetStateVector())
	if err != nil {
		return nil, err
	}
	return &pb.DiffDocumentResponse{Update: diff}, nil
}

func (d *daemon) ListDocuments(r *pb.ListDocumentsRequest, stream grpc.ServerStreamingServer[pb.DocumentInfo]) error {
	for doc, err := range d.db.Documents().List(stream.Context(), soma.SpaceID(r.GetSpaceId())) {
		if err != nil {
			return err
		}
		info := &pb.DocumentInfo{
			Id: string(doc.ID), CreatedAtMs: doc.CreatedAtMs, UpdatedAtMs: doc.UpdatedAtMs, CreatedBy: doc.CreatedBy.String(),
		}
		if err := stream.Send(info); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) SearchDocuments(ctx context.Context, r *pb.SearchDocumentsRequest) (*pb.SearchDocumentsResponse, error) {
	var opts []soma.SearchOption
	if r.GetLimit() != 0 {
		opts = append(opts, soma.WithLimit(int(r.GetLimit())))
	}
	found, err := d.db.Documents().Search(ctx, soma.SpaceID(r.GetSpaceId()), r.GetQuery(), opts...)
	if err != nil {
		return nil, err
	}
	list := &pb.SearchDocumentsResponse{}
	for _, hit := range found {
		list.Hits = append(list.Hits, &pb.SearchDocumentsResponse_Hit{
			DocumentId: string(hit.DocumentID), Title: hit.Title, Snippet: hit.Snippet.Text, Score: hit.Score,
		})
	}
	return list, nil
}

func (d *daemon) DeleteDocument(ctx context.Context, r *pb.DeleteDocumentRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Documents().Delete(ctx, soma.SpaceID(r.GetSpaceId()), soma.DocumentID(r.GetDocumentId()))
}
