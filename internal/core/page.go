package core

import (
	"bytes"
	"cmp"
)

// PagePlace is where a page is.
type PagePlace struct {
	Parent   DocumentID // "" for the top level
	Position string     // among its siblings
	Placed   bool       // something has put it there; else it is nowhere
	Trashed  bool
}

// PageRecord is a row of table page: a page, or what was said of one that is nowhere.
type PageRecord struct {
	Space int64
	ID    DocumentID
	PagePlace
	Under       DocumentID // Parent, or "" while that is nowhere
	Title       string
	Archived    bool
	CreatedBy   PeerID // zero while it is nowhere, as is CreatedAtMs
	CreatedAtMs int64  // by the clock of who created it
	UpdatedAtMs int64  // by the clock of this machine
}

// PageStamp orders what happens to the tree of a space. It keeps the causal order.
type PageStamp struct {
	Lamport uint64
	Author  PeerID
	Hash    Hash // of the entry
	N       int  // in the entry
}

// Compare orders stamps.
func (s PageStamp) Compare(o PageStamp) int {
	return cmp.Or(
		cmp.Compare(s.Lamport, o.Lamport), s.Author.Compare(o.Author), bytes.Compare(s.Hash[:], o.Hash[:]), cmp.Compare(s.N, o.N),
	)
}

// PageMoveKind says what a PageMove does. The numbers are stored.
type PageMoveKind uint8

// The kinds of moves.
const (
	PageMoved     PageMoveKind = 0
	PageReordered PageMoveKind = 1 // only if it is under Parent
	PageDeleted   PageMoveKind = 2 // Parent and Position do not count
)

// PageMove is a row of table page_move: what an entry that is kept does to the tree.
type PageMove struct {
	PageStamp
	Entry    int64
	Page     DocumentID
	Kind     PageMoveKind
	Parent   DocumentID
	Position string
	Was      PagePlace // of the page, as of the moves before this one
}

// PageView reads the tree of pages, and what it was made of.
type PageView interface {
	// Page returns ErrNotFound for a page of which nothing was said.
	Page(space int64, id DocumentID) (PageRecord, error)
	// PageWay returns a page and those that it is shown under, the nearest first, at most
	// limit, none for a page of which nothing was said. It costs less than asking for each.
	PageWay(space int64, id DocumentID, limit int) ([]PageRecord, error)
	// Pages returns up to limit rows with IDs greater than after, in order of ID (bytewise).
	Pages(space int64, after DocumentID, limit int) ([]PageRecord, error)
	// PagesUnder returns the pages whose Under is a page, in order of Position and ID.
	PagesUnder(space int64, page DocumentID) ([]PageRecord, error)
	// PageBeside returns the next page under another one, forward or back, that is
	// somewhere; back from nil it is the last one. It is ErrNotFound at the end.
	PageBeside(space int64, under DocumentID, from *PageRecord, forward bool) (PageRecord, error)
	// PageOrphans returns the rows whose Parent is a page, but not their Under.
	PageOrphans(space int64, parent DocumentID) ([]PageRecord, error)
	// PagesTrashed returns the rows that are in the trash themselves, in order of ID.
	PagesTrashed(space int64) ([]PageRecord, error)

	// PageMovesFrom returns the moves from a stamp on, itself too, in order.
	PageMovesFrom(space int64, from PageStamp) ([]PageMove, error)
	// PageOrigin returns the first move of a page that is of kind PageMoved, or ErrNotFound.
	PageOrigin(space int64, page DocumentID) (PageMove, error)
	// PagePuts returns the entries that set a field of a page, in order of key.
	PagePuts(space int64, page DocumentID) ([]int64, error)
}

// PageWrites changes what PageView reads.
type PageWrites interface {
	// PutPage inserts or updates a row.
	PutPage(PageRecord) error
	DeletePage(space int64, id DocumentID) error
	// PutPageMove inserts or updates a move.
	PutPageMove(space int64, m PageMove) error
	DeletePageMove(space int64, stamp PageStamp) error
	// AddPagePut notes that an entry sets fields of a page. Noting it again changes nothing.
	AddPagePut(space int64, page DocumentID, entry int64) error
	DeletePagePut(space int64, page DocumentID, entry int64) error
}
