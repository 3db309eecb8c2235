package soma

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/yjs"
)

// MaxEditBytes bounds what one Edit adds to a document, as a Yjs update: it is one entry.
const MaxEditBytes = replica.MaxEditBytes

// MaxLiveBytes and MaxLiveDocs bound the documents that a DB keeps in memory after they
// were edited or viewed, the latest ones: by what they take, as estimated, and in number.
const (
	MaxLiveBytes = replica.MaxLiveBytes
	MaxLiveDocs  = replica.MaxLiveDocs
)

// EditTx is a document inside of Edit. It is good until the function ends, and, as the
// handles that it gives, for several goroutines.
type EditTx struct{ s *txn }

// Text returns a root text (ydoc.getText). A root that holds what no text can, by its
// first value or its keys, is ErrWrongKind to the methods of the handle.
func (tx *EditTx) Text(name string) Text {
	return text{textReader{rootOf(tx.s, name, yjs.KindText)}}
}

// Array is Text for an array (ydoc.getArray).
func (tx *EditTx) Array(name string) Array {
	return array{arrayReader{rootOf(tx.s, name, yjs.KindArray)}}
}

// Map is Text for a map (ydoc.getMap).
func (tx *EditTx) Map(name string) Map {
	return mapping{mapReader{rootOf(tx.s, name, yjs.KindMap)}}
}

// XMLFragment is Text for an XML fragment (ydoc.getXmlFragment).
func (tx *EditTx) XMLFragment(name string) XMLFragment {
	return xmlFragment{xmlFragmentReader{rootOf(tx.s, name, yjs.KindXMLFragment)}}
}

// XMLElement is Text for an XML element (ydoc.getXmlElement).
func (tx *EditTx) XMLElement(name string) XMLElement {
	return xmlElement{xmlFragment{xmlFragmentReader{rootOf(tx.s, name, yjs.KindXMLElement)}}}
}

// XMLText is Text for an XML text (ydoc.get(name, Y.XmlText)).
func (tx *EditTx) XMLText(name string) XMLText {
	return xmlText{text{textReader{rootOf(tx.s, name, yjs.KindXMLText)}}}
}

// Roots returns the names of the roots that hold something, in any order.
func (tx *EditTx) Roots() []string { return tx.s.roots() }

// ViewTx is a document inside of View: EditTx without the means to change it.
type ViewTx struct{ s *txn }

// Text returns a root text. What EditTx says holds here too.
func (tx *ViewTx) Text(name string) TextReader {
	return textReader{rootOf(tx.s, name, yjs.KindText)}
}

// Array returns a root array.
func (tx *ViewTx) Array(name string) ArrayReader {
	return arrayReader{rootOf(tx.s, name, yjs.KindArray)}
}

// Map returns a root map.
func (tx *ViewTx) Map(name string) MapReader {
	return mapReader{rootOf(tx.s, name, yjs.KindMap)}
}

// XMLFragment returns a root fragment.
func (tx *ViewTx) XMLFragment(name string) XMLFragmentReader {
	return xmlFragmentReader{rootOf(tx.s, name, yjs.KindXMLFragment)}
}

// XMLElement returns a root element.
func (tx *ViewTx) XMLElement(name string) XMLElementReader {
	return xmlElementReader{xmlFragmentReader{rootOf(tx.s, name, yjs.KindXMLElement)}}
}

// XMLText returns a root XML text.
func (tx *ViewTx) XMLText(name string) XMLTextReader {
	return xmlTextReader{textReader{rootOf(tx.s, name, yjs.KindXMLText)}}
}

// Roots returns the names of the roots that hold something, in any order.
func (tx *ViewTx) Roots() []string { return tx.s.roots() }

func (s *txn) roots() (names []string) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	for _, t := range s.doc.Roots() {
		if t.Len() > 0 || len(t.Entries()) > 0 {
			names = append(names, t.Name())
		}
	}
	return names
}

// Edit changes a document, which it creates if needed, and returns when that is durable.
// fn is called once, in this goroutine, with the document as it is committed, and what it
// changes is stored as one Yjs update in one entry, with one event. If fn returns an
// error, panics, ends its goroutine or changes nothing, nothing is stored and no event
// fires; the error is returned, wrapped, and a panic goes on. An Edit that changes nothing
// returns the revision that there is, of a document that was never written one of no time
// and an empty state vector. A deleted document has its content still, and a change brings
// it back.
//
// Edits of one document come one after the other, beside Upserts and imports: all of these
// merge. It is kept in memory, within MaxLiveBytes, so that the next Edit costs what it
// changes; under one Yjs clientID, a random one for each time that it is read from disk,
// is rebuilt, or an Edit fails.
//
// fn may use the DB, but not close it. Another Edit or View of the same document, that it
// calls or waits for, is a transaction of its own: it does not see what fn has changed, and
// what it stores fn does not see; both merge. It is slow, as it waits a while for fn to end,
// and costs a clientID. That also goes for whoever comes while fn runs for long.
//
// ctx counts until the writer takes the update; an error of ctx means that nothing was
// stored. Errors: that of fn, ErrTooLarge (MaxEditBytes), ErrNotFound for an unknown
// space, ErrForbidden, before fn is called unless the right is lost meanwhile,
// ErrStaleDocument as in Upsert, if the document was rebuilt while fn ran, ErrClientIDTaken
// if somebody took its clientID meanwhile (both: call Edit again), ErrInvalidID,
// ErrInvalidOption, ErrInvalidTime of WithDraft.
func (d Documents) Edit(ctx context.Context, space SpaceID, id DocumentID, fn func(tx *EditTx) error, opts ...WriteOption) (Revision, error) {
	if fn == nil {
		return Revision{}, about("edit", id, fmt.Errorf("no function: %w", ErrInvalidOption))
	}
	o, err := d.beginWrite(space, id, opts)
	if err != nil {
		return Revision{}, err
	}
	defer d.db.end()
	rev, err := d.db.replica.Edit(ctx, space, id, o.replica(), func(tx *yjs.Transaction) error {
		s := &txn{doc: tx.Doc(), tx: tx}
		defer s.end()
		return fn(&EditTx{s})
	})
	if err != nil {
		return Revision{}, about("edit", id, err)
	}
	return Revision(rev), nil
}

// View reads a document at one committed state: fn is called once, in this goroutine, and
// its error is returned. Views and Edits of one document come one after the other; what
// Edit says of calls inside of fn holds here too. Errors: that of fn, ErrNotFound for an
// unknown or deleted document, ErrInvalidID, ErrInvalidOption.
func (d Documents) View(ctx context.Context, space SpaceID, id DocumentID, fn func(tx *ViewTx) error) error {
	if fn == nil {
		return about("view", id, fmt.Errorf("no function: %w", ErrInvalidOption))
	}
	if err := d.begin(space, id); err != nil {
		return err
	}
	defer d.db.end()
	err := d.db.replica.View(ctx, space, id, func(doc *yjs.Doc) error {
		s := &txn{doc: doc}
		defer s.end()
		return fn(&ViewTx{s})
	})
	if err != nil {
		return about("view", id, err)
	}
	return nil
}
