package collection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/soma-sdk/soma/internal/core"
)

// What one read takes at most.
const (
	readPage  = 256
	readBytes = 4 << 20
)

func recordOf(rec core.RecordRow) Record {
	return Record{Key: DecodeKey(rec.Key), Value: rec.Value, UpdatedAtMs: rec.UpdatedAtMs, Seq: rec.Seq, VersionKey: rec.VersionKey}
}

// reader makes records of the rows of one collection.
type reader struct {
	c     *Collections
	name  string
	rules *Rules
	nowMs int64
}

func (c *Collections) reader(ctx context.Context, name string) (*reader, error) {
	rules, err := c.begin(ctx, name)
	return &reader{c, name, rules, c.nowMs()}, err
}

// read returns the record of a row. The error says why it cannot be read, and is told in
// the log once.
func (r *reader) read(rec core.RecordRow, schema int64) (Record, error) {
	record := recordOf(rec)
	err := r.judge(&record, rec, schema)
	if err != nil {
		r.c.LogQuarantine(r.name, record.Key, err)
		return record, Unreadable(r.name, record.Key, err)
	}
	return record, nil
}

var errDamaged = errors.New("its checksum is another one")

// judge says what is wrong with a row. A value of an older version is made a new one.
func (r *reader) judge(record *Record, rec core.RecordRow, schema int64) (err error) {
	if rec.Damaged {
		return errDamaged
	}
	if rec.Schema < schema {
		if r.rules.Schema == 0 {
			return errNotMigrated
		}
		if record.Value, err = r.rules.migrate(record.Key, bytes.Clone(rec.Value), rec.Schema); err != nil {
			record.Value = rec.Value
			return err
		}
		if err := checkValue(r.rules, rec.Key, record.Value); err != nil {
			record.Value = rec.Value
			return fmt.Errorf("what the migration made: %w", err)
		}
	}
	record.Decoded, err = r.rules.check(record.Key, record.Value)
	return err
}

// LogQuarantine tells of a value that cannot be read, once.
func (c *Collections) LogQuarantine(name, key string, err error) {
	s := c.state(name)
	c.mu.Lock()
	told := s.logged[key] || len(s.logged) >= MaxQuarantined
	if !told {
		s.logged[key] = true
	}
	c.mu.Unlock()
	if !told {
		c.logger.Warn("record is quarantined", "collection", name, "key", key, "err", err)
	}
}

// Get returns the record of a key. Errors: core.ErrNotFound, a RecordError for one that
// cannot be read.
func (c *Collections) Get(ctx context.Context, name, key string) (Record, error) {
	stored, err := EncodeKey(key)
	if err != nil {
		return Record{}, err
	}
	r, err := c.reader(ctx, name)
	if err != nil {
		return Record{}, err
	}
	var row core.CollectionRow
	var rec core.RecordRow
	err = c.store.Read(ctx, func(v core.CollectionView) error {
		if row, err = v.Collection(name); err == nil {
			rec, err = v.Record(row.Key, stored)
		}
		return err
	})
	switch {
	case isNotFound(err), err == nil && !rec.Damaged && r.rules.expired(rec.UpdatedAtMs, r.nowMs):
		return Record{}, &missingError{name, key}
	case err != nil:
		return Record{}, err
	}
	return r.read(rec, versionOf(row))
}

// versionOf returns which version the values of a collection have; of a damaged row it
// cannot be told, and the values are taken as they are.
func versionOf(row core.CollectionRow) int64 {
	if row.Damaged {
		return 0
	}
	return row.Schema
}

// List iterates over the records that can be read, in order of insertion, a page at a
// time: no transaction is open while its caller's code runs.
func (c *Collections) List(ctx context.Context, name string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		err := c.each(ctx, name, func(record Record, unreadable error) bool {
			return unreadable != nil || yield(record, nil)
		})
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// each calls fn with all records that have not expired, and says of each what is wrong
// with it, until fn returns false.
func (c *Collections) each(ctx context.Context, name string, fn func(record Record, unreadable error) bool) error {
	r, err := c.reader(ctx, name)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		page, schema, err := c.page(ctx, name, after)
		if err != nil {
			return err
		}
		for _, rec := range page {
			after = rec.Position
			if !rec.Damaged && r.rules.expired(rec.UpdatedAtMs, r.nowMs) {
				continue
			}
			if !fn(r.read(rec, schema)) {
				return nil
			}
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// page returns rows of a collection, and its version; none for an unknown one.
func (c *Collections) page(ctx context.Context, name string, after int64) (page []core.RecordRow, schema int64, err error) {
	err = c.store.Read(ctx, func(v core.CollectionView) error {
		row, err := v.Collection(name)
		if err != nil {
			return ignoreNotFound(err)
		}
		schema = versionOf(row)
		page, err = v.Records(row.Key, after, readPage, readBytes)
		return err
	})
	return page, schema, err
}
