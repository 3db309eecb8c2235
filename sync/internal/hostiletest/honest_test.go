package hostiletest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// honest is a peer as hosts have it.
type honest struct {
	*soma.DB
	t     *testing.T
	key   ed25519.PrivateKey
	dir   string
	typed int
}

// open opens a peer with a directory of its own, which the test closes.
func open(t *testing.T, name string, opts ...somasync.Option) *honest {
	t.Helper()
	h := &honest{t: t, key: peertest.Key(1, name), dir: t.TempDir()}
	node, err := somasync.New(append([]somasync.Option{somasync.WithListen("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("SOMA_SYNC_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("peer", name)
	}
	if h.DB, err = soma.Open(h.dir, soma.WithIdentity(h.key), soma.WithSync(node), soma.WithRelaxedDurability(), soma.WithoutSearch(), soma.WithLogger(logger)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close of %s = %v", name, err)
		}
	})
	return h
}

// create founds a space.
func (h *honest) create(name string) soma.SpaceID {
	h.t.Helper()
	space, err := h.Spaces().Create(h.t.Context(), soma.NewSpace{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return space.ID
}

// write types a word.
func (h *honest) write(space soma.SpaceID, word string) {
	h.t.Helper()
	h.typed++
	if err := peertest.Type(h.t.Context(), h.DB, space, "document", word, 0); err != nil {
		h.t.Fatal(err)
	}
}

// put puts a blob.
func (h *honest) put(space soma.SpaceID, name string, content []byte) {
	h.t.Helper()
	_, err := h.Blobs().Put(h.t.Context(), space, bytes.NewReader(content), soma.PutOptions{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
}

// join makes the peer an editor by a ticket of another, over the network.
func (h *honest) join(by *honest, space soma.SpaceID) {
	h.t.Helper()
	ticket, err := by.Spaces().Invite(h.t.Context(), space, soma.RoleEditor, soma.InviteOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.Spaces().Join(h.t.Context(), ticket); err != nil {
		h.t.Fatal(err)
	}
	peertest.Until(h.t, "the space is joined", func() error {
		s, err := h.Spaces().Get(h.t.Context(), space)
		if err == nil && s.Role != soma.RoleEditor {
			err = fmt.Errorf("role is %v, want %v", s.Role, soma.RoleEditor)
		}
		return err
	})
}

// addMember makes a key an editor, without a ticket.
func (h *honest) addMember(space soma.SpaceID, peer soma.PeerID) {
	h.t.Helper()
	if err := h.Spaces().AddMember(h.t.Context(), space, soma.NewMember{Peer: peer, Role: soma.RoleEditor}); err != nil {
		h.t.Fatal(err)
	}
}

// works checks that a word of each of two honest peers comes to the other.
func works(t *testing.T, space soma.SpaceID, a, b *honest, when string) {
	t.Helper()
	for _, pair := range [][2]*honest{{a, b}, {b, a}} {
		word := fmt.Sprintf("honest%d.%d", a.typed, b.typed)
		pair[0].write(space, word)
		peertest.Until(t, when+", a word goes from one honest peer to the other", func() error {
			words, err := peertest.Words(context.Background(), pair[1].DB, space)
			if err == nil && !words[word] {
				err = fmt.Errorf("%s is not there", word)
			}
			return err
		})
	}
}

// unharmed checks that two honest peers have the same, and nothing is damaged.
func unharmed(t *testing.T, space soma.SpaceID, a, b *honest) {
	t.Helper()
	peertest.Until(t, "both honest peers have the same", func() error { return peertest.Differ(t.Context(), a.DB, b.DB, space) })
	for _, h := range []*honest{a, b} {
		found, err := h.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found {
			t.Errorf("Verify found %s", p)
		}
	}
}
