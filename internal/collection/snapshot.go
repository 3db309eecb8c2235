package collection

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// A snapshot is a whole collection as localStorageCollectionOptions of @tanstack/db keeps
// it under one storage key (its src/local-storage.ts):
//
//	{"s:key":{"versionKey":"uuid","data":{...}}, "n:5":{...}}

const (
	// MaxSnapshotBytes bounds a snapshot.
	MaxSnapshotBytes = 64 << 20
	// MaxVersionKeyBytes bounds the versionKey of a row.
	MaxVersionKeyBytes = 128
)

// snapshotRow is a row as a snapshot has it. Its slices are parts of the snapshot where
// that has no escapes.
type snapshotRow struct {
	name    []byte // decoded; the stored form of its key, but see storedKey
	version []byte
	data    []byte // as written
}

// rowFault says what is wrong with a row of a snapshot that is JSON.
type rowFault struct {
	key   string
	field string // "" for the row itself
	why   string
	bad   error // of a key that can be none
}

// maxNamed is how much of a name is told that can be no key: it may be as long as the snapshot.
const maxNamed = 4 * core.MaxKeyBytes

// badKey is the fault of a row whose name is no key.
func badKey(name string, err error) rowFault {
	if len(name) > maxNamed {
		name = strings.ToValidUTF8(name[:maxNamed], "") + "..."
	}
	return rowFault{key: name, bad: err}
}

// err returns the fault as the error of a record.
func (f rowFault) err(collection string) error {
	err := fmt.Errorf("%s: %w", f.why, core.ErrInvalidSnapshot)
	if f.bad != nil {
		err = fmt.Errorf("%w: %w", f.bad, core.ErrInvalidSnapshot)
	}
	if f.field != "" {
		err = &FieldError{Field: f.field, Err: err}
	}
	return Invalid(collection, DecodeKey(f.key), err)
}

// storedKey returns the stored form of the key of a row. Bare ones are of an old version
// of the npm package and are strings; a number may be written in more than one way.
func storedKey(name string) (string, error) {
	if text, ok := strings.CutPrefix(name, numberPrefix); ok {
		n, err := readNumber(text)
		return numberPrefix + numberText(n), err
	}
	key := strings.TrimPrefix(name, stringPrefix)
	return stringPrefix + key, core.CheckKey(key)
}

