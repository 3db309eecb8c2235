package replica

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/pagetree"
)

// Page is a page as it is seen.
type Page struct {
	core.PageRecord
	InTrash bool // it is in the trash, or one that it is under
}

// PageTarget is where a page is to go: before or after a sibling, or to the end of what is
// under Parent. Parent may be left out where a sibling is named.
type PageTarget struct {
	Parent core.DocumentID
	Before core.DocumentID
	After  core.DocumentID
}

// NewPage is a page to be created. An empty ID is made up.
type NewPage struct {
	ID    core.DocumentID
	Title string
	At    PageTarget
}

// pages are the pages of one space, to be changed by a local member.
type pages struct {
	*work
	space  *core.SpaceRecord
	places map[core.DocumentID]core.PagePlace // that were read
}

// changePages runs fn with the pages of a space, and returns the one that it names, as it
// is then.
func (r *Replica) changePages(
	ctx context.Context, space core.SpaceID, source events.EventSource, fn func(*pages) (core.DocumentID, error),
) (Page, error) {
	var changed Page
	err := r.write(ctx, source, func(w *work) error {
		s, err := w.permitted(space, log.CapWrite)
		if err != nil {
			return err
		}
		id, err := fn(&pages{w, s, map[core.DocumentID]core.PagePlace{}})
		if err != nil {
			return err
		}
		changed, err = pageOf(w, s.Key, id)
		return err
	})
	return changed, err
}

// do seals ops into an entry and folds them.
func (p *pages) do(bodies ...log.Body) error {
	for len(bodies) > 0 {
		n := min(len(bodies), log.MaxOps-1) // one is kept free, see retire
		e, rec, err := p.append(p.space, bodies[:n]...)
		if err != nil {
			return err
		}
		p.note(p.space, e, rec, true)
		bodies = bodies[n:]
	}
	return p.foldNoted()
}

// pageOf returns a page that is somewhere.
func pageOf(v core.PageView, space int64, id core.DocumentID) (Page, error) {
	rec, err := v.Page(space, id)
	if err == nil && !rec.Placed {
		err = fmt.Errorf("page %q: %w", id, core.ErrNotFound)
	}
	if err != nil {
		return Page{}, err
	}
	page := Page{PageRecord: rec, InTrash: rec.Trashed}
	err = eachAbove(v, rec, func(up core.PageRecord) bool {
		page.InTrash = page.InTrash || up.Trashed
		return !page.InTrash
	})
	if err != nil {
		return Page{}, err
	}
	return page, nil
}

// eachAbove calls fn with the pages that another one is shown under, the nearest first,
// until it returns false.
func eachAbove(v core.PageView, rec core.PageRecord, fn func(core.PageRecord) bool) error {
	var climb pagetree.Climb
	for rec.Under != "" {
		way, err := v.PageWay(rec.Space, rec.Under, pageWay)
		if err == nil && len(way) == 0 {
			err = fmt.Errorf("page %q under %q: %w", rec.ID, rec.Under, core.ErrCorrupt)
		}
		if err != nil {
			return err
		}
		for _, up := range way {
			if err := climb.Pass(rec.ID); err != nil || !fn(up) {
				return err
			}
			rec = up
		}
	}
	return nil
}

// pageWay is how many pages one look up the tree reads.
const pageWay = 32

// readPlaces adds to places where a page is, and pages above it, as they are stored. What is
// known stays.
func readPlaces(v core.PageView, space int64, page core.DocumentID, places map[core.DocumentID]core.PagePlace) error {
	way, err := v.PageWay(space, page, pageWay)
	if err != nil {
		return err
	}
	places[page] = core.PagePlace{}
	for i, rec := range way {
		if _, known := places[rec.ID]; !known || i == 0 {
			places[rec.ID] = rec.PagePlace
		}
	}
	return nil
}

// live is pageOf for a page that is not in the trash.
func (p *pages) live(id core.DocumentID) (Page, error) {
	page, err := pageOf(p, p.space.Key, id)
	if err == nil && page.InTrash {
		err = fmt.Errorf("page %q is in the trash: %w", id, core.ErrNotFound)
	}
	return page, err
}

