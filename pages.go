package soma

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/pagetree"
	"github.com/soma-sdk/soma/internal/replica"
)

// Limits of pages.
const (
	// MaxPageTitleBytes bounds the title of a page, in UTF-8 bytes.
	MaxPageTitleBytes = log.MaxPageTitleBytes
	// MaxPageDepth is how many pages may lie above a page. More is ErrTooLarge.
	MaxPageDepth = pagetree.MaxDepth
)

// Page is a page of a space: a place in the tree for the document with the same ID. Either
// can be there without the other.
type Page struct {
	ID          DocumentID
	SpaceID     SpaceID
	Title       string
	Parent      DocumentID // the page that it is under, "" at the top level
	Order       string     // siblings are in the order of this text, and of ID where it is equal
	Archived    bool       // itself, whatever the pages are that it is under
	Trashed     bool       // it is in the trash, or a page that it is under
	CreatedBy   PeerID     // who put it into the tree first
	CreatedAtMs int64      // the clock of who created it
	UpdatedAtMs int64      // this machine's clock, strictly rising per page
}

// PageNode is a page with what is under it.
type PageNode struct {
	Page
	Children []*PageNode // in order
}

// NewPage describes a page to be created.
type NewPage struct {
	// ID is that of the page's document, which may be there already. If it is empty, one
	// is made up.
	ID DocumentID
	// Title may be empty. Errors: ErrInvalidName for more than MaxPageTitleBytes, for
	// what is not UTF-8, and for control characters and line separators.
	Title string
	// Where it goes, as in PageTarget.
	Parent, Before, After DocumentID
}

// PageTarget says where a page is to go: directly before or after another page, or, if
// neither is named, to the end of what is under Parent. An empty Parent is the top level, or
// where the named page is.
type PageTarget struct {
	Parent, Before, After DocumentID
}

// Pages are the page trees of a DB's spaces.
//
// All members see the same tree, whoever moved what at the same time: a move that would
// put a page under itself, or too deep, together with one that somebody else made, does not
// happen; of two moves of one page one prevails, everywhere the same; to change the order
// under one page never takes back a move to another one. Titles and the archive are fields:
// the latest write wins.
//
// A deleted page is in the trash, with all that is under it, also with what others put
// there without knowing: it is listed by Trash and Children, and can be restored, alone or
// with the page. Nobody's page ever becomes unreachable: one whose parent does not exist
// here (the author had lost the right to create it) is at the top level.
//
// Writes return when they are durable. One that changes nothing succeeds and fires no
// event; others fire PagesChanged. Errors of all of them: ErrNotFound for an unknown
// space or page, ErrForbidden for who may not write, ErrInvalidID, ErrInvalidOption. What
// returned an error changed nothing. ctx counts until the writer takes the call.
type Pages struct{ db *DB }

// Pages returns the service for pages.
func (db *DB) Pages() Pages { return Pages{db} }

// Create puts a page into the tree. Errors: those of Pages; ErrExists for an ID that a
// page has, in the trash too; ErrInvalidName; ErrNotFound, ErrInvalidPlace, ErrTooLarge and
// ErrPageCycle as Move: others may have put pages under this ID already.
func (p Pages) Create(ctx context.Context, space SpaceID, page NewPage, opts ...WriteOption) (Page, error) {
	o, err := plainWriteOptions(opts)
	if err != nil {
		return Page{}, err
	}
	to := PageTarget{page.Parent, page.Before, page.After}
	if err := errors.Join(checkPage(space, "page id", page.ID), to.check()); err != nil {
		return Page{}, fmt.Errorf("create page %q: %w", page.ID, err)
	}
	if err := p.db.begin(); err != nil {
		return Page{}, err
	}
	defer p.db.end()
	created, err := p.db.replica.CreatePage(ctx, space, replica.NewPage{ID: page.ID, Title: page.Title, At: replica.PageTarget(to)}, o.source)
	if err != nil {
		return Page{}, fmt.Errorf("create page %q: %w", page.ID, err)
	}
	return pageOf(space, created), nil
}

// Get returns a page, in the trash too.
func (p Pages) Get(ctx context.Context, space SpaceID, id DocumentID) (Page, error) {
	if err := p.begin(space, id); err != nil {
		return Page{}, err
	}
	defer p.db.end()
	page, err := p.db.replica.Page(ctx, space, id)
	if err != nil {
		return Page{}, aboutPage("get", id, err)
	}
	return pageOf(space, page), nil
}

