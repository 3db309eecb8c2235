package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/replica"
)

// rounds bounds how often everybody is given everything. What is written because of
// that, when somebody joins or goes on under another incarnation, needs another round.
const rounds = 12

// finish heals the network, and checks what must hold then.
func (w *world) finish(r *rand.Rand) error {
	clear(w.island)
	for _, s := range w.sites {
		s.fault = fault{}
		if err := s.open(); err != nil {
			return err
		}
	}
	if err := w.heal(r); err != nil {
		return err
	}
	fresh, err := w.fresh(r)
	if err != nil {
		return err
	}
	return w.compare(fresh)
}

// heal delivers everything to everybody until nothing is new.
func (w *world) heal(r *rand.Rand) error {
	for range rounds {
		for _, s := range w.sites {
			if err := s.do(s.Seal); err != nil {
				return err
			}
		}
		before := w.total()
		for _, s := range w.sites {
			letters := append(w.everything(), w.invalidLetters()...)
			r.Shuffle(len(letters), func(i, k int) { letters[i], letters[k] = letters[k], letters[i] })
			if err := w.deliver(s, letters); err != nil {
				return err
			}
		}
		if w.total() == before {
			return w.complete()
		}
	}
	return fmt.Errorf("something is new after %d rounds", rounds)
}

func (w *world) total() (n int) {
	for _, s := range w.sites {
		n += len(s.log)
	}
	return n
}

// everything is all entries that can be had, in order of hash.
func (w *world) everything() []core.Entry {
	all := map[core.Hash]core.Entry{}
	for _, s := range w.sites {
		for _, e := range s.log {
			all[e.Hash()] = e
		}
	}
	for _, e := range w.stash {
		all[e.Hash] = e.Raw
	}
	if !w.drops {
		for hash, e := range w.ledger.entries {
			all[hash] = e.Raw
		}
	}
	letters := make([]core.Entry, 0, len(all))
	for _, hash := range slices.SortedFunc(maps.Keys(all), compareHashes) {
		letters = append(letters, all[hash])
	}
	return letters
}

func compareHashes(a, b core.Hash) int { return slices.Compare(a[:], b[:]) }

func isNotFound(err error) bool { return errors.Is(err, core.ErrNotFound) }

// complete checks that everybody has taken what can be taken: what is admissible, with
// all of its past.
func (w *world) complete() error {
	had := map[core.Hash]bool{}
	for _, e := range w.everything() {
		had[e.Hash()] = true
	}
	for _, chain := range w.ledger.chains {
		for _, e := range chain { // each after its past
			had[e.Hash] = had[e.Hash] && !slices.ContainsFunc(pastOf(e), func(h core.Hash) bool { return !had[h] })
		}
	}
	for _, s := range w.sites {
		for _, chain := range w.ledger.chains {
			for _, e := range chain {
				if had[e.Hash] != s.have[e.Hash] {
					return fmt.Errorf("%s has entry %s: %v, want %v", s, e.Hash, s.have[e.Hash], had[e.Hash])
				}
			}
		}
	}
	return nil
}

// fresh opens a replica that gets everything at once, in another causal order.
func (w *world) fresh(r *rand.Rand) (*site, error) {
	from := w.sites[0]
	left := slices.Clone(from.log)
	var order []core.Entry
	taken := map[core.Hash]bool{}
	for len(left) > 0 {
		at := r.IntN(len(left))
		e := w.ledger.entries[left[at].Hash()]
		if slices.ContainsFunc(pastOf(e), func(h core.Hash) bool { return !taken[h] }) {
			continue
		}
		taken[e.Hash] = true
		order = append(order, left[at])
		left = slices.Delete(left, at, at+1)
	}
	s := w.addSite(keyOf(w.conf.Seed, "fresh"))
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.found(order[0]); err != nil {
		return nil, err
	}
	return s, w.deliver(s, order)
}

