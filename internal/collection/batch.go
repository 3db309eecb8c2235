package collection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// Batch is one transaction on one collection. It runs on the writer's goroutine: it must
// not wait for anything, nor run a function of the host's.
type Batch struct {
	c       *Collections
	tx      core.CollectionTx
	name    string
	rules   *Rules
	nowMs   int64
	row     *core.CollectionRow
	dirty   bool // row is to be written
	recount bool // its counters cannot be trusted: a damaged record went
	aside   *aside
	changes []Change
}

// Update runs fn in one transaction, and returns when that is durable. If fn fails,
// nothing is stored.
func (c *Collections) Update(ctx context.Context, name string, fn func(*Batch) error) error {
	rules, err := c.begin(ctx, name)
	if err != nil {
		return err
	}
	return c.transact(ctx, name, rules, fn)
}

// transact is Update under given rules, without running migrations.
func (c *Collections) transact(ctx context.Context, name string, rules *Rules, fn func(*Batch) error) error {
	return c.store.Write(ctx, func(tx core.CollectionTx) error {
		b := &Batch{c: c, tx: tx, name: name, rules: rules, nowMs: c.nowMs()}
		tx.OnRollback(func() { delete(c.rows, name) })
		if err := b.load(); err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
		return b.finish()
	})
}

// load takes the row of the collection from memory, or from the store.
func (b *Batch) load() error {
	if row := b.c.rows[b.name]; row != nil {
		b.row = row
		return nil
	}
	row, err := b.tx.Collection(b.name)
	switch {
	case isNotFound(err):
		row = core.CollectionRow{Name: b.name, Schema: max(b.rules.Schema, 1), ClearedAtMs: -1}
	case err != nil:
		return err
	case row.Damaged:
		if err := b.restore(&row); err != nil {
			return err
		}
	}
	b.row = &row
	b.remember()
	return nil
}

// remember keeps the row in memory, once it is stored: until then its version is that of
// the rules, which may change.
func (b *Batch) remember() {
	if b.row.Key != 0 {
		b.c.rows[b.name] = b.row
	}
}

// seqGap is what a damaged number of changes is raised by, so that none is used twice.
const seqGap = 1 << 32

// restore makes the row of a collection anew that is damaged, from its records. When it
// was cleared is lost.
func (b *Batch) restore(row *core.CollectionRow) error {
	b.c.logger.Error("row of a collection is damaged: made anew from its records", "collection", b.name)
	*row = core.CollectionRow{Key: row.Key, Name: b.name, Schema: 1, ClearedAtMs: -1}
	versions := map[int64]int64{}
	err := b.count(row, func(rec core.RecordRow) {
		row.Position = max(row.Position, rec.Position)
		if !rec.Damaged {
			row.Seq = max(row.Seq, rec.Seq)
			row.Schema = max(row.Schema, rec.Schema)
			versions[rec.Schema]++
		}
	})
	if err != nil {
		return err
	}
	row.Stale = row.Records - versions[row.Schema]
	all, err := b.tx.TombstonesUntil(row.Key, math.MaxInt64, 2*MaxTombstones)
	if err != nil {
		return err
	}
	for _, t := range all {
		if !t.Damaged {
			row.Seq = max(row.Seq, t.Seq)
		}
	}
	row.Tombstones = int64(len(all))
	row.Seq += seqGap
	b.dirty = true
	return nil
}

// count counts the records of a collection, and calls fn with each.
func (b *Batch) count(row *core.CollectionRow, fn func(core.RecordRow)) error {
	row.Records, row.Bytes = 0, 0
	for after := int64(0); ; {
		page, err := b.tx.Records(row.Key, after, readPage, readBytes)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			after = rec.Position
			row.Records++
			row.Bytes += sizeOf(rec)
			fn(rec)
		}
	}
}

// save writes the row of the collection, which gets its key by that.
func (b *Batch) save() error {
	b.dirty = b.row.Key == 0 // it is written once more when its counters are known
	if b.row.Key == 0 {
		if err := b.room(); err != nil {
			return err
		}
	}
	if err := b.tx.PutCollection(b.row); err != nil {
		return err
	}
	b.remember()
	return nil
}

// room refuses one collection too many.
func (b *Batch) room() error {
	page, err := b.tx.Collections("", MaxCollections)
	if err == nil && len(page) >= MaxCollections {
		err = tooMany(b.name)
	}
	return err
}

// finish writes what is left to write, and tells of the changes after the commit.
func (b *Batch) finish() error {
	if b.recount {
		if err := b.count(b.row, func(core.RecordRow) {}); err != nil {
			return err
		}
	}
	if b.dirty {
		if err := b.save(); err != nil {
			return err
		}
	}
	if len(b.changes) > 0 {
		b.tx.OnCommit(func() { b.c.changes.publish(b.changes...) })
	}
	return nil
}

// changed notes what watches are told.
func (b *Batch) changed(change Change) {
	change.Collection = b.name
	b.changes = append(b.changes, change)
}

