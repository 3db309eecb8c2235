package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
	somasync "github.com/soma-sdk/soma/sync"
)

// Limits of what clients can make the daemon hold.
const (
	maxMessageBytes = soma.MaxUpdateBytes + 64<<10 // the longest update, with its IDs
	maxConnections  = 128                          // one more waits
	maxStreams      = 1024                         // calls of one connection; one more waits
	maxHeaderBytes  = 64 << 10                     // the metadata of a call
	minPing         = time.Second / 2              // between pings; a client that sends them oftener is cut off
	stopTimeout     = 5 * time.Second              // for calls that run when the daemon stops
)

// daemon serves one directory.
type daemon struct {
	pb.UnimplementedDaemonServer
	db       *soma.DB
	stopping <-chan struct{} // closed when calls that would last have to end
}

// run serves until ctx ends, and returns when all is closed. When clients can connect, it
// writes the ready line to stdout.
func run(ctx context.Context, c config, stdout io.Writer) (err error) {
	db, err := open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	at, err := listen(c)
	if err != nil {
		return err
	}
	defer at.close()

	stopping := make(chan struct{})
	server, alive := newServer(&daemon{db: db, stopping: stopping}, at.token)
	served := make(chan error, 1)
	go func() {
		defer close(served)
		if err := server.Serve(netutil.LimitListener(at.listener, maxConnections)); !errors.Is(err, grpc.ErrServerStopped) {
			served <- err
		}
	}()
	if err = announce(stdout, at, db); err == nil {
		select {
		case <-ctx.Done():
		case err = <-served: // it gave up
		}
	}
	alive.Shutdown()
	close(stopping)
	stop(server)
	return errors.Join(err, <-served)
}

func open(c config) (*soma.DB, error) {
	opts := []soma.Option{soma.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil)))}
	if len(c.sync) > 0 {
		node, err := somasync.New(somasync.WithListen(c.sync...))
		if err != nil {
			return nil, err
		}
		opts = append(opts, soma.WithSync(node))
	}
	return soma.Open(c.dir, opts...)
}

func newServer(d *daemon, token string) (*grpc.Server, *health.Server) {
	server := grpc.NewServer(
		grpc.InTapHandle(authenticate(token)),
		grpc.ChainUnaryInterceptor(translateUnary),
		grpc.ChainStreamInterceptor(translateStream, d.endWatch),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	alive := health.NewServer()
	alive.SetServingStatus(pb.Daemon_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	pb.RegisterDaemonServer(server, d)
	healthpb.RegisterHealthServer(server, alive)
	reflection.Register(server)
	return server, alive
}

// endWatch ends the calls of the health service that would last, when the daemon stops.
func (d *daemon) endWatch(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if info.FullMethod != healthpb.Health_Watch_FullMethodName {
		return handle(srv, stream)
	}
	ctx, end := context.WithCancel(stream.Context())
	defer end()
	watch := make(chan error, 1)
	go func() { watch <- handle(srv, withContext{stream, ctx}) }()
	select {
	case err := <-watch:
		return err
	case <-d.stopping:
		end()
		return errors.Join(errStopping, <-watch)
	}
}

// withContext is a stream with a context of its own.
type withContext struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // it is the stream's
}

func (s withContext) Context() context.Context { return s.ctx }

// ready is the line that says where the daemon is. Whoever reads it has the right to connect.
type ready struct {
	Ready   bool   `json:"ready"`
	Address string `json:"address"`         // as gRPC clients take it
	Token   string `json:"token,omitempty"` // over TCP: metadata authorization "Bearer TOKEN"
	PeerID  string `json:"peerId"`
	PID     int    `json:"pid"`
}

func announce(stdout io.Writer, at *place, db *soma.DB) error {
	line := ready{Ready: true, Address: at.address(), Token: at.token, PeerID: db.PeerID().String(), PID: os.Getpid()}
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return fmt.Errorf("say where the daemon is: %w", err)
	}
	return nil
}

// stop lets calls that run come to their end, for a time, and returns when none runs.
func stop(server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.GracefulStop()
	}()
	select {
	case <-done:
	case <-time.After(stopTimeout):
		server.Stop()
		<-done
	}
}
