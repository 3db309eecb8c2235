package soma

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/yjs"
)

// XMLFragmentReader reads the children of an XML fragment (Y.XmlFragment) or element.
type XMLFragmentReader interface {
	Content
	// Len returns the number of children.
	Len() int
	// Get returns one child: a handle of an element, a text or a hook. Errors:
	// ErrOutOfRange, those of Err.
	Get(index int) (any, error)
	// Children returns all children.
	Children() []any
	// Markup returns the XML as toString does in yjs, for people to read: nothing is
	// escaped. Errors: as Err, ErrTooLarge for content nested too deep.
	Markup() (string, error)
}

// XMLFragment edits the children of an XML fragment or element: free-standing elements,
// texts and hooks go in. Errors: as Text.
type XMLFragment interface {
	XMLFragmentReader
	// Insert inserts children at an index.
	Insert(index int, children ...Content) error
	// InsertAfter inserts children behind one that is there, nil for at the start.
	// ErrOutOfRange says that it is no child.
	InsertAfter(child Content, children ...Content) error
	// Push inserts children at the end.
	Push(children ...Content) error
	// Delete deletes length children.
	Delete(index, length int) error
}

// XMLElementReader reads an XML element (Y.XmlElement).
type XMLElementReader interface {
	XMLFragmentReader
	// NodeName returns the element's name, "UNDEFINED" for a root, which has none.
	NodeName() string
	// Attribute returns the value of an attribute.
	Attribute(key string) (value any, ok bool)
	// Attributes returns all attributes.
	Attributes() Object
}

// XMLElement edits an XML element. Errors: as Text.
type XMLElement interface {
	XMLElementReader
	XMLFragment
	// SetAttribute sets an attribute: to a string, where the markup matters.
	SetAttribute(key string, value any) error
	// RemoveAttribute removes one, if it is there.
	RemoveAttribute(key string) error
}

// XMLTextReader reads a text inside of XML (Y.XmlText).
type XMLTextReader interface {
	TextReader
	// Markup returns the text with its formats as elements, as toString does in yjs.
	// Errors: as XMLFragmentReader.
	Markup() (string, error)
}

// XMLText edits a text inside of XML. Errors: as Text.
type XMLText interface {
	Text
	XMLTextReader
}

// XMLHookReader reads a hook (Y.XmlHook): a map among XML nodes.
type XMLHookReader interface {
	MapReader
	// HookName returns the name that the hook was made with.
	HookName() string
}

// XMLHook edits a hook. Errors: as Text.
type XMLHook interface {
	Map
	XMLHookReader
}

// NewXMLFragment returns a free-standing fragment, to go into a map, an array or a text.
func NewXMLFragment() XMLFragment {
	return xmlFragment{xmlFragmentReader{free(yjs.NewXMLFragment(), nil)}}
}

// NewXMLElement returns a free-standing element.
func NewXMLElement(nodeName string) XMLElement {
	return xmlElement{xmlFragment{xmlFragmentReader{free(yjs.NewXMLElement(nodeName))}}}
}

// NewXMLText returns a free-standing text.
func NewXMLText(s string) XMLText { return xmlText{text{textReader{free(yjs.NewXMLText(s))}}} }

// NewXMLHook returns a free-standing hook.
func NewXMLHook(name string) XMLHook { return xmlHook{mapping{mapReader{free(yjs.NewXMLHook(name))}}} }

type xmlFragmentReader struct{ *node }

func (f xmlFragmentReader) Len() int                   { return f.length() }
func (f xmlFragmentReader) Get(index int) (any, error) { return f.at(index) }
func (f xmlFragmentReader) Children() []any            { return f.values() }
func (f xmlFragmentReader) Markup() (string, error)    { return f.markup() }

type xmlFragment struct{ xmlFragmentReader }

func (f xmlFragment) Insert(index int, children ...Content) error {
	return f.insertAt(index, anys(children))
}

func (f xmlFragment) InsertAfter(child Content, children ...Content) error {
	var after *yjs.Type
	if child != nil {
		h, ok := child.(interface{ handle() *node })
		if !ok || h.handle().typ == nil {
			return fmt.Errorf("behind what is no child: %w", ErrOutOfRange)
		}
		after = h.handle().typ
	}
	return f.insert(anys(children), func(tx *yjs.Transaction, t *yjs.Type, values []any) error {
		return t.InsertAfter(tx, after, values...)
	})
}

func (f xmlFragment) Push(children ...Content) error { return f.push(anys(children)) }
func (f xmlFragment) Delete(index, length int) error { return f.delete(index, length) }

func anys(children []Content) []any {
	values := make([]any, len(children))
	for i, c := range children {
		values[i] = c
	}
	return values
}

type xmlElementReader struct{ xmlFragmentReader }

func (e xmlElementReader) NodeName() string                 { return e.nodeName() }
func (e xmlElementReader) Attribute(key string) (any, bool) { return e.get(key) }
func (e xmlElementReader) Attributes() Object               { return e.entries() }

type xmlElement struct{ xmlFragment }

func (e xmlElement) NodeName() string                         { return e.nodeName() }
func (e xmlElement) Attribute(key string) (any, bool)         { return e.get(key) }
func (e xmlElement) Attributes() Object                       { return e.entries() }
func (e xmlElement) SetAttribute(key string, value any) error { return e.set(key, value) }
func (e xmlElement) RemoveAttribute(key string) error         { return e.unset(key) }

func (n *node) nodeName() (name string) {
	n.read(func(t *yjs.Type) { name = t.NodeName() })
	return name
}

type xmlTextReader struct{ textReader }

func (t xmlTextReader) Markup() (string, error) { return t.markup() }

type xmlText struct{ text }

func (t xmlText) Markup() (string, error) { return t.markup() }

type xmlHookReader struct{ mapReader }

func (h xmlHookReader) HookName() string { return h.hookName() }

type xmlHook struct{ mapping }

func (h xmlHook) HookName() string { return h.hookName() }

func (n *node) hookName() (name string) {
	n.read(func(t *yjs.Type) { name = t.Name() })
	return name
}
