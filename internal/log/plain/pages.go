package plain

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Page is what was said of a page.
type Page struct {
	Placed      bool // else it is nowhere, and nothing but its fields counts
	Parent      core.DocumentID
	Position    string
	Trashed     bool
	Under       core.DocumentID // the page it is shown under
	CreatedBy   core.PeerID
	CreatedAtMs uint64

	Title    string
	Archived bool
}

// Tree is the pages of a space.
type Tree map[core.DocumentID]*Page

// said returns what is to be said of a page.
func (t Tree) said(id core.DocumentID) *Page {
	if t[id] == nil {
		t[id] = &Page{}
	}
	return t[id]
}

// barred reports whether a page is another one, or below it, or has more above it than
// nest, itself included.
func (t Tree) barred(page, other core.DocumentID, nest int) bool {
	if page == other || page == "" {
		return page == other
	}
	return nest == 0 || t[page] != nil && t[page].Placed && t.barred(t[page].Parent, other, nest-1)
}

// InTrash reports whether a page is in the trash, or one that it is shown under.
func (t Tree) InTrash(id core.DocumentID) bool {
	return id != "" && (t[id].Trashed || t.InTrash(t[id].Under))
}

// Children returns what is shown under a page, in order, what was put into the trash too.
func (t Tree) Children(id core.DocumentID) []core.DocumentID {
	children := slices.DeleteFunc(slices.Collect(maps.Keys(t)), func(child core.DocumentID) bool { return !t[child].Placed || t[child].Under != id })
	slices.SortFunc(children, func(a, b core.DocumentID) int {
		return cmp.Or(cmp.Compare(t[a].Position, t[b].Position), cmp.Compare(a, b))
	})
	return children
}

// pageOp is an op on a page in a kept entry.
type pageOp struct {
	*log.Entry
	n    int
	body log.Body
}

// pages is line 11 for pages.
func (s *Space) pages(out *Outcome) Tree {
	var ops []pageOp
	for _, e := range s.Order {
		for n, op := range e.Ops {
			if e.Chain == core.ChainContent && !out.Void[e.Hash] {
				ops = append(ops, pageOp{e, n, op.Body})
			}
		}
	}
	slices.SortFunc(ops, func(a, b pageOp) int {
		return cmp.Or(
			cmp.Compare(a.Lamport, b.Lamport), bytes.Compare(a.Peer.Key(), b.Peer.Key()), bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.n, b.n),
		)
	})
	t := Tree{}
	titles, archived := map[core.DocumentID]map[*log.Entry]log.PagePut{}, map[core.DocumentID]map[*log.Entry]log.PagePut{}
	for _, op := range ops {
		switch b := op.body.(type) {
		case log.PageMove:
			t.move(op, b)
		case log.PageDelete:
			if p := t[b.Page]; p != nil && p.Placed {
				p.Trashed = true
			}
		case log.PagePut: // of one entry the last counts
			switch b.Field {
			case log.PageTitle:
				note(titles, op.Entry, b)
			case log.PageArchived:
				note(archived, op.Entry, b)
			}
		}
	}
	for _, p := range t {
		if p.Parent != "" && t[p.Parent] != nil && t[p.Parent].Placed {
			p.Under = p.Parent
		}
	}
	for id, puts := range titles {
		// It was read once already, as part of its entry.
		t.said(id).Title, _ = log.DecodePageTitle(latest(s, puts).Value)
	}
	for id, puts := range archived {
		t.said(id).Archived, _ = log.DecodePageArchived(latest(s, puts).Value)
	}
	return t
}

func (t Tree) move(op pageOp, b log.PageMove) {
	if b.Reorder {
		if p := t[b.Page]; p != nil && p.Placed && p.Parent == b.Parent {
			p.Position = b.Position
		}
		return
	}
	p := t.said(b.Page)
	if !p.Placed {
		p.CreatedBy, p.CreatedAtMs = op.Peer, op.WallMs
	}
	switch barred := t.barred(b.Parent, b.Page, 1024); {
	case !barred:
		p.Placed, p.Parent, p.Position, p.Trashed = true, b.Parent, b.Position, false
	case !p.Placed:
		p.Placed, p.Position = true, b.Position
	}
}

func note(puts map[core.DocumentID]map[*log.Entry]log.PagePut, e *log.Entry, b log.PagePut) {
	if puts[b.Page] == nil {
		puts[b.Page] = map[*log.Entry]log.PagePut{}
	}
	puts[b.Page][e] = b
}

// latest is line 11 for one field: of the writes that are in the past of no other, that
// of the later clock, then of the higher hash.
func latest[T any](s *Space, writes map[*log.Entry]T) (value T) {
	var last *log.Entry
	for e := range writes {
		replaced := false
		for o := range writes {
			replaced = replaced || s.content[o.Hash][e.Hash]
		}
		if !replaced && (last == nil || cmp.Or(cmp.Compare(e.WallMs, last.WallMs), bytes.Compare(e.Hash[:], last.Hash[:])) > 0) {
			last = e
		}
	}
	return writes[last]
}
