package store

// Meta implements core.View.
func (v *view) Meta(key string) ([]byte, error) {
	r, err := v.c.one("SELECT value FROM meta WHERE key = ?", key)
	if err != nil || r == nil {
		return nil, wrap("read meta "+key, err)
	}
	return r.blob(0), r.bad()
}

// SetMeta implements core.Tx. A nil value removes the key.
func (t *tx) SetMeta(key string, value []byte) error {
	var err error
	if value == nil {
		_, err = t.c.exec("DELETE FROM meta WHERE key = ?", key)
	} else {
		_, err = t.c.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	}
	return wrap("write meta "+key, err)
}
