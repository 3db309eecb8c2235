package collection

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// migrate brings the values of a collection to the version of its rules, once for these.
// One call does so while others wait, as long as their contexts last. The host's functions
// run in the goroutine of that call.
func (c *Collections) migrate(ctx context.Context, name string, rules *Rules) error {
	s := c.state(name)
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.migrated == rules {
		return nil
	}
	m := &migration{c: c, name: name, rules: rules}
	if err := m.run(ctx); err != nil {
		return err
	}
	s.migrated = rules
	return nil
}

type migration struct {
	c     *Collections
	name  string
	rules *Rules
}

func (m *migration) run(ctx context.Context) error {
	stale, err := m.begin(ctx)
	if err != nil || stale == 0 {
		return err
	}
	for after := int64(0); ; {
		page, schema, err := m.c.page(ctx, m.name, after)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Position
		if err := m.step(ctx, page, schema); err != nil {
			return err
		}
	}
}

// begin declares the new version, and returns how many values are of an older one.
func (m *migration) begin(ctx context.Context) (stale int64, err error) {
	var row core.CollectionRow
	err = m.c.store.Read(ctx, func(v core.CollectionView) (err error) {
		row, err = v.Collection(m.name)
		return ignoreNotFound(err)
	})
	if err != nil {
		return 0, err
	}
	if row.Key == 0 || row.Schema == m.rules.Schema && row.Stale == 0 && !row.Damaged {
		return 0, nil
	}
	err = m.c.transact(ctx, m.name, m.rules, func(b *Batch) error {
		if b.row.Schema > m.rules.Schema {
			return fmt.Errorf("values of collection %q have version %d, this program knows %d: %w",
				m.name, b.row.Schema, m.rules.Schema, core.ErrSchemaTooNew)
		}
		if b.row.Schema < m.rules.Schema {
			b.row.Schema, b.row.Stale, b.dirty = m.rules.Schema, b.row.Records, true
		}
		stale = b.row.Stale
		return nil
	})
	return stale, err
}

// step migrates the values of a page. Those that cannot be stay as they are.
func (m *migration) step(ctx context.Context, page []core.RecordRow, schema int64) error {
	r := &reader{m.c, m.name, m.rules, m.c.nowMs()}
	var made []core.RecordRow
	for _, rec := range page {
		if rec.Damaged || rec.Schema >= schema {
			continue
		}
		if record, err := r.read(rec, schema); err == nil {
			rec.Value = record.Value
			made = append(made, rec)
		}
	}
	if len(made) == 0 {
		return nil
	}
	return m.c.transact(ctx, m.name, m.rules, func(b *Batch) error {
		for _, rec := range made {
			if err := b.migrated(rec); err != nil {
				return err
			}
		}
		b.changed(Change{Kind: Reset, Seq: b.row.Seq})
		return nil
	})
}

// migrated stores a value of the new version, unless the old one has changed meanwhile.
func (b *Batch) migrated(rec core.RecordRow) error {
	was, err := b.tx.Record(b.row.Key, rec.Key)
	if err != nil {
		return ignoreNotFound(err)
	}
	if was.Damaged || was.Seq != rec.Seq {
		return nil
	}
	rec.Seen = b.supersede(was)
	rec.Seq, rec.Schema, rec.VersionKey = b.nextSeq(), b.row.Schema, newVersionKey()
	b.row.Bytes += sizeOf(rec) - sizeOf(was)
	b.row.Stale = max(0, b.row.Stale-1)
	return b.tx.SetRecord(b.row.Key, rec)
}
