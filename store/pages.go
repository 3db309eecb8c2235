package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// The bits of column state.
const (
	pagePlaced  = 1
	pageTrashed = 2
)

func pageState(p core.PagePlace) (state int64) {
	if p.Placed {
		state |= pagePlaced
	}
	if p.Trashed {
		state |= pageTrashed
	}
	return state
}

// pagePlace reads the columns parent, position and state, the first of which is i.
func pagePlace(r *row, i int) core.PagePlace {
	state := r.int(i + 2)
	return core.PagePlace{
		Parent: r.text(i), Position: string(r.blob(i + 1)), Placed: state&pagePlaced != 0, Trashed: state&pageTrashed != 0,
	}
}

const pageColumns = "SELECT ident, parent, position, state, under, title, archived, created_by, created_at_ms, updated_at_ms FROM page "

// pages returns the rows that a query with pageColumns finds.
func (v *view) pages(space int64, sql string, args ...any) ([]core.PageRecord, error) {
	return v.pageRows(pageColumns+sql, space, args...)
}

// pageRows is pages for a whole statement.
func (v *view) pageRows(sql string, space int64, args ...any) ([]core.PageRecord, error) {
	var recs []core.PageRecord
	var creators []int64
	err := v.c.each(sql, args, func(r *row) bool {
		recs = append(recs, core.PageRecord{
			Space: space, ID: r.text(0), PagePlace: pagePlace(r, 1), Under: r.text(4), Title: r.text(5), Archived: r.int(6) != 0,
			CreatedAtMs: r.int(8), UpdatedAtMs: r.int(9),
		})
		creators = append(creators, r.int(7))
		return true
	})
	if err != nil {
		return nil, wrap("read pages", err)
	}
	for i, key := range creators { // now that no statement is open
		if recs[i].CreatedBy, err = v.peerID(key); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// Page implements core.PageView.
func (v *view) Page(space int64, id core.DocumentID) (core.PageRecord, error) {
	recs, err := v.pages(space, "WHERE space = ? AND ident = ?", space, id)
	if err == nil && len(recs) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.PageRecord{}, fmt.Errorf("page %q: %w", id, err)
	}
	return recs[0], nil
}

// PageWay implements core.PageView.
func (v *view) PageWay(space int64, id core.DocumentID, limit int) ([]core.PageRecord, error) {
	return v.pageRows(`WITH RECURSIVE up (n, space, ident, parent, position, state, under, title, archived, created_by, created_at_ms, updated_at_ms) AS (
		SELECT 1, * FROM page WHERE space = ? AND ident = ?
		UNION ALL
		SELECT n + 1, p.* FROM up JOIN page p ON p.space = up.space AND p.ident = up.under WHERE up.under <> '' AND n < ?)
		SELECT ident, parent, position, state, under, title, archived, created_by, created_at_ms, updated_at_ms FROM up`,
		space, space, id, int64(limit))
}

// Pages implements core.PageView.
func (v *view) Pages(space int64, after core.DocumentID, limit int) ([]core.PageRecord, error) {
	return v.pages(space, "WHERE space = ?+0 AND ident > ? ORDER BY ident LIMIT ?+0", space, after, int64(limit))
}

// PagesUnder implements core.PageView.
func (v *view) PagesUnder(space int64, page core.DocumentID) ([]core.PageRecord, error) {
	return v.pages(space, "INDEXED BY page_under WHERE space = ?+0 AND under = ?||'' AND state & 1 <> 0 ORDER BY position, ident", space, page)
}

// PageBeside implements core.PageView.
func (v *view) PageBeside(space int64, under core.DocumentID, from *core.PageRecord, forward bool) (core.PageRecord, error) {
	const placed = "INDEXED BY page_under WHERE space = ?+0 AND under = ?||'' AND state & 1 <> 0 "
	var recs []core.PageRecord
	var err error
	switch {
	case from == nil:
		recs, err = v.pages(space, placed+"ORDER BY position DESC, ident DESC LIMIT 1", space, under)
	case forward:
		recs, err = v.pages(space, placed+"AND (position, ident) > (?, ?) ORDER BY position, ident LIMIT 1", space, under, []byte(from.Position), from.ID)
	default:
		recs, err = v.pages(space, placed+"AND (position, ident) < (?, ?) ORDER BY position DESC, ident DESC LIMIT 1",
			space, under, []byte(from.Position), from.ID)
	}
	if err == nil && len(recs) == 0 {
		err = fmt.Errorf("page beside: %w", core.ErrNotFound)
	}
	if err != nil {
		return core.PageRecord{}, err
	}
	return recs[0], nil
}

// PageOrphans implements core.PageView.
func (v *view) PageOrphans(space int64, parent core.DocumentID) ([]core.PageRecord, error) {
	return v.pages(space, "INDEXED BY page_orphan WHERE space = ? AND parent = ? AND under <> parent", space, parent)
}

// PagesTrashed implements core.PageView.
func (v *view) PagesTrashed(space int64) ([]core.PageRecord, error) {
	return v.pages(space, "INDEXED BY page_trashed WHERE space = ?+0 AND state & 2 <> 0 ORDER BY ident", space)
}

const pageMoveColumns = `SELECT lamport, author, hash, n, entry, page, kind, parent, position, was_parent, was_position, was_state FROM page_move `

func (v *view) pageMoves(sql string, args ...any) ([]core.PageMove, error) {
	var moves []core.PageMove
	err := v.c.each(pageMoveColumns+sql, args, func(r *row) bool {
		var author [32]byte
		r.fixed(1, author[:])
		moves = append(moves, core.PageMove{
			PageStamp: core.PageStamp{Lamport: r.uint(0), Author: core.PeerIDFromKey(author[:]), Hash: r.hash(2), N: int(r.int(3))},
			Entry:     r.int(4), Page: r.text(5), Kind: core.PageMoveKind(r.int(6)), Parent: r.text(7), Position: string(r.blob(8)),
			Was: pagePlace(r, 9),
		})
		return true
	})
	return moves, wrap("read moves of pages", err)
}

// PageMovesFrom implements core.PageView.
func (v *view) PageMovesFrom(space int64, from core.PageStamp) ([]core.PageMove, error) {
	return v.pageMoves(`WHERE space = ?+0 AND (lamport, author, hash, n) >= (?, ?, ?, ?)
		ORDER BY lamport, author, hash, n`, append([]any{space}, stampArgs(from)...)...)
}

// PageOrigin implements core.PageView.
func (v *view) PageOrigin(space int64, page core.DocumentID) (core.PageMove, error) {
	moves, err := v.pageMoves("INDEXED BY page_move_of WHERE space = ?+0 AND page = ?||'' AND kind = 0 ORDER BY lamport, author, hash, n LIMIT 1", space, page)
	if err == nil && len(moves) == 0 {
		err = fmt.Errorf("move of page %q: %w", page, core.ErrNotFound)
	}
	if err != nil {
		return core.PageMove{}, err
	}
	return moves[0], nil
}

func stampArgs(s core.PageStamp) []any {
	return []any{int64(s.Lamport), []byte(s.Author.Key()), s.Hash[:], int64(s.N)}
}

// PagePuts implements core.PageView.
func (v *view) PagePuts(space int64, page core.DocumentID) ([]int64, error) {
	var entries []int64
	err := v.c.each("SELECT entry FROM page_put WHERE space = ?+0 AND page = ?||'' ORDER BY entry", []any{space, page}, func(r *row) bool {
		entries = append(entries, r.int(0))
		return true
	})
	return entries, wrap("read fields of page "+page, err)
}

// PutPage implements core.PageWrites.
func (t *tx) PutPage(rec core.PageRecord) error {
	by, err := t.ensurePeer(rec.CreatedBy)
	if err != nil {
		return err
	}
	archived := int64(0)
	if rec.Archived {
		archived = 1
	}
	_, err = t.c.exec(`INSERT INTO page (space, ident, parent, position, state, under, title, archived, created_by, created_at_ms, updated_at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, ident) DO UPDATE SET parent = excluded.parent, position = excluded.position, state = excluded.state,
		under = excluded.under, title = excluded.title, archived = excluded.archived, created_by = excluded.created_by,
		created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms`,
		rec.Space, rec.ID, rec.Parent, []byte(rec.Position), pageState(rec.PagePlace), rec.Under, rec.Title, archived, by, rec.CreatedAtMs, rec.UpdatedAtMs)
	return wrap("write page "+rec.ID, err)
}

// DeletePage implements core.PageWrites.
func (t *tx) DeletePage(space int64, id core.DocumentID) error {
	_, err := t.c.exec("DELETE FROM page WHERE space = ? AND ident = ?", space, id)
	return wrap("remove page "+id, err)
}

// PutPageMove implements core.PageWrites.
func (t *tx) PutPageMove(space int64, m core.PageMove) error {
	args := append([]any{space}, stampArgs(m.PageStamp)...)
	args = append(args, m.Entry, m.Page, int64(m.Kind), m.Parent, []byte(m.Position), m.Was.Parent, []byte(m.Was.Position), pageState(m.Was))
	_, err := t.c.exec(`INSERT INTO page_move (space, lamport, author, hash, n, entry, page, kind, parent, position, was_parent, was_position, was_state)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, lamport, author, hash, n) DO UPDATE SET entry = excluded.entry, page = excluded.page, kind = excluded.kind,
		parent = excluded.parent, position = excluded.position, was_parent = excluded.was_parent, was_position = excluded.was_position,
		was_state = excluded.was_state`, args...)
	return wrap("write move of page "+m.Page, err)
}

// DeletePageMove implements core.PageWrites.
func (t *tx) DeletePageMove(space int64, stamp core.PageStamp) error {
	_, err := t.c.exec("DELETE FROM page_move WHERE space = ? AND lamport = ? AND author = ? AND hash = ? AND n = ?",
		append([]any{space}, stampArgs(stamp)...)...)
	return wrap("remove move of a page", err)
}

// AddPagePut implements core.PageWrites.
func (t *tx) AddPagePut(space int64, page core.DocumentID, entry int64) error {
	_, err := t.c.exec("INSERT OR IGNORE INTO page_put (space, page, entry) VALUES (?, ?, ?)", space, page, entry)
	return wrap("note fields of page "+page, err)
}

// DeletePagePut implements core.PageWrites.
func (t *tx) DeletePagePut(space int64, page core.DocumentID, entry int64) error {
	_, err := t.c.exec("DELETE FROM page_put WHERE space = ? AND page = ? AND entry = ?", space, page, entry)
	return wrap("remove fields of page "+page, err)
}