// CreatePage creates a page. It returns core.ErrExists for an ID that a page has, in the
// trash too, core.ErrNotFound for an unknown parent or sibling, core.ErrInvalidName,
// core.ErrInvalidPlace, core.ErrPageCycle and core.ErrForbidden.
func (r *Replica) CreatePage(ctx context.Context, space core.SpaceID, c NewPage, source events.EventSource) (Page, error) {
	if err := log.CheckPageTitle(c.Title); err != nil {
		return Page{}, err
	}
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		if c.ID == "" {
			var id [16]byte
			core.Fill(r.random, id[:])
			c.ID = hex.EncodeToString(id[:])
		}
		_, err := pageOf(p, p.space.Key, c.ID)
		if err == nil {
			err = fmt.Errorf("page %q: %w", c.ID, core.ErrExists)
		}
		if !errors.Is(err, core.ErrNotFound) {
			return "", err
		}
		bodies, err := p.moveTo(c.ID, nil, c.At)
		if err != nil {
			return "", err
		}
		return c.ID, p.do(append(bodies, log.PutTitle(c.ID, c.Title))...)
	})
}

// MovePage moves a page, out of the trash too. It returns core.ErrNotFound,
// core.ErrPageCycle, core.ErrInvalidPlace and core.ErrForbidden. Where it is already it
// stays, and nothing happens.
func (r *Replica) MovePage(ctx context.Context, space core.SpaceID, id core.DocumentID, to PageTarget, source events.EventSource) (Page, error) {
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		page, err := pageOf(p, p.space.Key, id)
		if err != nil {
			return "", err
		}
		bodies, err := p.moveTo(id, &page, to)
		if err != nil {
			return "", err
		}
		return id, p.do(bodies...)
	})
}

// RenamePage gives a page another title. It returns core.ErrNotFound, core.ErrInvalidName
// and core.ErrForbidden.
func (r *Replica) RenamePage(ctx context.Context, space core.SpaceID, id core.DocumentID, title string, source events.EventSource) (Page, error) {
	if err := log.CheckPageTitle(title); err != nil {
		return Page{}, err
	}
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		page, err := pageOf(p, p.space.Key, id)
		if err != nil || page.Title == title {
			return id, err
		}
		return id, p.do(log.PutTitle(id, title))
	})
}

// ArchivePage archives a page that is not in the trash. It returns core.ErrNotFound and
// core.ErrForbidden.
func (r *Replica) ArchivePage(ctx context.Context, space core.SpaceID, id core.DocumentID, source events.EventSource) (Page, error) {
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		page, err := p.live(id)
		if err != nil || page.Archived {
			return id, err
		}
		return id, p.do(log.PutArchived(id, true))
	})
}

// DeletePage puts a page into the trash, with all that is under it. It returns
// core.ErrNotFound, also for what is there already, and core.ErrForbidden.
func (r *Replica) DeletePage(ctx context.Context, space core.SpaceID, id core.DocumentID, source events.EventSource) (Page, error) {
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		if _, err := p.live(id); err != nil {
			return "", err
		}
		return id, p.do(log.PageDelete{Page: id})
	})
}

// RestorePage takes a page out of the trash and out of the archive: to where it was, or,
// if that is in the trash itself, to the end of what is under the nearest page above that is
// not. It returns core.ErrNotFound and core.ErrForbidden.
func (r *Replica) RestorePage(ctx context.Context, space core.SpaceID, id core.DocumentID, source events.EventSource) (Page, error) {
	return r.changePages(ctx, space, source, func(p *pages) (core.DocumentID, error) {
		page, err := pageOf(p, p.space.Key, id)
		if err != nil {
			return "", err
		}
		var bodies []log.Body
		if page.InTrash {
			if bodies, err = p.untrash(&page); err != nil {
				return "", err
			}
		}
		if page.Archived {
			bodies = append(bodies, log.PutArchived(id, false))
		}
		return id, p.do(bodies...)
	})
}

