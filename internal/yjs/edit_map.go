package yjs

// Set sets the value of a key of a map or hook, or an attribute of an XML element or a
// text. Errors: ErrValue, ErrIntegrated, ErrTooDeep, and those of every edit (Delete).
func (t *Type) Set(tx *Transaction, key string, value any) error {
	key, err := normalText(key)
	if err != nil {
		return err
	}
	c, err := valueContent(value)
	if err != nil {
		return err
	}
	if t.free() {
		return t.draft.set(t, key, c)
	}
	if err := t.edits(tx, KindMap, KindXMLHook, KindXMLElement, KindXMLText, KindText); err != nil {
		return err
	}
	if err := claimAll([]content{c}); err != nil {
		return err
	}
	t.set(tx.doc, key, c)
	return nil
}

func (t *Type) set(d *Doc, key string, c content) {
	d.insert(t.entries.get(key), nil, t, &key, c, 1)
}

// Unset removes a key; one that is not there stays so. Errors: those of every edit
// (Delete).
func (t *Type) Unset(tx *Transaction, key string) error {
	if t.free() {
		return t.draft.unset(t, key)
	}
	if err := t.edits(tx, KindMap, KindXMLHook, KindXMLElement, KindXMLText, KindText); err != nil {
		return err
	}
	if it := t.entries.get(key); it != nil {
		tx.doc.delete(it)
	}
	return nil
}

// Clear removes all keys of a map or hook. Errors: those of every edit (Delete).
func (t *Type) Clear(tx *Transaction) error {
	if t.free() {
		return t.draft.clear(t)
	}
	if err := t.edits(tx, KindMap, KindXMLHook); err != nil {
		return err
	}
	for _, it := range t.entries.items {
		tx.doc.delete(it)
	}
	return nil
}
