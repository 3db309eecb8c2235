package hostiletest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/internal/peertest"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// garbage is what no honest peer sends, by name.
func garbage(t *testing.T) map[string][]byte {
	t.Helper()
	encode := func(m wire.Message) []byte {
		frame, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	huge := binary.AppendUvarint(nil, wire.MaxFrameBytes)
	return map[string][]byte{
		"random bytes":         random,
		"zeros":                make([]byte, 4096),
		"a length of 2^63":     binary.AppendUvarint(nil, 1<<63),
		"a length of 4 GB":     append(binary.AppendUvarint(nil, 4<<30), random...),
		"a frame of 4 MB":      append(append(huge, 0x84, byte(wire.KindHello)), make([]byte, wire.MaxFrameBytes-2)...),
		"a cut frame":          encode(wire.Hello{Version: wire.Version})[:5],
		"an unknown message":   {3, 0x82, 23, 0},
		"a reply":              encode(wire.Same{}),
		"two hellos":           append(encode(wire.Hello{Version: wire.Version}), encode(wire.Hello{Version: wire.Version})...),
		"another version":      encode(wire.Hello{Version: 99}),
		"no hello":             encode(wire.Get{Ranges: []wire.Range{{From: 1, To: 2, Chain: 1}}}),
		"a length in 10 bytes": {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00},
		"an array for ever":    {8, 0x9f, 1, 1, 1, 1, 1, 1, 1},
		"nested arrays":        append([]byte{0xe8, 0x07}, repeated(0x81, 1000)...),
		"a long joins array":   {8, 0x84, 1, 1, 0x9a, 0xff, 0xff, 0xff, 0xff},
	}
}

func repeated(b byte, n int) []byte {
	all := make([]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

// Whoever sends garbage is soon not talked to any more, whether a member or not, and all
// others notice nothing.
func TestGarbage(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create("shared")
	b.join(a, space)
	for _, kind := range []string{"stranger", "member"} {
		for _, id := range []protocol.ID{protoSync, protoLive, protoBlob} {
			t.Run(fmt.Sprint(kind, id), func(t *testing.T) {
				r := newRogue(t, kind+string(id))
				if kind == "member" {
					a.addMember(space, r.peer)
				}
				for name, content := range garbage(t) {
					reply, err := r.say(a, id, content)
					t.Logf("%s: %d bytes come back, %v", name, len(reply), err)
				}
				if kind == "member" || id == protoSync { // strangers are not even listened to on the others
					peertest.Until(t, "the offender is refused", func() error { return r.refused(a) })
				}
				works(t, space, a, b, "after garbage")
			})
		}
	}
	unharmed(t, space, a, b)
}

// A member who sends what is forged, old, or of another space changes nothing.
func TestForgedEntries(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space, other := a.create("shared"), a.create("another")
	b.join(a, space)
	for i := range 5 {
		a.write(space, fmt.Sprint("shared", i))
		a.write(other, fmt.Sprint("other", i))
	}
	works(t, space, a, b, "at first")
	for name, forge := range map[string]func(entries, others []wire.Entry) []wire.Entry{
		"a changed text": func(entries, _ []wire.Entry) []wire.Entry {
			return changed(entries, func(e *wire.Entry) { e.Ops[len(e.Ops)-1] ^= 1 })
		},
		"a changed header": func(entries, _ []wire.Entry) []wire.Entry {
			return changed(entries, func(e *wire.Entry) { e.Header[len(e.Header)-1] ^= 1 })
		},
		"another signature": func(entries, _ []wire.Entry) []wire.Entry {
			return changed(entries, func(e *wire.Entry) { e.Sig[0] ^= 1 })
		},
		"no signature": func(entries, _ []wire.Entry) []wire.Entry {
			return changed(entries, func(e *wire.Entry) { e.Sig = nil })
		},
		"no ops": func(entries, _ []wire.Entry) []wire.Entry {
			return changed(entries, func(e *wire.Entry) { e.Ops = nil })
		},
		"entries of another space": func(_, others []wire.Entry) []wire.Entry { return others },
		"old entries":              func(entries, _ []wire.Entry) []wire.Entry { return entries },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRogue(t, name)
			a.addMember(space, r.peer)
			a.addMember(other, r.peer) // so that it has what it sends
			entries, err := r.entries(a, space)
			if err != nil {
				t.Fatal(err)
			}
			others, err := r.entries(a, other)
			if err != nil {
				t.Fatal(err)
			}
			sent := forge(entries, others)
			for range 3 {
				if err := r.push(a, space, sent); err != nil {
					break
				}
			}
			switch name {
			case "old entries", "another signature", "no signature", "no ops", "a changed text":
				// What has the hash of an entry that is stored is not looked at again.
			default:
				peertest.Until(t, "the forger is refused", func() error { return r.refused(a) })
			}
			works(t, space, a, b, "after "+name)
			words, err := peertest.Words(t.Context(), a.DB, space)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				if words[fmt.Sprint("other", i)] {
					t.Errorf("what was typed in another space is in this one")
				}
			}
		})
	}
	unharmed(t, space, a, b)
}

