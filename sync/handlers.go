package somasync

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma/sync/internal/wire"
)

// How many streams of each protocol a peer may have open to this node.
const (
	maxSyncStreams  = 4
	maxLiveStreams  = 2  // the one that is about to end, and the next
	maxBlobStreams  = 16 // package fetch has a bound of its own
	maxPeersStreams = 2

	// A stranger may have one stream, of /soma/sync/1, and all together so many.
	maxStrangerStreams = 32
)

const openTimeout = 15 * time.Second

// handler answers the streams of a protocol. serve returns when the stream has ended, or is
// to be reset with the code for its error.
type handler struct {
	id        protocol.ID
	max       int
	strangers bool // may have it
	serve     func(ctx context.Context, rem *remote, st wire.Stream) error
}

func (s *session) handlers() []handler {
	return []handler{
		{protocolSync, maxSyncStreams, true, s.serveSync},
		{protocolLive, maxLiveStreams, false, s.serveLive},
		{protocolBlob, maxBlobStreams, false, s.serveBlob},
		{protocolPeers, maxPeersStreams, false, s.serveTold},
	}
}

func (s *session) setHandlers(ctx context.Context) {
	for _, h := range s.handlers() {
		s.host.SetStreamHandler(h.id, func(st network.Stream) { s.handle(ctx, h, st) })
		s.undo = append(s.undo, func() { s.host.RemoveStreamHandler(h.id) })
	}
}

// handle serves a stream that a peer opened, in the goroutine that libp2p made for it.
func (s *session) handle(ctx context.Context, h handler, st network.Stream) {
	if !s.tasks.begin() {
		refuse(st, wire.CodeClosing)
		return
	}
	defer s.tasks.end()
	rem := s.remote(st.Conn().RemotePeer())
	if rem == nil || s.node.refuses(rem.peer) {
		refuse(st, wire.CodeParted)
		return
	}
	most := h.max
	if rem.link() == nil && !s.isPartner(rem.id) && !s.isGuest(ctx, rem) {
		if !h.strangers {
			refuse(st, wire.CodeParted)
			return
		}
		defer s.strangerStreams.Add(-1)
		if s.strangerStreams.Add(1) > maxStrangerStreams {
			refuse(st, wire.CodeBusy)
			return
		}
		most = 1
	}
	ctx, leave, ok := rem.use(ctx, st, true, most)
	if !ok {
		refuse(st, wire.CodeBusy)
		if rem.link() == nil { // partners may just be faster than this node is in noticing an end
			s.offend(rem, offenceFlood, errTooManyStreams)
		}
		return
	}
	defer leave()
	s.finish(rem, st, h.serve(ctx, rem, stream{st}))
}

func refuse(st network.Stream, code wire.Code) {
	_ = st.ResetWithError(network.StreamErrorCode(code)) // an error says that it has ended
}

// finish ends a stream after what was done with it.
func (s *session) finish(rem *remote, st network.Stream, err error) {
	switch {
	case err == nil:
		_ = st.Close() // as above
		return
	case wire.IsOffence(err):
		s.offend(rem, offenceProtocol, err)
	case !interrupted(err):
		s.logger.Debug("soma: a stream ended early", "peer", rem.peer.String(), "protocol", string(st.Protocol()), "error", err)
	}
	refuse(st, wire.CodeFor(err))
}

var errTooManyStreams = errors.New("soma: too many streams")
