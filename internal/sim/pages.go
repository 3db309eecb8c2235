package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// pageIDs is how many IDs pages have: few, so that their moves meet.
const pageIDs = 7

func pickPage(r *rand.Rand) core.DocumentID { return fmt.Sprint("page-", r.IntN(pageIDs)) }

// pickTarget returns somewhere to put a page.
func pickTarget(r *rand.Rand) replica.PageTarget {
	switch r.IntN(6) {
	case 0:
		return replica.PageTarget{}
	case 1:
		return replica.PageTarget{Before: pickPage(r)}
	case 2:
		return replica.PageTarget{After: pickPage(r)}
	}
	return replica.PageTarget{Parent: pickPage(r)}
}

// actOnPages lets a site do something to a page, as a host would, and looks at the result.
func (w *world) actOnPages(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		id, to := pickPage(r), pickTarget(r)
		switch r.IntN(16) {
		case 0, 1, 2:
			title := pickText(r)
			w.tell("%s creates %s %+v", s, id, to)
			p, err := s.CreatePage(ctx, w.space, replica.NewPage{ID: id, Title: title, At: to}, events.SourceRenderer)
			if err != nil {
				return err
			}
			if p.Title != title || p.CreatedBy == (core.PeerID{}) || p.InTrash {
				return fmt.Errorf("%s is created as %+v", id, p)
			}
			return s.checkPlaced(ctx, p, to)
		case 3:
			title := pickText(r)
			w.tell("%s names %s %q", s, id, title)
			p, err := s.RenamePage(ctx, w.space, id, title, events.SourceRenderer)
			if err == nil && p.Title != title {
				err = fmt.Errorf("%s is named %q", id, p.Title)
			}
			return err
		case 4:
			w.tell("%s archives %s", s, id)
			p, err := s.ArchivePage(ctx, w.space, id, events.SourceRenderer)
			if err == nil && !p.Archived {
				err = fmt.Errorf("%s is not archived", id)
			}
			return err
		case 5, 6:
			w.tell("%s deletes %s", s, id)
			p, err := s.DeletePage(ctx, w.space, id, events.SourceRenderer)
			if err == nil && !p.Trashed {
				err = fmt.Errorf("%s is not in the trash", id)
			}
			return err
		case 7, 8, 9:
			trash, err := s.TrashedPages(ctx, w.space)
			if err != nil {
				return err
			}
			if len(trash) > 0 && r.IntN(3) > 0 { // else it may be under one of these
				id = pick(r, trash).ID
			}
			w.tell("%s restores %s", s, id)
			p, err := s.RestorePage(ctx, w.space, id, events.SourceRenderer)
			if err == nil && (p.InTrash || p.Archived) {
				err = fmt.Errorf("%s is restored as %+v", id, p)
			}
			return err
		}
		w.tell("%s moves %s %+v", s, id, to)
		p, err := s.MovePage(ctx, w.space, id, to, events.SourceRenderer)
		if err != nil {
			return err
		}
		return s.checkPlaced(ctx, p, to)
	})
}

// checkPlaced checks that a page is where it was to go.
func (s *site) checkPlaced(ctx context.Context, p replica.Page, to replica.PageTarget) error {
	if beside := to.Before + to.After; beside != "" {
		b, err := s.Page(ctx, s.w.space, beside)
		if err != nil {
			return err
		}
		if b.Under == p.ID { // it was at the top level for want of the page
			return nil
		}
		to.Parent = b.Under
	}
	children, err := s.PageChildren(ctx, s.w.space, to.Parent)
	if err != nil {
		return err
	}
	index := func(id core.DocumentID) int {
		return slices.IndexFunc(children, func(c replica.Page) bool { return c.ID == id })
	}
	want := len(children) - 1
	switch {
	case to.Before != "":
		want = index(to.Before) - 1
	case to.After != "":
		want = index(to.After) + 1
	}
	// What is shown here for want of its parent is never moved aside.
	stray := slices.ContainsFunc(children, func(c replica.Page) bool { return c.Parent != to.Parent })
	if at := index(p.ID); p.Under != to.Parent || at < 0 || at != want && !stray {
		return fmt.Errorf("%s is at %d under %q, want %d under %q (%+v)", p.ID, at, p.Under, want, to.Parent, to)
	}
	return nil
}

