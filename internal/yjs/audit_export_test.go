package yjs

import "fmt"

// Audit counts everything again that a document keeps count of.
func (d *Doc) Audit() error {
	types := append([]*Type(nil), d.roots...)
	for client, s := range d.clients {
		clock := uint64(0)
		for i := range s.len() {
			it := s.at(i)
			if it.id != (ID{client, clock}) || it.length == 0 {
				return fmt.Errorf("struct %v of %d units where clock %d of client %d should be", it.id, it.length, clock, client)
			}
			clock = it.end()
			if it.isGC() {
				continue
			}
			if n := contentUnits(it.content, it.length); n != it.length {
				return fmt.Errorf("item %v has %d units, its content %d", it.id, it.length, n)
			}
			if it.left != nil && it.left.right != it || it.right != nil && it.right.left != it {
				return fmt.Errorf("item %v is not its neighbours' neighbour", it.id)
			}
			if c, ok := it.content.(*typeContent); ok && !it.deleted() {
				types = append(types, c.typ)
			}
		}
	}
	for _, t := range types {
		if err := t.audit(); err != nil {
			return err
		}
		if err := t.CheckIndex(); err != nil {
			return err
		}
	}
	return nil
}

func contentUnits(c content, length uint64) uint64 {
	switch c := c.(type) {
	case *stringContent:
		return utf16Len(c.text)
	case *anyContent:
		return uint64(len(c.values))
	case *jsonContent:
		return uint64(len(c.values))
	case deletedContent:
		return length
	}
	return 1
}

func (t *Type) audit() error {
	units := uint64(0)
	var last *item
	for it := t.start; it != nil; it = it.right {
		if it.parent != t || it.left != last {
			return fmt.Errorf("item %v is in the list of another type", it.id)
		}
		if !it.deleted() && it.countable() {
			units += it.length
		}
		last = it
	}
	if units != t.length {
		return fmt.Errorf("a %s has the length %d, %d units are in it", t.kind, t.length, units)
	}
	for i, key := range t.entries.keys {
		it := t.entries.items[i]
		if it.parent != t || it.parentSub == nil || *it.parentSub != *key || it.right != nil {
			return fmt.Errorf("item %v is not the newest value of %q", it.id, *key)
		}
	}
	return nil
}