// nextSeq numbers a change.
func (b *Batch) nextSeq() int64 {
	b.row.Seq++
	b.dirty = true
	return b.row.Seq
}

// Seq returns the number of the newest change.
func (b *Batch) Seq() int64 { return b.row.Seq }

// Entry is what a key stands for in a Batch.
type Entry struct {
	Record           // where Live
	Live        bool // there is a value, which can be read and has not expired
	Unreadable  bool // there is one that cannot
	DeletedAtMs int64
	seen        []byte
}

// Knows reports whether the key has had a value of that version key: the one it has, or
// one of the last that it had.
func (e Entry) Knows(versionKey string) bool {
	return e.VersionKey == versionKey || hasSeen(e.seen, versionKey)
}

// Entry returns what a key stands for. A key of which nothing is known is the zero Entry.
func (b *Batch) Entry(key string) (Entry, error) {
	stored, err := EncodeKey(key)
	if err != nil {
		return Entry{}, err
	}
	found, err := b.find(stored)
	if err != nil {
		return Entry{}, err
	}
	switch {
	case found.value != nil:
		rec := found.value
		e := Entry{Record: recordOf(*rec), Unreadable: b.unreadable(*rec), seen: rec.Seen}
		e.Live = !e.Unreadable && !b.rules.expired(rec.UpdatedAtMs, b.nowMs)
		return e, nil
	case found.tombstone != nil:
		t := found.tombstone
		return Entry{Record: Record{Key: key, UpdatedAtMs: t.UpdatedAtMs, Seq: t.Seq}, DeletedAtMs: t.MadeAtMs, seen: t.Seen}, nil
	}
	return Entry{}, nil
}

// found is what the store has under a key: a value, a tombstone, or nothing.
type found struct {
	value     *core.RecordRow
	tombstone *core.TombstoneRow
}

func (b *Batch) find(stored string) (found, error) {
	if b.row.Key == 0 {
		return found{}, nil
	}
	rec, err := b.tx.Record(b.row.Key, stored)
	if err == nil {
		return found{value: &rec}, nil
	}
	if !isNotFound(err) || b.row.Tombstones == 0 {
		return found{}, ignoreNotFound(err)
	}
	t, err := b.tx.Tombstone(b.row.Key, stored)
	if err != nil {
		return found{}, ignoreNotFound(err)
	}
	if t.Damaged { // it says nothing
		t = core.TombstoneRow{Key: stored, UpdatedAtMs: -1}
	}
	return found{tombstone: &t}, nil
}

func ignoreNotFound(err error) error {
	if isNotFound(err) {
		return nil
	}
	return err
}

// unreadable reports whether a row is kept apart before it is replaced.
func (b *Batch) unreadable(rec core.RecordRow) bool { return rec.Damaged || rec.Schema < b.row.Schema }

// Apply makes a write that Check has passed, if it wins, and reports whether it did.
func (b *Batch) Apply(w Write) (applied bool, err error) {
	stored, err := EncodeKey(w.Key)
	if err != nil {
		return false, err
	}
	if w.UpdatedAtMs <= b.row.ClearedAtMs || !w.Delete && b.rules.expired(w.UpdatedAtMs, b.nowMs) {
		return false, nil
	}
	was, err := b.find(stored)
	if err != nil || !wins(w, was) {
		return false, err
	}
	if w.Delete {
		err = b.remove(stored, was, w.UpdatedAtMs)
	} else {
		err = b.put(stored, was, w)
	}
	if err != nil {
		return false, err
	}
	return true, b.tidy()
}

// wins says whether a write changes what is there: the newer one does, of equal times a
// deletion, then the greater bytes. Nothing is known of a value that is damaged, so
// everything does; its bytes are kept.
func wins(w Write, was found) bool {
	switch {
	case was.value == nil && was.tombstone == nil:
		return true
	case was.tombstone != nil:
		return w.UpdatedAtMs > was.tombstone.UpdatedAtMs
	case was.value.Damaged:
		return true
	case w.UpdatedAtMs != was.value.UpdatedAtMs:
		return w.UpdatedAtMs > was.value.UpdatedAtMs
	}
	return w.Delete || bytes.Compare(w.Value, was.value.Value) > 0
}

// put stores a value.
func (b *Batch) put(stored string, was found, w Write) error {
	if was.value != nil && b.rules.expired(was.value.UpdatedAtMs, b.nowMs) { // it was gone, so its place is too
		if err := b.bury(*was.value, was.value.UpdatedAtMs); err != nil {
			return err
		}
		var err error
		if was, err = b.find(stored); err != nil {
			return err
		}
	}
	rec := core.RecordRow{
		Key: stored, UpdatedAtMs: w.UpdatedAtMs, Schema: b.row.Schema, VersionKey: w.VersionKey, Value: w.Value,
	}
	if rec.VersionKey == "" {
		rec.VersionKey = newVersionKey()
	}
	if err := b.fit(rec, was.value); err != nil {
		return err
	}
	rec.Seq = b.nextSeq()
	if b.row.Key == 0 {
		if err := b.save(); err != nil {
			return err
		}
	}
	var err error
	if was.value != nil {
		err = b.replace(rec, *was.value)
	} else {
		err = b.insert(rec, was.tombstone)
	}
	if err != nil {
		return err
	}
	b.changed(Change{Kind: Put, Key: w.Key, Value: bytes.Clone(w.Value), UpdatedAtMs: w.UpdatedAtMs, Seq: rec.Seq})
	return b.evict()
}

