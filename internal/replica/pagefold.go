package replica

import (
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
	"github.com/soma-sdk/soma/internal/pagetree"
)

// foldPages brings the tree of pages up to date with entries that did not count and do
// now, and with those that count no more.
func (w *work) foldPages(space *core.SpaceRecord, added, removed []*notedEntry) error {
	if mutate.On(mutate.PageVoid) {
		removed = nil
	}
	f := pageFold{
		work: w, space: space,
		places: map[core.DocumentID]core.PagePlace{}, rows: map[core.DocumentID]*core.PageRecord{}, stored: map[core.DocumentID]core.PageRecord{},
	}
	if err := f.move(added, removed); err != nil {
		return err
	}
	if err := f.put(added, removed); err != nil {
		return err
	}
	return f.write()
}

// pageFold is one run of foldPages.
type pageFold struct {
	*work
	space  *core.SpaceRecord
	places map[core.DocumentID]core.PagePlace   // as of the moves that were done so far
	rows   map[core.DocumentID]*core.PageRecord // that may change, as they will be
	stored map[core.DocumentID]core.PageRecord  // of rows: as they are, none for those that are not there
}

// row returns the row of a page, to be changed.
func (f *pageFold) row(page core.DocumentID) (*core.PageRecord, error) {
	if rec := f.rows[page]; rec != nil {
		return rec, nil
	}
	rec, err := f.Page(f.space.Key, page)
	switch {
	case err == nil:
		f.stored[page] = rec
	case !isNotFound(err):
		return nil, err
	default:
		rec = core.PageRecord{Space: f.space.Key, ID: page}
	}
	f.rows[page] = &rec
	return &rec, nil
}

// Place implements pagetree.Places.
func (f *pageFold) Place(page core.DocumentID) (core.PagePlace, error) {
	at, known := f.places[page]
	if !known {
		if err := readPlaces(f, f.space.Key, page, f.places); err != nil {
			return at, err
		}
	}
	return f.places[page], nil
}

// move takes back all moves from the earliest on that is new, or that counts no more, and
// does those that count again.
func (f *pageFold) move(added, removed []*notedEntry) error {
	add, remove := movesOf(added), movesOf(removed)
	if len(add)+len(remove) == 0 {
		return nil
	}
	gone := make(map[core.PageStamp]bool, len(remove))
	for _, m := range remove {
		gone[m.PageStamp] = true
	}
	news := slices.Concat(add, remove)
	later, err := f.PageMovesFrom(f.space.Key, slices.MinFunc(news, compareMoves).PageStamp)
	if err != nil {
		return err
	}
	if len(remove) == 0 && mutate.On(mutate.PageOrder) {
		later = nil
	}
	for _, m := range slices.Backward(later) {
		f.places[m.Page] = m.Was
	}
	touched := map[core.DocumentID]bool{}
	for len(later)+len(add) > 0 {
		fresh := len(later) == 0 || len(add) > 0 && compareMoves(add[0], later[0]) < 0
		var m core.PageMove
		if fresh {
			m, add = add[0], add[1:]
		} else {
			m, later = later[0], later[1:]
		}
		touched[m.Page] = true
		if gone[m.PageStamp] {
			err = f.DeletePageMove(f.space.Key, m.PageStamp)
		} else {
			err = f.do(m, fresh)
		}
		if err != nil {
			return err
		}
	}
	for page := range touched {
		rec, err := f.row(page)
		if err != nil {
			return err
		}
		rec.PagePlace = f.places[page]
	}
	return f.originate(news)
}

// do does one move.
func (f *pageFold) do(m core.PageMove, fresh bool) error {
	was, err := f.Place(m.Page)
	if err != nil {
		return err
	}
	at, err := pagetree.Apply(m, f)
	if err != nil {
		return err
	}
	f.places[m.Page] = at
	if !fresh && m.Was == was {
		return nil
	}
	m.Was = was
	return f.PutPageMove(f.space.Key, m)
}

