package somasync

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma/sync/internal/wire"
)

// stream is a libp2p stream as the protocols see it.
type stream struct{ network.Stream }

var _ wire.Stream = stream{}

// Read implements wire.Stream.
func (s stream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	return n, translate(err)
}

// Write implements wire.Stream.
func (s stream) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	return n, translate(err)
}

// Reset implements wire.Stream.
func (s stream) Reset(code wire.Code) error {
	return s.ResetWithError(network.StreamErrorCode(code))
}

// translate returns an error without libp2p's types, but for what tells timeouts.
func translate(err error) error {
	if s, ok := errors.AsType[*network.StreamError](err); ok && s.Remote {
		return &wire.Error{Code: wire.Code(s.ErrorCode), Remote: true, Detail: "stream"}
	}
	return err
}

// open opens a stream to a remote, and counts it among what ends with the remote. The
// returned context ends then too. Whoever gets it must call leave.
func (s *session) open(ctx context.Context, rem *remote, id protocol.ID) (_ context.Context, _ wire.Stream, leave func(), err error) {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	opening = network.WithNoDial(network.WithAllowLimitedConn(opening, protection), protection)
	st, err := s.host.NewStream(opening, rem.id, id)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("open stream to %s: %w", rem.peer, err)
	}
	ctx, leave, ok := rem.use(ctx, st, false, 0)
	if !ok {
		refuse(st, wire.CodeClosing)
		return nil, nil, nil, fmt.Errorf("open stream to %s: %w", rem.peer, network.ErrNoConn)
	}
	return ctx, stream{st}, leave, nil
}
