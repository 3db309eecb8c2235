package collection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/soma-sdk/soma/internal/core"
)

// MaxElectronStoreBytes bounds a config.json.
const MaxElectronStoreBytes = 64 << 20

// Import is what became of the rows of one collection.
type Import struct {
	Name     string
	Imported int       // rows that were stored
	Existing int       // rows whose keys the collection knew already, deleted ones too
	Refused  []Refused // rows that cannot be stored
	Err      error     // why nothing of it was looked at; nil if all was
}

// Refused is a row that an import left out.
type Refused struct {
	Key string // as in the file where it cannot be a key
	Err error
}

// ElectronStore is a config.json that was read.
type ElectronStore struct{ collections []electronCollection }

// ReadElectronStore reads a config.json of electron-store. Errors: core.ErrTooLarge,
// core.ErrInvalidJSON, core.ErrInvalidSnapshot.
func ReadElectronStore(text []byte) (*ElectronStore, error) {
	if len(text) > MaxElectronStoreBytes {
		return nil, fmt.Errorf("more than %d bytes: %w", MaxElectronStoreBytes, core.ErrTooLarge)
	}
	found, err := readElectronStore(text)
	return &ElectronStore{found}, err
}

// Import adds what is in an electron-store and was never in a collection, one transaction
// for each of them. open says which collections may be imported, and who keeps those that
// are not kept here. An error is one of the store; what came before it is there.
func (c *Collections) Import(ctx context.Context, s *ElectronStore, open func(name string) (Keeper, error)) ([]Import, error) {
	var all []Import
	for _, from := range s.collections {
		to := Import{Name: from.name, Err: from.err}
		keep, err := open(from.name)
		switch {
		case err != nil:
			to.Err, err = err, nil
		case to.Err != nil:
		case keep != nil:
			err = keep.importRows(ctx, from, &to)
		default:
			err = c.importRows(ctx, from, &to)
		}
		if err != nil {
			return all, fmt.Errorf("import collection %q: %w", from.name, err)
		}
		all = append(all, to)
	}
	return all, nil
}

// Keeper imports a row into a collection that is kept by somebody else, and reports
// whether that stored it, or had it. A row that it refuses is core.ErrInvalidRecord.
type Keeper func(ctx context.Context, rec Record) (stored bool, err error)

func (keep Keeper) importRows(ctx context.Context, from electronCollection, to *Import) error {
	for _, fault := range from.faults {
		to.Refused = append(to.Refused, Refused{DecodeKey(fault.key), fault.err(from.name)})
	}
	for _, row := range from.rows {
		rec := Record{Key: DecodeKey(string(row.name)), Value: row.data, VersionKey: string(row.version)}
		stored, err := keep(ctx, rec)
		switch {
		case errors.Is(err, core.ErrInvalidRecord):
			to.Refused = append(to.Refused, Refused{rec.Key, err})
		case err != nil:
			return err
		case stored:
			to.Imported++
		default:
			to.Existing++
		}
	}
	return nil
}

// imported is a row that is to be imported.
type imported struct {
	Write
	err error // why it cannot be stored
}

func (c *Collections) importRows(ctx context.Context, from electronCollection, to *Import) error {
	rows, refused := c.checkRows(from)
	err := c.Update(ctx, from.name, func(b *Batch) error {
		to.Imported, to.Existing, to.Refused = 0, 0, slices.Clip(refused)
		for _, row := range rows {
			if err := b.importRow(row, to); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, core.ErrSchemaTooNew) || errors.Is(err, core.ErrTooLarge) { // of this collection alone
		*to, err = Import{Name: from.name, Err: err}, nil
	}
	return err
}

// checkRows makes writes of rows, and refuses what is none. The host is asked here.
func (c *Collections) checkRows(from electronCollection) (rows []imported, refused []Refused) {
	for _, fault := range from.faults {
		refused = append(refused, Refused{DecodeKey(fault.key), fault.err(from.name)})
	}
	rules := c.rules(from.name)
	twice := map[string]bool{}
	for _, row := range from.rows {
		stored, err := storedKey(string(row.name))
		if err != nil {
			refused = append(refused, Refused{string(row.name), badKey(string(row.name), err).err(from.name)})
			continue
		}
		key := DecodeKey(stored)
		if twice[stored] {
			refused = append(refused, Refused{key, rowFault{key: stored, why: "the key is there twice"}.err(from.name)})
			continue
		}
		twice[stored] = true
		w := Write{Key: key, Value: bytes.Clone(row.data), VersionKey: string(row.version)}
		if w.UpdatedAtMs = updatedAtMs(row.data); c.checkTime(rules, w.UpdatedAtMs) != nil {
			w.UpdatedAtMs = c.nowMs()
		}
		rows = append(rows, imported{w, c.Check(from.name, w)})
	}
	return rows, refused
}

var (
	errCleared = errors.New("the collection was cleared after it")
	errExpired = errors.New("it has expired")
)

func (b *Batch) importRow(row imported, to *Import) error {
	stored, err := EncodeKey(row.Key)
	if err != nil {
		return err
	}
	was, err := b.find(stored)
	switch {
	case err != nil:
		return err
	case was.value != nil || was.tombstone != nil:
		to.Existing++
		return nil
	case row.err != nil:
		err = row.err
	case row.UpdatedAtMs <= b.row.ClearedAtMs:
		err = Invalid(b.name, row.Key, &FieldError{Field: "updatedAtMs", Err: errCleared})
	case b.rules.expired(row.UpdatedAtMs, b.nowMs):
		err = Invalid(b.name, row.Key, &FieldError{Field: "updatedAtMs", Err: errExpired})
	default:
		if _, err = b.Apply(row.Write); err == nil {
			to.Imported++
			return nil
		}
		if !errors.Is(err, core.ErrCollectionFull) {
			return err
		}
		err = fmt.Errorf("record %q: %w", row.Key, err)
	}
	to.Refused = append(to.Refused, Refused{row.Key, err})
	return nil
}

// updatedAtMs returns the member of a value by that name, -1 where that is no whole number
// of milliseconds.
func updatedAtMs(data []byte) int64 {
	found := int64(-1)
	t := jsonText{text: data}
	if t.next() != '{' {
		return found
	}
	_ = t.members(func(quoted []byte) error { // it was read before
		name, _ := unquote(quoted)
		value, err := t.value()
		if string(name) == "updatedAtMs" {
			found = -1
			if ms, err := strconv.ParseFloat(string(value), 64); err == nil && ms == math.Trunc(ms) && ms >= 0 && ms <= float64(MaxUpdatedAtMs) {
				found = int64(ms)
			}
		}
		return err
	})
	return found
}
