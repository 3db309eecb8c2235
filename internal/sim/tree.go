package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
	"github.com/soma-sdk/soma/internal/replica"
)

// look compares the pages and blobs of a site with what it has, in the middle of a run.
func (w *world) look(r *rand.Rand) error {
	s, err := w.pickSite(r)
	if err != nil {
		return err
	}
	return s.do(func(ctx context.Context) error {
		if err := s.collect(); err != nil {
			return err
		}
		var entries []*log.Entry
		for _, raw := range s.log {
			entries = append(entries, w.ledger.entries[raw.Hash()])
		}
		got, want := map[string]string{}, map[string]string{}
		if err := errors.Join(s.dumpPages(ctx, got), s.dumpBlobs(ctx, got)); err != nil {
			return err
		}
		for key := range got {
			if strings.HasPrefix(key, "only ") {
				delete(got, key)
			}
		}
		out := plain.New(entries).Outcome()
		w.wantPages(out.Tree, want)
		w.wantBlobs(out.Blobs, want)
		return differ(s.String(), got, "plain", want)
	})
}

// dumpPages adds to what site.dump describes: all that is known of pages, and how they
// are shown.
func (s *site) dumpPages(ctx context.Context, lines map[string]string) error {
	err := s.db.Read(ctx, func(v core.View) error {
		space, err := v.Space(s.w.space)
		if err != nil {
			return err
		}
		return errors.Join(s.dumpPageRows(v, space.Key, lines), s.dumpPageMoves(v, space.Key, lines))
	})
	if err != nil {
		return err
	}
	if lines["tree"], err = s.drawTree(ctx, ""); err != nil {
		return err
	}
	trash, err := s.TrashedPages(ctx, s.w.space)
	if err != nil {
		return err
	}
	for _, p := range trash {
		below, err := s.drawTree(ctx, p.ID)
		if err != nil {
			return err
		}
		lines["trash"] += " " + p.ID + below
	}
	return s.dumpPaths(ctx, lines)
}

func (s *site) dumpPageRows(v core.View, space int64, lines map[string]string) error {
	rows, err := v.Pages(space, "", 1000)
	if err != nil {
		return err
	}
	for _, p := range rows {
		lines["page "+p.ID] = describePage(p, s.w.name(p.CreatedBy))
		puts, err := v.PagePuts(space, p.ID)
		if err != nil {
			return err
		}
		if lines["only puts of "+p.ID], err = hashesOf(v, puts); err != nil {
			return err
		}
		for _, field := range []string{"title", "archived"} {
			writes, err := v.FieldWrites(space, p.ID, field)
			if err != nil {
				return err
			}
			keys := make([]int64, len(writes))
			for i := range writes {
				keys[i] = writes[i].Entry
			}
			if lines["only "+field+" of "+p.ID], err = hashesOf(v, keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// dumpPageTimes adds when pages changed here.
func (s *site) dumpPageTimes(lines map[string]string) error {
	return s.db.Read(s.w.ctx, func(v core.View) error {
		space, err := v.Space(s.w.space)
		if err != nil {
			return err
		}
		rows, err := v.Pages(space.Key, "", 1000)
		for _, p := range rows {
			lines["change of "+p.ID] = fmt.Sprint(p.UpdatedAtMs)
		}
		return err
	})
}

// hashesOf names entries in the same way everywhere.
func hashesOf(v core.View, keys []int64) (string, error) {
	var hashes []string
	for _, key := range keys {
		rec, err := v.EntryByKey(key)
		if err != nil {
			return "", err
		}
		hashes = append(hashes, rec.Hash.String())
	}
	slices.Sort(hashes)
	return strings.Join(hashes, " "), nil
}

func (s *site) dumpPageMoves(v core.View, space int64, lines map[string]string) error {
	moves, err := v.PageMovesFrom(space, core.PageStamp{})
	if err != nil {
		return err
	}
	for i, m := range moves {
		rec, err := v.EntryByKey(m.Entry)
		if err != nil {
			return err
		}
		if rec.Hash != m.Hash || rec.State != core.EntryKept {
			return fmt.Errorf("a move of entry %s is that of %s, %v", m.Hash, rec.Hash, rec.State)
		}
		m.Entry = 0
		lines[fmt.Sprintf("only move %3d", i)] = fmt.Sprintf("%+q", fmt.Sprintf("%+v", m))
	}
	return nil
}

// describePage describes a row, without what differs from machine to machine.
func describePage(p core.PageRecord, by string) string {
	return fmt.Sprintf("placed %v, trashed %v, in %q at %x, under %q, title %q, archived %v, by %s at %d",
		p.Placed, p.Trashed, p.Parent, p.Position, p.Under, p.Title, p.Archived, by, p.CreatedAtMs)
}

// drawTree draws what is under a page.
func (s *site) drawTree(ctx context.Context, id core.DocumentID) (string, error) {
	children, err := s.PageChildren(ctx, s.w.space, id)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range children {
		below, err := s.drawTree(ctx, c.ID)
		if err != nil {
			return "", err
		}
		b.WriteString(" " + c.ID + below)
	}
	return "(" + b.String() + " )", nil
}

// dumpPaths looks every page up from below.
func (s *site) dumpPaths(ctx context.Context, lines map[string]string) error {
	all, err := s.Pages(ctx, s.w.space)
	if err != nil {
		return err
	}
	for _, rec := range all {
		path, err := s.PagePath(ctx, s.w.space, rec.ID)
		if err != nil {
			return err
		}
		page, err := s.Page(ctx, s.w.space, rec.ID)
		if err != nil {
			return err
		}
		if last := path[len(path)-1]; last != page {
			return fmt.Errorf("page %+v is %+v by its path", page, last)
		}
		lines["path of "+rec.ID] = describePath(path)
	}
	return nil
}

func describePath(path []replica.Page) string {
	var b strings.Builder
	for _, p := range path {
		fmt.Fprintf(&b, "/%s, in the trash %v", p.ID, p.InTrash)
	}
	return b.String()
}

// wantPages is what dumpPages must say by the plain definition.
func (w *world) wantPages(t plain.Tree, lines map[string]string) {
	for id, p := range t {
		lines["page "+id] = describePage(core.PageRecord{
			PagePlace: core.PagePlace{Placed: p.Placed, Trashed: p.Trashed, Parent: p.Parent, Position: p.Position},
			Under:     p.Under, Title: p.Title, Archived: p.Archived, CreatedAtMs: int64(p.CreatedAtMs),
		}, w.name(p.CreatedBy))
		if !p.Placed {
			continue
		}
		var path []replica.Page
		for up := id; up != ""; up = t[up].Under {
			path = append(path, replica.Page{PageRecord: core.PageRecord{ID: up}, InTrash: t.InTrash(up)})
		}
		slices.Reverse(path)
		lines["path of "+id] = describePath(path)
	}
	lines["tree"], lines["trash"] = drawPlain(t, ""), plainTrash(t)
}

func plainTrash(t plain.Tree) string {
	var trash []string
	for id, p := range t {
		if p.Placed && p.Trashed {
			trash = append(trash, " "+id+drawPlain(t, id))
		}
	}
	slices.Sort(trash)
	return strings.Join(trash, "")
}

func drawPlain(t plain.Tree, id core.DocumentID) string {
	var b strings.Builder
	for _, child := range t.Children(id) {
		if !t[child].Trashed {
			b.WriteString(" " + child + drawPlain(t, child))
		}
	}
	return "(" + b.String() + " )"
}
