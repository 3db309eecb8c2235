package hostiletest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
	"github.com/soma-sdk/soma/sync/internal/peertest"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// secrets is what must not be heard, by name.
type secrets map[string][]byte

// add adds bytes, and how texts spell them.
func (s secrets) add(name string, b []byte) {
	s[name] = b
	s[name+" in hex"] = []byte(hex.EncodeToString(b))
	s[name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(b))
	s[name+" in URL base64"] = []byte(base64.RawURLEncoding.EncodeToString(b))
}

func (s secrets) addText(name, text string) { s[name] = []byte(text) }

// addSpace adds what a space is called, and who is in it but the two who talk.
func (s secrets) addSpace(t *testing.T, h *honest, space soma.SpaceID, r *rogue) {
	t.Helper()
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	s.add("genesis hash", genesis[:])
	s.addText("space ID", string(space))
	got, err := h.Spaces().Get(t.Context(), space)
	if err != nil {
		t.Fatal(err)
	}
	s.addText("name of the space", got.Name)
	members, err := h.Spaces().Members(t.Context(), space)
	if err != nil {
		t.Fatal(err)
	}
	if len(members) < 3 {
		t.Fatalf("%d members, want at least 3", len(members))
	}
	for _, m := range members {
		if m.Peer == h.PeerID() || m.Peer == r.peer {
			continue
		}
		s.add("key of a member", m.Peer.Key())
		s.addText("peer ID of a member", m.Peer.String())
	}
}

// heardNothing checks what a rogue has heard.
func (r *rogue) heardNothing(s secrets) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.record) == 0 {
		r.t.Error("nothing was recorded")
	}
	for name, secret := range s {
		if at := bytes.Index(r.record, secret); at >= 0 {
			r.t.Errorf("the rogue heard the %s, at %d of %d bytes: %.200q", name, at, len(r.record), r.record[max(0, at-100):])
		}
	}
}

// listenToAll records what comes on streams that others open, whatever the protocol is.
func (r *rogue) listenToAll() {
	r.host.RemoveStreamHandler(protoSync)
	r.host.SetStreamHandlerMatch("/", func(protocol.ID) bool { return true }, func(s network.Stream) {
		defer func() { _ = s.Reset() }()
		_ = s.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _ = r.hear(s, "in "+string(s.Protocol()))
	})
}

// spread is a space that three honest members have, so many that it rides gossip.
func spread(t *testing.T) (space soma.SpaceID, a, b *honest) {
	t.Helper()
	direct := somasync.WithMaxDirect(1)
	a, b = open(t, "a", direct), open(t, "b", direct)
	c := open(t, "c", direct)
	space = a.create("the name of the space")
	b.join(a, space)
	c.join(a, space)
	a.put(space, "the name of a blob", peertest.Bytes(1, 100_000))
	if _, err := a.Pages().Create(t.Context(), space, soma.NewPage{Title: "the title of a page"}); err != nil {
		t.Fatal(err)
	}
	peertest.Until(t, "the space rides gossip", func() error {
		status, err := a.Sync().Status(t.Context())
		if err != nil {
			return err
		}
		for _, s := range status.Spaces {
			if s.Space == space && s.Large {
				return nil
			}
		}
		return fmt.Errorf("status is %+v", status)
	})
	works(t, space, a, b, "at first")
	return space, a, b
}

// texts are what is in the space.
func texts() secrets {
	s := secrets{}
	s.addText("name of a blob", "the name of a blob")
	s.addText("title of a page", "the title of a page")
	s.addText("ID of a document", "document")
	s.addText("words", "honest")
	s["bytes of a blob"] = peertest.Bytes(1, 100_000)[50_000:50_032]
	return s
}

// Whatever a stranger says, on whichever protocol, it hears of no space.
func TestStrangerHearsNothing(t *testing.T) {
	space, a, b := spread(t)
	r := newRogue(t, "stranger")
	r.listenToAll()
	if err := r.connect(a); err != nil {
		t.Fatal(err)
	}
	r.sayEverything(a, nil)
	works(t, space, a, b, "while a stranger listens")
	r.sayEverything(a, nil)
	s := texts()
	s.addSpace(t, a, space, r)
	r.heardNothing(s)
}

