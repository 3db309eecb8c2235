package yjs

import "fmt"

// End returns the first clock of a client that is not had.
func (d *Doc) End(client uint64) uint64 { return d.state(client) }

// Deleted reports whether a nested type was deleted, or something that it is in.
func (t *Type) Deleted() bool { return t.item != nil && t.item.deleted() }

// As is Declare that goes by what the root holds: its first value, or its keys, must be
// what the kind can have, and how it was declared before does not matter. So the answer
// is the same whatever was asked before. Errors: ErrKind.
func (d *Doc) As(name string, kind Kind) (*Type, error) {
	t := d.root(name)
	if !t.fits(kind) {
		return nil, fmt.Errorf("root %q is a %s, not a %s: %w", name, t.Kind(), kind, ErrKind)
	}
	if t.kind != kind {
		t.kind, t.places = kind, nil
	}
	return t, nil
}

// fits reports whether a root of that kind could hold what this one does.
func (t *Type) fits(kind Kind) bool {
	for it := t.start; it != nil; it = it.right {
		if it.deleted() {
			continue
		}
		switch c := it.content.(type) {
		case *stringContent, *formatContent, *embedContent:
			return kind == KindText || kind == KindXMLText
		case *typeContent:
			xml := c.typ.kind.isXML() && c.typ.kind != KindXMLFragment
			return kind == KindArray || kind == KindText || kind == KindXMLText ||
				xml && (kind == KindXMLFragment || kind == KindXMLElement)
		default:
			return kind == KindArray
		}
	}
	for _, it := range t.entries.items {
		if !it.deleted() {
			return kind != KindArray && kind != KindXMLFragment
		}
	}
	return true
}