// compare compares all sites with each other and with the plain definition.
func (w *world) compare(fresh *site) error {
	var entries []*log.Entry
	for _, raw := range fresh.log {
		entries = append(entries, w.ledger.entries[raw.Hash()])
	}
	space := plain.New(entries)
	for _, e := range entries {
		if !space.Permits(e) {
			return fmt.Errorf("entry %s of %s was taken, and its author may not make it: %s", e.Hash, w.name(e.Peer), describe(e))
		}
	}
	outcome := space.Outcome()
	first, err := w.sites[0].dump()
	if err != nil {
		return err
	}
	var wrong []error
	for _, s := range w.sites[1:] {
		got, err := s.dump()
		if err != nil {
			return err
		}
		wrong = append(wrong, differ(s.String(), got, w.sites[0].String(), first))
	}
	want, err := w.want(space, outcome)
	if err != nil {
		return err
	}
	for key := range first {
		if _, ok := want[key]; !ok && (strings.HasPrefix(key, "only ") || strings.HasPrefix(key, "state ")) {
			delete(first, key)
		}
	}
	wrong = append(wrong, differ(w.sites[0].String(), first, "plain", want), w.checkNotes(space, outcome))
	if w.conf.Verify != nil {
		for _, s := range w.sites {
			if err := w.conf.Verify(w.ctx, s.Replica); err != nil {
				wrong = append(wrong, fmt.Errorf("verify %s: %w", s, err))
			}
		}
	}
	return errors.Join(errors.Join(wrong...), w.checkRebuild())
}

// checkRebuild makes everything of a site anew from its log. It must be what it was.
func (w *world) checkRebuild() error {
	s := w.sites[len(w.ledger.entries)%len(w.sites)]
	was, err := s.dump()
	if err != nil {
		return err
	}
	if err := errors.Join(s.dumpPageTimes(was), s.dumpBlobTimes(was), s.Rebuild(w.ctx)); err != nil {
		return err
	}
	is, err := s.dump()
	if err != nil {
		return err
	}
	return errors.Join(s.dumpPageTimes(is), s.dumpBlobTimes(is), differ("rebuilt", is, s.String(), was))
}

// differ compares two descriptions.
func differ(a string, got map[string]string, b string, want map[string]string) error {
	var wrong []error
	keys := maps.Clone(got)
	maps.Copy(keys, want)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if got[key] != want[key] {
			wrong = append(wrong, fmt.Errorf("%s\n  %-7s %s\n  %-7s %s", key, a, got[key], b, want[key]))
		}
	}
	return errors.Join(wrong...)
}

// dump describes all that replicas must agree on. What only they say, and the plain
// definition does not, has a key that begins with "only".
func (s *site) dump() (map[string]string, error) {
	lines := map[string]string{}
	ctx, id := s.w.ctx, s.w.space
	space, err := s.Space(ctx, id)
	if err != nil {
		return nil, err
	}
	lines["name"], lines["only creator"] = space.Name, fmt.Sprint(space.Creator, space.CreatedAtMs)
	members, err := s.Members(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		lines["member "+s.w.name(m.Peer)] = log.Role(m.Role).String()
		lines["only member "+s.w.name(m.Peer)] = fmt.Sprint(m.Kind, s.w.name(m.By), m.Since)
	}
	invites, err := s.Invites(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, v := range invites {
		lines["invite "+v.ID.String()] = fmt.Sprint(log.Role(v.Role), v.Uses)
		lines["only invite "+v.ID.String()] = fmt.Sprint(s.w.name(v.By), v.ExpiresMs)
	}
	rejected, err := s.Rejected(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, r := range rejected {
		if r.Reason == replica.RejectedClientID {
			lines["only lost "+r.Entry.String()] = fmt.Sprint(s.w.name(r.Member), r.Documents)
			continue
		}
		lines["rejected "+r.Entry.String()] = fmt.Sprint(s.w.name(r.Member), " ", r.Reason, " by ", s.w.name(r.By), ", kept ", r.Kept)
	}
	records, err := s.records(0)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		lines["entry "+rec.Hash.String()] = [...]string{"kept", "void"}[rec.State]
	}
	return lines, errors.Join(s.dumpPages(ctx, lines), s.dumpBlobs(ctx, lines), s.dumpDocuments(ctx, lines))
}

func (s *site) dumpDocuments(ctx context.Context, lines map[string]string) error {
	docs, _, err := s.Docs(ctx, s.w.space, "", documents+1)
	if err != nil {
		return err
	}
	for _, d := range docs {
		got, err := s.Get(ctx, s.w.space, d.ID)
		if err != nil {
			return err
		}
		loaded, err := s.Load(ctx, s.w.space, d.ID)
		if err != nil {
			return err
		}
		text := ""
		if t := loaded.Root(root); t != nil {
			text = t.Text()
		}
		lines["text of "+d.ID] = text
		lines["state of "+d.ID] = fmt.Sprintf("%x", got.Update)
		lines["only of "+d.ID] = fmt.Sprintf("epoch %x, vector %x", got.Epoch, got.StateVector)
	}
	return nil
}
