package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func (d *daemon) SubscribeDomainEvents(_ *pb.SubscribeDomainEventsRequest, stream grpc.ServerStreamingServer[pb.DomainEvent]) error {
	return forward(d, stream, d.db.Subscribe(stream.Context()), func(ev soma.DomainEvent) *pb.DomainEvent {
		return &pb.DomainEvent{
			Kind: string(ev.Kind), Source: string(ev.Source), AtMs: ev.AtMs,
			SpaceId: string(ev.SpaceID), DocumentId: string(ev.DocumentID), Reason: ev.Reason,
		}
	})
}

// forward sends what comes out of a subscription, after headers that say that it holds,
// until the call ends or the daemon stops.
func forward[E, M any](d *daemon, stream grpc.ServerStreamingServer[M], news <-chan E, message func(E) *M) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		select {
		case ev, open := <-news:
			if !open { // the client has gone, or the DB is closed
				return ended(stream.Context())
			}
			if err := stream.Send(message(ev)); err != nil {
				return err
			}
		case <-d.stopping:
			return errStopping
		}
	}
}

func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errStopping
}
