package somasync

import (
	"fmt"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

func TestScores(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := newScores()
	s.now = func() time.Time { return now }
	peer := testPeer(1)
	if s.offend(peer, scoreLimit-1) || s.banned(peer) {
		t.Error("a peer below the limit is banned")
	}
	now = now.Add(scoreHalfLife)
	if s.offend(peer, scoreLimit/2) {
		t.Error("a peer is banned for what it did half a life ago, and as much again")
	}
	if !s.offend(peer, scoreLimit/2) || !s.banned(peer) {
		t.Error("a peer at the limit is not banned")
	}
	for i, want := range []time.Duration{firstBan, 2 * firstBan, 4 * firstBan, 8 * firstBan, 16 * firstBan, 32 * firstBan, longestBan, longestBan} {
		if i > 0 && !s.offend(peer, scoreLimit) {
			t.Fatalf("offence %d does not ban", i)
		}
		now = now.Add(want - 1)
		if !s.banned(peer) {
			t.Errorf("ban %d is over before %v", i, want)
		}
		now = now.Add(1)
		if s.banned(peer) {
			t.Errorf("ban %d lasts longer than %v", i, want)
		}
	}
	now = now.Add(banMemory + 1)
	s.offend(peer, scoreLimit)
	now = now.Add(firstBan)
	if s.banned(peer) {
		t.Error("a ban after a long good time is longer than the first")
	}
	s.offend(peer, scoreLimit)
	s.forgive(peer)
	if s.banned(peer) {
		t.Error("a forgiven peer is banned")
	}
}

func TestScoresAreBounded(t *testing.T) {
	t.Parallel()
	s := newScores()
	worst := testPeer(0)
	s.offend(worst, scoreLimit)
	for i := range 2 * maxScored {
		s.offend(testPeer(i+1), 1)
	}
	if len(s.peers) > maxScored {
		t.Errorf("%d peers are scored, at most %d should be", len(s.peers), maxScored)
	}
	if !s.banned(worst) {
		t.Error("who is banned is forgotten before those who did little")
	}
}

func testPeer(i int) core.PeerID {
	return core.PeerIDFromKey([]byte(fmt.Sprintf("%032d", i)))
}
