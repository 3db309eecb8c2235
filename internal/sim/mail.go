package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// send brings some of what one site has to another, entry by entry.
func (w *world) send(r *rand.Rand) error {
	from, to := pick(r, w.sites), pick(r, w.sites)
	if from == to || !from.isOpen() || !to.isOpen() || w.island[from] != w.island[to] {
		return nil
	}
	if r.IntN(2) == 0 { // a peer asks for it
		if err := from.do(from.Seal); err != nil {
			return err
		}
	}
	var letters []core.Entry
	for _, e := range from.log {
		if !to.have[e.Hash()] {
			letters = append(letters, e)
		}
	}
	w.tell("%s sends %d to %s", from, len(letters), to)
	return w.deliver(to, lose(r, letters))
}

// lose does to entries what a network does.
func lose(r *rand.Rand, letters []core.Entry) []core.Entry {
	letters = slices.Clone(letters)
	switch r.IntN(4) {
	case 0:
		r.Shuffle(len(letters), func(i, k int) { letters[i], letters[k] = letters[k], letters[i] })
	case 1:
		letters = slices.DeleteFunc(letters, func(core.Entry) bool { return r.IntN(3) == 0 })
	case 2:
		letters = letters[:r.IntN(len(letters)+1)]
	}
	if len(letters) > 0 && r.IntN(2) == 0 {
		letters = append(letters, pick(r, letters))
	}
	return letters
}

// sendAll brings what one has to everybody it can reach.
func (w *world) sendAll(r *rand.Rand) error {
	from := pick(r, w.sites)
	if !from.isOpen() {
		return nil
	}
	if err := from.do(from.Seal); err != nil {
		return err
	}
	for _, to := range w.sites {
		if to == from || w.island[from] != w.island[to] {
			continue
		}
		if err := w.deliver(to, from.log); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) partition(r *rand.Rand) error {
	for _, s := range w.sites {
		w.island[s] = r.IntN(2)
	}
	return nil
}

func (w *world) merge(*rand.Rand) error {
	clear(w.island)
	return nil
}

// deliver hands entries to a site, some one by one and some together, and checks what
// becomes of them.
func (w *world) deliver(to *site, letters []core.Entry) error {
	letters = slices.DeleteFunc(slices.Clone(letters), func(e core.Entry) bool { return to.have[e.Hash()] })
	size := 1
	if len(letters)%3 == 0 {
		size = 4
	}
	for batch := range slices.Chunk(letters, size) {
		err := to.do(func(ctx context.Context) error {
			outcomes, err := to.Accept(ctx, w.space, batch)
			if err != nil {
				return err
			}
			for i, o := range outcomes {
				if err := w.expect(batch[i], o); err != nil {
					return fmt.Errorf("entry %s is %s: %w", o.Hash, o.Status, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expect checks what became of an entry.
func (w *world) expect(e core.Entry, o core.Outcome) error {
	_, invalid := w.invalid[keyOfLetter(e)]
	switch o.Status {
	case core.EntryAccepted, core.EntryKnown:
		if invalid {
			return fmt.Errorf("it must be refused")
		}
		if w.waits[o.Hash] {
			return fmt.Errorf("it must wait")
		}
	case core.EntryRejected:
		if !invalid {
			return fmt.Errorf("it must be taken: %w", o.Err)
		}
	case core.EntryWaiting, core.EntryDropped:
	}
	return nil
}

// keyOfLetter names an entry by all its bytes: one with another's header is another.
func keyOfLetter(e core.Entry) core.Hash {
	return core.Entry{Header: log.AppendFrame(nil, e)}.Hash()
}
