package collection

// What tests see of how JSON is read.

// ReadJSON returns a text's one value as written.
func ReadJSON(text []byte) ([]byte, error) {
	t := jsonText{text: text}
	value, err := t.value()
	if err != nil {
		return nil, err
	}
	return value, t.end()
}

// Unquote returns what a quoted string stands for.
func Unquote(quoted []byte) ([]byte, bool) { return unquote(quoted) }

// SnapshotRow is a row that ReadSnapshot found.
type SnapshotRow struct{ Key, VersionKey, Data string }

// ReadSnapshot returns the rows of a snapshot, and the errors of those that are none.
func ReadSnapshot(text []byte) (rows []SnapshotRow, refused []error, err error) {
	found, faults, err := readSnapshot(text)
	for _, row := range found {
		key, err := storedKey(string(row.name))
		if err != nil {
			refused = append(refused, err)
			continue
		}
		rows = append(rows, SnapshotRow{key, string(row.version), string(row.data)})
	}
	for _, fault := range faults {
		refused = append(refused, fault.err("c"))
	}
	return rows, refused, err
}

// AppendRow appends a row to a snapshot without its end.
func AppendRow(snapshot []byte, row SnapshotRow) []byte {
	return appendRow(snapshot, row.Key, row.VersionKey, []byte(row.Data))
}

// Collections returns the names of the collections that were found.
func (s *ElectronStore) Collections() (names []string) {
	for _, c := range s.collections {
		names = append(names, c.name)
	}
	return names
}

// StoredKey returns the stored form of the name of a row.
func StoredKey(name string) (string, error) { return storedKey(name) }