// readNumber is Number(text) in JavaScript, for decimal numbers.
func readNumber(text string) (float64, error) {
	switch text {
	case "NaN", "Infinity", "-Infinity":
	default:
		if strings.Trim(text, "0123456789+-.eE") != "" { // ParseFloat takes more
			return 0, fmt.Errorf("number key %q: %w", text, core.ErrInvalidID)
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(n, 0) { // too large a one is Infinity
		return 0, fmt.Errorf("number key %q: %w", text, core.ErrInvalidID)
	}
	return n, nil
}

// readSnapshot returns the rows of a snapshot in their order, and those that are none.
func readSnapshot(text []byte) (rows []snapshotRow, faults []rowFault, err error) {
	likely := bytes.Count(text, []byte(`"versionKey"`))
	rows = make([]snapshotRow, 0, min(likely, DefaultMaxRecords))
	err = readObject(text, func(t *jsonText, quoted []byte) error {
		row, fault, err := readRow(t, quoted)
		switch {
		case err != nil:
			return err
		case fault != nil:
			faults = append(faults, *fault)
		default:
			rows = append(rows, row)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return rows, faults, nil
}

// readObject calls fn at the value of each member of a text that is an object, with its
// name as written. fn has to read that value.
func readObject(text []byte, fn func(t *jsonText, quoted []byte) error) error {
	t := &jsonText{text: text}
	if c := t.next(); c != '{' {
		if _, err := t.value(); err != nil {
			return err
		}
		if err := t.end(); err != nil {
			return err
		}
		return fmt.Errorf("it is no object: %w", core.ErrInvalidSnapshot)
	}
	if err := t.members(func(quoted []byte) error { return fn(t, quoted) }); err != nil {
		return err
	}
	return t.end()
}

func readRow(t *jsonText, quoted []byte) (snapshotRow, *rowFault, error) {
	name, ok := unquote(quoted)
	if !ok {
		_, err := t.value()
		fault := badKey(string(quoted[1:len(quoted)-1]), fmt.Errorf("the key has half a surrogate pair: %w", core.ErrInvalidID))
		return snapshotRow{}, &fault, err
	}
	fault := func(field, why string) *rowFault { return &rowFault{key: string(name), field: field, why: why} }
	if t.next() != '{' {
		_, err := t.value()
		return snapshotRow{}, fault("", "the row is no object"), err
	}
	row := snapshotRow{name: name}
	var wrong *rowFault
	err := t.members(func(quoted []byte) error {
		value, err := t.value()
		if err != nil {
			return err
		}
		field, _ := unquote(quoted)
		switch {
		case string(field) == "versionKey" && row.version == nil:
			var why string
			if row.version, why = readVersion(value); why != "" {
				wrong = fault("versionKey", why)
			}
		case string(field) == "data" && row.data == nil:
			// What the npm package takes, which counts arrays as objects.
			if row.data = value; value[0] != '{' && value[0] != '[' {
				wrong = fault("data", "is no object")
			}
		case row.version == nil && row.data == nil:
			wrong = fault(string(field), "a row has versionKey and data only")
		default:
			wrong = fault(string(field), "is there twice, or neither versionKey nor data")
		}
		return nil
	})
	switch {
	case err != nil || wrong != nil:
	case row.version == nil:
		wrong = fault("versionKey", "is missing")
	case row.data == nil:
		wrong = fault("data", "is missing")
	}
	return row, wrong, err
}

func readVersion(value []byte) (version []byte, why string) {
	if value[0] != '"' {
		return value, "is no string"
	}
	version, ok := unquote(value)
	switch {
	case !ok:
		return value, "has half a surrogate pair"
	case len(version) == 0:
		return value, "is empty"
	case len(version) > MaxVersionKeyBytes:
		return value, fmt.Sprintf("has %d bytes, at most %d are allowed", len(version), MaxVersionKeyBytes)
	}
	return version, ""
}

// appendSnapshot appends the snapshot of records that windows can read.
func appendSnapshot(text []byte, records []Record) ([]byte, error) {
	text, err := appendRows(append(text, '{'), records)
	if err != nil {
		return nil, err
	}
	return append(text, '}'), nil
}

// emptyRow is what a row has at least.
const emptyRow = `"s:":{"versionKey":"","data":},`

// appendRows appends the rows of records that windows can read to a snapshot without its end.
func appendRows(text []byte, records []Record) ([]byte, error) {
	size := 1
	for i := range records {
		size += len(emptyRow) + len(records[i].Key) + len(records[i].VersionKey) + len(records[i].Value)
	}
	text = slices.Grow(text, size)
	for _, record := range records {
		if !isObject(record.Value) {
			continue
		}
		key := stringPrefix + record.Key
		if number, ok := strings.CutPrefix(record.Key, numberMark); ok {
			key = numberPrefix + number
		}
		text = appendRow(text, key, record.VersionKey, record.Value)
		if len(text) >= MaxSnapshotBytes {
			return nil, fmt.Errorf("more than %d bytes: %w", MaxSnapshotBytes, core.ErrTooLarge)
		}
	}
	return text, nil
}

// appendRow appends a row, after a comma unless it is the first.
func appendRow(snapshot []byte, key, version string, data []byte) []byte {
	if len(snapshot) > 1 {
		snapshot = append(snapshot, ',')
	}
	snapshot = appendQuoted(snapshot, key)
	snapshot = append(snapshot, `:{"versionKey":`...)
	snapshot = appendQuoted(snapshot, version)
	snapshot = append(snapshot, `,"data":`...)
	snapshot = append(snapshot, bytes.TrimSpace(data)...)
	return append(snapshot, '}')
}

// appendQuoted appends a string as JSON, with no escape that is not needed.
func appendQuoted(text []byte, s string) []byte {
	text = append(text, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			text = append(text, '\\', c)
		case c < 0x20:
			text = fmt.Appendf(text, `\u%04x`, c)
		default:
			text = append(text, c)
		}
	}
	return append(text, '"')
}

// checkSnapshotSize reports core.ErrTooLarge for a value of a collection past MaxSnapshotBytes.
func checkSnapshotSize(name string, text []byte) error {
	if len(text) > MaxSnapshotBytes {
		return fmt.Errorf("value of collection %q has %d bytes, at most %d are allowed: %w", name, len(text), MaxSnapshotBytes, core.ErrTooLarge)
	}
	return nil
}
