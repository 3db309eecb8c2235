package log

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// Past is what a replica has accepted of one space. A lookup must not find
// entries of other spaces, nor entries that wait.
type Past interface {
	// Ancestor returns an accepted entry, or core.ErrNotFound.
	Ancestor(hash core.Hash) (Ancestor, error)
	// State returns who may do what after the membership entries in heads and in
	// their past, all of them accepted. Without heads nobody is a member.
	State(heads []core.Hash) (*State, error)
}

// Ancestor is what later entries need to know about an accepted one.
type Ancestor struct {
	Hash    core.Hash
	Peer    core.PeerID
	Writer  core.WriterID
	Chain   core.Chain
	Seq     uint64
	Lamport uint64
	// AuthSet is what Admit returned for the entry: the heads of its membership
	// past, ascending. Of a membership entry they are its parents, so the whole
	// membership graph can be walked along AuthSets. The slice is only read.
	AuthSet []core.Hash
}

// AsAncestor returns what later entries need to know about e, whose AuthSet
// Admit returned.
func (e *Entry) AsAncestor(authSet []core.Hash) Ancestor {
	return Ancestor{
		Hash: e.Hash, Peer: e.Peer, Writer: e.Writer, Chain: e.Chain,
		Seq: e.Seq, Lamport: e.Lamport, AuthSet: authSet,
	}
}

// walk is a Past that remembers what it saw, and looks at the membership graph.
type walk struct {
	past Past
	seen map[core.Hash]Ancestor
}

func newWalk(past Past) *walk { return &walk{past: past, seen: make(map[core.Hash]Ancestor)} }

// Ancestor implements Past.
func (w *walk) Ancestor(hash core.Hash) (Ancestor, error) {
	if a, ok := w.seen[hash]; ok {
		return a, nil
	}
	a, err := w.past.Ancestor(hash)
	if err != nil {
		return Ancestor{}, fmt.Errorf("look up entry %s: %w", hash, err)
	}
	w.seen[hash] = a
	return a, nil
}

// State implements Past.
func (w *walk) State(heads []core.Hash) (*State, error) { return w.past.State(heads) }

// must returns an entry that an accepted one cites, so it cannot be missing.
func (w *walk) must(hash core.Hash) (Ancestor, error) {
	a, err := w.Ancestor(hash)
	if errors.Is(err, core.ErrNotFound) {
		return Ancestor{}, fmt.Errorf("entry %s is cited by an accepted entry and missing: %w", hash, core.ErrCorrupt)
	}
	return a, err
}

// closure calls visit for membership entries that lie in the closure of from:
// from themselves and all in their past. It stops when visit returns false. It
// leaves out entries below the lamport floor, which only lie below others of
// that kind, since a lamport is larger than those in the entry's past.
func (w *walk) closure(from []core.Hash, floor uint64, visit func(core.Hash) bool) error {
	visited := make(map[core.Hash]bool, len(from))
	stack := slices.Clone(from)
	for len(stack) > 0 {
		hash := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if visited[hash] {
			continue
		}
		visited[hash] = true
		a, err := w.must(hash)
		if err != nil {
			return err
		}
		if a.Lamport < floor {
			continue
		}
		if !visit(hash) {
			return nil
		}
		if a.Lamport > floor {
			stack = append(stack, a.AuthSet...)
		}
	}
	return nil
}

// maximal returns the members of set that lie in the past of no other, ascending.
func (w *walk) maximal(set []core.Hash) ([]core.Hash, error) {
	set = sortedSet(set)
	if len(set) < 2 {
		return set, nil
	}
	floor, err := w.floor(set)
	if err != nil {
		return nil, err
	}
	var parents []core.Hash
	for _, hash := range set {
		a, err := w.must(hash)
		if err != nil {
			return nil, err
		}
		parents = append(parents, a.AuthSet...)
	}
	below := make(map[core.Hash]bool)
	err = w.closure(parents, floor, func(hash core.Hash) bool {
		below[hash] = true
		return true
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(set, func(hash core.Hash) bool { return below[hash] }), nil
}

// uncovered returns one of targets that does not lie in the closure of heads.
func (w *walk) uncovered(heads, targets []core.Hash) (hash core.Hash, found bool, err error) {
	open := make(map[core.Hash]bool)
	for _, t := range targets {
		open[t] = true
	}
	for _, h := range heads { // mostly they are the same, and no walk is needed
		delete(open, h)
	}
	if len(open) == 0 {
		return core.Hash{}, false, nil
	}
	left := sortedKeys(open)
	floor, err := w.floor(left)
	if err != nil {
		return core.Hash{}, false, err
	}
	err = w.closure(heads, floor, func(hash core.Hash) bool {
		delete(open, hash)
		return len(open) > 0
	})
	if err != nil || len(open) == 0 {
		return core.Hash{}, false, err
	}
	return sortedKeys(open)[0], true, nil
}

// floor returns the smallest lamport in set.
func (w *walk) floor(set []core.Hash) (uint64, error) {
	var floor uint64 = MaxCounter
	for _, hash := range set {
		a, err := w.must(hash)
		if err != nil {
			return 0, err
		}
		floor = min(floor, a.Lamport)
	}
	return floor, nil
}

// Heads returns the members of set, membership entries all, that lie in the
// past of no other, ascending.
func Heads(past Past, set []core.Hash) ([]core.Hash, error) { return newWalk(past).maximal(set) }

// NewAuth returns what an entry must list as auth to know of all membership
// entries in heads: those that are new since its prev. base is prev's AuthSet on
// the content chain, prev itself on the membership chain, and empty for a first
// entry. Of more than MaxHeads, an entry lists MaxHeads, and an op-less entry
// goes ahead of the one with the rest.
func NewAuth(past Past, base, heads []core.Hash) ([]core.Hash, error) {
	w := newWalk(past)
	all, err := w.maximal(slices.Concat(base, heads))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(hash core.Hash) bool { return slices.Contains(base, hash) }), nil
}

func compareHashes(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) }

// sortedSet returns the members of set once each, ascending, in a new slice.
func sortedSet(set []core.Hash) []core.Hash {
	set = slices.Clone(set)
	slices.SortFunc(set, compareHashes)
	return slices.Compact(set)
}

func sortedKeys(m map[core.Hash]bool) []core.Hash {
	keys := make([]core.Hash, 0, len(m))
	for hash := range m {
		keys = append(keys, hash)
	}
	slices.SortFunc(keys, compareHashes)
	return keys
}
