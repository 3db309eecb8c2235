package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/sync/internal/fetch"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// served is a site that serves, and a peer.
type served struct {
	t      *testing.T
	w      *world
	site   *site
	server *fetch.Server
	peer   core.PeerID
}

func newServed(t *testing.T) *served {
	w, sites := newWorld(t, 1)
	return &served{t: t, w: w, site: sites[0], server: fetch.NewServer(sites[0].Blobs), peer: peerOf("peer")}
}

// tag is what the peer calls a space.
func (s *served) tag(space core.SpaceID) wire.Tag {
	return share.NewPair(seen{club: s.w.club, self: s.peer}, s.site.id.PeerID()).Out(space)
}

// dial opens a stream. The result of Serve comes on the channel.
func (s *served) dial(ctx context.Context) (wire.Stream, <-chan error) {
	near, far := wire.Pipe()
	result := make(chan error, 1)
	pair := share.NewPair(seen{club: s.w.club, self: s.site.id.PeerID()}, s.peer)
	go func() { result <- s.server.Serve(ctx, far, pair) }()
	return near, result
}

// request sends a request and returns all that comes back.
func (s *served) request(m wire.Message) ([]byte, error) {
	s.t.Helper()
	st, result := s.dial(s.t.Context())
	b, err := wire.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := st.Write(b); err != nil {
		s.t.Fatal(err)
	}
	got, _ := io.ReadAll(st)
	_ = st.Close()
	return got, <-result
}

// Whatever the reason why a peer cannot have a blob, it gets the same bytes.
func TestServeTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServed(t)
		here := randomBytes(1, 1000)
		hash := s.site.put(s.w.space, here)
		damaged := s.site.put(s.w.space, randomBytes(2, 1000))
		s.site.damage(damaged)
		notHere := core.Hash{5}
		around := func(_ core.Tx, _ int64, put func() error) (bool, error) { return false, put() }
		_, err := s.site.replica.PutBlob(t.Context(), s.w.space, core.NewBlob{Hash: notHere, Size: 1}, events.SourceRenderer, around)
		s.site.must(err)
		other, err := s.site.replica.CreateSpace(t.Context(), "of others")
		s.site.must(err)
		secret := s.site.put(other.ID, randomBytes(3, 1000))

		got, err := s.request(fetch.Get(s.tag(s.w.space), hash, 0))
		if want := append(foundFrame(1000), here...); !bytes.Equal(got, want) || err != nil {
			t.Fatalf("of what is here came %d bytes, %v, want %d", len(got), err, len(want))
		}
		none, err := wire.Encode(fetch.NotFound())
		s.site.must(err)
		for name, m := range map[string]wire.Message{
			"a space that does not exist":   fetch.Get(wire.Tag{1}, hash, 0),
			"a space of others":             fetch.Get(s.tag(other.ID), secret, 0),
			"a blob that is not held":       fetch.Get(s.tag(s.w.space), core.Hash{9}, 0),
			"a blob of another space":       fetch.Get(s.tag(s.w.space), secret, 0),
			"a blob that is not here":       fetch.Get(s.tag(s.w.space), notHere, 0),
			"a blob that is damaged":        fetch.Get(s.tag(s.w.space), damaged, 0),
			"an offset in a blob of others": fetch.Get(s.tag(other.ID), secret, 999),
		} {
			if got, err := s.request(m); !bytes.Equal(got, none) || err != nil {
				t.Errorf("%s: %x, %v, want %x", name, got, err, none)
			}
		}
		for at, want := range map[uint64]int{999: 1, 1000: 0, 5000: 0} {
			got, err := s.request(fetch.Get(s.tag(s.w.space), hash, at))
			if want := append(foundFrame(1000), here[1000-want:]...); !bytes.Equal(got, want) || err != nil {
				t.Errorf("from %d on came %d bytes, %v, want %d", at, len(got), err, len(want))
			}
		}
		s.w.club.remove(s.peer)
		if got, err := s.request(fetch.Get(s.tag(s.w.space), hash, 0)); !bytes.Equal(got, none) || err != nil {
			t.Errorf("a removed member got %x, %v, want %x", got, err, none)
		}
	})
}

