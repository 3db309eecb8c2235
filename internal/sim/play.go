package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
	"github.com/soma-sdk/soma/internal/yjs"
)

func pick[T any](r *rand.Rand, of []T) (one T) {
	if len(of) == 0 {
		return one
	}
	return of[r.IntN(len(of))]
}

func pickDoc(r *rand.Rand) core.DocumentID { return fmt.Sprint("doc-", r.IntN(documents)) }

func pickText(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(4))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

func pickRole(r *rand.Rand) log.Role {
	return []log.Role{log.RoleOwner, log.RoleOwner, log.RoleEditor, log.RoleEditor, log.RoleViewer, log.RoleCache}[r.IntN(6)]
}

// pickPeer returns somebody, of the hostile ones more than of others.
func (w *world) pickPeer(r *rand.Rand) core.PeerID {
	if v := pick(r, w.villains); v != nil && r.IntN(3) == 0 {
		return v.peer
	}
	return pick(r, w.peers())
}

// pickSite returns a site, opened if it was closed.
func (w *world) pickSite(r *rand.Rand) (*site, error) {
	s := pick(r, w.sites)
	s.clockMs += int64(r.IntN(1000))
	return s, s.open()
}

// at runs something at a random site.
func (w *world) at(r *rand.Rand, fn func(ctx context.Context, s *site) error) error {
	s, err := w.pickSite(r)
	if err != nil {
		return err
	}
	return s.try(func(ctx context.Context) error { return fn(ctx, s) })
}

// page reads a document as an editor would. One that is not there is empty.
func (s *site) page(ctx context.Context, doc core.DocumentID) (*paper, []byte, error) {
	d, err := s.Get(ctx, s.w.space, doc)
	if err != nil {
		if isNotFound(err) {
			return newPaper(), nil, nil
		}
		return nil, nil, err
	}
	read, err := parse(d.Update)
	if err != nil {
		return nil, nil, fmt.Errorf("%x: %w", d.Update, err)
	}
	return newPaper(read), d.Epoch, nil
}

func (w *world) typeText(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		doc := pickDoc(r)
		if w.conf.Edits && r.IntN(2) == 0 {
			return s.editText(ctx, r, doc)
		}
		p, epoch, err := s.page(ctx, doc)
		if err != nil {
			return err
		}
		e := s.editors[doc]
		if e == nil || e.epoch != string(epoch) || len(p.ends) == 0 { // a new Y.Doc
			e = &editor{client: s.newClient(p), epoch: string(epoch)}
		}
		delete(s.editors, doc) // in case it fails
		text, at := pickText(r), r.IntN(len(p.line)+1)
		typed := span{e.client, p.ends[e.client], p.ends[e.client] + uint64(len(text))}
		opts := replica.WriteOptions{Source: events.SourceRenderer}
		if _, err := s.Upsert(ctx, w.space, doc, p.insert(e.client, at, text), opts); err != nil {
			return err
		}
		w.tell("%s types %q at %d of %s as %d/%d", s, text, at, doc, typed.client, typed.clock)
		s.editors[doc] = e
		w.notes = append(w.notes, note{site: s, doc: doc, at: typed, text: text})
		w.wrote(doc, typed)
		return nil
	})
}

// editText types or erases as a host does that edits in Go.
func (s *site) editText(ctx context.Context, r *rand.Rand, doc core.DocumentID) error {
	var typed span
	text := pickText(r)
	_, err := s.Edit(ctx, s.w.space, doc, replica.WriteOptions{Source: events.SourceDaemon}, func(tx *yjs.Transaction) error {
		t, err := tx.Doc().As(root, yjs.KindText)
		if err != nil {
			return err
		}
		at := r.Uint64N(t.Len() + 1)
		if left := t.Len() - at; left > 0 && r.IntN(4) == 0 {
			s.w.tell("%s erases by an edit at %d of %s", s, at, doc)
			return t.Delete(tx, at, min(left, 1+r.Uint64N(3)))
		}
		client := tx.Doc().ClientID()
		clock := tx.Doc().End(client)
		typed = span{client, clock, clock + uint64(len(text))}
		s.w.tell("%s types %q by an edit at %d of %s as %d/%d", s, text, at, doc, client, clock)
		return t.InsertText(tx, at, text, nil)
	})
	if err != nil || typed.end == 0 {
		return err
	}
	s.w.notes = append(s.w.notes, note{site: s, doc: doc, at: typed, text: text})
	s.w.wrote(doc, typed)
	return nil
}

