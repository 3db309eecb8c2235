package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

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

func TestMaxHeader(t *testing.T) {
	d := start(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", strings.Repeat("x", maxHeaderBytes))
	_, err := d.GetStatus(ctx, &pb.GetStatusRequest{})
	wantCode(t, "GetStatus with too much metadata", err, codes.Internal) // which the client says
	ctx = metadata.AppendToOutgoingContext(t.Context(), "x-request-id", strings.Repeat("x", maxHeaderBytes/2))
	_, err = d.GetStatus(ctx, &pb.GetStatusRequest{})
	wantCode(t, "GetStatus with much metadata", err, codes.OK)
}

// TestPings is about clients that ask whether an idle connection still holds.
func TestPings(t *testing.T) {
	d := start(t)
	conn := must[net.Conn](t)(net.Dial("unix", strings.TrimPrefix(d.Address, "unix:")))
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	ping := func() error {
		if err := framer.WritePing(false, [8]byte{1}); err != nil {
			return err
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return err
			}
			switch f := frame.(type) {
			case *http2.GoAwayFrame:
				return fmt.Errorf("the daemon ended the connection: %s", f.DebugData())
			case *http2.PingFrame:
				if f.IsAck() {
					return nil
				}
			}
		}
	}
	for i := range 5 {
		if err := ping(); err != nil {
			t.Fatalf("ping %d = %v, want an answer", i, err)
		}
		time.Sleep(minPing)
	}
	for range 5 {
		if err := ping(); err != nil {
			return
		}
	}
	t.Error("pings without a pause were all answered")
}
