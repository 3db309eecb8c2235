package hostiletest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/peertest"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

const (
	protoSync protocol.ID = "/soma/sync/1"
	protoLive protocol.ID = "/soma/live/1"
	protoBlob protocol.ID = "/soma/blob/1"
)

// heard bounds what a rogue reads of one stream.
const heard = 8 << 20

// rogue is a peer that does what it likes.
type rogue struct {
	t    *testing.T
	key  ed25519.PrivateKey
	peer soma.PeerID
	host host.Host

	mu     sync.Mutex
	record []byte // all that came on all streams, with what is between them
}

// newRogue returns a peer that answers no stream but a hello.
func newRogue(t *testing.T, name string) *rogue {
	t.Helper()
	r := &rogue{t: t, key: peertest.Key(2, name)}
	r.peer = peertest.Peer(r.key)
	key, err := crypto.UnmarshalEd25519PrivateKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.host, err = libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport),
		libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{})); err != nil {
		t.Fatal(err)
	}
	r.host.SetStreamHandler(protoSync, r.answerHello)
	t.Cleanup(func() {
		if err := r.host.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// answerHello says that the rogue has no spaces, so that the peer need not wait for what it
// has before it gives anything.
func (r *rogue) answerHello(s network.Stream) {
	defer func() { _ = s.Reset() }()
	c := wire.NewConn(rogueStream{s})
	if _, err := c.Read(wire.Limits{wire.KindHello: wire.MaxHelloFrame}); err == nil && c.Send(wire.Spaces{}) == nil {
		_, _ = r.hear(s, "in "+string(protoSync))
	}
}

// connect connects to an honest peer, by TCP.
func (r *rogue) connect(to *honest) error {
	var errs []error
	for _, text := range to.Sync().Addrs() {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
		err = r.host.Connect(ctx, *info)
		cancel()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func idOf(h *honest) peer.ID { return peer.ID(h.PeerID().Bytes()) }

// open opens a stream, and connects before if need be.
func (r *rogue) open(to *honest, id protocol.ID) (network.Stream, error) {
	if r.host.Network().Connectedness(idOf(to)) != network.Connected {
		if err := r.connect(to); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	return r.host.NewStream(ctx, idOf(to), id)
}

// say writes bytes to a new stream, and returns what comes back.
func (r *rogue) say(to *honest, id protocol.ID, content []byte) ([]byte, error) {
	s, err := r.open(to, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	if _, err := s.Write(content); err != nil {
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		return nil, err
	}
	return r.hear(s, "out "+string(id))
}

// hear records what comes on a stream, until it ends.
func (r *rogue) hear(s io.Reader, where string) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(s, heard))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record = append(r.record, fmt.Sprintf("\n== %s: ", where)...)
	r.record = append(r.record, content...)
	return content, err
}

// refused reports, as an error that is nil, that a peer does not talk to the rogue.
func (r *rogue) refused(by *honest) error {
	s, err := r.open(by, protoSync)
	if err != nil {
		return nil // that is what is wanted
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(20 * time.Second))
	frame, err := wire.Encode(wire.Hello{Version: wire.Version})
	if err != nil {
		return err
	}
	if _, err := s.Write(frame); err != nil {
		return nil
	}
	if n, err := s.Read(make([]byte, 1)); n == 0 && err != nil {
		return nil
	}
	return errors.New("the peer answers a hello")
}

// client speaks /soma/sync/1 as it should be, for those who know how.
type client struct {
	*wire.Conn
	r  *rogue
	to *honest
	s  network.Stream
}

// rogueStream is a libp2p stream as package wire has it.
type rogueStream struct{ network.Stream }

func (s rogueStream) Reset(code wire.Code) error {
	return s.ResetWithError(network.StreamErrorCode(code))
}

// hello opens a stream and says hello. The answer is not read.
func (r *rogue) hello(to *honest) (*client, error) {
	s, err := r.open(to, protoSync)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: wire.NewConn(rogueStream{s}), r: r, to: to, s: s}
	return c, c.Send(wire.Hello{Version: wire.Version})
}

// tag returns how the rogue calls a space.
func (r *rogue) tag(to *honest, space soma.SpaceID) wire.Tag {
	genesis, err := space.Hash()
	if err != nil {
		r.t.Fatal(err)
	}
	return share.TagOf(genesis, r.peer, to.PeerID())
}

// entries gets all entries of a space, as a member can.
func (r *rogue) entries(to *honest, space soma.SpaceID) ([]wire.Entry, error) {
	c, err := r.hello(to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.s.Reset() }()
	if _, err := c.Read(wire.Limits{wire.KindSpaces: wire.MaxSpacesFrame}); err != nil {
		return nil, fmt.Errorf("spaces: %w", err)
	}
	tag := r.tag(to, space)
	var ranges []wire.Range
	paths := [][]byte{{}}
	for len(paths) > 0 {
		if err := c.Send(wire.Nodes{Tag: tag, Paths: paths[:1]}); err != nil {
			return nil, err
		}
		f, err := c.Read(wire.Limits{wire.KindTree: wire.MaxTreeFrame})
		if err != nil {
			return nil, fmt.Errorf("tree: %w", err)
		}
		tree, err := wire.Decode[wire.Tree](f)
		if err != nil {
			return nil, err
		}
		for _, row := range tree.Nodes[0].Rows {
			last := row.Tips[len(row.Tips)-1]
			ranges = append(ranges, wire.Range{Writer: row.Writer, Chain: row.Chain, From: 1, To: last.Seq})
		}
		for digit, hash := range tree.Nodes[0].Children {
			if hash != (core.Hash{}) {
				paths = append(paths, append(append([]byte{}, paths[0]...), byte(digit)))
			}
		}
		paths = paths[1:]
	}
	if err := c.Send(wire.Get{Tag: tag, Ranges: ranges}); err != nil {
		return nil, err
	}
	var entries []wire.Entry
	for {
		f, err := c.Read(wire.Limits{wire.KindEntries: wire.MaxEntriesFrame, wire.KindEnd: 16})
		if err != nil {
			return nil, fmt.Errorf("entries: %w", err)
		}
		if f.Kind == wire.KindEnd {
			return entries, nil
		}
		m, err := wire.Decode[wire.Entries](f)
		if err != nil {
			return nil, err
		}
		entries = append(entries, m.Entries...)
	}
}
