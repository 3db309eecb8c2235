package simtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

// patience is how long, in virtual time, peers may take to agree once nothing is in their way.
const patience = time.Hour

// finish makes everything good, waits, and checks what must be then.
func (w *world) finish(r *rand.Rand) error {
	w.net.heal()
	for _, m := range w.machines {
		if m.DB == nil {
			if err := m.turnOn(); err != nil {
				return err
			}
		}
		if err := m.Sync().Start(w.ctx); err != nil {
			return err
		}
	}
	w.tell("all is good again")
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.keepOut(r); err != nil {
		return err
	}
	return w.verify()
}

// settle waits until all members of each space have the same, and then checks that.
func (w *world) settle() error {
	begin := time.Now()
	pause := time.Second
	for {
		err := w.settled()
		if err == nil {
			w.tell("settled")
			return nil
		}
		switch since := time.Since(begin); {
		case since > patience:
			return fmt.Errorf("not settled after %v: %w", patience, err)
		case since > 5*time.Minute && since < 5*time.Minute+pause:
			if err := w.introduceAll(); err != nil {
				return err
			}
		}
		time.Sleep(pause)
		pause = min(pause*5/4, time.Minute)
	}
}

// introduceAll tells the founder of each space where those members are whom it was never told
// of, and lets members in again who have forgotten that there is such a space.
func (w *world) introduceAll() error {
	for _, p := range w.plots {
		for _, m := range w.machines {
			role, is := w.memberRole(p.founder, p, m.peer)
			if m == p.founder || !is && w.role(m, p) == soma.RoleNone {
				continue
			}
			if !w.met[pairOf(m, p.founder)] {
				if err := w.connect(p.founder, m); err != nil {
					return err
				}
			}
			if _, err := m.Spaces().Get(w.ctx, p.id); !errors.Is(err, soma.ErrNotFound) {
				continue
			}
			ticket, err := p.founder.Spaces().Invite(w.ctx, p.id, soma.RoleViewer, soma.InviteOptions{})
			if err != nil {
				return err
			}
			w.tell("%v, who is %v of %.12s, joins it again", m, role, p.id)
			if _, err := m.Spaces().Join(w.ctx, ticket); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled says what is not as it must be in the end.
func (w *world) settled() error {
	for _, p := range w.plots {
		members := w.members(p)
		for _, m := range members {
			s, err := w.status(m, p)
			switch {
			case err != nil:
				return err
			case s == nil:
				return fmt.Errorf("%v says nothing of %s", m, p.id)
			case len(members) > 1 && s.OnlyHere > 0:
				return fmt.Errorf("%v says that %d of %s are on it alone", m, s.OnlyHere, p.id)
			}
		}
		for _, m := range members {
			if m != p.founder {
				if err := peertest.Differ(w.ctx, p.founder.DB, m.DB, p.id); err != nil {
					return fmt.Errorf("%v and %v: %w", p.founder, m, err)
				}
			}
		}
		if err := w.complete(p, members); err != nil {
			return err
		}
	}
	return nil
}

// members returns the members of a space as its founder, from whom nobody took it, knows them.
func (w *world) members(p *plot) (members []*machine) {
	for _, m := range w.machines {
		if _, is := w.memberRole(p.founder, p, m.peer); is {
			members = append(members, m)
		}
	}
	return members
}

// complete says what is lost, of a space that is the same for all members.
func (w *world) complete(p *plot, members []*machine) error {
	words, err := peertest.Words(w.ctx, p.founder.DB, p.id)
	if err != nil {
		return err
	}
	for _, n := range w.notes {
		if n.plot == p && !n.lost && p.trusted(n.by.n) && !words[n.word] {
			return fmt.Errorf("%s of %v in %s is lost", n.word, n.by, p.id)
		}
	}
	for id, by := range p.pages {
		if _, err := p.founder.Pages().Get(w.ctx, p.id, id); err != nil && p.trusted(by.n) {
			return fmt.Errorf("page %s of %v: %w", id, by, err)
		}
	}
	for cid, b := range p.puts {
		if !p.trusted(b.by.n) {
			continue
		}
		for _, m := range members {
			if err := w.fetch(m, p, cid, b.bytes); err != nil {
				return fmt.Errorf("blob %s of %v on %v: %w", cid, b.by, m, err)
			}
		}
	}
	return nil
}

// keepOut lets the founder of each space write something, and waits until all members have
// it. Whoever is no member, but was, or never was, must not.
func (w *world) keepOut(r *rand.Rand) error {
	secrets := map[*plot]string{}
	for _, p := range w.plots {
		if err := w.write(r, p, p.founder); err != nil {
			return err
		}
		secrets[p] = w.notes[len(w.notes)-1].word
	}
	if err := w.settle(); err != nil {
		return err
	}
	for _, p := range w.plots {
		for _, m := range w.machines {
			if _, is := w.memberRole(p.founder, p, m.peer); is {
				continue
			}
			words, err := peertest.Words(w.ctx, m.DB, p.id)
			if errors.Is(err, soma.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if words[secrets[p]] {
				return fmt.Errorf("%v is no member of %s any more, but has got what was written since", m, p.id)
			}
			if len(p.givers[m.n]) == 0 && !p.struck[m.n] {
				return fmt.Errorf("%v was never let into %s, but has it", m, p.id)
			}
		}
	}
	return nil
}

func (w *world) verify() error {
	for _, m := range w.machines {
		found, err := m.Verify(w.ctx)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("%v: Verify found %s", m, found[0])
		}
	}
	return nil
}

// fetch asks for a blob, and says whether it is here.
func (w *world) fetch(m *machine, p *plot, cid soma.CID, want []byte) error {
	err := peertest.SameBlob(w.ctx, m.DB, p.id, cid, want)
	if errors.Is(err, soma.ErrNotHere) {
		return errors.Join(err, peertest.Want(w.ctx, m.DB, p.id, cid))
	}
	return err
}
