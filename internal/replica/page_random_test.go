package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/replica"
)

var oddPages = oddKind{op: oddPageOp, act: (*site).oddPageAct, lines: (*site).pageLines, plain: plainPages}

// Pages are the same in any order of arrival.
func TestOddPagesInAnyOrder(t *testing.T) { oddPages.inAnyOrder(t) }

// oddPageID is one of few pages, so that all of them meet.
func oddPageID(r *rand.Rand) string { return string(rune('a' + r.IntN(6))) }

// oddPageOp is an op as no host makes it.
func oddPageOp(r *rand.Rand) log.Body {
	page := oddPageID(r)
	switch r.IntN(10) {
	case 0, 1:
		return log.PutTitle(page, fmt.Sprint("title ", r.IntN(100)))
	case 2:
		return log.PutArchived(page, r.IntN(2) == 0)
	case 3:
		return log.PageDelete{Page: page}
	}
	parent := []string{"", oddPageID(r), oddPageID(r), "z"}[r.IntN(4)]
	position := []string{"\x00\x01", "\x80", "\x80\x00\x00\x00\x01", "\xff", string(byte(1 + r.IntN(255)))}[r.IntN(5)]
	return log.PageMove{Page: page, Parent: parent, Position: position, Reorder: r.IntN(4) == 0}
}

// oddPageAct is an act of the local member. Most are refused.
func (s *site) oddPageAct(r *rand.Rand, space core.SpaceID) {
	s.t.Helper()
	id := oddPageID(r)
	to := []replica.PageTarget{{}, {Parent: oddPageID(r)}, {Before: oddPageID(r)}, {After: oddPageID(r)}}[r.IntN(4)]
	var err error
	switch r.IntN(8) {
	case 0, 1:
		_, err = s.CreatePage(s.ctx(), space, replica.NewPage{ID: id, Title: id, At: to}, events.SourceRenderer)
	case 2:
		_, err = s.RenamePage(s.ctx(), space, id, fmt.Sprint("name ", r.IntN(100)), events.SourceRenderer)
	case 3:
		_, err = s.DeletePage(s.ctx(), space, id, events.SourceRenderer)
	case 4:
		_, err = s.RestorePage(s.ctx(), space, id, events.SourceRenderer)
	case 5:
		_, err = s.ArchivePage(s.ctx(), space, id, events.SourceRenderer)
	default:
		_, err = s.MovePage(s.ctx(), space, id, to, events.SourceRenderer)
	}
	for _, fine := range []error{core.ErrExists, core.ErrNotFound, core.ErrPageCycle, core.ErrInvalidPlace, core.ErrForbidden} {
		if errors.Is(err, fine) {
			return
		}
	}
	if err != nil {
		s.t.Fatalf("act on page %q = %v", id, err)
	}
}

// pageLines describes all rows that the tree of pages consists of, but for what differs
// from machine to machine.
func (s *site) pageLines(space core.SpaceID) map[string]string {
	s.t.Helper()
	lines := map[string]string{}
	hashes := map[int64]core.Hash{}
	for _, rec := range s.records(space) {
		hashes[rec.Key] = rec.Hash
	}
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		moves, err := v.PageMovesFrom(rec.Key, core.PageStamp{})
		if err != nil {
			return err
		}
		for i, m := range moves {
			if hashes[m.Entry] != m.Hash {
				s.t.Errorf("move of entry %s is that of %s", m.Hash, hashes[m.Entry])
			}
			m.Entry = 0
			lines[fmt.Sprintf("only move %3d", i)] = fmt.Sprintf("%+q", fmt.Sprintf("%+v", m))
		}
		rows, err := v.Pages(rec.Key, "", 1000)
		if err != nil {
			return err
		}
		for _, p := range rows {
			lines["page "+p.ID] = pageLine(p)
			puts, err := v.PagePuts(rec.Key, p.ID)
			if err != nil {
				return err
			}
			lines["only puts of "+p.ID] = entryHashes(hashes, puts)
			for _, field := range []string{"title", "archived"} {
				writes, err := v.FieldWrites(rec.Key, p.ID, field)
				if err != nil {
					return err
				}
				keys := make([]int64, len(writes))
				for i := range writes {
					keys[i] = writes[i].Entry
				}
				lines["only "+field+" of "+p.ID] = entryHashes(hashes, keys)
			}
		}
		return nil
	})
	return lines
}

func entryHashes(hashes map[int64]core.Hash, keys []int64) string {
	var all []string
	for _, key := range keys {
		all = append(all, hashes[key].String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func pageLine(p core.PageRecord) string {
	return fmt.Sprintf("%+q under %q, %q, archived %v, by %s at %d", fmt.Sprintf("%+v", p.PagePlace), p.Under, p.Title, p.Archived, p.CreatedBy, p.CreatedAtMs)
}

// plainPages is what the rows of pages must be by the plain definition.
func plainPages(entries []*log.Entry) map[string]string {
	lines := map[string]string{}
	for id, p := range plain.New(entries).Outcome().Tree {
		lines["page "+id] = pageLine(core.PageRecord{
			PagePlace: core.PagePlace{Parent: p.Parent, Position: p.Position, Placed: p.Placed, Trashed: p.Trashed},
			Under:     p.Under, Title: p.Title, Archived: p.Archived, CreatedBy: p.CreatedBy, CreatedAtMs: int64(p.CreatedAtMs),
		})
	}
	return lines
}