// CreatedBy returns who put a page into the tree first.
func (p Pages) CreatedBy(ctx context.Context, space SpaceID, id DocumentID) (PeerID, error) {
	page, err := p.Get(ctx, space, id)
	return page.CreatedBy, err
}

// Rename gives a page another title. It also returns ErrInvalidName.
func (p Pages) Rename(ctx context.Context, space SpaceID, id DocumentID, title string, opts ...WriteOption) (Page, error) {
	return p.change("rename", space, id, opts, func(o writeOptions) (replica.Page, error) {
		return p.db.replica.RenamePage(ctx, space, id, title, o.source)
	})
}

// Move puts a page somewhere else, with all that is under it, out of the trash too. It
// also returns ErrNotFound if the target is in the trash, ErrTooLarge past MaxPageDepth, ErrPageCycle if it is the page or
// under it, and ErrInvalidPlace if Before and After are both given, name the page itself,
// or a page that is not under Parent.
func (p Pages) Move(ctx context.Context, space SpaceID, id DocumentID, to PageTarget, opts ...WriteOption) (Page, error) {
	if err := to.check(); err != nil {
		return Page{}, aboutPage("move", id, err)
	}
	return p.change("move", space, id, opts, func(o writeOptions) (replica.Page, error) {
		return p.db.replica.MovePage(ctx, space, id, replica.PageTarget(to), o.source)
	})
}

// Archive hides a page, and all that is under it, from Tree and Children. A page in the
// trash is ErrNotFound.
func (p Pages) Archive(ctx context.Context, space SpaceID, id DocumentID, opts ...WriteOption) (Page, error) {
	return p.change("archive", space, id, opts, func(o writeOptions) (replica.Page, error) {
		return p.db.replica.ArchivePage(ctx, space, id, o.source)
	})
}

// Delete puts a page into the trash, with all that is under it. Its document stays as it
// is. A page in the trash is ErrNotFound.
func (p Pages) Delete(ctx context.Context, space SpaceID, id DocumentID, opts ...WriteOption) error {
	_, err := p.change("delete", space, id, opts, func(o writeOptions) (replica.Page, error) {
		return p.db.replica.DeletePage(ctx, space, id, o.source)
	})
	return err
}

// Restore takes a page out of the archive and out of the trash, with all that is under
// it: to its old place, or, where that is in the trash too, to the end of what is under the
// nearest page above that is not.
func (p Pages) Restore(ctx context.Context, space SpaceID, id DocumentID, opts ...WriteOption) (Page, error) {
	return p.change("restore", space, id, opts, func(o writeOptions) (replica.Page, error) {
		return p.db.replica.RestorePage(ctx, space, id, o.source)
	})
}

// PageOption changes what Tree and Children return.
type PageOption func(*pageOptions)

type pageOptions struct{ archived bool }

// WithArchived includes archived pages.
func WithArchived() PageOption { return func(o *pageOptions) { o.archived = true } }

func pageOptionsOf(opts []PageOption) (o pageOptions, err error) {
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		opt(&o)
	}
	return o, nil
}

// Tree returns the pages of a space, without those in the trash and, unless WithArchived
// says so, without the archived ones and what is under them. It is of one state of the
// space, and costs as much as there are pages.
func (p Pages) Tree(ctx context.Context, space SpaceID, opts ...PageOption) ([]*PageNode, error) {
	o, err := pageOptionsOf(opts)
	if err != nil {
		return nil, err
	}
	if err := p.begin(space, ""); err != nil {
		return nil, err
	}
	defer p.db.end()
	all, err := p.db.replica.Pages(ctx, space)
	if err != nil {
		return nil, fmt.Errorf("page tree of space %s: %w", space, err)
	}
	slices.SortFunc(all, pagetree.Compare)
	nodes := make(map[DocumentID]*PageNode, len(all))
	for _, rec := range all {
		if !rec.Trashed && (o.archived || !rec.Archived) {
			nodes[rec.ID] = &PageNode{Page: pageOf(space, replica.Page{PageRecord: rec})}
		}
	}
	top := &PageNode{}
	nodes[""] = top
	for _, rec := range all {
		if node, under := nodes[rec.ID], nodes[rec.Under]; node != nil && under != nil {
			under.Children = append(under.Children, node)
		}
	}
	return top.Children, nil
}

