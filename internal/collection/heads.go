package collection

import (
	"maps"
	"slices"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

const (
	// maxHeads is how many rows of a collection are remembered between two SetItem.
	maxHeads = DefaultMaxRecords
	// maxWindows is how many windows of a collection are remembered.
	maxWindows = 64
)

// storage is what SetItem remembers of a collection. It may forget any of it: heads are
// read again, and windows only say what a window knows without having been told.
type storage struct {
	mu       sync.Mutex
	heads    *heads
	windows  []window  // the one that wrote last is last
	replaced *replaced // nil until there are windows
}

// window is what a window wrote since the snapshot that it adopted last.
type window struct {
	id    string
	wrote map[string]int64 // numbers of changes, by stored key
}

// heads says which rows a collection has as of one change. It has one user at a time.
type heads struct {
	seq   int64
	rows  map[string]*head // by stored key
	plans int64            // how many were made
}

type head struct {
	core.RecordHead
	plan int64 // number of the plan that came upon the row last
}

func readHeads(v core.CollectionView, row *core.CollectionRow) (*heads, error) {
	h := &heads{seq: row.Seq, rows: make(map[string]*head, max(row.Records, 0))}
	if row.Key == 0 {
		return h, nil
	}
	all, err := v.RecordHeads(row.Key)
	if err != nil {
		return nil, err
	}
	kept := make([]head, len(all))
	for i, rec := range all {
		kept[i].RecordHead = rec
		h.rows[rec.Key] = &kept[i]
	}
	return h, nil
}

// find returns the stored form of the key that a row of a snapshot has, and what is stored
// under it, or nil.
func (h *heads) find(name []byte) (key string, found *head, err error) {
	if found = h.rows[string(name)]; found != nil {
		return found.Key, found, nil
	}
	key, err = storedKey(string(name))
	return key, h.rows[key], err
}

// take hands out the heads as of a change, or nil. They are forgotten until put.
func (s *storage) take(seq int64) *heads {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads
	if h == nil || h.seq != seq {
		return nil
	}
	s.heads = nil
	return h
}

func (s *storage) put(h *heads) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(h.rows) <= maxHeads && (s.heads == nil || s.heads.seq <= h.seq) {
		s.heads = h
	}
}

// wrote returns what a window wrote that is newer than the snapshot it has adopted.
func (s *storage) wrote(id string, base int64) map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.windows, func(w window) bool { return w.id == id })
	if i < 0 {
		return nil
	}
	maps.DeleteFunc(s.windows[i].wrote, func(_ string, seq int64) bool { return seq <= base })
	return maps.Clone(s.windows[i].wrote)
}

// note remembers what a window wrote.
func (s *storage) note(id string, wrote map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := window{id: id, wrote: map[string]int64{}}
	if i := slices.IndexFunc(s.windows, func(w window) bool { return w.id == id }); i >= 0 {
		w = s.windows[i]
		s.windows = slices.Delete(s.windows, i, i+1)
	}
	maps.Copy(w.wrote, wrote)
	if len(s.windows) == maxWindows {
		s.windows = slices.Delete(s.windows, 0, 1)
	}
	s.windows = append(s.windows, w)
}
