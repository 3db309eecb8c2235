package yjs

import (
	"fmt"
	"slices"
)

// draft is what a free-standing type will hold once it is part of a document. It is
// integrated then in the order in which yjs does it, which decides the clocks.
type draft struct {
	taken  bool // it was put into a document or into another draft
	inside *Type
	height int // of the drafts in it
	length uint64

	values []content // of a list, one by one
	keys   []string  // of a map, in order of first use
	named  map[string]content
	edits  []func(d *Doc) // of a text
}

func newDraft(kind Kind, name string) *Type {
	return &Type{kind: kind, name: name, draft: &draft{}}
}

// Free-standing types are made by the New functions, filled by the same methods as
// others (no transaction is asked for), and inserted once. Until then they read as empty.

// NewText returns a free-standing text. Errors: ErrValue.
func NewText(text string) (*Type, error) { return newText(KindText, text) }

// NewXMLText returns a free-standing XML text. Errors: ErrValue.
func NewXMLText(text string) (*Type, error) { return newText(KindXMLText, text) }

func newText(kind Kind, text string) (*Type, error) {
	t := newDraft(kind, "")
	if err := t.InsertText(nil, 0, text, nil); err != nil {
		return nil, err
	}
	return t, nil
}

// NewArray returns a free-standing array. Errors: as Insert.
func NewArray(values ...any) (*Type, error) {
	t := newDraft(KindArray, "")
	if err := t.Insert(nil, 0, values...); err != nil {
		return nil, err
	}
	return t, nil
}

