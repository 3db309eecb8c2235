package soma

import (
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Content is what typed content has in common: Text, Array, Map, XMLFragment, XMLElement,
// XMLText and XMLHook, and their readers.
//
// A handle stands for a root of a document or for something nested in one, and is good
// until the function ends that it was got in: then writes are ErrTxClosed and reads find
// nothing, as they do in a root of another kind, and in what was deleted. Inside the
// function handles may be used by several goroutines.
//
// Free-standing content, as NewText and its siblings make it, can be filled and inserted
// once; then its handle stands for what was inserted. Until then reads find nothing but
// its Len, and only one goroutine may use it. What was inserted by a function that failed is used up.
type Content interface {
	// Err returns nil, or why reads find nothing and writes fail: ErrTxClosed,
	// ErrWrongKind, ErrTypeDeleted, ErrInvalidValue for a root whose name is not UTF-8, or
	// what was wrong with the arguments of a New function.
	Err() error
	// JSON returns what JSON.stringify makes of the type's toJSON in yjs: text as a
	// string, XML as its markup. Errors: as Err, ErrTooLarge for content nested too deep.
	JSON() ([]byte, error)
}

// node is what all handles are made of.
type node struct {
	home *home
	typ  *yjs.Type // nil for a root
	root string
	kind yjs.Kind
	err  error // of the New function, or of the root's name
}

// home says where content is: in a transaction, in other free-standing content, or, if
// both are nil, nowhere yet.
type home struct {
	txn *txn
	in  *home
}

func (h *home) transaction() *txn {
	for ; h != nil; h = h.in {
		if h.txn != nil {
			return h.txn
		}
	}
	return nil
}

// txn is what an EditTx or a ViewTx and the handles got from it share.
type txn struct {
	mu    sync.Mutex
	doc   *yjs.Doc
	tx    *yjs.Transaction // nil in a view
	ended bool
}

// end makes handles useless. Who uses one right now comes first.
func (s *txn) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
}

// free returns a free-standing node.
func free(typ *yjs.Type, err error) *node {
	if err != nil {
		return &node{home: &home{}, err: contentError(err)}
	}
	return &node{home: &home{}, typ: typ}
}

// rootOf returns the node of a root. Halves of surrogate pairs cannot be in its name: they
// are U+FFFD on disk, which is the name of another root.
func rootOf(s *txn, name string, kind yjs.Kind) *node {
	n := &node{home: &home{txn: s}, root: name, kind: kind}
	if !utf8.ValidString(name) {
		n.err = fmt.Errorf("name of a root is not UTF-8: %w", ErrInvalidValue)
	}
	return n
}

// resolve returns the type, nil for a root that nothing is in and that is not to be made.
func (n *node) resolve(s *txn, making bool) (*yjs.Type, error) {
	switch {
	case n.err != nil:
		return nil, n.err
	case s == nil && n.typ != nil:
		return n.typ, nil
	case s == nil || s.ended:
		return nil, ErrTxClosed
	case n.typ != nil && n.typ.Deleted():
		return nil, ErrTypeDeleted
	case n.typ != nil:
		return n.typ, nil
	case !making && s.doc.Root(n.root) == nil:
		return nil, nil
	}
	t, err := s.doc.As(n.root, n.kind)
	return t, contentError(err)
}

// use calls fn with the type, and the transaction if there is one, while no other handle
// is used. Without making it does not for a root that nothing is in.
func (n *node) use(making bool, fn func(tx *yjs.Transaction, t *yjs.Type) error) error {
	s := n.home.transaction()
	var tx *yjs.Transaction
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		tx = s.tx
	}
	t, err := n.resolve(s, making)
	if err != nil || t == nil {
		return err
	}
	return contentError(fn(tx, t))
}

func (n *node) read(fn func(t *yjs.Type)) {
	_ = n.use(false, func(_ *yjs.Transaction, t *yjs.Type) error { // Err tells
		fn(t)
		return nil
	})
}

func (n *node) write(fn func(tx *yjs.Transaction, t *yjs.Type) error) error { return n.use(true, fn) }

// insert is write for values, among which may be free-standing content.
func (n *node) insert(values []any, fn func(tx *yjs.Transaction, t *yjs.Type, values []any) error) error {
	plain := make([]any, len(values))
	var nested []*node
	for i, v := range values {
		plain[i] = v
		if h, ok := v.(interface{ handle() *node }); ok {
			m := h.handle()
			if m.err != nil {
				return m.err
			}
			if m.typ == nil {
				return fmt.Errorf("root %q: %w", m.root, ErrTypeIntegrated)
			}
			plain[i] = m.typ
			nested = append(nested, m)
		}
	}
	return n.write(func(tx *yjs.Transaction, t *yjs.Type) error {
		if err := fn(tx, t, plain); err != nil {
			return err
		}
		for _, m := range nested {
			m.home.in = n.home
		}
		return nil
	})
}

func (n *node) handle() *node { return n }

func (n *node) Err() error {
	return n.use(false, func(*yjs.Transaction, *yjs.Type) error { return nil })
}

