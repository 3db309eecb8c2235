package collection

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// Record is a value under a key.
type Record struct {
	Key         string
	Value       json.RawMessage
	UpdatedAtMs int64
	Seq         int64
	VersionKey  string
	Decoded     any // what the check of the rules decoded
}

// RecordError says what is wrong with a record. It is core.ErrInvalidRecord for one that
// was to be stored, core.ErrCorrupt for one that is stored.
type RecordError struct {
	Collection string
	Key        string
	Field      string // "" where it is not one field
	Err        error  // what is wrong

	kind error
}

// Error implements error.
func (e *RecordError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "record %q of collection %q: ", e.Key, e.Collection)
	if e.Field != "" {
		fmt.Fprintf(&b, "field %q: ", e.Field)
	}
	fmt.Fprintf(&b, "%v: %v", e.Err, e.kind)
	return b.String()
}

// Unwrap returns the kind of the error, and what is wrong.
func (e *RecordError) Unwrap() []error { return []error{e.kind, e.Err} }

// missingError is core.ErrNotFound of a record.
type missingError struct{ collection, key string }

func (e *missingError) Error() string {
	return fmt.Sprintf("record %q of collection %q: %v", e.key, e.collection, core.ErrNotFound)
}

func (e *missingError) Unwrap() error { return core.ErrNotFound }

// NamesRecord reports whether an error begins with its record and collection, so that it
// needs no more context.
func NamesRecord(err error) bool {
	switch err.(type) { //nolint:errorlint // the outermost error is meant
	case *RecordError, *missingError:
		return true
	}
	return false
}

// FieldError is what a check returns that knows which field is wrong.
type FieldError struct {
	Field string
	Err   error
}

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("field %q: %v", e.Field, e.Err) }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Invalid makes the error of a value that was to be stored.
func Invalid(name, key string, err error) error {
	return newRecordError(name, key, err, core.ErrInvalidRecord)
}

// Unreadable makes the error of a value that is stored.
func Unreadable(name, key string, err error) error {
	return newRecordError(name, key, err, core.ErrCorrupt)
}

func newRecordError(name, key string, err, kind error) error {
	e := &RecordError{Collection: name, Key: key, Err: err, kind: kind}
	if field, ok := errors.AsType[*FieldError](err); ok {
		e.Field, e.Err = field.Field, field.Err
	}
	return e
}