// Children returns the pages directly under one, in order, or those at the top level for
// "". Archived pages are left out unless WithArchived says so, and those that are in the
// trash for themselves; under a page in the trash it returns what went there with it.
func (p Pages) Children(ctx context.Context, space SpaceID, parent DocumentID, opts ...PageOption) ([]Page, error) {
	o, err := pageOptionsOf(opts)
	if err != nil {
		return nil, err
	}
	if err := p.begin(space, parent); err != nil {
		return nil, err
	}
	defer p.db.end()
	found, err := p.db.replica.PageChildren(ctx, space, parent)
	if err != nil {
		return nil, aboutPage("children of", parent, err)
	}
	found = slices.DeleteFunc(found, func(page replica.Page) bool { return page.Archived && !o.archived })
	return pagesOf(space, found), nil
}

// Path returns a page, in the trash too, and those that it is under, from the top level
// down to itself.
func (p Pages) Path(ctx context.Context, space SpaceID, id DocumentID) ([]Page, error) {
	if err := p.begin(space, id); err != nil {
		return nil, err
	}
	defer p.db.end()
	found, err := p.db.replica.PagePath(ctx, space, id)
	if err != nil {
		return nil, aboutPage("path of", id, err)
	}
	return pagesOf(space, found), nil
}

// Trash returns the pages that were deleted, in order of ID. What is under them is in the
// trash with them: see Children.
func (p Pages) Trash(ctx context.Context, space SpaceID) ([]Page, error) {
	if err := p.begin(space, ""); err != nil {
		return nil, err
	}
	defer p.db.end()
	found, err := p.db.replica.TrashedPages(ctx, space)
	if err != nil {
		return nil, fmt.Errorf("trash of space %s: %w", space, err)
	}
	return pagesOf(space, found), nil
}

// change is a write to one page.
func (p Pages) change(
	op string, space SpaceID, id DocumentID, opts []WriteOption, fn func(writeOptions) (replica.Page, error),
) (Page, error) {
	o, err := plainWriteOptions(opts)
	if err != nil {
		return Page{}, err
	}
	if err := core.CheckID("page id", id); err != nil {
		return Page{}, err
	}
	if err := p.begin(space, id); err != nil {
		return Page{}, err
	}
	defer p.db.end()
	page, err := fn(o)
	if err != nil {
		return Page{}, aboutPage(op, id, err)
	}
	return pageOf(space, page), nil
}

// begin checks the IDs and admits a call. An empty ID names no page.
func (p Pages) begin(space SpaceID, id DocumentID) error {
	if err := checkPage(space, "page id", id); err != nil {
		return err
	}
	return p.db.begin()
}

// checkPage checks the IDs of a space and of a page, if one is given.
func checkPage(space SpaceID, field string, id DocumentID) error {
	if err := checkSpace(space); err != nil || id == "" {
		return err
	}
	return core.CheckID(field, id)
}

// check checks the IDs that are given.
func (t PageTarget) check() error {
	for field, id := range map[string]DocumentID{"parent": t.Parent, "before": t.Before, "after": t.After} {
		if id == "" {
			continue
		}
		if err := core.CheckID(field, id); err != nil {
			return err
		}
	}
	return nil
}

// plainWriteOptions refuses what only writes of documents can do.
func plainWriteOptions(opts []WriteOption) (writeOptions, error) {
	o, err := writeOptionsOf(opts)
	if err == nil && (o.draft != nil || o.epoch != nil) {
		err = fmt.Errorf("only documents have a draft and an epoch: %w", ErrInvalidOption)
	}
	return o, err
}

func aboutPage(op string, id DocumentID, err error) error {
	return fmt.Errorf("%s page %q: %w", op, id, err)
}

func pageOf(space SpaceID, page replica.Page) Page {
	return Page{
		ID: page.ID, SpaceID: space, Title: page.Title, Parent: page.Under, Order: hex.EncodeToString([]byte(page.Position)),
		Archived: page.Archived, Trashed: page.InTrash, CreatedBy: page.CreatedBy, CreatedAtMs: page.CreatedAtMs, UpdatedAtMs: page.UpdatedAtMs,
	}
}

func pagesOf(space SpaceID, found []replica.Page) []Page {
	pages := make([]Page, len(found))
	for i, page := range found {
		pages[i] = pageOf(space, page)
	}
	return pages
}
