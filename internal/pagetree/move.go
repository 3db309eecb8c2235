package pagetree

import (
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// Places tells where a page is, as of the moves that were done.
type Places interface {
	Place(page core.DocumentID) (core.PagePlace, error)
}

// MaxDepth is how many pages may lie above a page that something is put under, itself
// included. It bounds what a move costs, and is a rule: it may not change.
const MaxDepth = 1024

// ErrTooDeep says that more than MaxDepth pages lie above a place.
var ErrTooDeep = errors.New("pages are nested too deep")

// Apply returns where a page is after a move.
//
// A page is there once something has put it somewhere. What would put it under itself, or
// too deep, is ignored, or puts it at the top level if it is nowhere yet: nothing must become
// unreachable. A reordering counts only while the page is where it was, so that it never
// takes back what a concurrent move did. A page in the trash keeps its place, and what
// is under it; any move brings it back.
func Apply(m core.PageMove, places Places) (core.PagePlace, error) {
	at, err := places.Place(m.Page)
	if err != nil {
		return at, err
	}
	switch m.Kind {
	case core.PageDeleted:
		at.Trashed = at.Placed
	case core.PageReordered:
		if mutate.On(mutate.PageReorder) {
			m.Kind = core.PageMoved
			return Apply(m, places)
		}
		if at.Placed && at.Parent == m.Parent {
			at.Position = m.Position
		}
	case core.PageMoved:
		cycle, err := Within(m.Parent, m.Page, places)
		deep := errors.Is(err, ErrTooDeep)
		cycle = cycle || deep
		switch {
		case err != nil && !deep:
			return at, err
		case !cycle || mutate.On(mutate.PageCycle):
			trashed := at.Trashed && mutate.On(mutate.PageTrash)
			at = core.PagePlace{Parent: m.Parent, Position: m.Position, Placed: true, Trashed: trashed}
		case !at.Placed && !mutate.On(mutate.PageTop):
			at = core.PagePlace{Position: m.Position, Placed: true}
		}
	}
	return at, nil
}

// Within reports whether a page is another one, or somewhere under it. It costs the
// depth of the page. It returns ErrTooDeep where it gave up after MaxDepth pages, and
// core.ErrCorrupt for pages that are under themselves.
func Within(page, other core.DocumentID, places Places) (bool, error) {
	var up Climb
	for depth := 0; page != "" && page != other; depth++ {
		if depth == MaxDepth {
			return false, fmt.Errorf("more than %d: %w", MaxDepth, ErrTooDeep)
		}
		if err := up.Pass(page); err != nil {
			return false, err
		}
		at, err := places.Place(page)
		if err != nil {
			return false, err
		}
		page = at.Parent
	}
	return page == other, nil
}
