package main

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func TestCollections(t *testing.T) {
	d := start(t)
	put := func(value string, ms int64) {
		t.Helper()
		if _, err := d.PutRecord(t.Context(), &pb.PutRecordRequest{Collection: "tabs", Record: &pb.Record{Key: "t", Value: value, UpdatedAtMs: ms}}); err != nil {
			t.Errorf("PutRecord = %v", err)
		}
	}
	changes := must[grpc.ServerStreamingClient[pb.RecordChange]](t)(d.WatchRecords(t.Context(), &pb.WatchRecordsRequest{Collection: "tabs"}))
	if _, err := changes.Header(); err != nil {
		t.Fatal(err)
	}
	put(`{"id": "t", "n":1.0}`, 20)
	change, err := changes.Recv()
	if err != nil || change.GetKind() != "put" || change.GetRecord().GetKey() != "t" {
		t.Errorf("Recv = %v, %v, want the put", change, err)
	}
	put(`{"id":"t","n":2}`, 10)
	rec, err := d.GetRecord(t.Context(), &pb.GetRecordRequest{Collection: "tabs", Key: "t"})
	if err != nil || rec.GetValue() != `{"id": "t", "n":1.0}` || rec.GetUpdatedAtMs() != 20 {
		t.Errorf("GetRecord = %v, %v, want the newer one, byte for byte", rec, err)
	}
	if list, err := all(d.ListRecords(t.Context(), &pb.ListRecordsRequest{Collection: "tabs"})); err != nil || len(list) != 1 {
		t.Errorf("ListRecords = %v, %v, want one", list, err)
	}
	item := must[*pb.GetItemResponse](t)(d.GetItem(t.Context(), &pb.GetItemRequest{Collection: "tabs"}))
	set := must[*pb.SetItemResponse](t)(d.SetItem(t.Context(), &pb.SetItemRequest{
		Collection: "tabs", Window: "w", BaseSeq: item.GetSeq(), Value: item.GetValue()[:len(item.GetValue())-1] + `,"s:u":{"versionKey":"v","data":{"id":"u"}}}`,
	}))
	if !set.GetSame() || set.GetSeq() <= item.GetSeq() {
		t.Errorf("SetItem = %v after %v, want what was given", set, item)
	}
	if _, err := d.DeleteRecord(t.Context(), &pb.DeleteRecordRequest{Collection: "tabs", Key: "t", UpdatedAtMs: 30}); err != nil {
		t.Errorf("DeleteRecord = %v", err)
	}
	list, err := all(d.ListRecords(t.Context(), &pb.ListRecordsRequest{Collection: "tabs"}))
	if err != nil || len(list) != 1 || list[0].GetKey() != "u" {
		t.Errorf("ListRecords = %v, %v, want the row of the window", list, err)
	}
	stream := must[grpc.ServerStreamingClient[pb.RecordChange]](t)(d.WatchRecords(t.Context(), &pb.WatchRecordsRequest{Collection: "documents"}))
	_, err = stream.Recv()
	wantCode(t, "WatchRecords of what is no collection", err, codes.InvalidArgument)
}
