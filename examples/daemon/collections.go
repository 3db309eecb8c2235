package main

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) PutRecord(ctx context.Context, r *pb.PutRecordRequest) (*emptypb.Empty, error) {
	rec := r.GetRecord()
	return &emptypb.Empty{}, d.db.Collections().Put(ctx, r.GetCollection(), rec.GetKey(), json.RawMessage(rec.GetValue()), rec.GetUpdatedAtMs())
}

func (d *daemon) GetRecord(ctx context.Context, r *pb.GetRecordRequest) (*pb.Record, error) {
	rec, err := d.db.Collections().Get(ctx, r.GetCollection(), r.GetKey())
	if err != nil {
		return nil, err
	}
	return recordMessage(rec), nil
}

func (d *daemon) ListRecords(r *pb.ListRecordsRequest, stream grpc.ServerStreamingServer[pb.Record]) error {
	for rec, err := range d.db.Collections().List(stream.Context(), r.GetCollection()) {
		if err != nil {
			return err
		}
		if err := stream.Send(recordMessage(rec)); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) DeleteRecord(ctx context.Context, r *pb.DeleteRecordRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Collections().Delete(ctx, r.GetCollection(), r.GetKey(), r.GetUpdatedAtMs())
}

func (d *daemon) WatchRecords(r *pb.WatchRecordsRequest, stream grpc.ServerStreamingServer[pb.RecordChange]) error {
	for _, err := range d.db.Collections().List(stream.Context(), r.GetCollection()) {
		if err != nil { // Watch has no way to say that there can be no such collection
			return err
		}
		break
	}
	return forward(d, stream, d.db.Collections().Watch(stream.Context(), r.GetCollection()), func(c soma.RawChange) *pb.RecordChange {
		return &pb.RecordChange{
			Kind: string(c.Kind), Seq: c.Seq, Record: &pb.Record{Key: c.Key, Value: string(c.Value), UpdatedAtMs: c.UpdatedAtMs},
		}
	})
}

func (d *daemon) GetItem(ctx context.Context, r *pb.GetItemRequest) (*pb.GetItemResponse, error) {
	snapshot, err := d.db.Collections().Snapshot(ctx, r.GetCollection())
	if err != nil {
		return nil, err
	}
	return &pb.GetItemResponse{Value: string(snapshot.Value), Seq: snapshot.Seq}, nil
}

func (d *daemon) SetItem(ctx context.Context, r *pb.SetItemRequest) (*pb.SetItemResponse, error) {
	var opts []soma.StorageOption
	if r.GetWindow() != "" {
		opts = append(opts, soma.WithWindow(r.GetWindow()))
	}
	done, err := d.db.Collections().SetItem(ctx, r.GetCollection(), []byte(r.GetValue()), r.GetBaseSeq(), opts...)
	if err != nil {
		return nil, err
	}
	return &pb.SetItemResponse{Seq: done.Seq, Same: done.Same}, nil
}

func recordMessage(rec soma.RawRecord) *pb.Record {
	return &pb.Record{Key: rec.Key, Value: string(rec.Value), UpdatedAtMs: rec.UpdatedAtMs}
}
