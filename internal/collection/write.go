package collection

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// Write is one change of a record.
type Write struct {
	Key         string
	Delete      bool
	Value       json.RawMessage // of a change that is no Delete
	UpdatedAtMs int64
	VersionKey  string // "" for a new one
}

// Put stores a value, if it is newer than what is there.
func (c *Collections) Put(ctx context.Context, name, key string, value json.RawMessage, updatedAtMs int64) error {
	return c.write(ctx, name, Write{Key: key, Value: value, UpdatedAtMs: updatedAtMs})
}

// Delete removes a value, unless it is newer.
func (c *Collections) Delete(ctx context.Context, name, key string, updatedAtMs int64) error {
	return c.write(ctx, name, Write{Key: key, Delete: true, UpdatedAtMs: updatedAtMs})
}

func (c *Collections) write(ctx context.Context, name string, w Write) error {
	if err := c.Check(name, w); err != nil {
		return err
	}
	return c.Update(ctx, name, func(b *Batch) error {
		if err := b.checkDelete(w); err != nil {
			return err
		}
		_, err := b.Apply(w)
		return err
	})
}

// checkDelete refuses a deletion from the future, unless what is stored is from there as
// well: that has to be deletable after the clock was set back.
func (b *Batch) checkDelete(w Write) error {
	skew := b.c.checkSkew(b.rules, w.UpdatedAtMs)
	if !w.Delete || skew == nil {
		return nil
	}
	stored, err := EncodeKey(w.Key)
	if err != nil {
		return err
	}
	was, err := b.find(stored)
	switch {
	case err != nil:
		return err
	case was.value != nil && !was.value.Damaged && w.UpdatedAtMs <= was.value.UpdatedAtMs,
		was.tombstone != nil && w.UpdatedAtMs <= was.tombstone.UpdatedAtMs:
		return nil
	}
	return skew
}

// checkClear is checkDelete of a Clear.
func (b *Batch) checkClear(updatedAtMs int64) error {
	skew := b.c.checkSkew(b.rules, updatedAtMs)
	switch {
	case skew == nil || updatedAtMs <= b.row.ClearedAtMs:
		return nil
	case b.row.Key == 0:
		return skew
	}
	for after := int64(0); ; {
		page, err := b.tx.Records(b.row.Key, after, readPage, readBytes)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if after = rec.Position; !rec.Damaged && rec.UpdatedAtMs >= updatedAtMs {
				return nil
			}
		}
		if len(page) == 0 {
			return skew
		}
	}
}

// Clear deletes every record that was updated at updatedAtMs or before, also those that
// come later.
func (c *Collections) Clear(ctx context.Context, name string, updatedAtMs int64) error {
	if err := checkRange(updatedAtMs); err != nil {
		return err
	}
	return c.Update(ctx, name, func(b *Batch) error {
		if err := b.checkClear(updatedAtMs); err != nil {
			return err
		}
		return b.Clear(updatedAtMs)
	})
}

// Check reports what is wrong with a write by itself, without looking at what is stored:
// not whether a deletion is too far ahead of the clock.
// It runs what the host asks of values, so it must not be called inside of a transaction.
func (c *Collections) Check(name string, w Write) error {
	if err := CheckName(name); err != nil {
		return err
	}
	stored, err := EncodeKey(w.Key)
	if err != nil {
		return err
	}
	rules := c.rules(name)
	if err := checkRange(w.UpdatedAtMs); err != nil || w.Delete {
		return err
	}
	if err := c.checkSkew(rules, w.UpdatedAtMs); err != nil {
		return err
	}
	if err := checkValue(rules, stored, w.Value); err != nil {
		return fmt.Errorf("value of record %q: %w", w.Key, err)
	}
	if _, err := rules.check(w.Key, w.Value); err != nil {
		return Invalid(name, w.Key, err)
	}
	return nil
}

// checkTime refuses times that make no sense, or would win for ever.
func (c *Collections) checkTime(rules *Rules, updatedAtMs int64) error {
	if err := checkRange(updatedAtMs); err != nil {
		return err
	}
	return c.checkSkew(rules, updatedAtMs)
}

func checkRange(updatedAtMs int64) error {
	if updatedAtMs < 0 || updatedAtMs > MaxUpdatedAtMs {
		return fmt.Errorf("updatedAtMs %d, 0 to %d are allowed: %w", updatedAtMs, MaxUpdatedAtMs, core.ErrInvalidTime)
	}
	return nil
}

func (c *Collections) checkSkew(rules *Rules, updatedAtMs int64) error {
	if ahead := updatedAtMs - c.nowMs(); ahead > rules.ClockSkew.Milliseconds() {
		return fmt.Errorf("updatedAtMs %d is %d ms ahead of the clock, at most %d are allowed: %w",
			updatedAtMs, ahead, rules.ClockSkew.Milliseconds(), core.ErrClockSkew)
	}
	return nil
}

// checkValue reports whether a value may be stored, whatever it means.
func checkValue(rules *Rules, stored string, value json.RawMessage) error {
	if len(value) > rules.MaxRecordBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", len(value), rules.MaxRecordBytes, core.ErrTooLarge)
	}
	if n := sizeOf(core.RecordRow{Key: stored, Value: value}); n > rules.MaxBytes {
		return fmt.Errorf("%d bytes with its key, the whole collection may have %d: %w", n, rules.MaxBytes, core.ErrCollectionFull)
	}
	if !utf8.Valid(value) || !json.Valid(value) {
		return core.ErrInvalidJSON
	}
	return nil
}
