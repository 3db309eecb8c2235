package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// process is a daemon of its own.
type process struct {
	*exec.Cmd
	stdin io.Closer
	ready
}

func spawn(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], "-dir", dir)}
	p.Env = append(os.Environ(), asDaemon+"=1")
	p.Stderr = os.Stderr
	p.stdin = must[io.WriteCloser](t)(p.StdinPipe())
	stdout := must[io.ReadCloser](t)(p.StdoutPipe())
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if err := json.NewDecoder(stdout).Decode(&p.ready); err != nil {
		t.Fatalf("ready line: %v", err)
	}
	return p
}

func TestProcessEnds(t *testing.T) {
	for name, end := range map[string]func(*process) error{
		"SIGTERM":      func(p *process) error { return p.Process.Signal(syscall.SIGTERM) },
		"interrupt":    func(p *process) error { return p.Process.Signal(os.Interrupt) },
		"end of stdin": func(p *process) error { return p.stdin.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			p := spawn(t, dir)
			if !p.Ready || p.PID != p.Process.Pid || p.PeerID == "" || p.Token != "" || p.Address != "unix:"+filepath.Join(dir, "run", "soma.sock") {
				t.Errorf("ready line %+v", p.ready)
			}
			if _, err := pb.NewDaemonClient(dial(t, p.Address)).GetStatus(t.Context(), &pb.GetStatusRequest{}); err != nil {
				t.Errorf("GetStatus = %v", err)
			}
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Errorf("the daemon ended with %v, want success", err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "run", "soma.sock")); !os.IsNotExist(err) {
				t.Errorf("Lstat of the socket = %v, want none", err)
			}
		})
	}
}

// TestProcessKilled kills a daemon, and starts another one over what it left.
func TestProcessKilled(t *testing.T) {
	dir := shortDir(t)
	p := spawn(t, dir)
	s := must[*pb.Space](t)(pb.NewDaemonClient(dial(t, p.Address)).CreateSpace(t.Context(), &pb.CreateSpaceRequest{Name: "Kept"}))
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if _, err := os.Lstat(filepath.Join(dir, "run", "soma.sock")); err != nil {
		t.Fatalf("Lstat of the socket = %v, want one that is stale", err)
	}
	got, err := pb.NewDaemonClient(dial(t, spawn(t, dir).Address)).GetSpace(t.Context(), &pb.GetSpaceRequest{SpaceId: s.GetId()})
	if err != nil || got.GetName() != "Kept" {
		t.Errorf("GetSpace = %v, %v, want the space", got, err)
	}
}

func TestSecondDaemon(t *testing.T) {
	d := start(t)
	c := must[config](t)(parse([]string{"-dir", d.dir}))
	if err := run(t.Context(), c, io.Discard); !errors.Is(err, soma.ErrLocked) {
		t.Errorf("run on the same directory = %v, want ErrLocked", err)
	}
	c.dir = shortDir(t)
	if err := run(t.Context(), c, io.Discard); !errors.Is(err, errInUse) {
		t.Errorf("run on the same socket = %v, want errInUse", err)
	}
	if _, err := d.GetStatus(t.Context(), &pb.GetStatusRequest{}); err != nil {
		t.Errorf("GetStatus of the first = %v", err)
	}
}

// TestEndedBeforeItBegan is what happens where stdin is closed from the start.
func TestEndedBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	if err := run(ctx, must[config](t)(parse([]string{"-dir", shortDir(t)})), &out); err != nil || !strings.Contains(out.String(), `"ready":true`) {
		t.Errorf("run = %v, with the line %q, want ready and no error", err, out.String())
	}
}

