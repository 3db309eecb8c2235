package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// ledger is all entries that were ever written, wherever they are: what hostile
// members build upon. It is a log.Past.
type ledger struct {
	ancestors map[core.Hash]log.Ancestor
	entries   map[core.Hash]*log.Entry
	chains    [2][]*log.Entry    // by chain, each after its past
	cited     map[core.Hash]bool // by another of its chain
	authority *log.Authority
}

func newLedger() *ledger {
	return &ledger{
		ancestors: map[core.Hash]log.Ancestor{}, entries: map[core.Hash]*log.Entry{},
		cited: map[core.Hash]bool{}, authority: log.NewAuthority(),
	}
}

// Ancestor implements log.Past.
func (l *ledger) Ancestor(hash core.Hash) (log.Ancestor, error) {
	a, ok := l.ancestors[hash]
	if !ok {
		return a, fmt.Errorf("ledger: %w", core.ErrNotFound)
	}
	return a, nil
}

// State implements log.Past.
func (l *ledger) State(heads []core.Hash) (*log.State, error) { return l.authority.At(heads) }

// note adds an entry that a replica has stored, if it is not there.
func (l *ledger) note(raw core.Entry) error {
	if l.entries[raw.Hash()] != nil {
		return nil
	}
	e, err := log.Decode(raw)
	if err != nil {
		return err
	}
	return l.add(e)
}

// add adds an entry, or returns what log.Admit does.
func (l *ledger) add(e *log.Entry) error {
	set, err := log.Admit(e, l)
	if err != nil {
		return err
	}
	if e.Chain == core.ChainMembership {
		if err := l.authority.Add(e, set); err != nil {
			return err
		}
	}
	l.ancestors[e.Hash], l.entries[e.Hash] = e.AsAncestor(set), e
	l.chains[e.Chain] = append(l.chains[e.Chain], e)
	for _, hash := range pastOf(e) {
		l.cited[hash] = l.cited[hash] || l.entries[hash].Chain == e.Chain
	}
	return nil
}

// heads returns the entries of a chain that no other cites, the newest ones if they
// are too many.
func (l *ledger) heads(chain core.Chain) []core.Hash {
	var heads []core.Hash
	for _, e := range l.chains[chain] {
		if !l.cited[e.Hash] {
			heads = append(heads, e.Hash)
		}
	}
	return heads[max(0, len(heads)-log.MaxHeads/2):]
}

// pastOf returns what an entry cites.
func pastOf(e *log.Entry) []core.Hash {
	cited := slices.Concat(e.Auth, e.Deps)
	if e.Seq > 1 {
		cited = append(cited, e.Prev)
	}
	return cited
}

func isRejected(err error) bool {
	_, ok := errors.AsType[*log.RejectedError](err)
	return ok
}

func isWaiting(err error) bool {
	_, ok := errors.AsType[*log.WaitingError](err)
	return ok
}