// Who was a member, and comes back, knows what the space is called and how to ask, and
// hears nothing.
func TestFormerMemberHearsNothing(t *testing.T) {
	space, a, b := spread(t)
	r := newRogue(t, "former member")
	a.addMember(space, r.peer)
	known, err := r.entries(a, space)
	if err != nil || len(known) == 0 {
		t.Fatalf("a member gets %d entries, %v", len(known), err)
	}
	if err := r.host.Network().ClosePeer(idOf(a)); err != nil {
		t.Fatal(err)
	}
	if err := a.Spaces().RemoveMember(t.Context(), space, r.peer, soma.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	r.listenToAll()
	r.sayEverything(a, r.askedFor(a, space, known))
	works(t, space, a, b, "while a former member listens")
	r.sayEverything(a, r.askedFor(a, space, known))
	s := texts()
	s.addSpace(t, a, space, r)
	r.heardNothing(s)
}

// Who is connected when removed hears of nothing that happens afterwards.
func TestRemovedMemberHearsNothingMore(t *testing.T) {
	space, a, b := spread(t)
	r := newRogue(t, "removed member")
	a.addMember(space, r.peer)
	known, err := r.entries(a, space)
	if err != nil || len(known) == 0 {
		t.Fatalf("a member gets %d entries, %v", len(known), err)
	}
	r.listenToAll()
	live, err := r.open(a, protoLive)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = r.hear(live, "live")
	}()
	a.write(space, "before")
	if err := a.Spaces().RemoveMember(t.Context(), space, r.peer, soma.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	a.write(space, "afterwards")
	a.put(space, "a later blob", peertest.Bytes(2, 1000))
	works(t, space, a, b, "while a removed member listens")
	r.sayEverything(a, r.askedFor(a, space, known))
	_ = live.Reset()
	<-done
	s := secrets{}
	s.addText("later word", "afterwards")
	s.addText("name of a later blob", "a later blob")
	s["bytes of a later blob"] = peertest.Bytes(2, 1000)[500:532]
	r.heardNothing(s)
}

// sayEverything says, on each protocol that a peer has or might have, nothing, a hello, and
// some requests.
func (r *rogue) sayEverything(to *honest, requests []wire.Message) {
	r.t.Helper()
	if err := r.connect(to); err != nil {
		r.t.Log(err)
	}
	known, err := r.host.Peerstore().GetProtocols(idOf(to))
	if err != nil {
		r.t.Fatal(err)
	}
	agent, _ := r.host.Peerstore().Get(idOf(to), "AgentVersion") // as identify told
	_, _ = r.hear(strings.NewReader(fmt.Sprint(known, agent)), "identify")
	ids := append(known, protoSync, protoLive, protoBlob, "/floodsub/1.0.0", "/meshsub/1.0.0", "/meshsub/1.1.0", "/meshsub/1.2.0")
	hello, err := wire.Encode(wire.Hello{Version: wire.Version, Joins: []wire.Join{{Box: make([]byte, wire.BoxBytes)}}})
	if err != nil {
		r.t.Fatal(err)
	}
	said := [][]byte{nil, hello, subscription("a topic")}
	for _, m := range requests {
		frame, err := wire.Encode(m)
		if err != nil {
			r.t.Fatal(err)
		}
		said = append(said, append(bytes.Clone(hello), frame...), frame)
	}
	spoken := map[protocol.ID]bool{}
	for _, id := range ids {
		if spoken[id] {
			continue
		}
		spoken[id] = true
		for _, content := range said {
			s, err := r.open(to, id)
			if err != nil {
				continue
			}
			_ = s.SetDeadline(time.Now().Add(time.Second)) // what has nothing to say may wait longer
			_, err = s.Write(content)
			if errors.Join(err, s.CloseWrite()) == nil {
				_, _ = r.hear(s, "out "+string(id))
			}
			_ = s.Reset() // whatever came of it
		}
	}
}

// askedFor is what a former member asks for, and reminds of.
func (r *rogue) askedFor(to *honest, space soma.SpaceID, known []wire.Entry) []wire.Message {
	tag := r.tag(to, space)
	return []wire.Message{
		wire.Rows{Tag: tag},
		wire.Nodes{Tag: tag, Paths: [][]byte{{}}},
		wire.Last{Tag: tag},
		wire.Get{Tag: tag, Ranges: []wire.Range{{Chain: 0, From: 1, To: 100}}},
		wire.Hashes{Tag: tag, Seqs: []uint64{1}},
		wire.Remind{Tag: tag, Entries: known[:min(len(known), wire.MaxRemind)]},
	}
}

// subscription is an RPC of pubsub that subscribes to a topic: RPC{subscriptions: [{subscribe: true, topicid}]}.
func subscription(topic string) []byte {
	sub := append([]byte{0x08, 1, 0x12, byte(len(topic))}, topic...)
	rpc := append([]byte{0x0a, byte(len(sub))}, sub...)
	return append([]byte{byte(len(rpc))}, rpc...)
}
