package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/yjs"
)

// want is what site.dump must say by the plain definition.
func (w *world) want(space *plain.Space, out *plain.Outcome) (map[string]string, error) {
	lines := map[string]string{"name": out.Name}
	for peer, role := range out.Roles {
		if role != 0 {
			lines["member "+w.name(peer)] = role.String()
		}
	}
	for id, f := range out.Invites {
		if f.Open() {
			lines["invite "+id.String()] = fmt.Sprint(f.Role, f.Uses)
		}
	}
	for _, e := range space.Order {
		state := "kept"
		if out.Void[e.Hash] {
			state = "void"
		}
		lines["entry "+e.Hash.String()] = state
		if over := out.Over[e.Hash]; len(over) > 0 {
			reason, by := replica.RejectedMembership, "nobody"
			if over[0].Act != (log.Act{}) {
				by, reason = w.name(over[0].By), replica.RejectedRemoved
				for _, op := range space.Entries[over[0].Act.Entry].Ops {
					if b, ok := op.Body.(log.MemberRole); ok && b.Peer == e.Peer {
						reason = replica.RejectedDemoted
					}
				}
			}
			lines["rejected "+e.Hash.String()] = fmt.Sprint(w.name(e.Peer), " ", reason, " by ", by, ", kept ", state == "kept")
		}
	}
	w.wantPages(out.Tree, lines)
	w.wantBlobs(out.Blobs, lines)
	for id, d := range out.Docs {
		if d.Hidden {
			continue
		}
		kept, err := w.keptOf(space, out, d)
		if err != nil {
			return nil, err
		}
		p, err := placed(kept, d.Void)
		if err != nil {
			return nil, err
		}
		lines["text of "+id] = p.text()
		if !kept.whole { // no function of bytes makes the state then
			continue
		}
		if lines["state of "+id], err = state(d); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// keptOf returns what the kept updates of a document say.
func (w *world) keptOf(space *plain.Space, out *plain.Outcome, d *plain.Doc) (slip, error) {
	c, err := readClaims(space, out, d)
	if err != nil {
		return slip{}, err
	}
	kept := c.settled()
	for _, k := range d.Kept {
		s, err := parse(k.Update)
		if err != nil {
			return kept, err
		}
		reached := c.reached(k.Entry, s.deletes)
		kept.whole = kept.whole && size(reached) == size(s.deletes)
		kept.deletes = append(kept.deletes, reached...)
	}
	return kept, nil
}

func size(spans []span) (n uint64) {
	for _, s := range spans {
		n += s.end - s.clock
	}
	return n
}

// state is the canonical state of a document, as the engine has it.
func state(d *plain.Doc) (string, error) {
	var kept, void [][]byte
	for _, k := range d.Kept {
		kept = append(kept, slices.Clone(k.Update))
	}
	for _, v := range d.Void {
		void = append(void, slices.Clone(v.Update))
	}
	p, err := yjs.Place(kept, void)
	if err != nil {
		return "", err
	}
	all, err := yjs.Compact(p.State)
	return fmt.Sprintf("%x", all), err
}

// placed is DESIGN 5.10 for what is void: it keeps its place, deleted, where something
// kept names it, and is GC before kept content of its client.
func placed(kept slip, writes []plain.Write) (*paper, error) {
	void, here := map[yjs.ID]unit{}, map[yjs.ID]bool{}
	writes = slices.Clone(writes)
	slices.SortStableFunc(writes, func(a, b plain.Write) int { return byLamport(a.Entry, b.Entry) })
	for _, u := range kept.units {
		here[u.id] = true
	}
	for _, v := range writes {
		s, err := parse(v.Update)
		if err != nil {
			return nil, err
		}
		for _, u := range s.units {
			if was, is := void[u.id]; !here[u.id] && (!is || u.state < was.state) { // of a kind the earliest
				void[u.id] = u
			}
		}
	}
	ends := map[uint64]uint64{}
	for i := 0; i < len(kept.units); i++ { // it grows
		u := kept.units[i]
		ends[u.id.Client] = max(ends[u.id.Client], u.id.Clock+1)
		for _, id := range []*yjs.ID{u.origin, u.right} {
			if id == nil {
				continue
			}
			if v, ok := void[*id]; ok {
				v.state = max(v.state, deleted)
				delete(void, *id)
				kept.units = append(kept.units, v)
			}
		}
	}
	for id := range void {
		if id.Clock < ends[id.Client] {
			kept.units = append(kept.units, unit{id: id, state: collected}) // it waits for nothing
		}
	}
	return newPaper(kept), nil
}

// checkNotes checks that text of honest members is there: of those whom nobody ever
// took anything from, under clientIDs that nobody else used, unless it was deleted.
func (w *world) checkNotes(space *plain.Space, out *plain.Outcome) error {
	var wrong []error
	papers, deletes := map[core.DocumentID]*paper{}, map[core.DocumentID][]span{}
	for id, d := range out.Docs {
		kept, err := w.keptOf(space, out, d)
		if err != nil {
			return err
		}
		deletes[id] = kept.deletes
		if d.Hidden {
			continue
		}
		p, _, err := w.sites[0].page(w.ctx, id)
		if err != nil {
			return err
		}
		papers[id] = p
	}
	unsafe := disputed(space, out)
	for _, n := range w.notes {
		p := papers[n.doc]
		if n.lost || unsafe[n.site.peer] || w.stolen[n.at.client] || p == nil && out.Docs[n.doc] != nil {
			continue
		}
		for i := range n.text {
			id := yjs.ID{Client: n.at.client, Clock: n.at.clock + uint64(i)}
			if slices.ContainsFunc(deletes[n.doc], func(s span) bool { return s.has(id) }) {
				continue
			}
			if p == nil || !p.visible(id) || p.known[id].char != n.text[i] {
				wrong = append(wrong, fmt.Errorf("%q that %s typed in %s as %v is lost", n.text, n.site, n.doc, id))
				break
			}
		}
	}
	return errors.Join(wrong...)
}

// disputed returns the members from whom somebody took something, or whose membership
// rests on an act without effect.
func disputed(space *plain.Space, out *plain.Outcome) map[core.PeerID]bool {
	unsafe := map[core.PeerID]bool{}
	for _, e := range space.Order {
		for i, op := range e.Ops {
			ignored := out.Ignored[log.Act{Entry: e.Hash, Op: i}]
			switch b := op.Body.(type) {
			case log.MemberAdd:
				unsafe[b.Peer] = unsafe[b.Peer] || ignored
			case log.InviteRedeem:
				unsafe[e.Peer] = unsafe[e.Peer] || ignored
			case log.MemberRole:
				unsafe[b.Peer] = true
			case log.MemberRemove:
				unsafe[b.Peer] = true
			case log.MemberLeave:
				unsafe[e.Peer] = true
			}
		}
	}
	return unsafe
}