// newClient returns a clientID that was not used here, nor in a document as far as it
// is known here: yjs takes another then.
func (s *site) newClient(p *paper) uint64 {
	for {
		s.clients++
		client := uint64(1000*(s.n+1)) + s.clients
		if _, used := p.ends[client]; !used {
			return client
		}
	}
}

// wrote notes units for others to build upon.
func (w *world) wrote(doc core.DocumentID, at span) {
	for clock := at.clock; clock < at.end; clock++ {
		w.units[doc] = append(w.units[doc], yjs.ID{Client: at.client, Clock: clock})
	}
}

func (w *world) eraseText(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		doc := pickDoc(r)
		p, _, err := s.page(ctx, doc)
		if err != nil || len(p.line) == 0 {
			return err
		}
		from := r.IntN(len(p.line))
		var spans []span
		for _, u := range p.line[from:min(len(p.line), from+1+r.IntN(3))] {
			if p.visible(u.id) {
				spans = append(spans, span{u.id.Client, u.id.Clock, u.id.Clock + 1})
			}
		}
		w.tell("%s erases %v of %s", s, spans, doc)
		_, err = s.Upsert(ctx, w.space, doc, erased(spans...), replica.WriteOptions{Source: events.SourceRenderer})
		return err
	})
}

func (w *world) deleteDocument(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		doc := pickDoc(r)
		w.tell("%s deletes %s", s, doc)
		return s.Delete(ctx, w.space, doc, events.SourceRenderer)
	})
}

func (w *world) rename(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		_, err := s.RenameSpace(ctx, w.space, fmt.Sprint("name ", r.IntN(100)), events.SourceRenderer)
		return err
	})
}

func (w *world) addMember(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		peer, role := pick(r, w.peers()), pickRole(r)
		w.tell("%s adds %s as %s", s, w.name(peer), role)
		return s.AddMember(ctx, w.space, peer, role, log.KindDevice)
	})
}

func (w *world) setRole(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		peer, role := w.pickPeer(r), pickRole(r)
		w.tell("%s makes %s %s", s, w.name(peer), role)
		return s.SetRole(ctx, w.space, peer, role)
	})
}

func (w *world) removeMember(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		return s.remove(ctx, w.pickPeer(r), r.IntN(3) == 0)
	})
}

func (s *site) remove(ctx context.Context, peer core.PeerID, purge bool) error {
	s.w.tell("%s removes %s, purge %v", s, s.w.name(peer), purge)
	return s.RemoveMember(ctx, s.w.space, peer, purge)
}

// duel lets two or three remove each other, in a circle.
func (w *world) duel(r *rand.Rand) error {
	circle := slices.Clone(w.sites)
	r.Shuffle(len(circle), func(i, k int) { circle[i], circle[k] = circle[k], circle[i] })
	circle = circle[:min(len(circle), 2+r.IntN(2))]
	if r.IntN(2) == 0 {
		if err := w.standBy(r, circle); err != nil {
			return err
		}
	}
	for i, s := range circle {
		if err := s.open(); err != nil {
			return err
		}
		next := circle[(i+1)%len(circle)]
		if err := s.try(func(ctx context.Context) error { return s.remove(ctx, next.peer, false) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) leave(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		w.tell("%s leaves", s)
		return s.Leave(ctx, w.space)
	})
}

func (w *world) invite(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		role := []log.Role{log.RoleEditor, log.RoleEditor, log.RoleViewer}[r.IntN(3)]
		text, err := s.Invite(ctx, w.space, replica.InviteOptions{Role: role, Uses: uint64(1 + r.IntN(2))})
		if err != nil {
			return err
		}
		t, err := ticket.Parse(text)
		if err != nil {
			return err
		}
		w.tell("%s invites: %s", s, t.Invite())
		w.tickets = append(w.tickets, t)
		return nil
	})
}

