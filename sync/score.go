package somasync

import (
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// What a peer does wrong adds to its score, which halves every scoreHalfLife. One that
// reaches scoreLimit is not talked to for firstBan, and for twice as long each time that it
// comes to that again before it has been good for banMemory.
const (
	scoreLimit    = 100
	scoreHalfLife = 10 * time.Minute
	firstBan      = time.Minute
	longestBan    = time.Hour
	banMemory     = 6 * time.Hour
	maxScored     = 1024 // peers; of more, who has the least to be forgiven is forgotten
)

// What offences weigh.
const (
	offenceProtocol = 50 // a frame that no node writes
	offenceEntry    = 50 // an entry that breaks a rule: whoever passes it on has checked it, too
	offenceFlood    = 10 // more streams than there may be
)

// scores remember who broke the protocol, in memory only.
type scores struct {
	now func() time.Time

	mu    sync.Mutex
	peers map[core.PeerID]*score
}

type score struct {
	points float64
	at     time.Time // of points
	bans   int
	until  time.Time // of the last ban
}

func newScores() *scores { return &scores{now: time.Now, peers: map[core.PeerID]*score{}} }

// banned reports whether a peer is not to be talked to now.
func (b *scores) banned(peer core.PeerID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.peers[peer]
	return s != nil && b.now().Before(s.until)
}

// forgive ends a ban.
func (b *scores) forgive(peer core.PeerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peers, peer)
}

// offend adds to the score of a peer, and reports whether that bans it.
func (b *scores) offend(peer core.PeerID, points float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	s := b.peers[peer]
	if s == nil {
		b.makeRoom(now)
		s = &score{at: now}
		b.peers[peer] = s
	}
	s.decay(now)
	s.points += points
	if s.points < scoreLimit {
		return false
	}
	if now.Sub(s.until) > banMemory {
		s.bans = 0
	}
	s.points = 0
	s.until = now.Add(min(longestBan, firstBan<<min(s.bans, 10)))
	s.bans++
	return true
}

func (s *score) decay(now time.Time) {
	for now.Sub(s.at) >= scoreHalfLife && s.points >= 1 {
		s.points /= 2
		s.at = s.at.Add(scoreHalfLife)
	}
	if s.points < 1 {
		s.points, s.at = 0, now
	}
}

func (b *scores) makeRoom(now time.Time) {
	if len(b.peers) < maxScored {
		return
	}
	var least core.PeerID
	var lightest *score
	for p, s := range b.peers {
		s.decay(now)
		if lightest == nil || s.until.Before(lightest.until) || s.until.Equal(lightest.until) && s.points < lightest.points {
			least, lightest = p, s
		}
	}
	delete(b.peers, least)
}
