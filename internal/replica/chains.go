package replica

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
)

// chains are those of one writer that end with the heads that a cut names of it: one,
// or several after a fork. They are looked up once for all entries of the writer, since
// a member who forks on and on may have thousands, and each may be long.
type chains struct {
	ends     []core.EntryRecord
	top      uint64 // the highest seq of ends
	believed uint64 // the highest seq of a head that is not here yet

	entries map[core.Hash]bool // on the chains, with a seq of at least from
	from    uint64
}

// leadsTo reports whether an entry lies on one of its writer's chains that end with
// some heads. A head that is not here yet is believed: what is known of the chain leads
// to it.
func (w *work) leadsTo(space int64, rec *core.EntryRecord, heads []log.CutHead) (bool, error) {
	c, err := w.chainsTo(space, rec, heads)
	switch {
	case err != nil:
		return false, err
	case rec.Seq <= c.believed:
		return true, nil
	case rec.Seq > c.top:
		return false, nil
	}
	if mutate.On(mutate.Forks) {
		return true, nil
	}
	forked, err := w.forked(space, rec)
	if err != nil || !forked {
		return !forked, err
	}
	if fork := w.forks[rec.Writer]; c.entries == nil || fork < c.from {
		if err := w.walk(space, c, fork); err != nil {
			return false, err
		}
	}
	return c.entries[rec.Hash], nil
}

// chainsTo returns the chains of an entry's writer that end with some heads.
func (w *work) chainsTo(space int64, rec *core.EntryRecord, heads []log.CutHead) (*chains, error) {
	if c := w.chains[&heads[0]]; c != nil {
		return c, nil
	}
	c := &chains{}
	for _, h := range heads {
		at, err := w.EntryHeader(space, h.Hash)
		switch {
		case isNotFound(err):
			c.believed = max(c.believed, h.Seq)
		case err != nil:
			return nil, err
		case at.Writer == rec.Writer && at.Chain == rec.Chain && at.Seq == h.Seq: // else it names something else
			c.top = max(c.top, at.Seq)
			c.ends = append(c.ends, at)
		}
	}
	if w.chains == nil {
		w.chains = map[*log.CutHead]*chains{}
	}
	w.chains[&heads[0]] = c
	return c, nil
}

// walk notes the entries of chains from a seq on.
func (w *work) walk(space int64, c *chains, from uint64) error {
	c.entries, c.from = map[core.Hash]bool{}, from
	for _, at := range c.ends {
		for at.Seq >= from && !c.entries[at.Hash] {
			c.entries[at.Hash] = true
			if at.Seq == from {
				break
			}
			h, err := log.DecodeHeader(at.Entry.Header)
			if err != nil {
				return err
			}
			if at, err = w.EntryHeader(space, h.Prev); err != nil {
				return err
			}
		}
	}
	return nil
}