// replace puts a value in the place of another one. Where a damaged one is cannot be told
// from it, so the new one goes to the end then.
func (b *Batch) replace(rec, was core.RecordRow) error {
	if was.Damaged {
		if err := b.unlink(was); err != nil {
			return err
		}
		return b.insert(rec, nil)
	}
	if err := b.setAside(was); err != nil {
		return err
	}
	rec.Position, rec.Seen = was.Position, b.supersede(was)
	b.row.Bytes += sizeOf(rec) - sizeOf(was)
	return b.tx.SetRecord(b.row.Key, rec)
}

// insert puts a value at the end.
func (b *Batch) insert(rec core.RecordRow, was *core.TombstoneRow) error {
	if was != nil {
		rec.Seen = was.Seen
		b.row.Tombstones--
		if err := b.tx.RemoveTombstone(b.row.Key, rec.Key); err != nil {
			return err
		}
	}
	b.row.Position++
	rec.Position = b.row.Position
	b.row.Records++
	b.row.Bytes += sizeOf(rec)
	return b.tx.AddRecord(b.row.Key, rec)
}

// remove makes the tombstone of a key.
func (b *Batch) remove(stored string, was found, updatedAtMs int64) error {
	if was.value != nil {
		if err := b.bury(*was.value, updatedAtMs); err != nil {
			return err
		}
		b.changed(Change{Kind: Deleted, Key: DecodeKey(stored), UpdatedAtMs: updatedAtMs, Seq: b.row.Seq})
		return nil
	}
	t := core.TombstoneRow{Key: stored}
	if was.tombstone != nil {
		t.Seen = was.tombstone.Seen
		b.row.Tombstones-- // it is replaced
	}
	return b.entomb(t, updatedAtMs)
}

// bury turns a value into a tombstone.
func (b *Batch) bury(was core.RecordRow, updatedAtMs int64) error {
	if err := b.unlink(was); err != nil {
		return err
	}
	t := core.TombstoneRow{Key: was.Key}
	if !was.Damaged {
		t.Seen = b.supersede(was)
	}
	return b.entomb(t, updatedAtMs)
}

// errStuck is an unlink that has done nothing, because the key is damaged in one of the
// places that have it.
var errStuck = errors.New("its key is damaged")

// unlink removes a value, and keeps the bytes of one that cannot be read.
func (b *Batch) unlink(was core.RecordRow) error {
	if err := b.tx.RemoveRecord(b.row.Key, was.Key); err != nil {
		if errors.Is(err, core.ErrCorrupt) {
			err = fmt.Errorf("%w: %w", errStuck, err)
		}
		return err
	}
	b.row.Records--
	b.row.Bytes -= sizeOf(was)
	return b.setAside(was)
}

// entomb writes a tombstone.
func (b *Batch) entomb(t core.TombstoneRow, updatedAtMs int64) error {
	t.UpdatedAtMs, t.MadeAtMs, t.Seq = updatedAtMs, max(updatedAtMs, b.nowMs), b.nextSeq()
	if b.row.Key == 0 {
		if err := b.save(); err != nil {
			return err
		}
	}
	b.row.Tombstones++
	return b.tx.PutTombstone(b.row.Key, t)
}

// Clear deletes what was updated at updatedAtMs or before, now and when it comes later.
// Values that are damaged are deleted too, as far as their time says so.
func (b *Batch) Clear(updatedAtMs int64) error {
	if updatedAtMs <= b.row.ClearedAtMs {
		return nil
	}
	b.row.ClearedAtMs = updatedAtMs
	seq := b.nextSeq()
	if b.row.Key == 0 {
		return b.save()
	}
	for {
		page, err := b.oldest(updatedAtMs, readPage)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if err := b.bury(rec, updatedAtMs); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			break
		}
		seq = b.row.Seq
	}
	b.changed(Change{Kind: Cleared, UpdatedAtMs: updatedAtMs, Seq: seq})
	return b.tidy()
}

// sizeOf is what a value counts for: its own bytes, and those of the key without what says
// of which type that is.
func sizeOf(rec core.RecordRow) int64 {
	return int64(max(len(rec.Key)-len(stringPrefix), 0) + len(rec.Value))
}

// errFull says which limit a value would exceed.
func errFull(what string, limit int64) error {
	return fmt.Errorf("collection has %s, which is its limit (%d): %w", what, limit, core.ErrCollectionFull)
}

var errNotMigrated = errors.New("value is of an older version")
