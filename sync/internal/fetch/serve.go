package fetch

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Limits of serving.
const (
	// MaxServes is how many blobs are sent at a time, and MaxServesOfPeer how many of them
	// to one peer.
	MaxServes       = 32
	MaxServesOfPeer = 8
	// ServePatience is how long a request may take to arrive, and sendBytes to leave.
	ServePatience = 30 * time.Second
	// QueueTime is how long a request waits for others to end.
	QueueTime = 5 * time.Second

	sendBytes = 64 << 10
	// askEvery is how many bytes are sent between two looks at whether the peer may have them.
	askEvery = 1 << 20
)

// Server sends blobs to peers. It is safe for concurrent use.
type Server struct {
	blobs core.SharedBlobs
	slots chan struct{}

	mu   sync.Mutex
	busy map[core.PeerID]int
}

// NewServer returns a Server of what is here.
func NewServer(blobs core.SharedBlobs) *Server {
	return &Server{blobs: blobs, slots: make(chan struct{}, MaxServes), busy: map[core.PeerID]int{}}
}

// Serve answers the request on a stream, and ends the stream. Errors: those of the stream
// and of package wire, the replica's, ctx's.
func (s *Server) Serve(ctx context.Context, st wire.Stream, pair *share.Pair) error {
	stop := context.AfterFunc(ctx, func() { _ = st.Reset(wire.CodeClosing) }) // it may be gone
	defer stop()
	conn := wire.NewConn(st)
	conn.SetPatience(ServePatience, ServePatience)
	err := s.serve(ctx, conn, pair)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return conn.Finish(err)
}

func (s *Server) serve(ctx context.Context, conn *wire.Conn, pair *share.Pair) error {
	f, err := conn.Read(requests)
	if err != nil {
		return err
	}
	g, err := wire.Decode[get](f)
	if err != nil {
		return err
	}
	leave, err := s.enter(ctx, pair.Peer())
	if err != nil {
		return err
	}
	defer leave()
	space, content, err := s.open(ctx, pair, g)
	if errors.Is(err, core.ErrNotFound) {
		return conn.Send(notFound{})
	}
	if err != nil {
		return err
	}
	defer content.Close()
	if err := conn.Queue(found{Size: uint64(content.Size())}); err != nil {
		return err
	}
	if _, err := content.Seek(int64(g.Offset), io.SeekStart); err != nil { // beyond the end there is nothing
		return err
	}
	return send(ctx, conn, content, func() (bool, error) { return pair.May(ctx, space) })
}

// open opens what is asked for. Whatever the reason why the peer cannot have it, that is
// core.ErrNotFound.
func (s *Server) open(ctx context.Context, pair *share.Pair, g get) (core.SpaceID, core.BlobContent, error) {
	space, err := pair.In(ctx, g.Tag)
	if err != nil {
		return "", nil, err
	}
	content, err := s.blobs.OpenBlob(ctx, space, g.Hash)
	if errors.Is(err, core.ErrNotHere) || errors.Is(err, core.ErrCorrupt) {
		err = errors.Join(core.ErrNotFound, err)
	}
	return space, content, err
}

var sendBuffers = sync.Pool{New: func() any { return new([sendBytes]byte) }}

// send sends what is left of a blob while the peer may have it.
func send(ctx context.Context, conn *wire.Conn, content io.Reader, may func() (bool, error)) error {
	buf := sendBuffers.Get().(*[sendBytes]byte)
	defer sendBuffers.Put(buf)
	for asked := 0; ; {
		n, err := io.ReadFull(content, buf[:])
		if n > 0 {
			if err := conn.QueueEncoded(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return conn.Flush()
		case err != nil:
			return err
		}
		if asked += n; asked >= askEvery {
			asked = 0
			ok, err := may()
			if err != nil {
				return err
			}
			if !ok {
				return &wire.Error{Code: wire.CodeParted, Detail: "the peer is no member any more"}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

var errBusy = &wire.Error{Code: wire.CodeBusy, Detail: "too much is being sent"}

// enter waits for its turn, for a while.
func (s *Server) enter(ctx context.Context, peer core.PeerID) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[peer] >= MaxServesOfPeer {
		return nil, errBusy
	}
	s.busy[peer]++
	s.mu.Unlock()
	wait := time.NewTimer(QueueTime)
	defer wait.Stop()
	select {
	case s.slots <- struct{}{}:
	case <-wait.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	if err != nil {
		s.gone(peer)
		return nil, err
	}
	return func() {
		<-s.slots
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gone(peer)
	}, nil
}

func (s *Server) gone(peer core.PeerID) {
	if s.busy[peer]--; s.busy[peer] == 0 {
		delete(s.busy, peer)
	}
}