// untrash returns the ops that take a page out of the trash.
func (p *pages) untrash(page *Page) ([]log.Body, error) {
	parent := page.Under
	err := eachAbove(p, page.PageRecord, func(up core.PageRecord) bool {
		if up.Trashed {
			parent = up.Under
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if parent == page.Under {
		return []log.Body{log.PageMove{Page: page.ID, Parent: parent, Position: page.Position}}, nil
	}
	return p.moveTo(page.ID, page, PageTarget{Parent: parent})
}

// moveTo returns the ops that put a page somewhere, none if it is there. page is nil for
// one that is created.
func (p *pages) moveTo(id core.DocumentID, page *Page, to PageTarget) ([]log.Body, error) {
	parent, sibling, err := p.target(id, to)
	if err != nil {
		return nil, err
	}
	cycle, err := pagetree.Within(parent, id, p) // others may have put pages under one that is new here
	if errors.Is(err, pagetree.ErrTooDeep) {
		err = fmt.Errorf("under %q: %w: %w", parent, err, core.ErrTooLarge)
	}
	if err != nil {
		return nil, err
	}
	if cycle {
		return nil, fmt.Errorf("page %q under %q: %w", id, parent, core.ErrPageCycle)
	}
	lo, hi, err := p.neighbours(id, parent, sibling, to.After != "")
	if err != nil {
		return nil, err
	}
	here := page != nil && !page.InTrash && page.Parent == parent
	switch {
	case here && (lo == nil || pagetree.Compare(*lo, page.PageRecord) < 0) && (hi == nil || pagetree.Compare(page.PageRecord, *hi) < 0):
		return nil, nil
	case lo != nil && hi != nil && lo.Position >= hi.Position: // several took the same place
		return p.spread(id, parent, hi, here)
	}
	position := pagetree.Between(positionOf(lo), positionOf(hi), p.r.random)
	if len(position) > longPosition {
		return p.spread(id, parent, hi, here)
	}
	return []log.Body{log.PageMove{Page: id, Parent: parent, Position: position, Reorder: here}}, nil
}

// longPosition is how long a position gets before the siblings are spread anew.
const longPosition = 128

func positionOf(rec *core.PageRecord) string {
	if rec == nil {
		return ""
	}
	return rec.Position
}

// Place implements pagetree.Places, until something is done.
func (p *pages) Place(page core.DocumentID) (core.PagePlace, error) {
	at, known := p.places[page]
	if !known {
		if err := readPlaces(p, p.space.Key, page, p.places); err != nil {
			return at, err
		}
	}
	return p.places[page], nil
}

// target finds the page to go under, and the sibling that is named.
func (p *pages) target(id core.DocumentID, to PageTarget) (parent core.DocumentID, sibling *core.PageRecord, err error) {
	if to.Before != "" && to.After != "" {
		return "", nil, fmt.Errorf("before %q and after %q: %w", to.Before, to.After, core.ErrInvalidPlace)
	}
	parent = to.Parent
	if beside := to.Before + to.After; beside != "" {
		if beside == id {
			return "", nil, fmt.Errorf("page %q beside itself: %w", id, core.ErrInvalidPlace)
		}
		at, err := p.live(beside)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", to.sibling(), err)
		}
		if parent != "" && parent != at.Under {
			return "", nil, fmt.Errorf("page %q is not under %q: %w", beside, parent, core.ErrInvalidPlace)
		}
		return at.Under, &at.PageRecord, nil
	}
	if parent == id {
		return "", nil, fmt.Errorf("page %q under itself: %w", id, core.ErrPageCycle)
	}
	if parent != "" {
		if _, err = p.live(parent); err != nil {
			err = fmt.Errorf("parent: %w", err)
		}
	}
	return parent, nil, err
}

// sibling returns the field that names a sibling.
func (to PageTarget) sibling() string {
	if to.Before != "" {
		return "before"
	}
	return "after"
}

// neighbours returns the siblings between which a page is to go, nil at an end. The page
// itself is none of them.
func (p *pages) neighbours(id, parent core.DocumentID, sibling *core.PageRecord, after bool) (lo, hi *core.PageRecord, err error) {
	switch {
	case sibling == nil:
		lo, err = p.beside(id, parent, nil, false)
	case after:
		lo = sibling
		hi, err = p.beside(id, parent, sibling, true)
	default:
		hi = sibling
		lo, err = p.beside(id, parent, sibling, false)
	}
	return lo, hi, err
}

// beside returns the next sibling that is not the page id, or nil.
func (p *pages) beside(id, parent core.DocumentID, from *core.PageRecord, forward bool) (*core.PageRecord, error) {
	for {
		rec, err := p.PageBeside(p.space.Key, parent, from, forward)
		if isNotFound(err) {
			return nil, nil
		}
		if err != nil || rec.ID != id {
			return &rec, err
		}
		from = &rec
	}
}

// spread gives all that is under a page new positions, with another page before one of
// them, or at the end.
func (p *pages) spread(id, parent core.DocumentID, before *core.PageRecord, here bool) ([]log.Body, error) {
	siblings, err := p.PagesUnder(p.space.Key, parent)
	if err != nil {
		return nil, err
	}
	order := make([]core.DocumentID, 0, len(siblings)+1)
	for _, s := range siblings {
		if before != nil && s.ID == before.ID {
			order = append(order, id)
		}
		if s.Placed && s.ID != id && s.Parent == parent { // not what is shown here for want of its parent
			order = append(order, s.ID)
		}
	}
	if before == nil {
		order = append(order, id)
	}
	bodies, last := make([]log.Body, len(order)), ""
	for i, page := range order {
		last = pagetree.Between(last, "", p.r.random)
		bodies[i] = log.PageMove{Page: page, Parent: parent, Position: last, Reorder: page != id || here}
	}
	return bodies, nil
}

// Page returns a page, in the trash too. It returns core.ErrNotFound.
func (r *Replica) Page(ctx context.Context, space core.SpaceID, id core.DocumentID) (page Page, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		page, err = pageOf(v, s.Key, id)
		return err
	})
	return page, err
}

