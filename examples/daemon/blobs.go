package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// Chunks fit into the 4 MiB that gRPC clients receive by default.
const (
	readChunkBytes      = 1 << 20
	maxUploadChunkBytes = 4 << 20
)

type (
	uploadStream = grpc.ClientStreamingServer[pb.UploadBlobRequest, pb.BlobInfo]
	readStream   = grpc.ServerStreamingServer[pb.ReadBlobResponse]
)

func (d *daemon) UploadBlob(stream uploadStream) error {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	header := first.GetHeader()
	if header == nil {
		return fmt.Errorf("upload begins without a header: %w", errArgument)
	}
	info, err := d.db.Blobs().Put(stream.Context(), soma.SpaceID(header.GetSpaceId()), &upload{stream: stream}, soma.PutOptions{
		ExpectedCID: soma.CID(header.GetCid()), ExpectedSize: header.GetSize(), MIME: header.GetMime(), Name: header.GetName(),
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(blobMessage(info))
}

// upload reads the chunks of a stream.
type upload struct {
	stream uploadStream
	chunk  []byte // what is left of the last one
}

// Read implements io.Reader. The stream of a client that has gone ends with an error.
func (u *upload) Read(p []byte) (int, error) {
	for len(u.chunk) == 0 {
		m, err := u.stream.Recv()
		if err != nil {
			return 0, err
		}
		if m.GetHeader() != nil {
			return 0, fmt.Errorf("upload has a second header: %w", errArgument)
		}
		if u.chunk = m.GetChunk(); len(u.chunk) > maxUploadChunkBytes {
			return 0, fmt.Errorf("chunk of %d bytes, at most %d are allowed: %w", len(u.chunk), maxUploadChunkBytes, soma.ErrTooLarge)
		}
	}
	n := copy(p, u.chunk)
	u.chunk = u.chunk[n:]
	return n, nil
}

func (d *daemon) ReadBlob(r *pb.ReadBlobRequest, stream readStream) error {
	var opts []soma.OpenOption
	if r.GetFetch() {
		opts = append(opts, soma.WithFetch())
	}
	blob, err := d.db.Blobs().Open(stream.Context(), soma.SpaceID(r.GetSpaceId()), soma.CID(r.GetCid()), opts...)
	if err != nil {
		return err
	}
	defer blob.Close()
	part, err := section(blob, r.GetOffset(), r.GetLength())
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.ReadBlobResponse{Part: &pb.ReadBlobResponse_Info{Info: blobMessage(blob.Info())}}); err != nil {
		return err
	}
	for {
		chunk := make([]byte, readChunkBytes) // gRPC may look at one after Send
		n, err := io.ReadFull(part, chunk)
		if n > 0 {
			if err := stream.Send(&pb.ReadBlobResponse{Part: &pb.ReadBlobResponse_Chunk{Chunk: chunk[:n]}}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// section returns a part of a blob. A length of 0, or past the end, is all that follows.
func section(blob *soma.Blob, offset, length int64) (*io.SectionReader, error) {
	rest := blob.Size() - offset
	switch {
	case offset < 0 || length < 0:
		return nil, fmt.Errorf("%d bytes from %d: %w", length, offset, errArgument)
	case rest < 0:
		return nil, fmt.Errorf("from %d of %d bytes: %w", offset, blob.Size(), errRange)
	case length == 0:
		length = rest
	}
	return io.NewSectionReader(blob, offset, min(length, rest)), nil
}

func (d *daemon) StatBlob(ctx context.Context, r *pb.StatBlobRequest) (*pb.BlobInfo, error) {
	info, err := d.db.Blobs().Stat(ctx, soma.SpaceID(r.GetSpaceId()), soma.CID(r.GetCid()))
	if err != nil {
		return nil, err
	}
	return blobMessage(info), nil
}

func (d *daemon) ListBlobs(r *pb.ListBlobsRequest, stream grpc.ServerStreamingServer[pb.BlobInfo]) error {
	for info, err := range d.db.Blobs().List(stream.Context(), soma.SpaceID(r.GetSpaceId())) {
		if err != nil {
			return err
		}
		if err := stream.Send(blobMessage(info)); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) RemoveBlob(ctx context.Context, r *pb.RemoveBlobRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.db.Blobs().Remove(ctx, soma.SpaceID(r.GetSpaceId()), soma.CID(r.GetCid()))
}

func blobMessage(info soma.BlobInfo) *pb.BlobInfo {
	return &pb.BlobInfo{
		SpaceId: string(info.SpaceID), Cid: string(info.CID), Size: info.Size, Mime: info.MIME, Name: info.Name,
		Here: info.Here, CreatedAtMs: info.CreatedAtMs, CreatedBy: info.CreatedBy.String(),
	}
}