func (n *node) JSON() (body []byte, err error) {
	body = []byte(emptyJSON[n.kind])
	err = n.use(false, func(_ *yjs.Transaction, t *yjs.Type) error {
		v, err := t.ToJSON()
		body = yjs.AppendJSON(nil, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// emptyJSON is what a root is that nothing is in.
var emptyJSON = map[yjs.Kind]string{
	yjs.KindText: `""`, yjs.KindArray: `[]`, yjs.KindMap: `{}`,
	yjs.KindXMLFragment: `""`, yjs.KindXMLElement: `"<undefined></undefined>"`, yjs.KindXMLText: `""`,
}

func (n *node) markup() (text string, err error) {
	err = n.use(false, func(_ *yjs.Transaction, t *yjs.Type) error {
		text, err = t.Markup()
		return err
	})
	return text, err
}

func (n *node) length() (length int) {
	n.read(func(t *yjs.Type) { length = int(t.Len()) })
	return length
}

// delete deletes a part of a sequence.
func (n *node) delete(index, length int) error {
	at, count, err := unitRange(index, length)
	if err != nil {
		return err
	}
	return n.write(func(tx *yjs.Transaction, t *yjs.Type) error { return t.Delete(tx, at, count) })
}

// get returns the value of a key.
func (n *node) get(key string) (value any, ok bool) {
	n.read(func(t *yjs.Type) {
		if value, ok = t.Get(key); ok {
			value = n.wrap(value)
		}
	})
	return value, ok
}

func (n *node) entries() (entries Object) {
	n.read(func(t *yjs.Type) {
		entries = t.Entries()
		for i := range entries {
			entries[i].Value = n.wrap(entries[i].Value)
		}
	})
	return entries
}

func (n *node) set(key string, value any) error {
	return n.insert([]any{value}, func(tx *yjs.Transaction, t *yjs.Type, values []any) error {
		return t.Set(tx, key, values[0])
	})
}

func (n *node) unset(key string) error {
	return n.write(func(tx *yjs.Transaction, t *yjs.Type) error { return t.Unset(tx, key) })
}

// values returns a sequence.
func (n *node) values() (values []any) {
	n.read(func(t *yjs.Type) {
		values = t.Values()
		for i := range values {
			values[i] = n.wrap(values[i])
		}
	})
	return values
}

// at returns one value of a sequence.
func (n *node) at(index int) (value any, err error) {
	at, err := units(index)
	if err != nil {
		return nil, err
	}
	found := false
	err = n.use(false, func(_ *yjs.Transaction, t *yjs.Type) error {
		values, err := t.Slice(at, 1)
		if found = len(values) > 0; found {
			value = n.wrap(values[0])
		}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("index %d: %w", index, ErrOutOfRange)
	}
	return value, err
}

// wrap returns a value as the host gets it: a copy, or a handle. Inside a view it is one
// that only reads.
func (n *node) wrap(value any) any {
	t, ok := value.(*yjs.Type)
	if !ok {
		return copied(value)
	}
	s := n.home.transaction()
	m := &node{home: &home{txn: s}, typ: t, kind: t.Kind()}
	if s == nil || s.tx == nil {
		return readerOf(m)
	}
	switch m.kind {
	case yjs.KindText:
		return text{textReader{m}}
	case yjs.KindMap:
		return mapping{mapReader{m}}
	case yjs.KindXMLFragment:
		return xmlFragment{xmlFragmentReader{m}}
	case yjs.KindXMLElement:
		return xmlElement{xmlFragment{xmlFragmentReader{m}}}
	case yjs.KindXMLText:
		return xmlText{text{textReader{m}}}
	case yjs.KindXMLHook:
		return xmlHook{mapping{mapReader{m}}}
	default:
		return array{arrayReader{m}}
	}
}

func readerOf(m *node) any {
	switch m.kind {
	case yjs.KindText:
		return textReader{m}
	case yjs.KindMap:
		return mapReader{m}
	case yjs.KindXMLFragment:
		return xmlFragmentReader{m}
	case yjs.KindXMLElement:
		return xmlElementReader{xmlFragmentReader{m}}
	case yjs.KindXMLText:
		return xmlTextReader{textReader{m}}
	case yjs.KindXMLHook:
		return xmlHookReader{mapReader{m}}
	default:
		return arrayReader{m}
	}
}

// contentError makes the engine's errors those of this package.
func contentError(err error) error {
	for _, known := range [...]struct{ engine, public error }{
		{yjs.ErrRange, ErrOutOfRange},
		{yjs.ErrValue, ErrInvalidValue},
		{yjs.ErrIntegrated, ErrTypeIntegrated},
		{yjs.ErrForeign, ErrTypeIntegrated},
		{yjs.ErrDeleted, ErrTypeDeleted},
		{yjs.ErrKind, ErrWrongKind},
		{yjs.ErrClosed, ErrTxClosed},
		{yjs.ErrTooDeep, ErrTooLarge},
		{yjs.ErrTooLarge, ErrTooLarge},
		{yjs.ErrClock, ErrTooLarge},
	} {
		if errors.Is(err, known.engine) {
			return fmt.Errorf("%w: %w", known.public, err)
		}
	}
	return err
}
