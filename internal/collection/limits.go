package collection

import (
	"errors"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

// tidyRows is how many expired values, and how many old tombstones, one write removes at
// most beside what it has to.
const tidyRows = 4

// fit refuses a value for which there is no room, or makes some.
func (b *Batch) fit(rec core.RecordRow, was *core.RecordRow) error {
	if b.rules.Evict {
		return nil // evict comes after
	}
	for {
		records, bytes := b.row.Records+1, b.row.Bytes+sizeOf(rec)
		grows := int64(math.MaxInt64)
		if was != nil {
			records, bytes = records-1, bytes-sizeOf(*was)
			grows = bytes - b.row.Bytes
		}
		var full error
		switch {
		case was == nil && records > b.rules.MaxRecords:
			full = errFull("as many records as it may", b.rules.MaxRecords)
		case grows > 0 && bytes > b.rules.MaxBytes:
			full = errFull("as many bytes as it may", b.rules.MaxBytes)
		default:
			return nil
		}
		n, err := b.expire(readPage, rec.Key)
		if err != nil {
			return err
		}
		if n == 0 {
			return full
		}
	}
}

// evict removes the oldest records until the limits hold.
func (b *Batch) evict() error {
	for b.rules.Evict && (b.row.Records > b.rules.MaxRecords || b.row.Bytes > b.rules.MaxBytes) {
		page, err := b.oldest(math.MaxInt64, tidyRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			if b.row.Records <= b.rules.MaxRecords && b.row.Bytes <= b.rules.MaxBytes {
				break
			}
			if err := b.drop(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// oldest returns about limit of the values that were updated at untilMs or before, the
// oldest first, of equal ones the lesser key, and none only if there are none. Those that were written since their age was
// noted get their true age here: each write makes that happen once at most.
func (b *Batch) oldest(untilMs int64, limit int) ([]core.RecordRow, error) {
	for {
		page, err := b.tx.RecordsAged(b.row.Key, untilMs, limit, readBytes)
		if err != nil {
			return nil, err
		}
		exact := true
		for _, rec := range page {
			if rec.Damaged || rec.AgeMs == rec.UpdatedAtMs {
				continue
			}
			exact = false
			if err := b.tx.SetRecordAge(b.row.Key, rec.Position, rec.UpdatedAtMs); err != nil {
				return nil, err
			}
		}
		if exact {
			return page, nil
		}
	}
}

// drop deletes a value as if by a write of its own time.
func (b *Batch) drop(rec core.RecordRow) error {
	if err := b.bury(rec, rec.UpdatedAtMs); err != nil {
		return err
	}
	b.changed(Change{Kind: Deleted, Key: DecodeKey(rec.Key), UpdatedAtMs: rec.UpdatedAtMs, Seq: b.row.Seq})
	return nil
}

// expire deletes up to limit values whose time is over, but not that of a key nor those
// that are stuck, and returns how many.
func (b *Batch) expire(limit int, except string) (int, error) {
	if b.rules.TTL == 0 || b.row.Key == 0 {
		return 0, nil
	}
	page, err := b.oldest(b.rules.expiresUntil(b.nowMs), limit)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, rec := range page {
		if rec.Key == except {
			continue
		}
		switch err := b.drop(rec); {
		case err == nil:
			n++
		case !errors.Is(err, errStuck):
			return n, err
		}
	}
	return n, nil
}

// bereave removes up to limit tombstones that were kept long enough, or that are too many,
// and returns how many.
func (b *Batch) bereave(limit int) (int, error) {
	if b.row.Tombstones == 0 || b.row.Key == 0 {
		return 0, nil
	}
	until := b.nowMs - b.rules.Retention.Milliseconds()
	page, err := b.tx.TombstonesUntil(b.row.Key, until, limit)
	if err != nil {
		return 0, err
	}
	if excess := b.row.Tombstones - MaxTombstones; len(page) == 0 && excess > 0 {
		if page, err = b.tx.TombstonesUntil(b.row.Key, math.MaxInt64, int(excess)); err != nil {
			return 0, err
		}
	}
	n := 0
	for _, t := range page {
		switch err := b.tx.RemoveTombstone(b.row.Key, t.Key); {
		case err == nil:
			n++
		case !errors.Is(err, core.ErrCorrupt): // else its key is damaged
			return n, err
		}
	}
	b.row.Tombstones -= int64(n)
	b.dirty = b.dirty || n > 0
	return n, nil
}

// tidy removes a little of what is past its time.
func (b *Batch) tidy() error {
	if _, err := b.expire(tidyRows, ""); err != nil {
		return err
	}
	_, err := b.bereave(tidyRows)
	return err
}