// A peer that is removed gets no more than what is on its way.
func TestServeEndsForTheRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServed(t)
		hash := s.site.put(s.w.space, randomBytes(1, 8<<20))
		st, result := s.dial(t.Context())
		b, err := wire.Encode(fetch.Get(s.tag(s.w.space), hash, 0))
		s.site.must(err)
		_, err = st.Write(b)
		s.site.must(err)
		_, err = io.ReadFull(st, make([]byte, 1<<20))
		s.site.must(err)
		s.w.club.remove(s.peer)
		rest, err := io.ReadAll(st)
		if !wire.IsParted(err) || len(rest) > 2<<20 {
			t.Errorf("%d bytes more, %v, want at most 2 MiB, and that it is no member", len(rest), err)
		}
		if err := <-result; err == nil {
			t.Error("Serve = nil")
		}
	})
}

// What breaks the protocol, or is slow, ends a stream, and ctx ends all.
func TestServeBadPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServed(t)
		hash := s.site.put(s.w.space, randomBytes(1, 8<<20))
		ask, err := wire.Encode(fetch.Get(s.tag(s.w.space), hash, 0))
		s.site.must(err)
		far, err := wire.Encode(fetch.Get(s.tag(s.w.space), hash, 1<<50+1))
		s.site.must(err)
		for name, test := range map[string]struct {
			send    []byte
			offence bool
			after   time.Duration
		}{
			"garbage":                    {bytes.Repeat([]byte{0xff}, 100), true, 0},
			"a message that is no ask":   {foundFrame(1), true, 0},
			"a long frame":               {[]byte{0xff, 0x7f, 0x84, 0x18, 64, 0}, true, 0},
			"an offset that cannot be":   {far, true, 0},
			"nothing":                    {nil, false, fetch.ServePatience},
			"half of a frame":            {ask[:20], false, fetch.ServePatience},
			"an ask, and it reads never": {ask, false, fetch.ServePatience},
		} {
			began := time.Now()
			st, result := s.dial(t.Context())
			_, err := st.Write(test.send)
			s.site.must(err)
			err = <-result
			if err == nil || wire.IsOffence(err) != test.offence || time.Since(began) != test.after || !test.offence && !wire.IsTimeout(err) {
				t.Errorf("%s: Serve = %v after %v, want an offence: %v, after %v", name, err, time.Since(began), test.offence, test.after)
			}
			_ = st.Close()
		}
		ctx, stop := context.WithCancel(t.Context())
		st, result := s.dial(ctx)
		_, err = st.Write(ask)
		s.site.must(err)
		synctest.Wait()
		stop()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want Canceled", err)
		}
		if _, err := io.ReadAll(st); err == nil {
			t.Error("the stream ended well")
		}
	})
}

// So many blobs are sent at a time, to one peer and to all.
func TestServeIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServed(t)
		b := randomBytes(1, 1<<20)
		hash := s.site.put(s.w.space, b)
		var results []<-chan error
		var streams []wire.Stream
		hold := func(peer string) {
			s.peer = peerOf(peer)
			st, result := s.dial(t.Context())
			m, err := wire.Encode(fetch.Get(s.tag(s.w.space), hash, 0))
			s.site.must(err)
			_, err = st.Write(m)
			s.site.must(err)
			synctest.Wait()
			streams, results = append(streams, st), append(results, result)
		}
		isBusy := func(err error) bool {
			e, ok := errors.AsType[*wire.Error](err)
			return ok && e.Code == wire.CodeBusy
		}
		for range fetch.MaxServesOfPeer {
			hold("a")
		}
		hold("a")
		if err := <-results[fetch.MaxServesOfPeer]; !isBusy(err) {
			t.Errorf("one too many of a peer: %v, want busy", err)
		}
		for n := fetch.MaxServesOfPeer; n < fetch.MaxServes; n++ {
			hold(string(rune('b' + n/fetch.MaxServesOfPeer)))
		}
		began := time.Now()
		hold("z")
		if err := <-results[len(results)-1]; !isBusy(err) || time.Since(began) != fetch.QueueTime {
			t.Errorf("one too many: %v after %v, want busy after %v", err, time.Since(began), fetch.QueueTime)
		}
		hold("y") // waits until another is done
		got, err := io.ReadAll(streams[0])
		if want := append(foundFrame(1<<20), b...); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
		}
		got, err = io.ReadAll(streams[len(streams)-1])
		if len(got) < 1<<20 || err != nil || sha256.Sum256(got[len(got)-1<<20:]) != hash {
			t.Errorf("who waited got %d bytes, %v", len(got), err)
		}
		for i, st := range streams {
			_ = st.Close()
			if i != fetch.MaxServesOfPeer && i != fetch.MaxServes+1 {
				t.Logf("Serve = %v", <-results[i])
			}
		}
	})
}
