package collection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/soma-sdk/soma/internal/core"
)

// Quarantined is a value that cannot be read.
type Quarantined struct {
	Key         string
	Value       json.RawMessage // as it is stored; may be no JSON
	UpdatedAtMs int64
	Reason      string
	Replaced    bool // another value, or a deletion, took its place
}

// setAside keeps the bytes of a value that cannot be read, before it is replaced.
func (b *Batch) setAside(rec core.RecordRow) error {
	if rec.Schema < b.row.Schema {
		b.row.Stale = max(0, b.row.Stale-1)
	}
	reason := errNotMigrated
	switch {
	case !b.unreadable(rec):
		return nil
	case rec.Damaged:
		reason, b.recount = errDamaged, true
	}
	q := core.QuarantineRow{Key: rec.Key, UpdatedAtMs: rec.UpdatedAtMs, Reason: reason.Error(), Value: rec.Value}
	if err := b.measureAside(); err != nil {
		return err
	}
	if err := b.tx.AddQuarantine(b.row.Key, &q); err != nil {
		return err
	}
	b.aside.rows++
	b.aside.bytes += int64(len(q.Value))
	for b.aside.rows > MaxQuarantined || b.aside.bytes > MaxSetAsideBytes {
		oldest, err := b.tx.Quarantine(b.row.Key, 0, 1, readBytes)
		if err != nil || len(oldest) == 0 {
			return err
		}
		if err := b.tx.RemoveQuarantine(b.row.Key, oldest[0].ID); err != nil {
			return err
		}
		b.aside.rows--
		b.aside.bytes -= int64(len(oldest[0].Value))
	}
	return nil
}

// aside is how much a collection has in quarantine. Measuring reads all of it, so a Batch
// does so once.
type aside struct{ rows, bytes int64 }

func (b *Batch) measureAside() error {
	if b.aside != nil {
		return nil
	}
	rows, bytes, err := b.tx.QuarantineSize(b.row.Key)
	if err == nil {
		b.aside = &aside{rows, bytes}
	}
	return err
}

// Quarantined returns the values of a collection that cannot be read, those in their place
// first, and those that were replaced by others, in order of time. check says what more is
// wrong with a value.
func (c *Collections) Quarantined(ctx context.Context, name string, check func(Record) error) ([]Quarantined, error) {
	var all []Quarantined
	err := c.each(ctx, name, func(record Record, unreadable error) bool {
		if unreadable == nil {
			unreadable = check(record)
		}
		if unreadable != nil {
			all = append(all, Quarantined{
				Key: record.Key, Value: record.Value, UpdatedAtMs: record.UpdatedAtMs, Reason: reasonOf(unreadable),
			})
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	err = c.store.Read(ctx, func(v core.CollectionView) error {
		row, err := v.Collection(name)
		if err != nil {
			return ignoreNotFound(err)
		}
		for after := int64(0); ; {
			page, err := v.Quarantine(row.Key, after, readPage, readBytes)
			if err != nil {
				return err
			}
			for _, q := range page {
				after = q.ID
				all = append(all, Quarantined{Key: DecodeKey(q.Key), Value: q.Value, UpdatedAtMs: q.UpdatedAtMs, Reason: q.Reason, Replaced: true})
			}
			if len(page) == 0 {
				return nil
			}
		}
	})
	return all, err
}

func reasonOf(unreadable error) string {
	if e, ok := errors.AsType[*RecordError](unreadable); ok {
		if e.Field != "" {
			return "field " + e.Field + ": " + e.Err.Error()
		}
		return e.Err.Error()
	}
	return unreadable.Error()
}

// DropQuarantined removes what Quarantined has of a key, for good.
func (c *Collections) DropQuarantined(ctx context.Context, name, key string, check func(Record) error) error {
	stored, err := EncodeKey(key)
	if err != nil {
		return err
	}
	r, err := c.reader(ctx, name)
	if err != nil {
		return err
	}
	// The host's functions must not run on the writer's goroutine: they run here, and
	// what they have seen is compared there.
	unreadable := int64(-1)
	record, err := c.Get(ctx, name, key)
	if err == nil {
		err = check(record)
	}
	switch {
	case errors.Is(err, core.ErrCorrupt):
		unreadable = record.Seq
	case err != nil && !isNotFound(err):
		return err
	}
	return c.transact(ctx, name, r.rules, func(b *Batch) error { return b.dropQuarantined(stored, unreadable) })
}

func (b *Batch) dropQuarantined(stored string, unreadable int64) error {
	if b.row.Key == 0 {
		return core.ErrNotFound
	}
	was, err := b.find(stored)
	if err != nil {
		return err
	}
	dropped := 0
	if was.value != nil && was.value.Seq == unreadable {
		if err := b.drop(*was.value); err != nil {
			return err
		}
		dropped++
	}
	for after := int64(0); ; {
		page, err := b.tx.Quarantine(b.row.Key, after, readPage, readBytes)
		if err != nil {
			return err
		}
		for _, q := range page {
			after = q.ID
			if q.Key != stored {
				continue
			}
			if err := b.tx.RemoveQuarantine(b.row.Key, q.ID); err != nil {
				return err
			}
			dropped++
			b.aside = nil
		}
		if len(page) == 0 {
			break
		}
	}
	if dropped == 0 {
		return core.ErrNotFound
	}
	return nil
}
