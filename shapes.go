package soma

import (
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/shape"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Shape is the convention by which an editor keeps its content in a document.
type Shape = shape.Shape

// The shapes, with the root that each editor takes unless it is told another.
const (
	ShapeProseMirror = shape.ProseMirror // y-prosemirror: "prosemirror"
	ShapeTipTap      = shape.TipTap      // "default"
	ShapeBlockNote   = shape.BlockNote   // "document-store"
	ShapeYoopta      = shape.Yoopta      // always "blockOrder", "blockMeta" and "blockContents"
	ShapeSlate       = shape.Slate       // slate-yjs: "content"
	ShapeLexical     = shape.Lexical     // "root"
	ShapeQuill       = shape.Quill       // y-quill: "quill" or "text"
	ShapePlain       = shape.Plain       // none of these: texts wherever they are
)

// MaxTitleRunes bounds what Title returns, in code points.
const MaxTitleRunes = shape.MaxTitleRunes

// ReadOption changes how one call reads a document.
type ReadOption func(*readOptions)

type readOptions struct {
	source    shape.Source
	shaped    bool // the source was given
	separator string
}

// WithShape says which root holds the content, and in which shape, instead of leaving
// that to detection. Only this root is read. With ShapeYoopta the root does not matter;
// with ShapePlain the root "" stands for all of them, unless there is one named so.
func WithShape(root string, shape Shape) ReadOption {
	return func(o *readOptions) { o.source.Root, o.source.Shape, o.shaped = root, shape, true }
}

// WithBlockSeparator sets what Text puts between blocks, "\n" by default. TipTap and
// Lexical themselves take "\n\n". Line breaks inside a block stay "\n", and so do the
// lines of a Quill, which are part of its text.
func WithBlockSeparator(separator string) ReadOption {
	return func(o *readOptions) { o.separator = separator }
}

func readOptionsOf(opts []ReadOption) (readOptions, error) {
	o := readOptions{separator: "\n"}
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		opt(&o)
	}
	if o.shaped && !o.source.Shape.Valid() {
		return o, fmt.Errorf("shape %q: %w", o.source.Shape, ErrInvalidOption)
	}
	return o, nil
}

// Title returns what people call a document, "" for none: its first line that is not
// blank, trimmed, and cut to MaxTitleRunes where no character is cut in two. No editor
// has a place of its own for a title. But without WithShape, text that the document
// itself calls so goes first: a root named "title", or the value of the key "title" in
// a root that is a map. Errors: as Text.
func (d Documents) Title(ctx context.Context, space SpaceID, id DocumentID, opts ...ReadOption) (string, error) {
	const op = "title"
	doc, o, err := d.read(ctx, op, space, id, opts)
	if err != nil {
		return "", err
	}
	title, err := shape.Title(doc, o.source)
	return title, unreadable(op, id, err)
}

// Text returns the plain text of a document, as the editor that wrote it would: blocks
// in order, with a separator between them, line breaks as "\n", mentions by their label.
//
//   - ProseMirror, BlockNote: textBetween; an empty text block is an empty line, a node
//     without text, such as an image, is none.
//   - TipTap: getText, where every block begins with a separator, also a list and each
//     of its items.
//   - Slate: Node.string of each block that holds no further blocks.
//   - Lexical: getTextContent, with a separator behind each block but the last of its
//     parent.
//   - Quill: getText, which ends with a line end.
//   - Yoopta: getPlainText of each block, without the "[x]" of check boxes; cells of
//     tables are blocks.
//   - else all texts, wherever they are nested, in order of their names and keys; what is
//     empty is left out.
//
// Without WithShape that is the text of every root that has any, in order of name, each in
// its own shape; of a document with the roots of Yoopta only these are read. A root that
// is not there, or is something else than the shape says, has no text.
//
// It reads the whole document. Errors: ErrNotFound, ErrInvalidID, ErrInvalidOption for an
// unknown shape, ErrTooLarge for content nested too deep to be read.
func (d Documents) Text(ctx context.Context, space SpaceID, id DocumentID, opts ...ReadOption) (string, error) {
	const op = "text"
	doc, o, err := d.read(ctx, op, space, id, opts)
	if err != nil {
		return "", err
	}
	text, err := shape.Text(doc, o.source, o.separator)
	return text, unreadable(op, id, err)
}

// JSON returns every root type of a document as one JSON object, each as its
// toJSON in yjs: text as a string, XML as its markup. What no code declared is
// inferred from its content: keys make a map, text or formats a text, XML children
// a fragment, anything else an array. Binary becomes an object of its bytes, as
// JSON.stringify does, and a BigInt its digits.
//
// With WithShape it returns the content of that root as the editor's own JSON: the doc
// node of ProseMirror and TipTap (as yXmlFragmentToProsemirrorJSON, so attributes that
// are null are left out and each mark has attrs), the blocks of BlockNote, the content
// value of Yoopta, the children of Slate's editor, the editor state of Lexical, {"ops"}
// of Quill, for ShapePlain the root's toJSON. A root that is not there is an empty
// document, for ShapePlain null.
//
// Errors: as Text, and ErrTooLarge for JSON of hundreds of megabytes.
func (d Documents) JSON(ctx context.Context, space SpaceID, id DocumentID, opts ...ReadOption) ([]byte, error) {
	const op = "json"
	doc, o, err := d.read(ctx, op, space, id, opts)
	if err != nil {
		return nil, err
	}
	var body []byte
	if o.shaped {
		body, err = shape.JSON(doc, o.source)
	} else {
		body, err = doc.JSON()
	}
	if err != nil {
		return nil, unreadable(op, id, err)
	}
	return body, nil
}

// Shape returns the root that holds a document's content and its shape, as far as the
// content tells. Where several roots have a shape it is the one that an editor takes by
// default, else the first by name. Where none has, it is ShapePlain and the only root that
// there is, or "". Errors: ErrNotFound, ErrInvalidID.
func (d Documents) Shape(ctx context.Context, space SpaceID, id DocumentID) (root string, shaped Shape, err error) {
	doc, _, err := d.read(ctx, "shape", space, id, nil)
	if err != nil {
		return "", "", err
	}
	root, shaped = shape.Detect(doc)
	return root, shaped, nil
}

// read loads a document to be read as the options say.
func (d Documents) read(ctx context.Context, op string, space SpaceID, id DocumentID, opts []ReadOption) (*yjs.Doc, readOptions, error) {
	o, err := readOptionsOf(opts)
	if err != nil {
		return nil, o, err
	}
	if err := d.begin(space, id); err != nil {
		return nil, o, err
	}
	defer d.db.end()
	doc, err := d.db.replica.Load(ctx, space, id)
	if err != nil {
		return nil, o, about(op, id, err)
	}
	return doc, o, nil
}

// unreadable translates an error of reading content.
func unreadable(op string, id DocumentID, err error) error {
	if errors.Is(err, yjs.ErrTooDeep) || errors.Is(err, yjs.ErrTooLarge) || errors.Is(err, shape.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		return about(op, id, err)
	}
	return nil
}