// movePages lets sites that do not know of each other put pages under each other, in a
// circle: of the moves one at least must not happen.
func (w *world) movePages(r *rand.Rand) error {
	circle := r.Perm(pageIDs)[:2+r.IntN(2)]
	for i, n := range circle {
		s, err := w.pickSite(r)
		if err != nil {
			return err
		}
		page, parent := fmt.Sprint("page-", n), fmt.Sprint("page-", circle[(i+1)%len(circle)])
		if err := s.try(func(ctx context.Context) error {
			w.tell("%s moves %s under %s", s, page, parent)
			_, err := s.MovePage(ctx, w.space, page, replica.PageTarget{Parent: parent}, events.SourceDaemon)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// forgePages signs ops on pages.
func (w *world) forgePages(r *rand.Rand) error {
	return w.forge(r, core.ChainContent, func(_ *villain, d *draft) {
		for range 1 + r.IntN(4) {
			body := w.forgedPage(r)
			d.op(r, body)
			if b, ok := body.(log.PagePut); ok && r.IntN(2) == 0 { // once more, in one entry
				d.op(r, log.PutTitle(b.Page, pickText(r)))
			}
		}
	})
}

// forgedPage is an op on a page that nobody looked at: under itself or what nobody ever
// made, at a place that is taken or right beside it, about what is nowhere or elsewhere.
func (w *world) forgedPage(r *rand.Rand) log.Body {
	page, parent := pickPage(r), pickPage(r)
	switch r.IntN(14) {
	case 0, 12, 13:
		return log.PutTitle(page, pickText(r))
	case 1:
		return log.PutArchived(page, r.IntN(2) == 0)
	case 2:
		return log.PagePut{Page: page, Field: 77, Value: []byte("\x82\x01\xf6")} // of a later version
	case 3, 4:
		return log.PageDelete{Page: page}
	case 5:
		parent = page
	case 6:
		parent = fmt.Sprint("page-", pageIDs+r.IntN(2)) // of which only deletes and fields are ever said
		if r.IntN(2) == 0 {
			return []log.Body{log.PutTitle(parent, "nowhere"), log.PageDelete{Page: parent}}[r.IntN(2)]
		}
	case 7, 8:
		parent = ""
	case 9, 10:
		if b := pick(r, w.pageMoves()); b.Page != "" {
			return log.PageMove{Page: page, Parent: b.Parent, Position: b.Position}
		}
	}
	return log.PageMove{Page: page, Parent: parent, Position: w.forgedPosition(r), Reorder: r.IntN(3) == 0}
}

// pageMoves returns all moves that anybody made.
func (w *world) pageMoves() (moves []log.PageMove) {
	for _, e := range w.ledger.chains[core.ChainContent] {
		for _, op := range e.Ops {
			if b, ok := op.Body.(log.PageMove); ok {
				moves = append(moves, b)
			}
		}
	}
	return moves
}

// forgedPosition is a position like another one, right after one, or at an end.
func (w *world) forgedPosition(r *rand.Rand) string {
	beside := pick(r, w.pageMoves()).Position
	switch n := r.IntN(8); {
	case n < 3 && beside != "":
		return beside
	case n < 5 && beside != "" && len(beside) < log.MaxPositionBytes:
		return beside + "\x01"
	case n == 5:
		return "\x00\x01"
	case n == 6:
		long := make([]byte, log.MaxPositionBytes)
		long[len(long)-1] = 1
		return string(long)
	}
	return string([]byte{byte(r.UintN(256)), byte(1 + r.UintN(255))})
}
