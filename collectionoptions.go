package soma

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// Limits of collections.
const (
	// MaxCollections is how many collections a DB has at most. One more is ErrTooLarge.
	MaxCollections = collection.MaxCollections
	// MaxKeyBytes is how long the key of a record may be, in bytes. A longer one is
	// ErrInvalidID.
	MaxKeyBytes = core.MaxKeyBytes
	// MaxRecordBytes is how long a value may be, in bytes of JSON. A longer one is
	// ErrTooLarge.
	MaxRecordBytes = collection.MaxRecordBytes
	// DefaultMaxRecords is how many records a collection has at most, unless WithMaxRecords
	// says otherwise. One more is ErrCollectionFull.
	DefaultMaxRecords = collection.DefaultMaxRecords
	// MaxRecords is what WithMaxRecords allows at most.
	MaxRecords = collection.MaxRecords
	// DefaultMaxCollectionBytes is how long the keys and values of a collection are together
	// at most, unless WithMaxBytes says otherwise. More is ErrCollectionFull, of one record
	// alone too. Of a NumberKey the text of the number counts.
	DefaultMaxCollectionBytes = collection.DefaultMaxBytes
	// MaxCollectionBytes is what WithMaxBytes allows at most.
	MaxCollectionBytes = collection.MaxBytes
	// DefaultTombstoneRetention is for how long deletions are remembered, unless
	// WithTombstoneRetention says otherwise.
	DefaultTombstoneRetention = collection.DefaultRetention
	// MaxTombstones is how many deletions a collection remembers at most; the oldest go first.
	MaxTombstones = collection.MaxTombstones
	// DefaultMaxClockSkew is how far updatedAtMs may be ahead of the clock, unless
	// WithMaxClockSkew says otherwise.
	DefaultMaxClockSkew = collection.DefaultClockSkew
	// MaxQuarantined is of how many replaced records a collection keeps the bytes, and
	// MaxQuarantinedBytes how many bytes; the oldest go first.
	MaxQuarantined = collection.MaxQuarantined
	// MaxQuarantinedBytes is said at MaxQuarantined.
	MaxQuarantinedBytes = collection.MaxSetAsideBytes
)

// Migration makes a value of the next version of one under a key. An error, or a panic,
// quarantines the record. It must not use the DB, and may be called again for the same
// record.
type Migration = func(key string, old json.RawMessage) (json.RawMessage, error)

// CollectionOption is a rule of a collection: see NewCollection.
type CollectionOption func(*collectionOptions) error

type collectionOptions struct {
	rules      []func(*collection.Rules)
	validators []any // each a func(T) error
	keyOf      any   // a func(T) string
	keyField   string
}

