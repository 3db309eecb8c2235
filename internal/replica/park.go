package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Bounds on entries that wait for their past, in bytes as core.Entry.Size counts
// them. What exceeds them is dropped: not had, not acknowledged, to be sent again.
const (
	MaxParkedPerAuthor = 4 << 20
	MaxParkedPerSpace  = 32 << 20
	// MaxParkedOfStrangers bounds what waits of all who are no members, as far as is
	// known here. Anybody can make keys, and must not take the room of members with them.
	MaxParkedOfStrangers = 8 << 20
)

// park keeps an entry until the first entry that it misses is there. One that
// holds a membership op from a newer version waits for the zero hash, which is
// this program's next version.
func (w *work) park(space *core.SpaceRecord, a *arrival, waiting *log.WaitingError) (core.Outcome, error) {
	e := a.entry
	outcome := core.Outcome{Hash: e.Hash, Status: core.EntryWaiting, Err: waiting}
	parked, err := w.IsParked(space.Key, e.Hash)
	if err != nil {
		return outcome, err
	}
	if !parked {
		room, err := w.roomFor(space, e.Peer, int64(a.raw.Size()))
		if err != nil {
			return outcome, err
		}
		if !room {
			outcome.Status = core.EntryDropped
			return outcome, nil
		}
	}
	var missing core.Hash
	if len(waiting.Missing) > 0 {
		missing = waiting.Missing[0]
	}
	return outcome, w.Park(core.ParkedRecord{Space: space.Key, Hash: e.Hash, Author: e.Peer, Missing: missing, Entry: a.raw})
}

// roomFor reports whether an entry of that size by an author may wait.
func (w *work) roomFor(space *core.SpaceRecord, author core.PeerID, size int64) (bool, error) {
	ofAuthor, ofMembers, ofSpace, err := w.ParkedBytes(space.Key, author)
	if err != nil || ofAuthor+size > MaxParkedPerAuthor || ofSpace+size > MaxParkedPerSpace {
		return false, err
	}
	a, err := w.authority(space)
	if err != nil {
		return false, err
	}
	_, member := a.Now().Member(author)
	return member || ofSpace-ofMembers+size <= MaxParkedOfStrangers, nil
}

// final reports whether nobody can bring another entry of that name that would be
// accepted: its author signed it, and it breaks a rule.
func (a *arrival) final() bool {
	return a.entry != nil && log.ReasonOf(a.err) != log.ReasonSignature
}

// forsake drops what waits for an entry that breaks a rule, and for that in turn.
func (w *work) forsake(space *core.SpaceRecord, hash core.Hash) error {
	gone := []core.Hash{hash}
	for len(gone) > 0 {
		waiting, err := w.Parked(space.Key, gone[0])
		if err != nil {
			return err
		}
		gone = gone[1:]
		for _, p := range waiting {
			if err := w.Unpark(space.Key, p.Hash); err != nil {
				return err
			}
			gone = append(gone, p.Hash)
		}
	}
	return nil
}