// changed returns copies of content entries with a change.
func changed(entries []wire.Entry, change func(*wire.Entry)) []wire.Entry {
	var all []wire.Entry
	for _, e := range entries {
		e = wire.Entry{Header: append([]byte{}, e.Header...), Ops: append([]byte{}, e.Ops...), Sig: append([]byte{}, e.Sig...)}
		if len(e.Ops) == 0 {
			continue
		}
		change(&e)
		all = append(all, e)
	}
	return all
}

// pushed is the message of /soma/live/1 that brings entries.
type pushed struct {
	_       struct{} `cbor:",toarray"`
	Tag     wire.Tag
	Entries []wire.Entry
}

// Kind implements wire.Message.
func (pushed) Kind() wire.Kind { return 32 }

// push brings entries as new ones, one a frame, and waits until the other side had time to read them.
func (r *rogue) push(to *honest, space soma.SpaceID, entries []wire.Entry) error {
	s, err := r.open(to, protoLive)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(2 * time.Second)) // what has no answer is not waited for
	for _, e := range entries {
		frame, err := wire.Encode(pushed{Tag: r.tag(to, space), Entries: []wire.Entry{e}})
		if err != nil {
			return err
		}
		if _, err := s.Write(frame); err != nil {
			return err
		}
	}
	_, _ = r.hear(s, "live") // not closed before, as what is not taken in yet would be lost
	return nil
}

// One peer that opens all the streams it can, and says nothing on them, does not keep
// others from being served.
func TestStreamFlood(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create("shared")
	b.join(a, space)
	member := newRogue(t, "member")
	a.addMember(space, member.peer)
	rogues := []*rogue{member}
	for i := range 20 {
		rogues = append(rogues, newRogue(t, fmt.Sprint("stranger", i)))
	}
	before := heap()
	var held []network.Stream
	for range 50 {
		for _, r := range rogues {
			for _, id := range []protocol.ID{protoSync, protoLive, protoBlob} {
				s, err := r.open(a, id)
				if err != nil {
					continue
				}
				if _, err := s.Write([]byte{0x40}); err == nil { // the beginning of a frame
					held = append(held, s)
				}
			}
		}
	}
	if len(held) < 50 {
		t.Errorf("%d streams were opened: that is no flood", len(held))
	}
	works(t, space, a, b, "in a flood of streams")
	mayTake(t, before, 64<<20)
	for _, s := range held {
		_ = s.Reset()
	}
	works(t, space, a, b, "after a flood of streams")
	unharmed(t, space, a, b)
}

// Peers that read nothing of long answers, or write a byte at a time, take no memory and
// hinder nobody.
func TestSlowPeers(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create("shared")
	b.join(a, space)
	for i := range 40 { // a long answer
		if err := peertest.Type(t.Context(), a.DB, space, soma.DocumentID(fmt.Sprint("long", i)), string(repeated('x', 200_000)), 0); err != nil {
			t.Fatal(err)
		}
	}
	before := heap()
	for i := range 3 {
		r := newRogue(t, fmt.Sprint("slow", i))
		a.addMember(space, r.peer)
		entries, err := r.entries(a, space)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) < 40 {
			t.Fatalf("%d entries, want more than 40", len(entries))
		}
		c, err := r.hello(a)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.s.Reset() }()
		for range 8 { // and never reads
			frame, err := wire.Encode(wire.Nodes{Tag: r.tag(a, space), Paths: [][]byte{{}}})
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				_ = c.s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				if _, err := c.s.Write(frame); err != nil {
					break
				}
			}
		}
		drip, err := r.open(a, protoLive)
		if err != nil {
			continue
		}
		defer func() { _ = drip.Reset() }()
		if _, err := drip.Write([]byte{0x80, 0x80, 0x04, 0x83, 32}); err != nil { // a frame of 64 KB begins
			t.Logf("the beginning of a frame: %v", err)
		}
	}
	works(t, space, a, b, "beside slow peers")
	mayTake(t, before, 64<<20)
	unharmed(t, space, a, b)
}

// An endless stream of well-formed messages takes no memory.
func TestEndlessStream(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create("shared")
	b.join(a, space)
	r := newRogue(t, "endless")
	a.addMember(space, r.peer)
	big := wire.Entry{Header: make([]byte, 200), Ops: make([]byte, 60_000), Sig: make([]byte, 64)}
	before := heap()
	for name, message := range map[string]wire.Message{
		"entries of an unknown tag": pushed{Entries: []wire.Entry{big}},
		"entries of nobody":         pushed{Tag: r.tag(a, space), Entries: []wire.Entry{big}},
	} {
		frame, err := wire.Encode(message)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.open(a, protoLive)
		if err != nil {
			continue // it is refused already
		}
		sent := 0
		for range 4000 { // 240 MB
			_ = s.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err = s.Write(frame); err != nil {
				break
			}
			sent++
		}
		t.Logf("%s: %d were sent, %v", name, sent, err)
		_ = s.Reset()
	}
	mayTake(t, before, 64<<20)
	works(t, space, a, b, "after an endless stream")
	unharmed(t, space, a, b)
}