// originate finds out who created the pages of moves.
func (f *pageFold) originate(moves []core.PageMove) error {
	done := map[core.DocumentID]bool{}
	for _, m := range moves {
		if done[m.Page] {
			continue
		}
		done[m.Page] = true
		rec, err := f.row(m.Page)
		if err != nil {
			return err
		}
		rec.CreatedBy, rec.CreatedAtMs = core.PeerID{}, 0
		origin, err := f.PageOrigin(f.space.Key, m.Page)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		e, err := f.EntryByKey(origin.Entry)
		if err != nil {
			return err
		}
		h, err := log.DecodeHeader(e.Entry.Header)
		if err != nil {
			return err
		}
		rec.CreatedBy, rec.CreatedAtMs = h.Peer, int64(h.WallMs)
	}
	return nil
}

// movesOf returns the moves of entries, in order.
func movesOf(entries []*notedEntry) []core.PageMove {
	var moves []core.PageMove
	for _, e := range entries {
		moves = append(moves, pageMoves(e.Entry, e.rec.Key)...)
	}
	slices.SortFunc(moves, compareMoves)
	return moves
}

// pageMoves returns the moves of an entry.
func pageMoves(e *log.Entry, key int64) []core.PageMove {
	var moves []core.PageMove
	for i, op := range e.Ops {
		m := core.PageMove{PageStamp: core.PageStamp{Lamport: e.Lamport, Author: e.Peer, Hash: e.Hash, N: i}, Entry: key}
		switch b := op.Body.(type) {
		case log.PageMove:
			m.Page, m.Parent, m.Position = b.Page, b.Parent, b.Position
			if b.Reorder {
				m.Kind = core.PageReordered
			}
		case log.PageDelete:
			m.Page, m.Kind = b.Page, core.PageDeleted
		default:
			continue
		}
		moves = append(moves, m)
	}
	return moves
}

func compareMoves(a, b core.PageMove) int { return a.Compare(b.PageStamp) }

// put adds the fields that entries set. Where some count no more, or count again although
// others build upon them, the fields of the page are folded anew.
func (f *pageFold) put(added, removed []*notedEntry) error {
	anew := map[core.DocumentID]bool{}
	for _, e := range removed {
		for page := range putsOf(e.Entry) {
			anew[page] = true
			if err := f.DeletePagePut(f.space.Key, page, e.rec.Key); err != nil {
				return err
			}
		}
	}
	for _, e := range added {
		for page, puts := range putsOf(e.Entry) {
			if err := f.AddPagePut(f.space.Key, page, e.rec.Key); err != nil {
				return err
			}
			if anew[page] || !e.fresh && !mutate.On(mutate.PageAgain) {
				anew[page] = true
				continue
			}
			if err := f.set(e, puts); err != nil {
				return err
			}
		}
	}
	for _, page := range slices.Sorted(maps.Keys(anew)) {
		if err := f.putAnew(page); err != nil {
			return err
		}
	}
	return nil
}

// putsOf returns the fields that an entry sets and that this version knows, by page.
func putsOf(e *log.Entry) map[core.DocumentID][]log.PagePut {
	puts := map[core.DocumentID][]log.PagePut{}
	for _, op := range e.Ops {
		if b, ok := op.Body.(log.PagePut); ok && pageFields[b.Field] != "" {
			puts[b.Page] = append(puts[b.Page], b)
		}
	}
	return puts
}

// pageFields are the names under which fields of pages are kept.
var pageFields = map[log.PageField]string{log.PageTitle: "title", log.PageArchived: "archived"}

func (f *pageFold) set(e *notedEntry, puts []log.PagePut) error {
	for _, b := range puts {
		value, err := f.foldField(f.space, b.Page, pageFields[b.Field], e.Entry, &e.rec, b.Value)
		if err != nil {
			return err
		}
		rec, err := f.row(b.Page)
		if err != nil {
			return err
		}
		if err := setPageField(rec, b.Field, value); err != nil {
			return err
		}
	}
	return nil
}

