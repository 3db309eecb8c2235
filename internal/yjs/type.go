package yjs

// Kind is the kind of a shared type.
type Kind uint8

// The kinds of shared types. KindNone is a root that nothing declared yet.
const (
	KindNone Kind = iota
	KindArray
	KindMap
	KindText
	KindXMLElement
	KindXMLFragment
	KindXMLHook
	KindXMLText

	// Not types but references to one, in structs that are not integrated.
	kindRootRef
	kindItemRef
)

// String returns the name that yjs gives the kind.
func (k Kind) String() string {
	switch k {
	case KindArray:
		return "YArray"
	case KindMap:
		return "YMap"
	case KindText:
		return "YText"
	case KindXMLElement:
		return "YXmlElement"
	case KindXMLFragment:
		return "YXmlFragment"
	case KindXMLHook:
		return "YXmlHook"
	case KindXMLText:
		return "YXmlText"
	default:
		return "AbstractType"
	}
}

func (k Kind) isXML() bool {
	return k == KindXMLElement || k == KindXMLFragment || k == KindXMLHook || k == KindXMLText
}

// The type reference numbers of the update format.
var typeKinds = [...]Kind{KindArray, KindMap, KindText, KindXMLElement, KindXMLFragment, KindXMLHook, KindXMLText}

// Type is a shared type inside a Doc: a sequence (start and its right
// neighbours) and a map, of which most kinds use one.
type Type struct {
	kind      Kind
	name      string // of a root; node name of an element, hook name of a hook
	doc       *Doc   // nil until integrated
	item      *item  // nil for roots
	start     *item
	entries   typeMap
	length    uint64 // countable, undeleted units of the sequence
	ref       ID     // of kindItemRef
	formatted bool   // a format was integrated since the type was made or declared
	formats   bool   // a format was integrated
	places    *places
	spans     *span  // index of the sequence, nil for none
	draft     *draft // of a free-standing type
	changedIn uint64 // sequence number of the transaction that noted a change
}

// typeContent reads the reference number and the name of a nested type.
func (r *reader) typeContent() content {
	n := r.uint()
	if n >= uint64(len(typeKinds)) {
		r.fail("unknown type %d", n)
		n = 0
	}
	t := &Type{kind: typeKinds[n]}
	if t.kind == KindXMLElement || t.kind == KindXMLHook {
		t.name = r.string()
	}
	return &typeContent{t}
}

// typeContent is a nested type.
type typeContent struct{ typ *Type }

func (*typeContent) ref() byte       { return refType }
func (*typeContent) countable() bool { return true }

func (c *typeContent) write(w *writer, _, _ uint64) {
	for n, kind := range typeKinds {
		if kind == c.typ.kind {
			w.uint(uint64(n))
		}
	}
	if c.typ.kind == KindXMLElement || c.typ.kind == KindXMLHook {
		w.string(c.typ.name)
	}
}

// writeRef writes how an item without neighbours names its parent.
func (t *Type) writeRef(w *writer) {
	switch {
	case t.kind == kindItemRef:
		w.uint(0)
		w.id(t.ref)
	case t.item != nil:
		w.uint(0)
		w.id(t.item.id)
	default:
		w.uint(1)
		w.string(t.name)
	}
}

// isText reports whether a live yjs cleans up formats in this kind.
func (t *Type) isText() bool { return t.kind == KindText || t.kind == KindXMLText }

// typeMap maps keys to the newest item of each, in order of first insertion.
type typeMap struct {
	keys  []*string
	items []*item
	index map[string]int // only once there are many keys
}

func (m *typeMap) find(key string) int {
	if m.index != nil {
		if at, ok := m.index[key]; ok {
			return at
		}
		return -1
	}
	for i, k := range m.keys {
		if *k == key {
			return i
		}
	}
	return -1
}

func (m *typeMap) get(key string) *item {
	if at := m.find(key); at >= 0 {
		return m.items[at]
	}
	return nil
}

func (m *typeMap) set(key *string, it *item) {
	if at := m.find(*key); at >= 0 {
		m.items[at] = it
		return
	}
	if m.index != nil {
		m.index[*key] = len(m.keys)
	} else if len(m.keys) == indexThreshold {
		m.index = make(map[string]int, 2*indexThreshold)
		for i, k := range m.keys {
			m.index[*k] = i
		}
		m.index[*key] = len(m.keys)
	}
	m.keys = append(m.keys, key)
	m.items = append(m.items, it)
}
