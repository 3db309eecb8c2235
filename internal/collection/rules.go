package collection

import (
	"encoding/json"
	"fmt"
	"time"
)

// Limits. A collection's own rules may be stricter.
const (
	MaxCollections   = 4096             // that are not empty names in the database
	MaxRecordBytes   = 1 << 20          // of one value
	MaxRecords       = 10_000_000       // that WithMaxRecords can allow
	MaxBytes         = int64(64) << 30  // that WithMaxBytes can allow
	MaxTombstones    = 100_000          // of one collection; past it the oldest go early
	MaxQuarantined   = 1000             // values set aside of one collection; past it the oldest go
	MaxSetAsideBytes = int64(64) << 20  // of these
	MaxUpdatedAtMs   = int64(1)<<53 - 1 // what JavaScript counts exactly
)

// The defaults of Rules.
const (
	DefaultMaxRecords = 100_000
	DefaultMaxBytes   = int64(256) << 20
	DefaultRetention  = 30 * 24 * time.Hour
	DefaultClockSkew  = 24 * time.Hour
)

// Migration makes a value of the next version. It must not call the database.
type Migration func(key string, old json.RawMessage) (json.RawMessage, error)

// Check says what is wrong with a value under a key, and may return what it decoded.
type Check func(key string, value json.RawMessage) (decoded any, err error)

// Rules say what a collection takes and keeps. They are not changed once they are set.
type Rules struct {
	MaxRecordBytes int
	MaxRecords     int64
	MaxBytes       int64
	Evict          bool          // the oldest record goes where a new one does not fit
	TTL            time.Duration // 0 for none
	Retention      time.Duration // of tombstones
	ClockSkew      time.Duration // that updatedAtMs may be ahead of the clock
	Check          Check         // nil for none
	Checker        any           // whose Check that is
	Schema         int64         // version of values that is written; 0 for the one that is stored
	Migrations     map[int]Migration
}

func defaultRules() *Rules {
	return &Rules{
		MaxRecordBytes: MaxRecordBytes, MaxRecords: DefaultMaxRecords, MaxBytes: DefaultMaxBytes,
		Retention: DefaultRetention, ClockSkew: DefaultClockSkew,
	}
}

// expired reports whether a value is gone by its age.
func (r *Rules) expired(updatedAtMs, nowMs int64) bool {
	return r.TTL > 0 && updatedAtMs <= r.expiresUntil(nowMs)
}

// expiresUntil returns up to which time of update values are gone.
func (r *Rules) expiresUntil(nowMs int64) int64 { return nowMs - r.TTL.Milliseconds() }

// check runs Check; a panic in it is an error.
func (r *Rules) check(key string, value json.RawMessage) (decoded any, err error) {
	if r.Check == nil {
		return nil, nil
	}
	defer recovered(&err)
	return r.Check(key, value)
}

// migrate brings a value from a version to that of the rules.
func (r *Rules) migrate(key string, value json.RawMessage, from int64) (_ json.RawMessage, err error) {
	defer recovered(&err)
	for v := from; v < r.Schema; v++ {
		step := r.Migrations[int(v)]
		if step == nil {
			return nil, fmt.Errorf("there is no migration from version %d", v)
		}
		if value, err = step(key, value); err != nil {
			return nil, fmt.Errorf("migration from version %d: %w", v, err)
		}
	}
	return value, nil
}

// recovered makes an error of a panic of a host's function.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
