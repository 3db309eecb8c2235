package soma

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/soma-sdk/soma/internal/collection"
)

// Record is a value under a key.
type Record[T any] struct {
	Key         string
	Value       T
	UpdatedAtMs int64 // as given by who wrote it
}

// RawRecord is a Record whose value is JSON, byte for byte as it was written.
type RawRecord = Record[json.RawMessage]

// QuarantinedRecord is a record that cannot be read.
type QuarantinedRecord = collection.Quarantined

// NumberKey returns the key that stands for a number of JavaScript, as rows that came
// through the storage bridge may have. It begins with U+0000, which no other key can.
func NumberKey(n float64) string { return collection.NumberKey(n) }

// Collection keeps records of type T on this machine, as JSON, and the newer wins: of two
// writes to a key the one with the later updatedAtMs, at equal times a deletion, and of
// two values the one with the greater bytes. So the records depend only on the set of
// writes, in whatever order and however often they come (but for limits, of which see
// WithEviction, and as long as deletions are remembered); their order, and what Watch tells, depend on the arrival.
// Each call is durable when it returns, as the option of the DB says.
//
// A key is printable UTF-8 of 1 to MaxKeyBytes bytes, or a NumberKey. updatedAtMs is in
// milliseconds since 1970, from 0 to 2^53-1, and not more than a day ahead of the clock
// (WithMaxClockSkew). T is encoded by encoding/json; json.RawMessage is kept as it is.
//
// A record that is damaged, or that does not fit T or a validator, or whose migration
// failed, is quarantined: List and Watch leave it out, Get returns a *RecordError, it stays
// stored, Quarantined lists it, and it is told in the log once. It comes back by itself when
// T, the validator or the migration is mended. If a damaged or unmigrated one is replaced,
// its bytes are kept, the last MaxQuarantined of a collection.
//
// Methods are safe for concurrent use, also of several handles of one collection.
type Collection[T any] struct {
	all        Collections
	name       string
	validators []func(T) error
	keyOf      func(T) string
	keyField   string
	err        error // of an option
}

// NewCollection returns the collection of a name. It touches nothing on the disk. Options
// are rules of the collection for as long as the DB is open, whoever writes to it, through
// other handles, db.Collections() or the storage bridge; of each option the last one that
// was given counts, and a handle without options changes none. An option that makes no
// sense is ErrInvalidOption at each call, and then none of them counts.
func NewCollection[T any](db *DB, name string, opts ...CollectionOption) *Collection[T] {
	c := &Collection[T]{all: Collections{db}, name: name}
	if db == nil {
		c.err = fmt.Errorf("nil DB: %w", ErrInvalidOption)
		return c
	}
	o, err := collectCollection(opts)
	if err == nil {
		err = c.take(o)
	}
	if err != nil {
		c.err = fmt.Errorf("collection %q: %w", name, err)
		return c
	}
	if _, err := c.all.open(name); err != nil {
		return c // as each call will say
	}
	c.setRules(o)
	return c
}

// take checks what the options ask of T.
func (c *Collection[T]) take(o *collectionOptions) error {
	for _, v := range o.validators {
		validate, ok := v.(func(T) error)
		if !ok {
			return fmt.Errorf("validator is a %T, the records are %T: %w", v, *new(T), ErrInvalidOption)
		}
		c.validators = append(c.validators, validate)
	}
	if o.keyOf != nil {
		keyOf, ok := o.keyOf.(func(T) string)
		if !ok {
			return fmt.Errorf("key function is a %T, the records are %T: %w", o.keyOf, *new(T), ErrInvalidOption)
		}
		c.keyOf, c.keyField = keyOf, o.keyField
	}
	return nil
}

// setRules makes the options count for all who use the collection.
func (c *Collection[T]) setRules(o *collectionOptions) {
	asks := c.keyOf != nil || len(c.validators) > 0
	if !asks && !hasValidate[T]() && len(o.rules) == 0 {
		return
	}
	c.all.db.collections.SetRules(c.name, func(rules *collection.Rules) {
		for _, rule := range o.rules {
			rule(rules)
		}
		if asks || hasValidate[T]() && rules.Check == nil {
			rules.Checker = c
			rules.Check = func(key string, value json.RawMessage) (any, error) { return c.decode(key, value) }
		}
	})
}

// Name returns the name of the collection.
func (c *Collection[T]) Name() string { return c.name }

// Put stores a value under a key and returns when that is durable, if it is newer than
// what is there; else it returns nil all the same, and nothing changes. A value that is
// overwritten keeps its place in List.
//
// Errors: ErrInvalidID, ErrInvalidJSON for what encoding/json refuses, ErrInvalidTime and
// ErrClockSkew for updatedAtMs, ErrTooLarge (MaxRecordBytes), ErrCollectionFull,
// ErrInvalidRecord, ErrReservedCollection, ErrSchemaTooNew, ErrInvalidOption.
func (c *Collection[T]) Put(ctx context.Context, key string, value T, updatedAtMs int64) error {
	return c.use("put into", func(r rawCollection) error {
		raw, err := c.encode(key, value)
		if err != nil {
			return err
		}
		return r.put(ctx, key, raw, updatedAtMs)
	})
}