func collectCollection(opts []CollectionOption) (*collectionOptions, error) {
	o := &collectionOptions{}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// rule makes an option of a rule whose value has to be in a range.
func rule[N int | int64 | time.Duration](what string, n, from, to N, set func(*collection.Rules)) CollectionOption {
	return func(o *collectionOptions) error {
		if n < from || n > to {
			return fmt.Errorf("%s %v, %v to %v are allowed: %w", what, n, from, to, ErrInvalidOption)
		}
		o.rules = append(o.rules, set)
		return nil
	}
}

// maxRuleTime bounds durations: about 285 years.
const maxRuleTime = time.Duration(math.MaxInt64 / 1_000_000 * 1_000_000)

// WithTTL makes records expire: from ttl after their updatedAtMs on they are not there,
// and a Put that old changes nothing. At least a millisecond.
func WithTTL(ttl time.Duration) CollectionOption {
	return rule("TTL", ttl, time.Millisecond, maxRuleTime, func(r *collection.Rules) { r.TTL = ttl })
}

// WithTombstoneRetention sets for how long a deletion is remembered, from its updatedAtMs
// or from when it was made, whichever is later. DefaultTombstoneRetention else.
func WithTombstoneRetention(d time.Duration) CollectionOption {
	return rule("tombstone retention", d, 0, maxRuleTime, func(r *collection.Rules) { r.Retention = d })
}

// WithMaxClockSkew sets how far updatedAtMs may be ahead of the clock of this machine.
// More is ErrClockSkew. DefaultMaxClockSkew else.
func WithMaxClockSkew(d time.Duration) CollectionOption {
	return rule("clock skew", d, 0, maxRuleTime, func(r *collection.Rules) { r.ClockSkew = d })
}

// WithMaxRecordBytes sets how long one value may be, from 1 to MaxRecordBytes bytes. What
// is there already stays.
func WithMaxRecordBytes(n int) CollectionOption {
	return rule("record bytes", n, 1, MaxRecordBytes, func(r *collection.Rules) { r.MaxRecordBytes = n })
}

// WithMaxRecords sets how many records there may be, from 1 to MaxRecords.
func WithMaxRecords(n int) CollectionOption {
	return rule("records", n, 1, MaxRecords, func(r *collection.Rules) { r.MaxRecords = int64(n) })
}

// WithMaxBytes sets how long all keys and values may be together, from 1 to
// MaxCollectionBytes. A record that is longer by itself is ErrCollectionFull, with
// WithEviction too.
func WithMaxBytes(n int64) CollectionOption {
	return rule("bytes", n, 1, MaxCollectionBytes, func(r *collection.Rules) { r.MaxBytes = n })
}

// WithEviction deletes the records with the oldest updatedAtMs, of equal ones the lesser
// keys (bytewise, numbers before strings), where there would be more than WithMaxRecords or
// WithMaxBytes allow, instead of ErrCollectionFull. A value that is itself the oldest does not
// come in then. What remains of Puts alone under WithMaxRecords does not depend on the order
// of their arrival. After deletions, and with WithMaxBytes, it can, because what was evicted
// does not come back when there is room again.
func WithEviction() CollectionOption {
	return func(o *collectionOptions) error {
		o.rules = append(o.rules, func(r *collection.Rules) { r.Evict = true })
		return nil
	}
}

// WithValidator asks validate of every value that is written, and of every one that is
// read. An error, or a panic, is ErrInvalidRecord when it is written, and quarantines the
// record when it is read. T is that of the collection; else it is ErrInvalidOption. A method
// Validate() error of T, or of *T, is asked without this option.
func WithValidator[T any](validate func(T) error) CollectionOption {
	return func(o *collectionOptions) error {
		if validate == nil {
			return fmt.Errorf("nil validator: %w", ErrInvalidOption)
		}
		o.validators = append(o.validators, validate)
		return nil
	}
}

// WithKeyOf says that values have their key in them, as keyOf returns it. One that is
// stored under another is ErrInvalidRecord. T is that of the collection; else it is
// ErrInvalidOption.
func WithKeyOf[T any](keyOf func(T) string) CollectionOption { return withKey("key", keyOf) }

// withKey is WithKeyOf that names the field.
func withKey[T any](field string, keyOf func(T) string) CollectionOption {
	return func(o *collectionOptions) error {
		if keyOf == nil {
			return fmt.Errorf("nil key function: %w", ErrInvalidOption)
		}
		o.keyOf, o.keyField = keyOf, field
		return nil
	}
}

// WithSchemaVersion says which version values have that are written, from 1, and how older
// ones become new: migrations[v] makes version v+1 of version v, for each v from 1 to
// version-1; one that is missing, or too many, is ErrInvalidOption. Without this option
// values have the version that was given last, 1 at first.
//
// Records are migrated by the first call that uses the collection, in its goroutine, some
// hundred in a transaction; other calls wait for it. updatedAtMs and the order stay, and
// watches are told ChangeReset. A record whose migration fails is quarantined, as it is,
// and tried again whenever it is read. If there are values of a newer version, every call
// is ErrSchemaTooNew, and they stay as they are.
func WithSchemaVersion(version int, migrations map[int]Migration) CollectionOption {
	steps := make(map[int]collection.Migration, len(migrations))
	for v, step := range migrations {
		steps[v] = step
	}
	return func(o *collectionOptions) error {
		if version < 1 || version > math.MaxInt32 {
			return fmt.Errorf("schema version %d: %w", version, ErrInvalidOption)
		}
		for v := 1; v < version; v++ {
			if steps[v] == nil {
				return fmt.Errorf("migration from version %d is missing: %w", v, ErrInvalidOption)
			}
		}
		if len(steps) > version-1 {
			return fmt.Errorf("%d migrations for version %d: %w", len(steps), version, ErrInvalidOption)
		}
		o.rules = append(o.rules, func(r *collection.Rules) { r.Schema, r.Migrations = int64(version), steps })
		return nil
	}
}
