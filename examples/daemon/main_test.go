package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// asDaemon is set for a copy of the test program that is to be the daemon.
const asDaemon = "SOMA_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// started is a daemon in this process, and a client of it.
type started struct {
	pb.DaemonClient
	ready
	dir  string
	conn *grpc.ClientConn
	stop func() error // returns what run did
}

// start runs a daemon until the end of the test, which then looks for goroutines.
func start(t *testing.T, flags ...string) *started {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	return startOne(t, flags...)
}

// startTwo starts two, so that one look at the end finds what either leaves.
func startTwo(t *testing.T, flags ...string) (one, other *started) {
	t.Helper()
	return start(t, flags...), startOne(t, flags...)
}

func startOne(t *testing.T, flags ...string) *started {
	t.Helper()
	d := &started{dir: shortDir(t)}
	d.run(t, flags...)
	return d
}

// run starts the daemon, again if it was stopped.
func (d *started) run(t *testing.T, flags ...string) {
	t.Helper()
	c, err := parse(append([]string{"-dir", d.dir}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, c, in)
		_ = in.CloseWithError(err)
		ended <- err
	}()
	d.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Errorf("run = %v", err)
		}
	})
	if err := json.NewDecoder(out).Decode(&d.ready); err != nil {
		t.Fatalf("ready line: %v", err)
	}
	d.conn = dial(t, d.Address)
	d.DaemonClient = pb.NewDaemonClient(d.conn)
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// shortDir returns a directory whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "soma") //nolint:usetesting // that of t is too long on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// space makes a space and returns its ID.
func (d *started) space(t *testing.T) string {
	t.Helper()
	s, err := d.CreateSpace(t.Context(), &pb.CreateSpaceRequest{Name: "Notes"})
	if err != nil {
		t.Fatal(err)
	}
	return s.GetId()
}

// all returns what a stream sends until its end.
func all[M any](stream grpc.ServerStreamingClient[M], err error) ([]*M, error) {
	var got []*M
	for err == nil {
		var m *M
		if m, err = stream.Recv(); err == nil {
			got = append(got, m)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return got, err
}

// must ends the test if there is an error.
func must[V any](t *testing.T) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantCode says what is wrong with the code of an error.
func wantCode(t *testing.T, call string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s = %v, want the code %v", call, err, want)
	}
}

// soon waits until something is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// hello is the Yjs update of a client that inserts a text into the root "body", as yjs
// encodes it: one struct, an item of a string under a named root, and no deletions.
func hello(client byte, text string) []byte {
	update := []byte{1, 1, client, 0, 4, 1, 4, 'b', 'o', 'd', 'y', byte(len(text))}
	return append(append(update, text...), 0)
}