// PagePath returns a page, in the trash too, and all that it is under, from the top.
func (r *Replica) PagePath(ctx context.Context, space core.SpaceID, id core.DocumentID) (path []Page, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		page, err := pageOf(v, s.Key, id)
		if err != nil {
			return err
		}
		path = append(path, page)
		return eachAbove(v, page.PageRecord, func(up core.PageRecord) bool {
			path = append(path, Page{PageRecord: up})
			return true
		})
	})
	slices.Reverse(path)
	trashed := false
	for i := range path {
		trashed = trashed || path[i].Trashed
		path[i].InTrash = trashed
	}
	return path, err
}

// PageChildren returns what is under a page, in order, or at the top level for "". Of
// what is in the trash it returns only what is there because of the page. It returns
// core.ErrNotFound for a page that is nowhere.
func (r *Replica) PageChildren(ctx context.Context, space core.SpaceID, parent core.DocumentID) (children []Page, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		trashed := false
		if parent != "" {
			page, err := pageOf(v, s.Key, parent)
			if err != nil {
				return err
			}
			trashed = page.InTrash
		}
		rows, err := v.PagesUnder(s.Key, parent)
		for _, rec := range rows {
			if rec.Placed && !rec.Trashed {
				children = append(children, Page{rec, trashed})
			}
		}
		return err
	})
	return children, err
}

// TrashedPages returns the pages that were put into the trash, without those that are
// there because they are under one.
func (r *Replica) TrashedPages(ctx context.Context, space core.SpaceID) (trashed []Page, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		rows, err := v.PagesTrashed(s.Key)
		for _, rec := range rows {
			trashed = append(trashed, Page{rec, true})
		}
		return err
	})
	return trashed, err
}

// pagesPage is how many pages one statement reads.
const pagesPage = 1024

// Pages returns all pages of a space that are somewhere, in order of ID. Trashed is not
// set where it follows from another page.
func (r *Replica) Pages(ctx context.Context, space core.SpaceID) (all []core.PageRecord, err error) {
	err = r.readSpace(ctx, space, func(v core.View, s *core.SpaceRecord) error {
		all, err = allPages(ctx, v, s.Key)
		return err
	})
	return slices.DeleteFunc(all, func(rec core.PageRecord) bool { return !rec.Placed }), err
}
