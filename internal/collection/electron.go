package collection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// What electron-store, which is the npm package conf, has in its config.json when the
// storage of collections was kept in its map reactDb. A collection is there as the
// storage value in a string, or as the object that this stands for. conf takes a dot in
// a key for a path, so that a collection "app.tabs" is nested in an object "app" unless
// the dot was escaped, and without dot notation the whole path is one key.

const (
	electronMap = "reactDb"
	// maxElectronNesting is how many dots the name of a collection may have.
	maxElectronNesting = 32
)

// electronCollection is a collection as config.json has it.
type electronCollection struct {
	name   string
	rows   []snapshotRow
	faults []rowFault
	err    error // it is none at all
}

// readElectronStore returns what the map reactDb of a config.json holds, in its order.
// Only JSON that is damaged, or a map that is none, is an error.
func readElectronStore(text []byte) ([]electronCollection, error) {
	var found []electronCollection
	err := readObject(text, func(t *jsonText, quoted []byte) error {
		name, ok := unquote(quoted)
		value, err := t.value()
		if err != nil || !ok {
			return err
		}
		switch under, dotted := strings.CutPrefix(string(name), electronMap+"."); {
		case string(name) == electronMap && value[0] != '{':
			return fmt.Errorf("%s is no object: %w", electronMap, core.ErrInvalidSnapshot)
		case string(name) == electronMap:
			found = append(found, readElectronMap("", value, 0)...)
		case dotted:
			found = append(found, readElectronValue(under, value, 0)...)
		}
		return nil
	})
	return found, err
}

// readElectronMap reads an object of collections, whose names begin with prefix.
func readElectronMap(prefix string, object []byte, depth int) (found []electronCollection) {
	t := jsonText{text: object}
	_ = t.members(func(quoted []byte) error { // it was read before
		value, err := t.value()
		if err != nil {
			return err
		}
		if name, ok := unquote(quoted); ok {
			found = append(found, readElectronValue(prefix+string(name), value, depth)...)
		} else {
			err := fmt.Errorf("name %s has half a surrogate pair: %w", quoted, core.ErrInvalidID)
			found = append(found, electronCollection{name: prefix + string(quoted), err: err})
		}
		return nil
	})
	return found
}

func readElectronValue(name string, value []byte, depth int) []electronCollection {
	c := electronCollection{name: name}
	switch value[0] {
	case '"':
		if value, ok := unquote(value); ok {
			c.rows, c.faults, c.err = readSnapshot(value)
		} else {
			c.err = fmt.Errorf("the value has half a surrogate pair: %w", core.ErrInvalidSnapshot)
		}
	case '{':
		if holdsCollections(value) && depth < maxElectronNesting {
			return readElectronMap(name+".", value, depth+1)
		}
		var compact bytes.Buffer // what the string would have been
		if c.err = json.Compact(&compact, value); c.err == nil {
			c.rows, c.faults, c.err = readSnapshot(compact.Bytes())
		}
	default:
		c.err = fmt.Errorf("the value is neither a string nor an object: %w", core.ErrInvalidSnapshot)
	}
	return []electronCollection{c}
}

// holdsCollections tells the object that a dot in a name makes from one of rows: no
// member looks like a row, and one looks like a collection.
func holdsCollections(object []byte) bool {
	collections, rows := false, false
	t := jsonText{text: object}
	_ = t.members(func(quoted []byte) error {
		name, _ := unquote(quoted)
		value, err := t.value()
		switch {
		case err != nil:
		case strings.HasPrefix(string(name), stringPrefix) || strings.HasPrefix(string(name), numberPrefix):
			rows = true
		case value[0] == '{' && (hasMember(value, "versionKey") || hasMember(value, "data")):
			rows = true
		case value[0] == '{' || value[0] == '"':
			collections = true
		}
		return err
	})
	return collections && !rows
}

func hasMember(object []byte, name string) (found bool) {
	t := jsonText{text: object}
	_ = t.members(func(quoted []byte) error {
		if member, _ := unquote(quoted); string(member) == name {
			found = true
		}
		_, err := t.value()
		return err
	})
	return found
}
