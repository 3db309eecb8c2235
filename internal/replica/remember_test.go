package replica_test

import (
	"errors"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// remember has a site remember a peer, and checks that nothing changes unless it does.
func (s *site) remember(space core.SpaceID, peer core.PeerID, entries []core.Entry, want bool) {
	s.t.Helper()
	before, tail := s.summary(space), s.text(space, "tail")
	got, err := s.Remember(s.ctx(), space, peer, entries)
	if got != want || err != nil {
		s.t.Errorf("Remember = %v, %v, want %v", got, err, want)
	}
	if is, err := s.IsShared(s.ctx(), space, peer); is != want || err != nil {
		s.t.Errorf("IsShared = %v, %v, want %v", is, err, want)
	}
	if after := s.summary(space); (after.Digest == before.Digest) == want {
		s.t.Errorf("the log has changed: %v, want %v", !want, want)
	}
	s.wantText(space, "tail", tail)
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		_, _, parked, err := v.ParkedBytes(rec.Key, s.Peer())
		if parked > 0 {
			s.t.Errorf("%d bytes wait for their past, want none", parked)
		}
		return err
	})
}

func TestRemember(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.close()
	lost := copyOf(s) // what it did is to be what s has lost
	s = s.reopen()
	s.upsert(space, "tail", insert(1, 0, "not sealed"))
	member, editor, joiner := peerOf(stranger(1)), peerOf(stranger(2)), peerOf(stranger(3))
	for _, peer := range []core.PeerID{member, editor} {
		if err := lost.AddMember(lost.ctx(), space, peer, log.RoleEditor, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	// An owner, whom s knows too, lets in another.
	owner := openSite(t, siteOptions{})
	for _, of := range []*site{s, lost} {
		if err := of.AddMember(of.ctx(), space, owner.Peer(), log.RoleOwner, log.KindDevice); err != nil {
			t.Fatal(err)
		}
	}
	var all []core.Entry // of the membership chain: genesis, member, editor, owner
	for _, e := range lost.decoded(space) {
		if e.Chain == core.ChainMembership {
			all = append(all, e.Raw)
		}
	}

	s.remember(space, joiner, all, false) // whom they do not make a member
	s.remember(space, member, nil, false)
	s.remember(space, member, all[:1], false) // which are here
	s.remember(space, member, all[2:], false) // without their past
	s.remember(space, member, []core.Entry{{Header: all[1].Header, Ops: all[1].Ops, Sig: make([]byte, 64)}}, false)
	// What others signed is no evidence that something was lost here.
	if err := owner.importFrom(archive(t, space, s.entries(space)...)); err != nil {
		t.Fatal(err)
	}
	if err := owner.AddMember(owner.ctx(), space, joiner, log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	s.remember(space, joiner, owner.entries(space), false)

	// That often within an hour.
	for range replica.MaxDoubts - 6 {
		s.remember(space, joiner, all, false)
	}
	if got, err := s.Remember(s.ctx(), space, member, all); got || !errors.Is(err, core.ErrForbidden) {
		t.Errorf("Remember = %v, %v, want ErrForbidden", got, err)
	}
	s.clock.advance(time.Hour + time.Millisecond)
	s.remember(space, member, all, true)
	if got, err := s.Remember(s.ctx(), space, member, all); got || err != nil {
		t.Errorf("Remember again = %v, %v, want false", got, err)
	}
	if _, err := s.Remember(s.ctx(), core.SpaceIDFromHash(core.Hash{1}), member, all); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Remember of an unknown space = %v, want ErrNotFound", err)
	}
	lost.pull(s, space)
	s.pull(lost, space)
	s.wantText(space, "tail", "not sealed")
}