// TestStop ends calls that last at once, and lets others finish.
func TestStop(t *testing.T) {
	d := start(t)
	events := must[grpc.ServerStreamingClient[pb.DomainEvent]](t)(d.SubscribeDomainEvents(t.Context(), &pb.SubscribeDomainEventsRequest{}))
	if _, err := events.Header(); err != nil {
		t.Fatal(err)
	}
	id := d.space(t)
	upload := must[interface {
		Send(*pb.UploadBlobRequest) error
		CloseAndRecv() (*pb.BlobInfo, error)
	}](t)(d.UploadBlob(t.Context()))
	if err := errors.Join(upload.Send(header(&pb.UploadBlobRequest_Header{SpaceId: id})), upload.Send(chunk("half "))); err != nil {
		t.Fatal(err)
	}
	watch := must[grpc.ServerStreamingClient[healthpb.HealthCheckResponse]](t)(healthpb.NewHealthClient(d.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{}))
	soon(t, "the event of the space", func() bool {
		ev, err := events.Recv()
		return err == nil && ev.GetKind() == "spaces-changed"
	})
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Recv of Watch = %v, %v, want SERVING", got, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	_, err := events.Recv()
	wantCode(t, "Recv of a daemon that stops", err, codes.Unavailable)
	_, err = all(watch, nil) // NOT_SERVING may come first
	wantCode(t, "Recv of Watch", err, codes.Unavailable)
	select {
	case err := <-stopped:
		t.Fatalf("it stopped with %v while an upload ran", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := upload.Send(chunk("and half")); err != nil {
		t.Fatal(err)
	}
	info, err := upload.CloseAndRecv()
	if err != nil || info.GetSize() != 13 {
		t.Errorf("CloseAndRecv = %v, %v, want the whole blob", info, err)
	}
	begin := time.Now()
	if err := <-stopped; err != nil {
		t.Errorf("run = %v", err)
	}
	if took := time.Since(begin); took > stopTimeout/2 {
		t.Errorf("it took %v to stop after the last call that was to finish", took)
	}
	d.run(t)
	got, err := d.StatBlob(t.Context(), &pb.StatBlobRequest{SpaceId: id, Cid: info.GetCid()})
	if err != nil || got.GetSize() != 13 {
		t.Errorf("StatBlob after a restart = %v, %v, want what was acknowledged", got, err)
	}
}

// TestStopDeadline does not wait for ever for a client that never ends its upload.
func TestStopDeadline(t *testing.T) {
	d := start(t)
	id := d.space(t)
	upload := must[interface {
		Send(*pb.UploadBlobRequest) error
		CloseAndRecv() (*pb.BlobInfo, error)
	}](t)(d.UploadBlob(t.Context()))
	if err := upload.Send(header(&pb.UploadBlobRequest_Header{SpaceId: id})); err != nil {
		t.Fatal(err)
	}
	d.space(t) // the server has the stream by now
	begin := time.Now()
	if err := d.stop(); err != nil {
		t.Errorf("run = %v", err)
	}
	if took := time.Since(begin); took < stopTimeout || took > stopTimeout+10*time.Second {
		t.Errorf("it took %v to stop, want %v", took, stopTimeout)
	}
	if _, err := upload.CloseAndRecv(); err == nil {
		t.Error("the upload succeeded")
	}
}

func TestHealthAndReflection(t *testing.T) {
	d := start(t)
	h, err := healthpb.NewHealthClient(d.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "soma.daemon.v1.Daemon"})
	if err != nil || h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Check = %v, %v, want SERVING", h, err)
	}
	stream, err := reflectionpb.NewServerReflectionClient(d.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "soma.daemon.v1.Daemon"}}
	if err := errors.Join(stream.Send(ask), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	answers, err := all(stream, nil)
	if err != nil || len(answers) != 1 || len(answers[0].GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("ServerReflectionInfo = %v, %v, want the file of the service", answers, err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"stray"}, {"-dir"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) succeeded", args)
		}
	}
	c := must[config](t)(parse([]string{"-dir", "d", "-sync", "/ip4/127.0.0.1/tcp/0,/ip6/::1/tcp/0"}))
	if c.dir != "d" || c.socket != filepath.Join("d", "run", "soma.sock") || len(c.sync) != 2 {
		t.Errorf("parse = %+v", c)
	}
	if err := run(t.Context(), config{dir: shortDir(t), sync: []string{"nonsense"}}, io.Discard); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("run with a wrong address = %v, want ErrInvalidOption", err)
	}
}
