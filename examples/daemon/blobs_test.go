package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func header(h *pb.UploadBlobRequest_Header) *pb.UploadBlobRequest {
	return &pb.UploadBlobRequest{Part: &pb.UploadBlobRequest_Header_{Header: h}}
}

func chunk(s string) *pb.UploadBlobRequest {
	return &pb.UploadBlobRequest{Part: &pb.UploadBlobRequest_Chunk{Chunk: []byte(s)}}
}

// upload sends messages and returns the answer.
func (d *started) upload(ctx context.Context, messages ...*pb.UploadBlobRequest) (*pb.BlobInfo, error) {
	stream, err := d.UploadBlob(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if stream.Send(m) != nil {
			break // the answer says why
		}
	}
	return stream.CloseAndRecv()
}

// read returns the bytes of an answer to ReadBlob, and how long its longest chunk was.
func (d *started) read(ctx context.Context, r *pb.ReadBlobRequest) (data []byte, longest int, err error) {
	parts, err := all(d.ReadBlob(ctx, r))
	for i, part := range parts {
		if (part.GetInfo() != nil) != (i == 0) {
			return nil, 0, errors.New("the info is not the first part alone")
		}
		data = append(data, part.GetChunk()...)
		longest = max(longest, len(part.GetChunk()))
	}
	return data, longest, err
}

func TestBlobs(t *testing.T) {
	d := start(t)
	id := d.space(t)
	data := make([]byte, 5<<20+3)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	messages := []*pb.UploadBlobRequest{header(&pb.UploadBlobRequest_Header{SpaceId: id, Name: "noise.bin", Mime: "application/octet-stream", Size: int64(len(data))})}
	for rest := data; len(rest) > 0; rest = rest[min(len(rest), 700_000):] {
		messages = append(messages, chunk(string(rest[:min(len(rest), 700_000)])), chunk(""))
	}
	info, err := d.upload(t.Context(), messages...)
	if err != nil || info.GetSize() != int64(len(data)) || info.GetName() != "noise.bin" || !info.GetHere() {
		t.Fatalf("UploadBlob = %v, %v", info, err)
	}
	for _, c := range []struct{ offset, length, from, to int64 }{
		{0, 0, 0, info.GetSize()},
		{0, 10, 0, 10},
		{1 << 20, 1 << 20, 1 << 20, 2 << 20},
		{7, 3<<20 + 1, 7, 3<<20 + 8},
		{info.GetSize() - 2, 100, info.GetSize() - 2, info.GetSize()},
		{info.GetSize(), 0, info.GetSize(), info.GetSize()},
	} {
		got, longest, err := d.read(t.Context(), &pb.ReadBlobRequest{SpaceId: id, Cid: info.GetCid(), Offset: c.offset, Length: c.length})
		if err != nil || !bytes.Equal(got, data[c.from:c.to]) || longest > readChunkBytes {
			t.Errorf("ReadBlob(%d, %d) = %d bytes in chunks of up to %d, %v, want %d bytes", c.offset, c.length, len(got), longest, err, c.to-c.from)
		}
	}
	for _, c := range []struct {
		offset, length int64
		want           codes.Code
	}{{-1, 0, codes.InvalidArgument}, {0, -1, codes.InvalidArgument}, {info.GetSize() + 1, 0, codes.OutOfRange}} {
		_, _, err := d.read(t.Context(), &pb.ReadBlobRequest{SpaceId: id, Cid: info.GetCid(), Offset: c.offset, Length: c.length})
		wantCode(t, "ReadBlob", err, c.want)
	}
	other := d.space(t)
	_, _, err = d.read(t.Context(), &pb.ReadBlobRequest{SpaceId: other, Cid: info.GetCid()})
	wantCode(t, "ReadBlob of another space", err, codes.NotFound)

	if list, err := all(d.ListBlobs(t.Context(), &pb.ListBlobsRequest{SpaceId: id})); err != nil || len(list) != 1 || list[0].GetCid() != info.GetCid() {
		t.Errorf("ListBlobs = %v, %v, want the blob", list, err)
	}
	if _, err := d.RemoveBlob(t.Context(), &pb.RemoveBlobRequest{SpaceId: id, Cid: info.GetCid()}); err != nil {
		t.Errorf("RemoveBlob = %v", err)
	}
	_, err = d.StatBlob(t.Context(), &pb.StatBlobRequest{SpaceId: id, Cid: info.GetCid()})
	wantCode(t, "StatBlob of what was removed", err, codes.NotFound)
}

func TestUploadsRefused(t *testing.T) {
	d := start(t)
	id := d.space(t)
	begin := func(h *pb.UploadBlobRequest_Header) *pb.UploadBlobRequest { h.SpaceId = id; return header(h) }
	for name, c := range map[string]struct {
		messages []*pb.UploadBlobRequest
		want     codes.Code
	}{
		"nothing at all":  {nil, codes.InvalidArgument},
		"no header":       {[]*pb.UploadBlobRequest{chunk("x")}, codes.InvalidArgument},
		"empty message":   {[]*pb.UploadBlobRequest{{}}, codes.InvalidArgument},
		"second header":   {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{}), chunk("x"), begin(&pb.UploadBlobRequest_Header{})}, codes.InvalidArgument},
		"no space":        {[]*pb.UploadBlobRequest{header(&pb.UploadBlobRequest_Header{}), chunk("x")}, codes.InvalidArgument},
		"unknown space":   {[]*pb.UploadBlobRequest{header(&pb.UploadBlobRequest_Header{SpaceId: "nowhere"}), chunk("x")}, codes.NotFound},
		"no CID":          {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Cid: "Qm"}), chunk("x")}, codes.InvalidArgument},
		"other CID":       {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Cid: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"}), chunk("x")}, codes.InvalidArgument},
		"cut short":       {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Size: 2}), chunk("x")}, codes.InvalidArgument},
		"negative size":   {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Size: -1}), chunk("x")}, codes.InvalidArgument},
		"name of a path":  {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Name: "../x"}), chunk("x")}, codes.InvalidArgument},
		"no media type":   {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{Mime: "x"}), chunk("x")}, codes.InvalidArgument},
		"too long chunk":  {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{}), chunk(string(make([]byte, maxUploadChunkBytes+1)))}, codes.ResourceExhausted},
		"longest chunk":   {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{}), chunk(string(make([]byte, maxUploadChunkBytes)))}, codes.OK},
		"empty but there": {[]*pb.UploadBlobRequest{begin(&pb.UploadBlobRequest_Header{})}, codes.OK},
	} {
		_, err := d.upload(t.Context(), c.messages...)
		wantCode(t, "UploadBlob of "+name, err, c.want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := d.UploadBlob(ctx)
	if err == nil {
		err = errors.Join(stream.Send(begin(&pb.UploadBlobRequest_Header{})), stream.Send(chunk("half a blob")))
	}
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = stream.CloseAndRecv()
	wantCode(t, "UploadBlob that is cancelled", err, codes.Canceled)
	if list, err := all(d.ListBlobs(t.Context(), &pb.ListBlobsRequest{SpaceId: id})); err != nil || len(list) != 2 {
		t.Errorf("ListBlobs = %v, %v, want the two that were taken", list, err)
	}
}
