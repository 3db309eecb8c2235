package somasync_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// newStranger returns a host that is connected to a device and a member of nothing.
func newStranger(t *testing.T, d *device) (host.Host, peer.ID) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, key)
	addr, err := ma.NewMultiaddr(d.Sync().Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	info, err := peer.AddrInfoFromP2pAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(t.Context(), *info); err != nil {
		t.Fatalf("Connect of a stranger = %v", err)
	}
	return h, info.ID
}

// ask writes bytes on a new stream and returns all that comes back.
func ask(t *testing.T, h host.Host, to peer.ID, id protocol.ID, request []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st, err := h.NewStream(ctx, to, id)
	if err != nil {
		return nil // it does not even take the stream
	}
	defer st.Close()
	_ = st.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = st.Write(request) // an error shows in what comes back: nothing
	_ = st.CloseWrite()
	answer, _ := io.ReadAll(st) // all that came before an error counts
	return answer
}

func frame(t *testing.T, m wire.Message) []byte {
	t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A stranger gets the same from who has spaces as from who has none, on every protocol.
func TestStrangerLearnsNothing(t *testing.T) {
	t.Parallel()
	empty, full := newDevice(t), newDevice(t)
	space := full.create(t)
	full.write(t, space, "doc", "secret")
	full.invite(t, space, 1)
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string][]byte{
		"nothing":      nil,
		"garbage":      []byte("garbage, and more of it"),
		"a hello":      frame(t, wire.Hello{Version: wire.Version}),
		"a long frame": {0xff, 0xff, 0xff, 0x01, 0x82},
		// The space's own hash is no tag, even for who knows it.
		"a hello and rows": append(frame(t, wire.Hello{Version: wire.Version, Root: core.Hash{1}}), frame(t, wire.Rows{Tag: wire.Tag(genesis[:16])})...),
	}
	for _, id := range []protocol.ID{"/soma/sync/1", "/soma/live/1", "/soma/blob/1", "/soma/peers/1"} {
		for name, request := range requests {
			var answers [2][]byte
			for i, d := range []*device{empty, full} {
				h, to := newStranger(t, d)
				answers[i] = ask(t, h, to, id, request)
				_ = h.Close()
			}
			if !bytes.Equal(answers[0], answers[1]) {
				t.Errorf("%s: answer to %s = %x, want that of a device without spaces: %x", id, name, answers[1], answers[0])
			}
			if id == "/soma/sync/1" && name == "a hello" && len(answers[1]) == 0 {
				t.Error("a hello has no answer at all, so that nothing was compared")
			}
			if bytes.Contains(answers[1], genesis[:16]) || bytes.Contains(answers[1], []byte(space)) || bytes.Contains(answers[1], []byte("secret")) {
				t.Errorf("%s: answer to %s shows the space: %x", id, name, answers[1])
			}
		}
	}
	if st := full.status(t, space); st.Peers != 0 {
		t.Errorf("status = %+v, want no peers: strangers do not count", st)
	}
	if peers := full.Sync().Peers(); len(peers) != 0 {
		t.Errorf("Peers = %+v, want none", peers)
	}
}

// Who breaks the protocol again and again is hung up upon, and not let in for a time. Others are
// served all the while.
func TestOffenderIsBanned(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	b.join(t, a.invite(t, space, 1))
	h, to := newStranger(t, a)
	eventually(t, "the offender is hung up upon", func() bool {
		if h.Network().Connectedness(to) != network.Connected {
			return true
		}
		ask(t, h, to, "/soma/sync/1", []byte("garbage, and more of it"))
		return false
	})
	never(t, "the offender is connected again", func() bool {
		_ = h.Connect(t.Context(), peer.AddrInfo{ID: to, Addrs: h.Peerstore().Addrs(to)}) // may succeed, and is hung up upon
		time.Sleep(20 * time.Millisecond)
		st, err := h.NewStream(t.Context(), to, "/soma/sync/1")
		if err != nil {
			return false
		}
		_ = st.SetDeadline(time.Now().Add(time.Second))
		_, err = st.Write(frame(t, wire.Hello{Version: wire.Version}))
		if err == nil {
			_, err = st.Read(make([]byte, 1))
		}
		return err == nil
	})
	a.write(t, space, "doc", "all is well")
	b.wantText(t, space, "doc", "all is well")
}