func (w *world) revoke(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		if len(w.tickets) == 0 {
			return nil
		}
		return s.RevokeInvite(ctx, w.space, pick(r, w.tickets).Invite())
	})
}

func (w *world) join(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		if len(w.tickets) == 0 {
			return nil
		}
		t := pick(r, w.tickets)
		w.tell("%s joins by %s", s, t.Invite())
		_, err := s.Join(ctx, t, log.KindDevice)
		return err
	})
}

func (w *world) adopt(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		rejected, err := s.Rejected(ctx, w.space)
		if err != nil || len(rejected) == 0 {
			return err
		}
		e := pick(r, rejected).Entry
		w.tell("%s adopts %s", s, e)
		return s.Adopt(ctx, w.space, e)
	})
}

func (w *world) seal(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error { return s.Seal(ctx) })
}

func (w *world) reopen(r *rand.Rand) error {
	s := pick(r, w.sites)
	if err := s.close(); err != nil {
		return err
	}
	if r.IntN(2) == 0 {
		return nil // it is off for a while
	}
	return s.open()
}

// kill lets the process of a site end at one of its next writes.
func (w *world) kill(r *rand.Rand) error {
	s, err := w.pickSite(r)
	if err != nil {
		return err
	}
	s.fault = fault{armed: true, left: 1 + r.IntN(40)}
	return nil
}

// copySite copies a directory while it is closed. Both go on, with one key.
func (w *world) copySite(r *rand.Rand) error {
	if len(w.sites) > 7 {
		return nil
	}
	from := pick(r, w.sites)
	if err := from.close(); err != nil {
		return err
	}
	to := w.addSite(from.key)
	to.clockMs, w.island[to] = from.clockMs, w.island[from]
	w.tell("%s is a copy of %s", to, from)
	if err := copyTo(to.dir, from.dir, ""); err != nil {
		return err
	}
	return to.open()
}

func (w *world) backUp(r *rand.Rand) error {
	s := pick(r, w.sites)
	if err := s.close(); err != nil {
		return err
	}
	b := backup{site: s, dir: w.newDir(), notes: len(w.notes)}
	w.backups = append(w.backups, b)
	w.tell("%s is backed up", s)
	return copyTo(b.dir, s.dir, "")
}

// restore puts an older directory, or its database alone, in the place of a site's. It
// goes to a new place: an inode that is used again could pass for the same file.
func (w *world) restore(r *rand.Rand) error {
	if len(w.backups) == 0 {
		return nil
	}
	b := pick(r, w.backups)
	s := b.site
	if err := s.close(); err != nil {
		return err
	}
	dir, only := w.newDir(), ""
	if r.IntN(2) == 0 {
		only = filepath.Base(s.database())
		if err := copyTo(dir, s.dir, ""); err != nil {
			return err
		}
	}
	w.tell("%s is restored, database alone: %v", s, only != "")
	if err := copyTo(dir, b.dir, only); err != nil {
		return err
	}
	s.dir = dir
	s.forget()
	for i := range w.notes {
		n := &w.notes[i]
		n.lost = n.lost || n.site == s && i >= b.notes
	}
	return s.open()
}

// moveClock moves a clock, forth or back.
func (w *world) moveClock(r *rand.Rand) error {
	s := pick(r, w.sites)
	s.clockMs = max(0, s.clockMs+int64(r.IntN(2_000_000_000))-1_000_000_000)
	return nil
}
