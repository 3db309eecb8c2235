package main

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/soma-sdk/soma"
)

var (
	errArgument = errors.New("invalid argument")
	errRange    = errors.New("range begins after the end")
	errStopping = errors.New("the daemon stops")
)

// errorCodes say which code an error has. Of an error that is several, the first line counts.
var errorCodes = []struct {
	code   codes.Code
	errors []error
}{
	{codes.Unavailable, []error{soma.ErrNotHere, soma.ErrUnreachable, soma.ErrClosed, errStopping}},
	{codes.DataLoss, []error{soma.ErrCorrupt}},
	{codes.ResourceExhausted, []error{
		soma.ErrTooLarge, soma.ErrQuota, soma.ErrDiskFull, soma.ErrCollectionFull, soma.ErrTooManyUploads,
	}},
	{codes.PermissionDenied, []error{soma.ErrForbidden, soma.ErrBlocked}},
	{codes.NotFound, []error{soma.ErrNotFound}},
	{codes.AlreadyExists, []error{soma.ErrExists}},
	{codes.Aborted, []error{soma.ErrStaleDocument, soma.ErrClientIDTaken}},
	{codes.FailedPrecondition, []error{
		soma.ErrLastOwner, soma.ErrTooNew, soma.ErrSchemaTooNew, soma.ErrSyncOff, soma.ErrPinNone, soma.ErrUploadState,
		soma.ErrTicketExpired,
	}},
	{codes.OutOfRange, []error{errRange}},
	{codes.InvalidArgument, []error{
		errArgument, soma.ErrInvalidID, soma.ErrInvalidName, soma.ErrInvalidOption, soma.ErrInvalidUpdate,
		soma.ErrInvalidStateVector, soma.ErrInvalidTicket, soma.ErrInvalidTime, soma.ErrClockSkew, soma.ErrInvalidDraft,
		soma.ErrInvalidCID, soma.ErrCIDMismatch, soma.ErrSizeMismatch, soma.ErrInvalidMIME, soma.ErrInvalidJSON,
		soma.ErrInvalidRecord, soma.ErrReservedCollection, soma.ErrInvalidSnapshot, soma.ErrInvalidSeq,
		soma.ErrInvalidPlace, soma.ErrPageCycle,
	}},
	{codes.Canceled, []error{context.Canceled}},
	{codes.DeadlineExceeded, []error{context.DeadlineExceeded}},
}

// translate makes an error one of gRPC.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, line := range errorCodes {
		for _, known := range line.errors {
			if errors.Is(err, known) {
				return status.Error(line.code, err.Error())
			}
		}
	}
	if of := status.Code(err); of != codes.Unknown { // of the stream itself
		return status.Error(of, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

func translateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	resp, err := handle(ctx, req)
	return resp, translate(err)
}

func translateStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return translate(handle(srv, stream))
}