// Get returns the record under a key. Errors: ErrNotFound, ErrInvalidID,
// ErrReservedCollection, ErrSchemaTooNew, ErrInvalidOption; a *RecordError, which is
// ErrCorrupt, for a record that is quarantined.
func (c *Collection[T]) Get(ctx context.Context, key string) (found Record[T], err error) {
	err = c.use("get from", func(r rawCollection) error {
		rec, err := r.get(ctx, key)
		if err == nil {
			found, err = c.typed(rec)
		}
		return err
	})
	if err != nil {
		return Record[T]{}, err
	}
	return found, nil
}

// Delete removes what is under a key, unless it is newer than updatedAtMs; then it returns
// nil all the same. The deletion is remembered for some time (WithTombstoneRetention), so
// that an older value that comes later does not bring the record back. Errors: those of Put;
// ErrClockSkew only where nothing as new is stored.
func (c *Collection[T]) Delete(ctx context.Context, key string, updatedAtMs int64) error {
	return c.use("delete from", func(r rawCollection) error { return r.delete(ctx, key, updatedAtMs) })
}

// Clear deletes all records that were updated at updatedAtMs or before, those too that
// come later. It is one transaction, whose cost is that of the records. Errors: those of
// Delete.
func (c *Collection[T]) Clear(ctx context.Context, updatedAtMs int64) error {
	return c.use("clear", func(r rawCollection) error { return r.clear(ctx, updatedAtMs) })
}

// List iterates over the records in order of insertion, which is that of arrival on this
// machine. One that was deleted and put again is at the end. It reads a page at a time:
// calls on the DB are allowed inside the loop, which may or may not see what they change.
// An error is the last element, those of Get but ErrNotFound. Breaking off releases
// everything.
func (c *Collection[T]) List(ctx context.Context) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		if c.err != nil {
			yield(Record[T]{}, c.err)
			return
		}
		for rec, err := range c.all.list(ctx, c.name) {
			if err != nil {
				yield(Record[T]{}, err)
				return
			}
			typed, err := c.typed(rec)
			if err != nil {
				c.all.db.collections.LogQuarantine(c.name, rec.Key, err)
				continue
			}
			if !yield(typed, nil) {
				return
			}
		}
	}
}

// Quarantined returns what cannot be read: the records in their places in order of
// insertion, then the bytes of those that were replaced since, in order of time. Errors:
// those of List.
func (c *Collection[T]) Quarantined(ctx context.Context) ([]QuarantinedRecord, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.all.quarantined(ctx, c.name, c.fits)
}

// DropQuarantined removes what Quarantined returns of a key, for good. Errors: ErrNotFound
// where there is nothing, and those of Get.
func (c *Collection[T]) DropQuarantined(ctx context.Context, key string) error {
	if c.err != nil {
		return c.err
	}
	return c.all.dropQuarantined(ctx, c.name, key, c.fits)
}

func (c *Collection[T]) use(op string, fn func(rawCollection) error) error {
	if c.err != nil {
		return c.err
	}
	return c.all.use(op, c.name, fn)
}

// encode makes JSON of a value that is to be stored.
func (c *Collection[T]) encode(key string, value T) (json.RawMessage, error) {
	if c.all.db.collections.Checker(c.name) != any(c) { // else it is asked below
		if err := c.check(key, value); err != nil {
			return nil, collection.Invalid(c.name, key, err)
		}
	}
	if raw, ok := any(value).(json.RawMessage); ok {
		return raw, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("value of record %q: %w: %w", key, ErrInvalidJSON, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decoded is a value that a handle's check has decoded.
type decoded[T any] struct {
	by    *Collection[T]
	value T
}

// decode is the check that a handle makes a rule: a value has to fit T, and what is asked
// of it.
func (c *Collection[T]) decode(key string, raw json.RawMessage) (decoded[T], error) {
	d := decoded[T]{by: c}
	if value, ok := any(&d.value).(*json.RawMessage); ok {
		*value = raw
	} else if err := json.Unmarshal(raw, &d.value); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			err = &collection.FieldError{Field: wrong.Field, Err: err}
		}
		return d, err
	}
	return d, c.check(key, d.value)
}

// check asks what is asked of a value. A panic of the host's function is an error.
func (c *Collection[T]) check(key string, value T) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if c.keyOf != nil {
		if inside := c.keyOf(value); inside != key {
			return &collection.FieldError{Field: c.keyField, Err: fmt.Errorf("it is the key %q, not %q", inside, key)}
		}
	}
	if v, ok := validateOf(&value); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	for _, validate := range c.validators {
		if err := validate(value); err != nil {
			return err
		}
	}
	return nil
}

// validator is what a T may be that says itself what is wrong with it.
type validator interface{ Validate() error }

func validateOf[T any](value *T) (validator, bool) {
	if v, ok := any(value).(validator); ok {
		return v, true
	}
	v, ok := any(*value).(validator)
	return v, ok
}

func hasValidate[T any]() bool {
	_, ok := validateOf(new(T))
	return ok
}

// typed returns a record as T.
func (c *Collection[T]) typed(rec record) (Record[T], error) {
	d, ok := rec.Decoded.(decoded[T])
	if !ok || d.by != c {
		var err error
		if d, err = c.decode(rec.Key, rec.Value); err != nil {
			return Record[T]{}, collection.Unreadable(c.name, rec.Key, err)
		}
	}
	return Record[T]{Key: rec.Key, Value: d.value, UpdatedAtMs: rec.UpdatedAtMs}, nil
}

// fits says what is wrong with a record for T.
func (c *Collection[T]) fits(rec record) error {
	_, err := c.typed(rec)
	return err
}
