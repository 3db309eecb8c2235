package log

import (
	"errors"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// Admit decides from an entry's bytes and its past alone whether it belongs
// into the log, so that all replicas decide alike whatever they hold besides.
// On success it returns the heads of the entry's membership past, ascending
// (nil for a genesis), for the caller to keep as Ancestor.AuthSet.
//
// A RejectedError is final. A WaitingError says what to get first: all entries
// of WaitPast at once, or for WaitMembershipOp a newer version. Other errors
// come from past. Admit verifies the signature if that was not done before.
//
// deps need not be minimal: telling would take a walk through all content.
func Admit(e *Entry, past Past) (authSet []core.Hash, err error) {
	if err := e.VerifySignature(); err != nil {
		return nil, err
	}
	if e.IsGenesis() { // Decode has checked all there is
		return nil, nil
	}
	w := newWalk(past)
	c, err := cite(e, w)
	if err != nil {
		return nil, about(e.Hash, err)
	}
	if authSet, err = c.authSet(w); err != nil {
		return nil, about(e.Hash, err)
	}
	if err := c.checkDepsKnown(w, authSet); err != nil {
		return nil, about(e.Hash, err)
	}
	if err := c.checkLamport(); err != nil {
		return nil, about(e.Hash, err)
	}
	if err := checkAuthor(e, authSet, w); err != nil {
		return nil, about(e.Hash, err)
	}
	return authSet, nil
}

// citations are an entry and what it cites, all of it had.
type citations struct {
	entry *Entry
	prev  *Ancestor // nil for a first entry
	auth  []Ancestor
	deps  []Ancestor
}

// cite looks up what the entry cites and checks each by itself. What is wrong
// about entries that are had is found even while others are missing.
func cite(e *Entry, w *walk) (*citations, error) {
	c := &citations{entry: e}
	missing := make(map[core.Hash]bool)
	find := func(hash core.Hash, check func(Ancestor) error) error {
		a, err := w.Ancestor(hash)
		if errors.Is(err, core.ErrNotFound) {
			missing[hash] = true
			return nil
		}
		if err != nil {
			return err
		}
		return check(a)
	}
	if err := find(e.Space, c.checkSpace); err != nil {
		return nil, err
	}
	if e.Seq > 1 {
		if err := find(e.Prev, c.addPrev); err != nil {
			return nil, err
		}
	}
	for _, hash := range e.Auth {
		if err := find(hash, c.addAuth); err != nil {
			return nil, err
		}
	}
	for _, hash := range e.Deps {
		if err := find(hash, c.addDep); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, &WaitingError{Reason: WaitPast, Hash: e.Hash, Missing: sortedKeys(missing)}
	}
	return c, nil
}

func (c *citations) checkSpace(a Ancestor) error {
	// Only a genesis has no membership before it.
	if a.Chain != core.ChainMembership || a.Seq != 1 || len(a.AuthSet) > 0 {
		return reject(ReasonSpace, "%s is no genesis", a.Hash)
	}
	return nil
}

func (c *citations) addPrev(a Ancestor) error {
	switch e := c.entry; {
	case a.Writer != e.Writer:
		return reject(ReasonPrev, "is of another writer")
	case a.Chain != e.Chain:
		return reject(ReasonPrev, "is of the other chain")
	case a.Seq != e.Seq-1:
		return reject(ReasonPrev, "has seq %d, want %d", a.Seq, e.Seq-1)
	}
	c.prev = &a
	return nil
}

func (c *citations) addAuth(a Ancestor) error {
	if a.Chain != core.ChainMembership {
		return reject(ReasonAuthChain, "%s is a content entry", a.Hash)
	}
	c.auth = append(c.auth, a)
	return nil
}

func (c *citations) addDep(a Ancestor) error {
	switch {
	case a.Chain != core.ChainContent:
		return reject(ReasonDepsChain, "%s is a membership entry", a.Hash)
	case a.Writer == c.entry.Writer:
		return reject(ReasonDepsOwn, "%s is of the same writer", a.Hash)
	}
	c.deps = append(c.deps, a)
	return nil
}

// base returns the membership heads that prev brings in.
func (c *citations) base() []core.Hash {
	switch {
	case c.prev == nil:
		return nil
	case c.prev.Chain == core.ChainMembership:
		return []core.Hash{c.prev.Hash}
	}
	return c.prev.AuthSet
}

// authSet returns the heads of the entry's membership past and checks that
// every listed one is new.
func (c *citations) authSet(w *walk) ([]core.Hash, error) {
	base := c.base()
	if len(c.auth) == 0 {
		return slices.Clone(base), nil
	}
	set, err := w.maximal(slices.Concat(base, c.entry.Auth))
	if err != nil {
		return nil, err
	}
	for _, hash := range c.entry.Auth {
		_, isHead := slices.BinarySearchFunc(set, hash, compareHashes)
		if !isHead || slices.Contains(base, hash) {
			return nil, reject(ReasonAuthRedundant, "%s is in the past of prev or of another", hash)
		}
	}
	return set, nil
}

// checkDepsKnown wants the entry to know of all membership that the content it
// builds upon knew of. Else a member could step back behind a removal and still
// answer what came after.
func (c *citations) checkDepsKnown(w *walk, authSet []core.Hash) error {
	var known []core.Hash
	for _, dep := range c.deps {
		known = append(known, dep.AuthSet...)
	}
	hash, found, err := w.uncovered(authSet, known)
	if err != nil {
		return err
	}
	if found {
		return reject(ReasonAuthBehind, "membership entry %s is in the past of deps and not of auth", hash)
	}
	return nil
}

func (c *citations) checkLamport() error {
	var highest uint64
	if c.prev != nil {
		highest = c.prev.Lamport
	}
	for _, a := range slices.Concat(c.auth, c.deps) {
		highest = max(highest, a.Lamport)
	}
	if c.entry.Lamport != highest+1 {
		return reject(ReasonLamport, "%d, want %d", c.entry.Lamport, highest+1)
	}
	return nil
}

// checkAuthor wants the author to be a member who may do every op, or somebody who
// becomes one.
func checkAuthor(e *Entry, authSet []core.Hash, past Past) error {
	state, err := past.State(authSet)
	if err != nil {
		return err
	}
	for _, op := range e.Ops {
		unknown, ok := op.Body.(UnknownOp)
		if !ok || e.Chain != core.ChainMembership || mutate.On(mutate.UnknownWaits) {
			continue
		}
		if r, ok := RangeOf(unknown.Op); !ok || !state.Allows(e.Peer, r.Needs) {
			return reject(ReasonCapability, "%s is not for the role %s", unknown.Op, state.Role(e.Peer))
		}
		// What it does, and whom it lets in, is for a version to say that can evaluate it.
		return &WaitingError{Reason: WaitMembershipOp, Hash: e.Hash, Op: unknown.Op}
	}
	return state.permits(e)
}
