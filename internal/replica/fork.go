package replica

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// ReasonForked is the reason of the event for the first fork of a writer's chain.
const ReasonForked = "forked"

// MaxForkEntries bounds the entries that a Fork names.
const MaxForkEntries = 16

// Fork is the first place at which the chain of a writer splits: two copies of a
// directory did not know of each other, or a member cheats. Both branches count.
type Fork struct {
	Member      core.PeerID
	Incarnation core.Incarnation
	Chain       core.Chain
	Seq         uint64
	Entries     []core.Hash // the first MaxForkEntries with that seq, as they came
}

// Forks returns the first fork of each chain of a space that has any, in the order in
// which the writers were first seen. It returns core.ErrNotFound.
func (r *Replica) Forks(ctx context.Context, id core.SpaceID) ([]Fork, error) {
	var all []Fork
	err := r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
		heads, err := v.Heads(space.Key)
		if err != nil {
			return err
		}
		for _, head := range heads {
			fork, found, err := firstFork(v, head)
			if err != nil {
				return err
			}
			if found {
				all = append(all, fork)
			}
		}
		return nil
	})
	return all, err
}

// firstFork returns the first fork of the chain that ends with a head.
func firstFork(v core.View, head core.HeadRecord) (f Fork, found bool, err error) {
	seq, err := v.FirstFork(head.Space, head.Writer, head.Chain)
	if err != nil || seq == 0 {
		return f, false, err
	}
	writer, err := v.Writer(head.Writer)
	if err != nil {
		return f, false, err
	}
	same, err := v.EntriesAt(head.Space, head.Writer, head.Chain, seq, MaxForkEntries)
	if err != nil {
		return f, false, err
	}
	f = Fork{Member: writer.Peer, Incarnation: writer.Incarnation, Chain: head.Chain, Seq: seq}
	for _, rec := range same {
		f.Entries = append(f.Entries, rec.Hash)
	}
	return f, true, nil
}

// noteFork tells of a fork when the entry that shows it has come: one that is not
// beyond its writer's head. Only the first fork of a chain is news, so that whoever
// forks on and on cannot flood the log of the host.
func (w *work) noteFork(space *core.SpaceRecord, rec *core.EntryRecord, e *log.Entry) error {
	same, err := w.EntriesAt(rec.Space, rec.Writer, rec.Chain, rec.Seq, 3)
	if err != nil || len(same) != 2 {
		return err
	}
	first, err := log.DecodeHeader(same[0].Entry.Header)
	if err != nil || first.Prev != e.Prev {
		return err // further on along a branch
	}
	seq, err := w.FirstFork(rec.Space, rec.Writer, rec.Chain)
	if err != nil || seq != rec.Seq {
		return err
	}
	w.r.logger.Warn("a writer has forked: two directories wrote as one",
		"space", space.ID, "member", e.Peer, "own", e.Peer == w.r.self.peer, "seq", rec.Seq, "entries", []core.Hash{same[0].Hash, same[1].Hash})
	w.changed(events.SpaceChanged, space.ID, "", ReasonForked)
	return nil
}

// yield goes on under a new incarnation if entries of the own writer arrive that this
// directory does not have: a copy of it made them, or it did itself and lost them. That
// holds for those that have to wait too, and it comes before the tail is sealed. Else
// the next own entry would be one more with its seq.
func (w *work) yield(id core.SpaceID, arrivals []arrival) error {
	for _, a := range arrivals {
		if a.err != nil || a.entry.Writer != w.r.self.writer || a.entry.SpaceID() != id {
			continue
		}
		space, err := w.space(id)
		if err == nil {
			_, err = w.EntryHeader(space.Key, a.entry.Hash)
		}
		switch {
		case err == nil:
			continue
		case !isNotFound(err):
			return err
		}
		w.r.logger.Warn("own entries came from elsewhere: the directory goes on as another writer of the same member",
			"space", id, "entry", a.entry.Hash)
		return w.mint()
	}
	return nil
}
