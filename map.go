package soma

import "github.com/soma-sdk/soma/internal/yjs"

// MapReader reads a map (Y.Map).
type MapReader interface {
	Content
	// Len returns the number of keys.
	Len() int
	// Keys returns the keys in the order in which they came here, which is another one
	// elsewhere.
	Keys() []string
	// Get returns the value of a key; content in it is a handle.
	Get(key string) (value any, ok bool)
	// Entries returns all keys and values.
	Entries() Object
}

// Map edits a map. Errors: as Text.
type Map interface {
	MapReader
	// Set sets the value of a key.
	Set(key string, value any) error
	// Delete removes a key, if it is there.
	Delete(key string) error
	// Clear removes all keys.
	Clear() error
}

// NewMap returns a free-standing map. What is wrong with the entries, Err returns, and
// who inserts it.
func NewMap(entries Object) Map {
	m := mapping{mapReader{free(yjs.NewMap(nil))}}
	for _, e := range entries {
		if err := m.Set(e.Key, e.Value); err != nil {
			m.err = err
			break
		}
	}
	return m
}

type mapReader struct{ *node }

func (m mapReader) Len() int { return len(m.Keys()) }

func (m mapReader) Keys() (keys []string) {
	m.read(func(t *yjs.Type) {
		for _, e := range t.Entries() {
			keys = append(keys, e.Key)
		}
	})
	return keys
}

func (m mapReader) Get(key string) (any, bool) { return m.get(key) }
func (m mapReader) Entries() Object            { return m.entries() }

type mapping struct{ mapReader }

func (m mapping) Set(key string, value any) error { return m.set(key, value) }
func (m mapping) Delete(key string) error         { return m.unset(key) }

func (m mapping) Clear() error {
	return m.write(func(tx *yjs.Transaction, t *yjs.Type) error { return t.Clear(tx) })
}
