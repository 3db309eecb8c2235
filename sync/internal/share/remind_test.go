package share_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
)

func TestRemind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := share.NewPair(newMember("a"), peer("b"))
		var spaces []core.SpaceID
		for n := range share.MaxReminds + 3 {
			spaces = append(spaces, space(byte(n)))
		}
		for n, want := range []int{share.MaxReminds, 3, 0} {
			if got := pair.Remind(spaces); len(got) != want {
				t.Errorf("Remind %d = %d spaces, want %d", n+1, len(got), want)
			}
		}
		time.Sleep(share.RemindTime)
		if got := pair.Remind(spaces[:2]); len(got) != 2 {
			t.Errorf("Remind after a time = %d spaces, want 2", len(got))
		}
	})
}

func TestReminded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMember("a"), newMember("b")
		a.members[space(1)], a.members[space(2)], a.members[space(3)] = nil, []core.PeerID{b.self}, nil
		tag := func(n byte) share.Tag { return share.NewPair(b, a.self).Out(space(n)) }
		pair := share.NewPair(a, b.self)
		reminded := func(tag share.Tag, want core.SpaceID) {
			t.Helper()
			got, err := pair.Reminded(t.Context(), tag)
			if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, core.ErrNotFound) {
				t.Errorf("Reminded = %q, %v, want %q", got, err, want)
			}
		}
		reminded(tag(1), space(1))
		reminded(tag(2), "")             // the peer may see it
		reminded(tag(4), "")             // is not here
		reminded(pair.Out(space(1)), "") // the other direction's
		pair.Doubt(space(1))
		reminded(tag(1), "")
		reminded(tag(3), space(3))
		wantUnknown(t, pair, tag(3)) // being reminded alone shows nothing

		// Each time costs an HMAC for each space.
		for range share.MaxAdmissions {
			_, _ = pair.Reminded(t.Context(), tag(4))
		}
		reminded(tag(3), "")
		time.Sleep(10 * share.AdmissionTime)
		reminded(tag(3), space(3))
	})
}
