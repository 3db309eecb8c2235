package collection

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// StorageWrite is a whole collection as a window wants it.
type StorageWrite struct {
	Value   []byte // a snapshot
	BaseSeq int64  // of the snapshot that the window adopted last
	Window  string // "" for none
}

// StorageResult is what became of a StorageWrite.
type StorageResult struct {
	Seq  int64 // of the collection, after it
	Same bool  // the collection has the rows of the value, in their order
}

// Storage returns a collection as a snapshot, and its newest change. Records that cannot
// be read, or whose value is neither an object nor an array, are left out: the npm package
// reads nothing of a snapshot that has one. SetItem keeps them.
func (c *Collections) Storage(ctx context.Context, name string) (value []byte, seq int64, err error) {
	if err := CheckName(name); err != nil {
		return nil, 0, err
	}
	c.state(name).storage.watch() // before it is read
	r, err := c.reader(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	for {
		value, seq, err = r.snapshot(ctx)
		switch {
		case err == nil:
			return value, seq, nil
		case !errors.Is(err, errAgain):
			return nil, 0, fmt.Errorf("snapshot of collection %q: %w", name, err)
		}
	}
}

// snapshot reads no more rows than a snapshot can have. Only where some of these were left out
// it reads on, outside of the first transaction because the host is asked which ones are:
// then it is errAgain if the collection has changed meanwhile.
func (r *reader) snapshot(ctx context.Context) (text []byte, seq int64, err error) {
	text, seq = []byte{'{'}, -1
	for after := int64(0); ; {
		page, row, err := r.snapshotPage(ctx, after, MaxSnapshotBytes-len(text))
		switch {
		case err != nil:
			return nil, 0, err
		case seq >= 0 && seq != row.Seq:
			return nil, 0, errAgain
		}
		seq = row.Seq
		var records []Record
		for _, rec := range page.rows {
			after = rec.Position
			if !rec.Damaged && r.rules.expired(rec.UpdatedAtMs, r.nowMs) {
				continue
			}
			if record, err := r.read(rec, versionOf(row)); err == nil {
				records = append(records, record)
			}
		}
		if text, err = appendRows(text, records); err != nil {
			return nil, 0, err
		}
		if !page.more {
			return append(text, '}'), seq, nil
		}
	}
}

type snapshotPage struct {
	rows []core.RecordRow
	more bool // there may be
}

// snapshotPage returns rows until they may fill room bytes of a snapshot.
func (r *reader) snapshotPage(ctx context.Context, after int64, room int) (page snapshotPage, row core.CollectionRow, err error) {
	limit := room/len(emptyRow) + 1
	err = r.c.store.Read(ctx, func(v core.CollectionView) error {
		row, err = v.Collection(r.name)
		if err != nil {
			return ignoreNotFound(err)
		}
		page.rows, err = v.Records(row.Key, after, limit, room)
		return err
	})
	for _, rec := range page.rows {
		room -= len(rec.Value)
	}
	page.more = room < 0 || len(page.rows) == limit
	return page, row, err
}

// isObject reports whether the npm package takes a value for the data of a row.
func isObject(value []byte) bool {
	t := jsonText{text: value}
	c := t.next()
	return c == '{' || c == '['
}

// errAgain says that the collection has changed since the plan was made, in a way that
// asks for what must not run inside of the transaction.
var errAgain = errors.New("collection has changed")

// SetItem makes of a collection what a window wants, row by row: see merge.
func (c *Collections) SetItem(ctx context.Context, name string, w StorageWrite) (StorageResult, error) {
	m, err := c.newMerge(name, w)
	if err != nil {
		return StorageResult{}, err
	}
	for {
		if err := m.prepare(ctx); err != nil {
			return StorageResult{}, err
		}
		var result StorageResult
		err := c.Update(ctx, name, func(b *Batch) (err error) {
			result, err = m.run(b)
			return err
		})
		if !errors.Is(err, errAgain) {
			return result, err
		}
	}
}

func (c *Collections) newMerge(name string, w StorageWrite) (*merge, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := checkSnapshotSize(name, w.Value); err != nil {
		return nil, err
	}
	if w.BaseSeq < 0 || w.BaseSeq > math.MaxInt64/2 {
		return nil, fmt.Errorf("baseSeq %d: %w", w.BaseSeq, core.ErrInvalidSeq)
	}
	rows, faults, err := readSnapshot(w.Value)
	if err != nil {
		return nil, fmt.Errorf("value of collection %q: %w", name, err)
	}
	if len(faults) > 0 {
		return nil, faults[0].err(name)
	}
	m := &merge{
		c: c, name: name, rows: rows, base: w.BaseSeq, window: w.Window, storage: &c.state(name).storage,
		checked: map[int]bool{}, hidden: map[int64]bool{},
	}
	m.storage.watch()
	return m, nil
}