// NewMap returns a free-standing map. Errors: as Set.
func NewMap(entries Object) (*Type, error) {
	t := newDraft(KindMap, "")
	for _, m := range entries {
		if err := t.Set(nil, m.Key, m.Value); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// NewXMLFragment returns a free-standing fragment.
func NewXMLFragment() *Type { return newDraft(KindXMLFragment, "") }

// NewXMLElement returns a free-standing element. Errors: ErrValue.
func NewXMLElement(nodeName string) (*Type, error) { return newNamed(KindXMLElement, nodeName) }

// NewXMLHook returns a free-standing hook. Errors: ErrValue.
func NewXMLHook(name string) (*Type, error) { return newNamed(KindXMLHook, name) }

func newNamed(kind Kind, name string) (*Type, error) {
	name, err := normalText(name)
	if err != nil {
		return nil, err
	}
	return newDraft(kind, name), nil
}

// fill puts what a type was filled with into the document that it is now part of.
func (d *Doc) fill(t *Type) {
	f := t.draft
	if f == nil {
		return
	}
	t.draft = nil
	if len(f.values) > 0 {
		t.places.inserted(0, uint64(len(f.values)))
		d.insertAfter(t, nil, f.values)
	}
	for _, key := range f.keys {
		t.set(d, key, f.named[key])
	}
	for _, edit := range f.edits {
		edit(d)
	}
}

func (f *draft) within(index, length uint64) error {
	if index > f.length || length > f.length-index {
		return fmt.Errorf("%d units at %d of %d: %w", length, index, f.length, ErrRange)
	}
	return nil
}

// adopt takes the types in contents into the draft of t.
func (t *Type) adopt(contents ...content) error {
	height := 0
	var types []*Type
	for _, c := range contents {
		if nested, ok := c.(*typeContent); ok {
			types = append(types, nested.typ)
			if nested.typ.draft != nil {
				height = max(height, nested.typ.draft.height+1)
			}
		}
	}
	level := 0
	for up := t; up != nil && up.draft != nil; up = up.draft.inside {
		if level++; slices.Contains(types, up) {
			return ErrIntegrated // it would lie in itself
		}
	}
	if level+height > MaxDepth {
		return ErrTooDeep
	}
	if err := claimTypes(types...); err != nil {
		return err
	}
	for _, nested := range types {
		nested.draft.inside = t
	}
	for up := t; up != nil && up.draft != nil && up.draft.height < height; up = up.draft.inside {
		up.draft.height = height
		height++
	}
	return nil
}

func (f *draft) insert(t *Type, index uint64, values []content) error {
	if err := t.is(KindArray, KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	if err := f.within(index, 0); err != nil {
		return err
	}
	if err := t.adopt(values...); err != nil {
		return err
	}
	f.values = slices.Insert(f.values, int(index), values...)
	f.length += uint64(len(values))
	return nil
}

func (f *draft) insertAfter(t, child *Type, values []content) error {
	index := 0
	if child != nil {
		index = 1 + slices.IndexFunc(f.values, func(c content) bool {
			nested, ok := c.(*typeContent)
			return ok && nested.typ == child
		})
		if index == 0 {
			return fmt.Errorf("behind what is no child: %w", ErrRange)
		}
	}
	if err := t.is(KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	return f.insert(t, uint64(index), values)
}

func (f *draft) set(t *Type, key string, c content) error {
	if err := t.is(KindMap, KindXMLHook, KindXMLElement, KindXMLText, KindText); err != nil {
		return err
	}
	if err := t.adopt(c); err != nil {
		return err
	}
	if t.isText() {
		f.edits = append(f.edits, func(d *Doc) { t.set(d, key, c) })
		return nil
	}
	if _, known := f.named[key]; !known {
		if f.named == nil {
			f.named = map[string]content{}
		}
		f.keys = append(f.keys, key)
	}
	f.named[key] = c
	return nil
}

func (f *draft) unset(t *Type, key string) error {
	if err := t.is(KindMap, KindXMLHook, KindXMLElement, KindXMLText, KindText); err != nil {
		return err
	}
	if t.isText() {
		f.edits = append(f.edits, func(d *Doc) {
			if it := t.entries.get(key); it != nil {
				d.delete(it)
			}
		})
		return nil
	}
	delete(f.named, key)
	f.keys = slices.DeleteFunc(f.keys, func(k string) bool { return k == key })
	return nil
}

func (f *draft) clear(t *Type) error {
	if err := t.is(KindMap, KindXMLHook); err != nil {
		return err
	}
	f.keys, f.named = nil, nil
	return nil
}

func (f *draft) insertText(t *Type, index uint64, text string, given *formats) error {
	if err := t.is(KindText, KindXMLText); err != nil {
		return err
	}
	if err := f.within(index, 0); err != nil || text == "" {
		return err
	}
	f.length += textLen(text)
	f.edits = append(f.edits, func(d *Doc) { t.insertText(d, index, text, given) })
	return nil
}

func (f *draft) insertEmbed(t *Type, index uint64, value any, given *formats) error {
	if err := t.is(KindText, KindXMLText); err != nil {
		return err
	}
	if err := f.within(index, 0); err != nil {
		return err
	}
	if err := t.adopt(embedded(value)); err != nil {
		return err
	}
	f.length++
	// While it waits to be inserted, yjs forgets that there were no attributes.
	f.edits = append(f.edits, func(d *Doc) { t.insertEmbed(d, index, value, given, false) })
	return nil
}

func (f *draft) format(t *Type, index, length uint64, given *formats) error {
	if err := t.is(KindText, KindXMLText); err != nil {
		return err
	}
	if err := f.within(index, length); err != nil || length == 0 {
		return err
	}
	f.edits = append(f.edits, func(d *Doc) { t.formatAt(d, index, length, given) })
	return nil
}

func (f *draft) applyDelta(t *Type, ops []deltaStep) error {
	if err := t.is(KindText, KindXMLText); err != nil {
		return err
	}
	if err := fits(ops, f.length); err != nil {
		return err
	}
	var contents []content
	length, left := f.length, f.length
	for _, op := range ops {
		switch {
		case op.delete > 0:
			length -= op.delete
			left -= op.delete
		case op.retain > 0:
			length += op.retain - min(op.retain, left)
			left -= min(op.retain, left)
		default:
			if text, ok := op.insert.(string); ok {
				length += textLen(text)
			} else {
				contents = append(contents, embedded(op.insert))
				length++
			}
		}
	}
	if err := t.adopt(contents...); err != nil {
		return err
	}
	f.length = length
	f.edits = append(f.edits, func(d *Doc) { t.applyDelta(d, ops) })
	return nil
}

func (f *draft) delete(t *Type, index, length uint64) error {
	if err := t.is(KindText, KindXMLText, KindArray, KindXMLFragment, KindXMLElement); err != nil {
		return err
	}
	if err := f.within(index, length); err != nil || length == 0 {
		return err
	}
	f.length -= length
	if t.isText() {
		f.edits = append(f.edits, func(d *Doc) { t.deleteAt(d, index, length) })
	} else {
		f.values = slices.Delete(f.values, int(index), int(index+length))
	}
	return nil
}
