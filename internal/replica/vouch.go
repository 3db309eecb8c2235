package replica

import (
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
)

// vouch finds, for entries that are over, others that keep them: DESIGN 5.8. What
// an honest member has built upon in good faith stays. It reads the headers of all
// that came after the first of them, once.
func (w *work) vouch(a *authority, all []*judged) error {
	if mutate.On(mutate.Vouching) {
		return nil
	}
	byHash := make(map[core.Hash]*judged, len(all))
	open := false
	for _, j := range all {
		byHash[j.rec.Hash] = j
		open = open || len(j.over) > 0 && !j.purged()
	}
	if !open {
		return nil
	}
	s := &vouching{
		w: w, a: a, byHash: byHash,
		reach: map[core.Hash]map[int]*judged{}, writers: map[int64]core.WriterRecord{}, known: map[knowledge][]log.Over{},
	}
	for after := all[0].rec.Key - 1; ; {
		page, err := w.ContentAfter(a.space.Key, after, judgePage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].Key
			if err := s.visit(&page[i]); err != nil {
				return err
			}
		}
	}
}

// purged reports whether a removal says that nothing keeps the entry.
func (j *judged) purged() bool {
	if mutate.On(mutate.Purge) {
		return false
	}
	return slices.ContainsFunc(j.over, func(o log.Over) bool { return o.Cut != nil && o.Cut.Purge })
}

// vouching is one walk over the entries from the first that is over.
type vouching struct {
	w        *work
	a        *authority
	byHash   map[core.Hash]*judged
	reach    map[core.Hash]map[int]*judged // by entry: the last one of each branch that it builds upon
	branches [][]*judged
	settled  []int // by branch: so many at its start are kept or purged
	writers  map[int64]core.WriterRecord
	known    map[knowledge][]log.Over
}

// knowledge is what a membership past says of a member.
type knowledge struct {
	auth int64
	peer core.PeerID
}

func (s *vouching) visit(rec *core.EntryRecord) error {
	h, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return err
	}
	reach := s.join(parentsOf(&h))
	if j := s.byHash[rec.Hash]; j != nil && len(j.over) > 0 {
		s.place(j, h.Prev)
		own := make(map[int]*judged, len(reach)+1)
		maps.Copy(own, reach)
		own[j.branch] = j
		s.reach[rec.Hash] = own
		if mutate.On(mutate.VouchedByRoot) {
			return s.keep(rec, reach)
		}
		return nil
	}
	if len(reach) == 0 {
		return nil
	}
	s.reach[rec.Hash] = reach
	return s.keep(rec, reach)
}

// join returns what several entries build upon. Where only one builds upon any of
// it, its map serves both: maps are not changed once made.
func (s *vouching) join(parents []core.Hash) map[int]*judged {
	var reach map[int]*judged
	shared := true
	for _, parent := range parents {
		more := s.reach[parent]
		if len(more) == 0 {
			continue
		}
		if reach == nil {
			reach = more
			continue
		}
		if shared {
			reach, shared = maps.Clone(reach), false
		}
		for branch, last := range more {
			if known := reach[branch]; known == nil || known.rec.Seq < last.rec.Seq {
				reach[branch] = last
			}
		}
	}
	return reach
}

// place puts an entry on the branch of its predecessor, or on a new one.
func (s *vouching) place(j *judged, prev core.Hash) {
	if p := s.byHash[prev]; p != nil && len(p.over) > 0 {
		if b := s.branches[p.branch]; b[len(b)-1] == p {
			j.branch = p.branch
			s.branches[j.branch] = append(b, j)
			return
		}
	}
	j.branch = len(s.branches)
	s.branches = append(s.branches, []*judged{j})
	s.settled = append(s.settled, 0)
}

// keep lets an entry vouch for what it builds upon, unless it is over itself.
func (s *vouching) keep(rec *core.EntryRecord, reach map[int]*judged) error {
	writer, ok := s.writers[rec.Writer]
	if !ok {
		var err error
		if writer, err = s.w.Writer(rec.Writer); err != nil {
			return err
		}
		s.writers[rec.Writer] = writer
	}
	root := false
	for _, branch := range slices.Sorted(maps.Keys(reach)) {
		upTo := reach[branch]
		if s.settled[branch] == len(s.branches[branch]) || upTo.peer == writer.Peer {
			continue
		}
		unknown, err := s.unknown(rec.Auth, upTo.peer)
		if err != nil {
			return err
		}
		if len(unknown) == 0 {
			continue
		}
		if !root {
			if root, err = s.isRoot(rec, writer); err != nil || !root {
				return err
			}
		}
		if err := s.vouchFor(branch, upTo.rec.Seq, rec, unknown); err != nil {
			return err
		}
	}
	return nil
}

func (s *vouching) isRoot(rec *core.EntryRecord, writer core.WriterRecord) (bool, error) {
	wr, err := s.w.writing(s.a.space.Key, rec, writer.Peer, writer.ID, nil)
	if err != nil {
		return false, err
	}
	over, err := s.a.Now().Over(wr)
	return len(over) == 0 || mutate.On(mutate.VouchedByRoot), err
}

// unknown is authority.unknown, asked once for each membership past.
func (s *vouching) unknown(auth int64, peer core.PeerID) ([]log.Over, error) {
	key := knowledge{auth, peer}
	if list, ok := s.known[key]; ok {
		return list, nil
	}
	heads, err := s.w.AuthSet(auth)
	if err != nil {
		return nil, err
	}
	list, err := s.a.unknown(heads, peer)
	if err != nil {
		return nil, err
	}
	s.known[key] = list
	return list, nil
}

// vouchFor strikes reasons off the entries of a branch up to a seq.
func (s *vouching) vouchFor(branch int, upTo uint64, by *core.EntryRecord, reasons []log.Over) error {
	list := s.branches[branch]
	for i := s.settled[branch]; i < len(list) && list[i].rec.Seq <= upTo; i++ {
		j := list[i]
		if len(j.open) > 0 && !j.purged() {
			left, err := s.strike(j, by, reasons)
			if err != nil {
				return err
			}
			if len(left) < len(j.open) {
				j.open, j.voucher = left, by.Key
			}
		}
		if i == s.settled[branch] && (len(j.open) == 0 || j.purged()) {
			s.settled[branch]++
		}
	}
	return nil
}

// strike returns the reasons for which an entry is over that are not among some others.
func (s *vouching) strike(j *judged, by *core.EntryRecord, reasons []log.Over) ([]log.Over, error) {
	var left []log.Over
	for _, o := range j.open {
		struck := slices.Contains(reasons, o)
		if struck && o.Cut == nil {
			needs, err := j.needs()
			if err != nil {
				return nil, err
			}
			heads, err := s.w.AuthSet(by.Auth)
			if err != nil {
				return nil, err
			}
			knows, err := s.a.Knows(heads, o, j.peer, needs)
			if err != nil {
				return nil, err
			}
			struck = !knows
		}
		if !struck {
			left = append(left, o)
		}
	}
	return left, nil
}
