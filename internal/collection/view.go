package collection

import "fmt"

// ReadStorage returns the rows of a snapshot as records, for a collection that is kept by
// somebody else. It reports what SetItem does.
func ReadStorage(name string, text []byte) ([]Record, error) {
	if err := checkSnapshotSize(name, text); err != nil {
		return nil, err
	}
	rows, faults, err := readSnapshot(text)
	if err != nil {
		return nil, fmt.Errorf("value of collection %q: %w", name, err)
	}
	if len(faults) > 0 {
		return nil, faults[0].err(name)
	}
	records := make([]Record, len(rows))
	twice := map[string]bool{}
	for i, row := range rows {
		stored, err := storedKey(string(row.name))
		if err != nil {
			return nil, badKey(string(row.name), err).err(name)
		}
		if twice[stored] {
			return nil, rowFault{key: stored, why: "the key is there twice"}.err(name)
		}
		twice[stored] = true
		records[i] = Record{Key: DecodeKey(stored), Value: row.data, VersionKey: string(row.version)}
	}
	return records, nil
}

// WriteStorage is the inverse of ReadStorage. It reports core.ErrTooLarge.
func WriteStorage(records []Record) ([]byte, error) { return appendSnapshot(nil, records) }