func setPageField(rec *core.PageRecord, field log.PageField, value []byte) (err error) {
	switch field {
	case log.PageTitle:
		rec.Title, err = log.DecodePageTitle(value)
	case log.PageArchived:
		rec.Archived, err = log.DecodePageArchived(value)
	}
	return err
}

func (f *pageFold) putAnew(page core.DocumentID) error {
	rec, err := f.row(page)
	if err != nil {
		return err
	}
	rec.Title, rec.Archived = "", false
	for _, field := range pageFields {
		writes, err := f.FieldWrites(f.space.Key, page, field)
		if err != nil {
			return err
		}
		for _, write := range writes {
			if err := f.DeleteFieldWrite(f.space.Key, page, field, write.Entry); err != nil {
				return err
			}
		}
	}
	entries, err := f.PagePuts(f.space.Key, page)
	if err != nil {
		return err
	}
	for _, key := range entries {
		e := &notedEntry{}
		if e.rec, err = f.EntryByKey(key); err != nil {
			return err
		}
		if e.Entry, err = entryByKey(f.Tx, f.space.Key, key); err != nil {
			return err
		}
		if err := f.set(e, putsOf(e.Entry)[page]); err != nil {
			return err
		}
	}
	return nil
}

// write stores the rows that changed, and those under pages that came to be somewhere,
// or are nowhere now.
func (f *pageFold) write() error {
	changed := false
	for _, page := range slices.Sorted(maps.Keys(f.rows)) {
		rec, was := f.rows[page], f.stored[page]
		var err error
		if rec.Under, err = f.underOf(rec); err != nil {
			return err
		}
		_, had := f.stored[page]
		stays, err := f.stays(rec)
		if err != nil {
			return err
		}
		switch {
		case had && !stays:
			err = f.DeletePage(f.space.Key, page)
		case stays && (!had || *rec != was):
			rec.UpdatedAtMs = max(f.nowMs, was.UpdatedAtMs+1)
			err = f.PutPage(*rec)
		default:
			continue
		}
		if err != nil {
			return err
		}
		changed = true
	}
	for _, page := range slices.Sorted(maps.Keys(f.rows)) {
		if f.rows[page].Placed != f.stored[page].Placed {
			if err := f.adopt(f.rows[page]); err != nil {
				return err
			}
		}
	}
	if changed {
		f.changed(events.PagesChanged, f.space.ID, "", "")
	}
	return nil
}

// underOf returns the page that another one is shown under.
func (f *pageFold) underOf(rec *core.PageRecord) (core.DocumentID, error) {
	if rec.Parent == "" {
		return "", nil
	}
	parent, err := f.Place(rec.Parent)
	if err != nil || !parent.Placed && !mutate.On(mutate.PageOrphans) {
		return "", err
	}
	return rec.Parent, nil
}

// stays reports whether there is anything to say of a page.
func (f *pageFold) stays(rec *core.PageRecord) (bool, error) {
	if rec.Placed {
		return true, nil
	}
	puts, err := f.PagePuts(f.space.Key, rec.ID)
	return len(puts) > 0, err
}

// adopt puts those whose parent is a page under it, or at the top level if it is nowhere.
func (f *pageFold) adopt(parent *core.PageRecord) error {
	find, under := f.PagesUnder, core.DocumentID("")
	if parent.Placed {
		find, under = f.PageOrphans, parent.ID
	}
	rows, err := find(f.space.Key, parent.ID)
	if err != nil {
		return err
	}
	for _, rec := range rows {
		rec.Under = under
		rec.UpdatedAtMs = max(f.nowMs, rec.UpdatedAtMs+1)
		if err := f.PutPage(rec); err != nil {
			return err
		}
	}
	return nil
}
