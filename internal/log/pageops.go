package log

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
)

// PageField is a field of a page. Its number is given once and for all.
type PageField uint64

// The fields of a page.
const (
	PageTitle    PageField = 1 // text, see CheckPageTitle
	PageArchived PageField = 2 // true or false
)

// PagePut sets a field of a page.
type PagePut struct {
	Page  core.DocumentID
	Field PageField
	Value []byte // one CBOR item
}

// PutTitle returns the op that names a page.
func PutTitle(page core.DocumentID, title string) PagePut {
	return PagePut{page, PageTitle, encodeItem(title)}
}

// PutArchived returns the op that archives a page, or takes it out of the archive.
func PutArchived(page core.DocumentID, archived bool) PagePut {
	return PagePut{page, PageArchived, encodeItem(archived)}
}

func encodeItem(v any) []byte {
	b, err := encoding.Marshal(v)
	if err != nil { // unreachable: what is passed can be encoded
		panic(err)
	}
	return b
}

// Number implements Body.
func (PagePut) Number() OpNumber { return OpPagePut }
func (b PagePut) wire() any      { return []any{b.Page, b.Field, cbor.RawMessage(b.Value)} }

// DecodePageTitle reads the value of PageTitle.
func DecodePageTitle(value []byte) (string, error) {
	s := &scanner{b: value}
	title := s.text()
	if err := s.end(); err != nil {
		return "", err
	}
	return title, CheckPageTitle(title)
}

// DecodePageArchived reads the value of PageArchived.
func DecodePageArchived(value []byte) (bool, error) {
	s := &scanner{b: value}
	archived := s.bool()
	return archived, s.end()
}

// CheckPageTitle reports core.ErrInvalidName unless title may name a page: at most
// MaxPageTitleBytes bytes of UTF-8 without control characters and line separators. It
// may be empty.
func CheckPageTitle(title string) error { return checkLine("page title", title, MaxPageTitleBytes) }

// PageMove puts a page somewhere in the tree, also out of the trash.
type PageMove struct {
	Page   core.DocumentID
	Parent core.DocumentID // "" for the top level
	// Position is where it stands among its siblings, which are in the order of their
	// bytes. See CheckPosition.
	Position string
	// Reorder says that only the order is meant: if the page is not under Parent any
	// more, nothing happens.
	Reorder bool
}

// Number implements Body.
func (PageMove) Number() OpNumber { return OpPageMove }

func (b PageMove) wire() any {
	return []any{b.Page, b.Parent, []byte(b.Position), b.Reorder}
}

// CheckPosition reports whether text may be a position: 1 to MaxPositionBytes bytes of
// which the last is not 0. So there is one between any two.
func CheckPosition(position string) error {
	switch n := len(position); {
	case n == 0:
		return errors.New("position is empty")
	case n > MaxPositionBytes:
		return fmt.Errorf("position has %d bytes, at most %d are allowed", n, MaxPositionBytes)
	case position[n-1] == 0:
		return errors.New("position ends with 0")
	}
	return nil
}

// PageDelete puts a page into the trash, with all that is under it.
type PageDelete struct {
	Page core.DocumentID
}

// Number implements Body.
func (PageDelete) Number() OpNumber { return OpPageDelete }
func (b PageDelete) wire() any      { return []any{b.Page} }

func decodePagePut(s *scanner) (Body, error) {
	s.arrayOf(3)
	b := PagePut{Page: s.text(), Field: PageField(s.uint())}
	start := s.off
	s.skip(MaxDepth)
	if s.err != nil {
		return nil, s.err
	}
	b.Value = s.b[start:s.off:s.off]
	if err := core.CheckID("page id", b.Page); err != nil {
		return nil, err
	}
	var err error
	switch b.Field {
	case PageTitle:
		_, err = DecodePageTitle(b.Value)
	case PageArchived:
		_, err = DecodePageArchived(b.Value)
	default:
		if len(b.Value) > MaxPageValueBytes {
			err = fmt.Errorf("field %d has %d bytes, at most %d are allowed", b.Field, len(b.Value), MaxPageValueBytes)
		}
	}
	return b, err
}

func decodePageMove(s *scanner) (Body, error) {
	s.arrayOf(4)
	b := PageMove{Page: s.text(), Parent: s.text(), Position: string(s.bytes()), Reorder: s.bool()}
	if s.err != nil {
		return nil, s.err
	}
	if err := core.CheckID("page id", b.Page); err != nil {
		return nil, err
	}
	if b.Parent != "" {
		if err := core.CheckID("page id", b.Parent); err != nil {
			return nil, err
		}
	}
	return b, CheckPosition(b.Position)
}

func decodePageDelete(s *scanner) (Body, error) {
	s.arrayOf(1)
	b := PageDelete{Page: s.text()}
	if s.err != nil {
		return nil, s.err
	}
	return b, core.CheckID("page id", b.Page)
}
