package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// askStatus asks for the status, for a while.
func askStatus(client pb.DaemonClient, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := client.GetStatus(ctx, &pb.GetStatusRequest{})
	return err
}

func TestMaxConnections(t *testing.T) {
	d := start(t)
	var first net.Conn
	for range maxConnections {
		conn := must[net.Conn](t)(net.Dial("unix", strings.TrimPrefix(d.Address, "unix:")))
		defer conn.Close()
		if first == nil {
			first = conn
		}
	}
	wantCode(t, "GetStatus over one connection more", askStatus(d, 300*time.Millisecond), codes.DeadlineExceeded)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := askStatus(d, 20*time.Second); err != nil {
		t.Errorf("GetStatus in the place of one that has gone = %v", err)
	}
}

func TestMaxStreams(t *testing.T) {
	d := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range maxStreams {
		events := must[grpc.ServerStreamingClient[pb.DomainEvent]](t)(d.SubscribeDomainEvents(ctx, &pb.SubscribeDomainEventsRequest{}))
		if _, err := events.Header(); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "GetStatus beside as many calls as there may be", askStatus(d, 300*time.Millisecond), codes.DeadlineExceeded)
	if err := askStatus(pb.NewDaemonClient(dial(t, d.Address)), 20*time.Second); err != nil {
		t.Errorf("GetStatus over another connection = %v", err)
	}
	cancel()
	if err := askStatus(d, 20*time.Second); err != nil {
		t.Errorf("GetStatus after them = %v", err)
	}
}
