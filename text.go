package soma

import (
	"github.com/soma-sdk/soma/internal/yjs"
)

// TextReader reads a text (Y.Text). Indices and lengths are UTF-16 units, as in
// JavaScript; what is embedded counts as one. IndexOfByte and its siblings convert.
type TextReader interface {
	Content
	// String returns the characters, without formats and what is embedded.
	String() string
	// Len returns the length in UTF-16 units.
	Len() int
	// Delta returns the text with its formats and what is embedded: operations that
	// insert. Content in it is a handle.
	Delta() []DeltaOp
	// Attribute returns an attribute of the text as a whole.
	Attribute(key string) (value any, ok bool)
	// Attributes returns all of them.
	Attributes() Object

	// IndexOfByte returns the index at a byte offset into String, in front of what is
	// embedded there. Errors: ErrOutOfRange, also inside a character.
	IndexOfByte(offset int) (index int, err error)
	// IndexOfRune is IndexOfByte for an offset in runes.
	IndexOfRune(offset int) (index int, err error)
	// ByteOfIndex returns the byte offset into String at an index. Errors: ErrOutOfRange,
	// also inside a surrogate pair.
	ByteOfIndex(index int) (offset int, err error)
	// RuneOfIndex is ByteOfIndex for an offset in runes.
	RuneOfIndex(index int) (offset int, err error)
}

// Text edits a text. Each method either does all that it is asked to, or returns an error
// and changes nothing: ErrOutOfRange, ErrInvalidValue, ErrTypeIntegrated for content that
// was inserted before, ErrWrongKind, ErrTypeDeleted, ErrTxClosed, ErrTooLarge for content
// nested too deep. A later error of the function undoes what worked.
type Text interface {
	TextReader
	// Insert inserts text. With nil attributes it has the formats that are in force
	// there, with empty ones none.
	Insert(index int, text string, attributes Attributes) error
	// InsertEmbed inserts a value, or free-standing content, that counts as one unit.
	InsertEmbed(index int, value any, attributes Attributes) error
	// Format sets formats on a range; a nil value ends one.
	Format(index, length int, attributes Attributes) error
	// Delete deletes a range.
	Delete(index, length int) error
	// ApplyDelta makes several changes in one pass from the start. As in yjs, keeping more
	// than there is adds line breaks, at most 1,024.
	ApplyDelta(delta []DeltaOp) error
	// SetAttribute sets an attribute of the text as a whole.
	SetAttribute(key string, value any) error
	// RemoveAttribute removes one, if it is there.
	RemoveAttribute(key string) error
}

// NewText returns a free-standing text.
func NewText(s string) Text { return text{textReader{free(yjs.NewText(s))}} }

type textReader struct{ *node }

func (t textReader) String() (s string) {
	t.read(func(t *yjs.Type) { s = t.Text() })
	return s
}

func (t textReader) Len() int { return t.length() }

func (t textReader) Delta() (delta []DeltaOp) {
	t.read(func(typ *yjs.Type) {
		for _, op := range typ.Delta() {
			delta = append(delta, DeltaOp{Insert: t.wrap(op.Value), Attributes: copiedObject(op.Attributes)})
		}
	})
	return delta
}

func (t textReader) Attribute(key string) (any, bool) { return t.get(key) }
func (t textReader) Attributes() Object               { return t.entries() }

type text struct{ textReader }

func (t text) Insert(index int, s string, attributes Attributes) error {
	at, err := units(index)
	if err != nil {
		return err
	}
	return t.write(func(tx *yjs.Transaction, t *yjs.Type) error { return t.InsertText(tx, at, s, attributes) })
}

func (t text) InsertEmbed(index int, value any, attributes Attributes) error {
	at, err := units(index)
	if err != nil {
		return err
	}
	return t.insert([]any{value}, func(tx *yjs.Transaction, t *yjs.Type, values []any) error {
		return t.InsertEmbed(tx, at, values[0], attributes)
	})
}

func (t text) Format(index, length int, attributes Attributes) error {
	at, count, err := unitRange(index, length)
	if err != nil {
		return err
	}
	return t.write(func(tx *yjs.Transaction, t *yjs.Type) error { return t.Format(tx, at, count, attributes) })
}

func (t text) Delete(index, length int) error { return t.delete(index, length) }

func (t text) ApplyDelta(delta []DeltaOp) error {
	inserts := make([]any, len(delta))
	steps := make([]yjs.DeltaOp, len(delta))
	for i, op := range delta {
		retain, err := units(op.Retain)
		if err != nil {
			return err
		}
		deleted, err := units(op.Delete)
		if err != nil {
			return err
		}
		inserts[i] = op.Insert
		steps[i] = yjs.DeltaOp{Retain: retain, Delete: deleted, Attributes: op.Attributes}
	}
	return t.insert(inserts, func(tx *yjs.Transaction, t *yjs.Type, inserts []any) error {
		for i, v := range inserts {
			steps[i].Insert = v
		}
		return t.ApplyDelta(tx, steps)
	})
}

func (t text) SetAttribute(key string, value any) error { return t.set(key, value) }
func (t text) RemoveAttribute(key string) error         { return t.unset(key) }
