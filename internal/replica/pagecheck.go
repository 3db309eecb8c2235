package replica

import (
	"context"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/pagetree"
)

// shouldPages is the tree of pages as a log says, made at once.
type shouldPages struct {
	moves  []core.PageMove
	places map[core.DocumentID]core.PagePlace
	rows   map[core.DocumentID]*core.PageRecord // without UpdatedAtMs
	puts   map[core.DocumentID][]int64
	writes map[pageFieldKey][]core.FieldWrite
}

type pageFieldKey struct {
	page  core.DocumentID
	field log.PageField
}

// Place implements pagetree.Places.
func (s *shouldPages) Place(page core.DocumentID) (core.PagePlace, error) { return s.places[page], nil }

func (s *shouldPages) row(space int64, page core.DocumentID) *core.PageRecord {
	if s.rows[page] == nil {
		s.rows[page] = &core.PageRecord{Space: space, ID: page}
	}
	return s.rows[page]
}

// shouldBe makes the tree from the entries that are kept.
func (c *spaceCheck) shouldBe(entries []*notedEntry) (*shouldPages, error) {
	s := &shouldPages{
		moves: movesOf(entries), places: map[core.DocumentID]core.PagePlace{}, rows: map[core.DocumentID]*core.PageRecord{},
		puts: map[core.DocumentID][]int64{}, writes: map[pageFieldKey][]core.FieldWrite{},
	}
	headers := map[int64]*log.Header{}
	for _, e := range entries {
		headers[e.rec.Key] = &e.Header
		for page, puts := range putsOf(e.Entry) {
			s.row(c.space.Key, page)
			s.puts[page] = append(s.puts[page], e.rec.Key)
			for _, b := range puts {
				key := pageFieldKey{page, b.Field}
				s.writes[key] = append(s.writes[key], core.FieldWrite{Entry: e.rec.Key, Hash: e.Hash, WallMs: e.WallMs, Value: b.Value})
			}
		}
	}
	for i := range s.moves {
		m := &s.moves[i]
		m.Was = s.places[m.Page]
		at, err := pagetree.Apply(*m, s)
		if err != nil {
			return nil, err
		}
		s.places[m.Page] = at
		if at.Placed {
			rec := s.row(c.space.Key, m.Page)
			rec.PagePlace = at
			if m.Kind == core.PageMoved && rec.CreatedBy.IsZero() {
				rec.CreatedBy, rec.CreatedAtMs = m.Author, int64(headers[m.Entry].WallMs)
			}
		}
	}
	for _, rec := range s.rows {
		if s.places[rec.Parent].Placed {
			rec.Under = rec.Parent
		}
	}
	for key, writes := range s.writes {
		left, err := c.maximal(writes)
		if err != nil {
			return nil, err
		}
		s.writes[key] = left
		if err := setPageField(s.rows[key.page], key.field, slices.MaxFunc(left, compareFields).Value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checkPages compares the tree of pages, and what it is made of.
func (c *spaceCheck) checkPages(ctx context.Context) error {
	should, err := c.shouldBe(c.kept)
	if err != nil {
		return err
	}
	moves, err := c.v.PageMovesFrom(c.space.Key, core.PageStamp{})
	if err != nil {
		return err
	}
	if err := compareRows(c.problems, c.in("page_move"), moves, should.moves); err != nil {
		return err
	}
	rows, err := allPages(ctx, c.v, c.space.Key)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].UpdatedAtMs = 0
	}
	want := make([]core.PageRecord, 0, len(should.rows))
	for _, page := range slices.Sorted(maps.Keys(should.rows)) {
		want = append(want, *should.rows[page])
	}
	if err := compareRows(c.problems, c.in("page"), rows, want); err != nil {
		return err
	}
	return c.checkPuts(should)
}

// checkPuts compares which entries set fields, and the writes that count.
func (c *spaceCheck) checkPuts(should *shouldPages) error {
	named := map[core.DocumentID]bool{}
	for _, e := range c.noted {
		for page := range putsOf(e.Entry) {
			named[page] = true
		}
	}
	for page := range named {
		puts, err := c.v.PagePuts(c.space.Key, page)
		if err != nil {
			return err
		}
		if err := compareRows(c.problems, c.in("page_put"), puts, should.puts[page]); err != nil {
			return err
		}
		for field, name := range pageFields {
			got, err := c.v.FieldWrites(c.space.Key, page, name)
			if err != nil {
				return err
			}
			want := should.writes[pageFieldKey{page, field}]
			if err := compareRows(c.problems, c.in("field"), fieldRows(got), fieldRows(want)); err != nil {
				return err
			}
		}
	}
	return nil
}

// allPages returns all rows of pages in a space, in order of ID.
func allPages(ctx context.Context, v core.PageView, space int64) (all []core.PageRecord, err error) {
	for after := core.DocumentID(""); ; {
		page, err := v.Pages(space, after, pagesPage)
		if err != nil || len(page) == 0 {
			return all, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		after = page[len(page)-1].ID
		all = append(all, page...)
	}
}

// keepPages gives rows that came out as they were their times again.
func (d *rederiving) keepPages() error {
	rows, err := allPages(context.Background(), d.Tx, d.space.Key)
	if err != nil {
		return err
	}
	same := len(rows) == len(d.storedPages)
	for _, rec := range rows {
		was, had := d.storedPages[rec.ID]
		rec.UpdatedAtMs = was.UpdatedAtMs
		if !had || rec != was {
			same = false
			continue
		}
		if err := d.PutPage(rec); err != nil {
			return err
		}
	}
	if !same {
		d.changed(events.PagesChanged, d.space.ID, "", ReasonRebuilt)
	}
	return nil
}

// readPages keeps what is stored of pages. What cannot be read is made anew.
func (d *rederiving) readPages(ctx context.Context) error {
	d.storedPages = map[core.DocumentID]core.PageRecord{}
	rows, err := allPages(ctx, d.Tx, d.space.Key)
	for _, rec := range rows {
		d.storedPages[rec.ID] = rec
	}
	return onlyCorrupt(err)
}
