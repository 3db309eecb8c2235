package share_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

func key(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(sum[:])
}

func peer(name string) core.PeerID {
	return core.PeerIDFromKey(key(name).Public().(ed25519.PublicKey))
}

func space(n byte) core.SpaceID { return core.SpaceIDFromHash(core.Hash{n}) }

// member is a replica that knows who shares what, and nothing else.
type member struct {
	self    core.PeerID
	members map[core.SpaceID][]core.PeerID // of the spaces in which self is one
	invites map[core.InviteID]core.SpaceID
	awaits  []core.Awaited
	left    []core.SpaceID
}

func newMember(name string) *member {
	return &member{self: peer(name), members: map[core.SpaceID][]core.PeerID{}, invites: map[core.InviteID]core.SpaceID{}}
}

func (m *member) Self() core.PeerID { return m.self }

func (m *member) Shared(_ context.Context, p core.PeerID) (shared []core.SpaceID, _ error) {
	for s, members := range m.members {
		if slices.Contains(members, p) {
			shared = append(shared, s)
		}
	}
	slices.Sort(shared)
	return shared, nil
}

func (m *member) IsShared(_ context.Context, s core.SpaceID, p core.PeerID) (bool, error) {
	return slices.Contains(m.members[s], p), nil
}

func (m *member) Partners(context.Context, core.SpaceID) ([]core.MemberRecord, error) {
	return nil, errors.New("not asked for")
}

func (m *member) SharedIDs(context.Context) (ids []core.SpaceID, _ error) {
	for s := range m.members {
		ids = append(ids, s)
	}
	slices.Sort(ids)
	return ids, nil
}

func (m *member) Awaited(context.Context) ([]core.Awaited, error) { return m.awaits, nil }

func (m *member) Left(context.Context, core.PeerID) ([]core.SpaceID, error) { return m.left, nil }

func (m *member) Invited(_ context.Context, s core.SpaceID, i core.InviteID) (bool, error) {
	return m.invites[i] == s, nil
}

func wantUnknown(t *testing.T, p *share.Pair, tag share.Tag) {
	t.Helper()
	if got, err := p.In(t.Context(), tag); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("In = %q, %v, want ErrNotFound", got, err)
	}
}

func TestTags(t *testing.T) {
	a, b := newMember("a"), newMember("b")
	a.members[space(1)] = []core.PeerID{b.self}
	b.members[space(1)] = []core.PeerID{a.self}
	ab, ba := share.NewPair(a, b.self), share.NewPair(b, a.self)
	tag := ab.Out(space(1))
	if got, err := ba.In(t.Context(), tag); got != space(1) || err != nil {
		t.Errorf("In = %q, %v, want %q", got, err, space(1))
	}
	if tag == ba.Out(space(1)) || tag == share.NewPair(a, peer("c")).Out(space(1)) || tag == ab.Out(space(2)) {
		t.Error("a tag is the same for another direction, pair or space")
	}
	if ba.Called(space(1)) != tag {
		t.Error("Called differs from the other side's Out")
	}
	// Where the peer is no member, the tag is as unknown as any.
	a.members[space(3)] = nil
	wantUnknown(t, ab, share.NewPair(b, a.self).Out(space(3)))
	wantUnknown(t, ba, share.Tag{1})
	// What comes to be shared, and ends to be.
	wantUnknown(t, ba, ab.Out(space(2)))
	b.members[space(2)] = []core.PeerID{a.self}
	if got, err := ba.In(t.Context(), ab.Out(space(2))); got != space(2) || err != nil {
		t.Errorf("In = %q, %v, want %q", got, err, space(2))
	}
	b.members[space(2)] = nil
	wantUnknown(t, ba, ab.Out(space(2)))
}

func TestGone(t *testing.T) {
	a, b := newMember("a"), newMember("b")
	a.members[space(1)] = []core.PeerID{b.self}
	pair := share.NewPair(a, b.self)
	gone := func(want ...core.SpaceID) {
		t.Helper()
		if got, err := pair.Gone(t.Context()); !slices.Equal(got, want) || err != nil {
			t.Errorf("Gone = %q, %v, want %q", got, err, want)
		}
	}
	tag := share.NewPair(b, a.self).Out(space(1))
	if _, err := pair.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone()
	if _, err := pair.TellGone(t.Context(), tag); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("TellGone of a member = %v, want ErrNotFound", err)
	}
	a.members[space(1)] = nil
	gone(space(1))
	wantUnknown(t, pair, tag)
	if got, err := pair.TellGone(t.Context(), tag); got != space(1) || err != nil {
		t.Errorf("TellGone = %q, %v, want %q", got, err, space(1))
	}
	gone()
	if _, err := pair.TellGone(t.Context(), tag); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("TellGone again = %v, want ErrNotFound", err)
	}
	// Who comes later learns nothing, but of what the other left.
	pair = share.NewPair(a, b.self)
	gone()
	a.left = []core.SpaceID{space(1)}
	gone()
	left := share.NewPair(a, b.self)
	if got, err := left.Gone(t.Context()); !slices.Equal(got, a.left) || err != nil {
		t.Errorf("Gone of what was left = %q, %v, want %q", got, err, a.left)
	}
	if _, err := pair.TellGone(t.Context(), tag); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("TellGone of a later pair = %v, want ErrNotFound", err)
	}
}

func TestGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, joiner := newMember("server"), newMember("joiner")
		server.members[space(1)] = nil
		server.members[space(2)] = nil
		invite := key("invite")
		id := core.InviteID(invite.Public().(ed25519.PublicKey))
		server.invites[id] = space(1)
		joiner.awaits = []core.Awaited{{Space: space(1), Key: invite}}
		mine := share.NewPair(joiner, server.self)
		spaces, joins, err := mine.Asks(t.Context(), nil)
		if err != nil || !slices.Equal(spaces, []core.SpaceID{space(1)}) {
			t.Fatalf("Asks = %q, %v", spaces, err)
		}
		admit := func(p *share.Pair, want int, joins ...wire.Join) {
			t.Helper()
			if got, err := p.Admit(t.Context(), joins); got != want || err != nil {
				t.Errorf("Admit = %d, %v, want %d", got, err, want)
			}
		}
		may := func(p *share.Pair, want bool) {
			t.Helper()
			if got, err := p.May(t.Context(), space(1)); got != want || err != nil {
				t.Errorf("May = %v, %v, want %v", got, err, want)
			}
		}
		// Another peer cannot use it, nor is it good for another server.
		thief := share.NewPair(server, peer("thief"))
		stolen := joins[0]
		stolen.Tag = thief.Called(space(1))
		admit(thief, 0, joins[0], stolen)
		may(thief, false)
		other := newMember("other")
		other.members[space(1)], other.invites = nil, server.invites
		admit(share.NewPair(other, joiner.self), 0, joins...)
		// Another key is none.
		joiner.awaits[0].Key = key("forged")
		_, forged, _ := share.NewPair(joiner, server.self).Asks(t.Context(), nil)
		p := share.NewPair(server, joiner.self)
		admit(p, 0, forged...)
		broken := wire.Join{Tag: joins[0].Tag, Box: slices.Clone(joins[0].Box)}
		broken.Box[50] ^= 1
		admit(p, 0, broken, wire.Join{Tag: joins[0].Tag})
		may(p, false)

		admit(p, 1, joins...)
		admit(p, 0, joins...)
		may(p, true)
		if got, err := p.In(t.Context(), mine.Out(space(1))); got != space(1) || err != nil {
			t.Errorf("In = %q, %v, want %q", got, err, space(1))
		}
		if got, err := p.Shared(t.Context()); !slices.Equal(got, []core.SpaceID{space(1)}) || err != nil {
			t.Errorf("Shared = %q, %v", got, err)
		}
		// What is asked for is taken, and not shown.
		tag := p.Out(space(1))
		wantUnknown(t, mine, tag)
		if got, err := mine.From(t.Context(), tag); got != space(1) || err != nil {
			t.Errorf("From = %q, %v, want %q", got, err, space(1))
		}
		joiner.awaits = nil
		if got, err := mine.From(t.Context(), tag); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("From after the ticket = %q, %v, want ErrNotFound", got, err)
		}
		// An invite that ends, ends it, and so does time.
		delete(server.invites, id)
		may(p, false)
		server.invites[id] = space(1)
		may(p, false)
		admit(p, 1, joins...)
		time.Sleep(share.GuestTime)
		may(p, false)
		// A guest that never was a member is not told of the end.
		if gone, err := p.Gone(t.Context()); len(gone) > 0 || err != nil {
			t.Errorf("Gone = %q, %v, want none", gone, err)
		}
		for range 2 * share.MaxAdmissions {
			admit(p, 0, broken)
		}
		tired := share.NewPair(server, joiner.self)
		for range share.MaxAdmissions {
			admit(tired, 0, broken)
		}
		admit(tired, 0, joins...)
		time.Sleep(2 * share.AdmissionTime)
		admit(tired, 1, joins...)
	})
}

func TestCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewPair(newMember("a"), peer("b"))
		began := time.Now()
		if err := p.AwaitCompared(t.Context(), space(1)); !errors.Is(err, share.ErrNotCompared) || time.Since(began) != share.CompareTime {
			t.Errorf("AwaitCompared = %v after %v, want ErrNotCompared", err, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			p.MarkCompared(space(2))
			time.Sleep(time.Second)
			p.MarkCompared(space(1))
		}()
		began = time.Now()
		if err := p.AwaitCompared(t.Context(), space(1)); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("AwaitCompared = %v after %v", err, time.Since(began))
		}
	})
}

func TestRefused(t *testing.T) {
	p := share.NewPair(newMember("a"), peer("b"))
	w := func(n int) core.ChainID { return core.ChainID{Writer: core.WriterID{byte(n), byte(n >> 8)}} }
	for n := range share.MaxRefused + 10 {
		p.Refuse(space(1), w(n), share.Refusal{Seq: 7})
	}
	p.Refuse(space(1), w(100), share.Refusal{Seq: 3})
	p.Refuse(space(1), w(100), share.Refusal{Seq: 5})
	if r, is := p.Refused(space(1), w(100)); !is || r.Seq != 3 {
		t.Errorf("Refused = %+v, %v, want seq 3", r, is)
	}
	if _, is := p.Refused(space(1), w(9)); is {
		t.Error("the oldest is remembered, want it forgotten")
	}
	p.Unrefuse(space(1), w(100))
	if _, is := p.Refused(space(1), w(100)); is {
		t.Error("Refused after Unrefuse")
	}
}

func TestRoot(t *testing.T) {
	items := []wire.SpaceItem{{Tag: share.Tag{1}}, {Tag: share.Tag{2}, Digest: wire.Digest16{3}}}
	root := share.Root(items)
	items[1].Digest[0]++
	if root == share.Root(items) || root.IsZero() || root == share.Root(items[:1]) || !share.Root(nil).IsZero() {
		t.Error("Root does not tell spaces apart")
	}
}

// Each ticket is shown once before any is shown again, and what the peer declines rests.
func TestAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		joiner := newMember("joiner")
		for n := range byte(2*wire.MaxJoins + 2) {
			joiner.awaits = append(joiner.awaits, core.Awaited{Space: space(n), Key: key(string(rune('a' + n)))})
		}
		p := share.NewPair(joiner, peer("server"))
		var seen []core.SpaceID
		asks := func(want int, only []core.SpaceID, declined func(core.SpaceID) bool) {
			t.Helper()
			spaces, joins, err := p.Asks(t.Context(), only)
			if len(spaces) != want || len(joins) != want || err != nil {
				t.Fatalf("Asks = %d spaces, %d joins, %v, want %d", len(spaces), len(joins), err, want)
			}
			seen = append(seen, spaces...)
			no := slices.DeleteFunc(slices.Clone(spaces), func(s core.SpaceID) bool { return !declined(s) })
			if err := p.Asked(t.Context(), spaces, no); err != nil {
				t.Fatalf("Asked = %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		unasked := func(want bool) {
			t.Helper()
			if got := p.Unasked(joiner.awaits); got != want {
				t.Errorf("Unasked after %d = %v, want %v", len(seen), got, want)
			}
		}
		all := func(core.SpaceID) bool { return true }
		butFirst := func(s core.SpaceID) bool { return s != space(0) }
		unasked(true)
		asks(wire.MaxJoins, nil, butFirst)
		asks(wire.MaxJoins, nil, all)
		unasked(true)
		asks(3, nil, all) // the last two, and the one that was not declined
		unasked(false)
		if n := len(slices.Compact(slices.Sorted(slices.Values(seen)))); n != len(joiner.awaits) {
			t.Errorf("%d tickets were shown, want all %d", n, len(joiner.awaits))
		}
		asks(0, nil, all)
		// A new ticket for a space is not what was declined.
		joiner.awaits[1].Key = key("new")
		unasked(true)
		asks(0, []core.SpaceID{space(2)}, all)
		asks(1, []core.SpaceID{space(1), space(2)}, all)
		unasked(false)
		time.Sleep(share.AskAgainTime)
		seen = nil
		asks(wire.MaxJoins, nil, all)
		asks(wire.MaxJoins, nil, all)
		asks(2, nil, all)
		if n := len(slices.Compact(slices.Sorted(slices.Values(seen)))); n != len(joiner.awaits) {
			t.Errorf("%d tickets were shown again, want all %d", n, len(joiner.awaits))
		}
	})
}
